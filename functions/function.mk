# Builds a function: its Python files and nothing else. What they import is in the layer.
# SAM runs this in a copy of the function's folder and sets ARTIFACTS_DIR to the output folder.
include $(dir $(lastword $(MAKEFILE_LIST)))../layers/compile.mk

build-%:
	find . -name '*.py' | while read -r file; do install -D -m 644 "$$file" "$(ARTIFACTS_DIR)/$$file" || exit 1; done
	$(call byte_compile,$(ARTIFACTS_DIR),/var/task)
