# Every command of the project. Each target installs what it needs, at locked versions.

include tools/python.mk

PORT ?= 8000
HOST ?= 127.0.0.1
DATA ?= .local
ENGINE ?= ministack
ARGS ?=
COMMIT = $(shell git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null || echo unknown)
BIN := .venv/bin
NODE_PACKAGES := openai-node openai-agents-node openapi-node openapi-linters axe-core console-libraries
LIBRARIES := functions/pages/console/libraries
MODULES := .tools/console-libraries/node_modules
# The two libraries, and what markdown-it has built in.
LICENSED := dompurify markdown-it entities linkify-it mdurl punycode.js uc.micro
TESTED_WITH := .venv/.installed .tools/sam/.installed .tools/ministack/.installed .tools/mka1-0.5.25/.installed .tools/openapi-python-client/.installed .tools/llama-stack-client/.installed $(if $(shell which npm 2>/dev/null),$(NODE_PACKAGES:%=.tools/%/.installed))
QUICK := tests/test_architecture.py tests/test_ids.py tests/contract $(filter-out %/test_faults.py %/test_store_stateful.py,$(wildcard tests/storage/test_*.py)) $(patsubst %,tests/http/test_%.py,errors deleting reading)
PROOFS := tests/model_checker tests/cli/test_export_size.py $(patsubst %,tests/storage/test_%.py,store_stateful writers purge_size)
# One file runs in one process: workers would take longer to start.
PYTEST := $(BIN)/pytest $(if $(findstring .py,$(ARGS)),-n0,-n auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder)
MAKEFLAGS += --no-print-directory
export SAM_CLI_TELEMETRY := 0
export UV_NO_PROGRESS := 1
# Many images set it, and then each process that a test starts compiles all its imports again.
export PYTHONDONTWRITEBYTECODE :=
export UV_CUSTOM_COMPILE_COMMAND := make lock

.DEFAULT_GOAL := help
.PHONY: help
help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 12

.PHONY: install
install: .venv/.installed ## Install the command line and the tests' packages in .venv

.PHONY: run
run: .venv/.installed $(if $(filter ministack,$(ENGINE)),.tools/ministack/.installed) ## Run the API on this machine (PORT=8000 DATA=.local ENGINE=ministack|moto API_KEY=... ARGS=--quiet)
	@exec $(BIN)/python -m local --engine $(ENGINE) --host $(HOST) --port $(PORT) --data "$(DATA)" $(ARGS)

.PHONY: test
test: ## Run all checks: lint, types, tests
	@$(MAKE) --jobs=3 types lint pytest

.PHONY: lint
lint: .venv/.installed ## Check style, formatting and the template
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/cfn-lint template.yaml

.PHONY: types
types: .venv/.installed ## Check types
	@$(BIN)/mypy

.PHONY: pytest
pytest: $(TESTED_WITH) ## Run only the tests (ARGS="-k name")
	@$(PYTEST) $(ARGS)

.PHONY: quick
quick: .venv/.installed .tools/ministack/.installed ## Check style, types, contract and store in under a minute
	@$(MAKE) lint types
	@$(PYTEST) -q $(QUICK)

.PHONY: prove
prove: $(TESTED_WITH) ## Run the exhaustive and long tests (STEPS=10000 SCHEDULES=300 SEARCHES=200 WRITER_BATCHES=25 PURGE_ITEMS=10000 EXPORT_ITEMS=50000)
	@$(PYTEST) -m prove
	@STEPS=$(or $(STEPS),10000) SCHEDULES=$(or $(SCHEDULES),300) WRITER_BATCHES=$(or $(WRITER_BATCHES),25) \
		PURGE_ITEMS=$(or $(PURGE_ITEMS),10000) EXPORT_ITEMS=$(or $(EXPORT_ITEMS),50000) $(PYTEST) $(PROOFS)

.PHONY: e2e
e2e: .venv/.installed .tools/sam/.installed .tools/ministack/.installed ## Build, deploy into MiniStack and test the deployed stack (ARGS="-k name")
	@$(BIN)/pytest tests/e2e $(ARGS)

.PHONY: smoke
smoke: .venv/.installed ## Check a deployed stack over HTTP (URL=ApiUrl KEY=... READ_KEY=... ORIGIN=... ARGS=--json)
	@API_KEY="$(KEY)" READ_KEY="$(READ_KEY)" $(BIN)/python -m smoke --url "$(URL)" $(if $(ORIGIN),--origin "$(ORIGIN)") $(ARGS)

.PHONY: format
format: .venv/.installed ## Fix style and format of the code
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: openapi
openapi: .venv/.installed ## Generate the OpenAPI documents
	@$(BIN)/python -m openapi

