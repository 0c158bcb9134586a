# uv at its one version, and Python 3.13, which is Lambda's: for the top Makefile and for the
# ones that `sam build` runs. UV_PYTHON names an interpreter; else pyenv's or the PATH's is
# taken, and where there is none uv downloads one.

ROOT := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))..)
UV := $(ROOT)/.tools/uv/bin/uv
UV_VERSION := 0.13.9

ifndef UV_PYTHON
PYENV_ROOT ?= $(HOME)/.pyenv
UV_PYTHON := $(shell for python in $(PYENV_ROOT)/versions/3.13.*/bin/python3.13 python3.13; do \
	$$python -c 'import sys; print(sys.executable)' 2>/dev/null && break; done)
endif
ifeq ($(UV_PYTHON),)
UV_PYTHON := 3.13
endif
export UV_PYTHON

$(UV):
	@python3 -m pip install --quiet --target $(ROOT)/.tools/uv uv==$(UV_VERSION)

.PHONY: python
python: | $(UV)
	@$(UV) run --quiet --no-project python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' || { \
		echo "Python 3.13 is needed: install it, or name it with UV_PYTHON=/path/to/python3.13." >&2; \
		exit 1; }
