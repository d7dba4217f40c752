# make demo   sets everything up, repaints the bundled sample, prints where the pictures are
# make test   sets everything up, lints, checks types and layers, runs the tests
#
# TORCH_INDEX  where PyTorch comes from. The default index may serve a CUDA build of several gigabytes;
#              TORCH_INDEX=https://download.pytorch.org/whl/cpu takes the CPU-only build instead.
# PYTHON       the interpreter that makes the virtual environment (3.11 to 3.13).

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

# The checker of accessibility with which tests look at the page (MPL-2.0; a file beside the project, never part of it).
AXE := 4.14.1

.PHONY: demo test test-slow lint axe clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(BIN)/retouch inpaint --image examples/sample.png --mask examples/sample-mask.png \
		--prompt "a red apple" --seed 7 --output demo/result.png --grid demo/grid.png

test: $(VENV)/.installed-dev lint
	$(BIN)/python -m pytest -m "not slow and not gpu"

test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "slow and not gpu"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

axe: .axe/package/axe.min.js

.axe/package/axe.min.js: Makefile
	mkdir -p .axe
	cd .axe && npm pack --silent axe-core@$(AXE) && tar -xzf axe-core-$(AXE).tgz package/axe.min.js package/LICENSE
	touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) torch
	$(PIP_INSTALL) --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP_INSTALL) --editable ".[dev,all]"
	touch $@

clean:
	rm -rf $(VENV) .axe demo