.PHONY: libraries
libraries: .tools/console-libraries/.installed ## Copy the console's libraries, at their locked versions, into the page
	@cp $(MODULES)/markdown-it/dist/browser/markdown-it.umd.min.js $(MODULES)/dompurify/dist/purify.min.js $(LIBRARIES)
	@for package in $(LICENSED); do cat $(MODULES)/$$package/LICENSE* > $(LIBRARIES)/$$package.LICENSE.txt; done

.PHONY: screenshots
screenshots: .venv/.installed ## Take the screenshots of the pages for docs, with Chromium
	@$(BIN)/python -m tests.pages.screenshots

.PHONY: parameters
parameters: .venv/.installed ## Generate the table of parameters in docs/template.md
	@PYTHONPATH=. $(BIN)/python tools/parameters_page.py

.PHONY: fuzz
fuzz: .venv/.installed .tools/ministack/.installed ## Test the local stack with schemathesis and the OpenAPI documents (ARGS="-n 500")
	@$(BIN)/python -m openapi.fuzzing $(ARGS)

.PHONY: build
build: .tools/sam/.installed ## Build the functions and the layer in .aws-sam/build
	@.tools/sam/bin/sam build
	@du -sh .aws-sam/build/*Layer .aws-sam/build/*Function

.PHONY: deploy
deploy: .tools/sam/.installed ## Build and deploy the stack (ENV=dev|prod; needs AWS credentials and a region; TAGS="team=x" ARGS="--stack-name NAME")
	@.tools/sam/bin/python tools/check_aws.py --config-env $(or $(ENV),dev) $(ARGS)
	@$(MAKE) build
	@.tools/sam/bin/sam deploy --config-env $(or $(ENV),dev) --tags commit=$(COMMIT) $(TAGS) $(ARGS)

.PHONY: bench
bench: .venv/.installed .tools/ministack/.installed build ## Compare speed and size with peers and limits (ARGS="--json FILE")
	@$(MAKE) .tools/ogx/.installed || echo "OGX could not be installed and is skipped."
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: load
load: .venv/.installed .tools/ministack/.installed ## Measure throughput and latency of the local stack or another (ARGS="--url URL --key KEY")
	@$(BIN)/python -m benchmarks.load $(ARGS)

.PHONY: cost
cost: .venv/.installed ## Calculate the cost tables of docs/cost.md
	@$(BIN)/python -m benchmarks.cost

.PHONY: audit
audit: .tools/audit/.installed ## Check all locked packages for known vulnerabilities (OSV)
	@failed=0; for locked in requirements/*.txt layers/conversations/requirements.txt tools/*/requirements.txt; do \
		echo "$$locked"; \
		.tools/audit/bin/pip-audit --strict --vulnerability-service osv --disable-pip --progress-spinner off -r $$locked || failed=1; \
	done; exit $$failed

.PHONY: lock
lock: $(UV) ## Resolve and lock the newest versions of all dependencies
	$(UV) pip compile -q --universal --generate-hashes --upgrade pyproject.toml --group dev -o requirements/dev.txt
	for in in layers/conversations tools/audit tools/sam tools/ministack tools/ogx tools/openapi-python-client tools/llama-stack-client; do \
		$(UV) pip compile -q --universal --generate-hashes --upgrade $$in/requirements.in -o $$in/requirements.txt \
			$$([ $$in = layers/conversations ] && echo -c requirements/dev.txt); done

.PHONY: clean
clean: ## Remove installed and built files; keep the local stack's data
	rm -rf .venv .tools .aws-sam .hypothesis .mypy_cache .pytest_cache .ruff_cache .schemathesis

.venv/.installed: requirements/dev.txt pyproject.toml | python
	@$(call install,the packages of requirements/dev.txt in .venv,$(UV) venv --allow-existing .venv \
		&& $(UV) pip sync --python .venv requirements/dev.txt \
		&& $(UV) pip install --python .venv --no-build-isolation --no-deps --editable .)
	@touch $@

.tools/%/.installed: tools/%/requirements.txt | python
	@$(call install,$* in $(@D),$(UV) venv --allow-existing $(@D) \
		&& $(UV) pip sync --compile-bytecode --python $(@D) $<)
	@touch $@

# The client's older release, beside the current one in .venv, for the tests that use both.
.tools/mka1-0.5.25/.installed: requirements/mka1-0.5.25.txt | python
	@$(call install,meetkai-mka1 0.5.25 in $(@D),$(UV) pip install --no-deps --target $(@D) -r $<)
	@touch $@

# Clients and generators for Node. Without npm or its registry, the tests that use them are skipped.
$(NODE_PACKAGES:%=.tools/%/.installed): .tools/%/.installed: tools/%/package.json tools/%/package-lock.json
	@mkdir -p $(@D) && cp $^ $(@D)
	@echo "Installing $* in $(@D) ..." >&2
	@npm ci --prefix $(@D) --silent --ignore-scripts --no-audit --no-fund --fetch-retries 0 && touch $@ \
		|| echo "$* could not be installed for Node; its tests are skipped."
