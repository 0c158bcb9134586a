# How `sam build` makes an artefact. The bytecode is shipped because Lambda's folders are
# read-only, so that Python would compile every module at every cold start; it is not checked
# against its source, because nothing can change there.

include $(dir $(lastword $(MAKEFILE_LIST)))python.mk

# $(call compile,FOLDER): FOLDER is where Lambda unpacks the artefact, and what tracebacks show.
compile = $(UV) run --quiet --no-project python -m compileall -q -f -j 0 \
	--invalidation-mode unchecked-hash -s $(ARTIFACTS_DIR) -p $(1) $(ARTIFACTS_DIR)

build-%Function: python
	cp -r $(wildcard *.py openapi) $(ARTIFACTS_DIR)
	$(call compile,/var/task)
