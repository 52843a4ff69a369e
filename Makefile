# For Linux and macOS; README.md has the same commands for Windows.
BIN = .venv/bin
# JAX keeps what it has compiled for NumPyro here, also the smallest pieces, which lessons share. The
# system's allocator keeps two pools of freed memory, not one for each thread: 100 MB less with JAX.
KERNELS = MALLOC_ARENA_MAX=2 JAX_COMPILATION_CACHE_DIR="$(CURDIR)/.venv/jax-cache" \
  JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1

.PHONY: help setup book test execute number lab warm lock clean

help:
	@echo "make book               build the website: _build/html/index.html"
	@echo "make test               run every lesson again and check its outputs, and all other tests"
	@echo "make execute [NB=path]  run one lesson (or all) and store its outputs"
	@echo "make number             number figures and exercises by where they stand"
	@echo "make lab                open the course in JupyterLab"
	@echo "make warm [DAY=n]       the evening before: run the lessons, so that in class models are compiled"
	@echo "make lock [UPGRADE=1]   compile requirements.in into requirements.txt (or to the newest versions)"
	@echo "make clean              remove the built website and the caches (.venv stays)"
	@echo "All but clean first make .venv, with all the packages, where it is missing or out of date."

setup:
	@tools/setup.sh

book: setup
	@$(BIN)/jupyter-book build . -n -W --keep-going || { rm -rf _build; \
	  echo "The book was not built: mend what is named above and run make book again." >&2; exit 1; }
	@$(BIN)/python tools/check_site.py
	@echo "The book is built: open _build/html/index.html in a browser."

test: setup
	@$(KERNELS) $(BIN)/python -m pytest

execute: setup
	@$(KERNELS) $(BIN)/python tools/execute.py $(NB)

number: setup
	@$(BIN)/python tools/number.py

lab: setup
	@mkdir -p .venv/etc/ipython && cp tools/ipython_kernel_config.py .venv/etc/ipython
	@$(KERNELS) $(BIN)/jupyter lab

warm: setup
	@$(KERNELS) $(BIN)/python tools/warm.py $(DAY)

lock: setup
	@tools/lock.sh

clean:
	@rm -rf _build .ruff_cache
	@find . -path './.venv*' -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -exec rm -rf {} +
