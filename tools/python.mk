# uv at its one version, and Python 3.13, which is Lambda's: for the top Makefile and for the
# ones that `sam build` runs. UV_PYTHON names an interpreter; else pyenv's or the PATH's is
# taken, and where there is none uv downloads one.
#
# All paths are relative to the project's folder, where make is run: make splits an absolute path
# at the spaces in it.

UV := .tools/uv/bin/uv
UV_VERSION := 0.13.9

ifndef UV_PYTHON
PYENV_ROOT ?= $(HOME)/.pyenv
UV_PYTHON := $(shell for python in "$(PYENV_ROOT)"/versions/3.13.*/bin/python3.13 python3.13; do \
	"$$python" -c 'import sys; print(sys.executable)' 2>/dev/null && break; done)
endif
ifeq ($(UV_PYTHON),)
UV_PYTHON := 3.13
endif
export UV_PYTHON

# $(call install,WHAT,COMMAND): say what is installed and run the command; if it fails, say so in one
# sentence and leave the command's own messages in a file.
INSTALL_LOG := .tools/install.log
install = echo "Installing $(1) ..." >&2; mkdir -p .tools; { $(2); } > $(INSTALL_LOG) 2>&1 || { \
	echo "error: $(strip $(1)) could not be installed: is there a network? $(INSTALL_LOG) tells the cause." >&2; exit 1; }

$(UV):
	@python3 -m pip --version > /dev/null 2>&1 || { \
		echo "error: python3 with pip is needed to install uv, which installs the rest: install both, on Debian with 'apt install python3-pip'." >&2; \
		exit 1; }
	@$(call install,uv $(UV_VERSION),python3 -m pip install --quiet --retries 1 --target .tools/uv uv==$(UV_VERSION))

.PHONY: python
python: | $(UV)
	@$(UV) run --quiet --no-project python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2> /dev/null || { \
		echo "error: Python 3.13 is needed and could not be downloaded: install it, or name it with UV_PYTHON=/path/to/python3.13." >&2; \
		exit 1; }
