# Byte-compiles what a build made, for the interpreter that Lambda runs. Lambda cannot write .pyc files: without them
# every cold start compiles every module again (measured: 390 ms with, 944 ms without, for the whole stack).
# The files are trusted by hash without a look at the source, since SAM's archive resets time stamps. That archive holds
# the files' modes, which must not depend on the umask of whoever builds.
# PYENV_VERSION: under pyenv a python3.13 stands on PATH that only starts when it is chosen; elsewhere it means nothing.
PYTHON313 ?= $(shell PYENV_VERSION=3.13 python3.13 -c 'import sys; print(sys.executable)' 2>/dev/null)

# $(call byte_compile,folder,where it lies on Lambda)
define byte_compile
	@if [ -z "$(PYTHON313)" ]; then \
		echo "headgate: python3.13 not found, so nothing can be byte-compiled for Lambda. Install it and build again," \
			"for example: uv python install 3.13" >&2; \
		exit 1; \
	fi
	"$(PYTHON313)" -m compileall -q -j 0 -s "$(1)" -p "$(2)" --invalidation-mode unchecked-hash "$(1)"
	chmod -R u=rwX,go=rX "$(1)"
endef
