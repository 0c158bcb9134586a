# How `sam build` makes an artefact. The template's WorkingDirectory has it run make in the project's
# folder; SOURCE is the artefact's own. The bytecode is shipped because Lambda's folders are
# read-only, so that Python would compile every module at every cold start; it is not checked
# against its source, because nothing can change there.

include tools/python.mk

# $(call compile,FOLDER): FOLDER is where Lambda unpacks the artefact, and what tracebacks show.
compile = $(UV) run --quiet --no-project python -m compileall -q -f -j 0 \
	--invalidation-mode unchecked-hash -s "$(ARTIFACTS_DIR)" -p $(1) "$(ARTIFACTS_DIR)"

# $(call download,PROCESSOR,FOLDER): the layer's packages at their locked versions.
download = $(UV) pip install --quiet --require-hashes --only-binary :all: --link-mode copy \
	--python-version 3.13 --python-platform $(1)-manylinux_2_28 --target $(2) -r layers/conversations/requirements.txt

build-%Function: python
	cp -r $(wildcard $(SOURCE)/*.py $(SOURCE)/openapi) "$(ARTIFACTS_DIR)"
	$(call compile,/var/task)
