# How a function is built: its Python files as they are, nothing else. What they import lies in the layer.
# SAM runs this in a copy of the function's folder and says in ARTIFACTS_DIR where the result goes.
include $(dir $(lastword $(MAKEFILE_LIST)))../layers/compile.mk

build-%:
	find . -name '*.py' | while read -r file; do install -D -m 644 "$$file" "$(ARTIFACTS_DIR)/$$file" || exit 1; done
	$(call byte_compile,$(ARTIFACTS_DIR),/var/task)
