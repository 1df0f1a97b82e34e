# Everything starts here: `make lab` on a fresh clone installs what is needed and opens the course.

PYTHON ?= python3
# Where pip looks for torch. Linux without a GPU: make lab TORCH_INDEX=https://download.pytorch.org/whl/cpu
# (the default build for Linux brings several GB of CUDA libraries along).
TORCH_INDEX ?=
# Handed to the command behind `make lab` and `make course`, such as ARGS="--no-browser" or ARGS="temperature".
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
INSTALLED := $(VENV)/.installed
DEVELOPED := $(VENV)/.developed
BROWSER := $(VENV)/.browser

.DEFAULT_GOAL := help
.PHONY: help lab course site test test-browser notebooks docs screens gpu lint doctor clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 20

lab: $(INSTALLED)  ## open the course in JupyterLab (installs first)
	@# what the first cells import is read, compiled and cached while the reader starts reading
	@$(BIN)/python -c "import cl_explore.widgets, lightning_fabric, umap" >/dev/null 2>&1 &
	@$(BIN)/python -m cl_explore lab $(ARGS)

course: $(INSTALLED)  ## execute all notebooks and write them as a book of web pages, build/course/index.html
	@$(BIN)/python -m cl_explore course $(ARGS)

site: course $(DEVELOPED)  ## put course, panels, losses, scorecard and interface under one roof, build/site/index.html
	@OMP_NUM_THREADS=1 $(BIN)/python docs/site.py

test: $(DEVELOPED)  ## run the tests, then every notebook in the smoke preset
	@rm -rf build/test-runs
	@command -v node >/dev/null || echo "node is not on the PATH: the JavaScript of the panels is not tested"
	@export CL_EXPLORE_RUNS="$(CURDIR)/build/test-runs" OMP_NUM_THREADS=1; status=0; \
	$(BIN)/python -m pytest -n auto --dist worksteal || status=1; \
	$(BIN)/python -m cl_explore course --preset smoke --out build/smoke || status=1; \
	exit $$status

test-browser: $(BROWSER)  ## work every panel in a real JupyterLab with Chromium, and the exported pages offline
	@CL_EXPLORE_RUNS="$(CURDIR)/build/test-runs" OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/browser -n 2 --dist loadfile $(ARGS)

notebooks: $(DEVELOPED)  ## build notebooks/*.ipynb from notebooks/src (ARGS="temperature" for one, ARGS=--text to execute nothing)
	@$(BIN)/python notebooks/build.py $(ARGS)

docs: $(DEVELOPED)  ## write the pages of losses and studies, with their pictures
	@$(BIN)/python docs/build.py

screens: $(BROWSER)  ## take the README's pictures of panels (docs/gallery.py) and of a report
	@CL_EXPLORE_RUNS="$(CURDIR)/build/test-runs" OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/browser -k test_gallery
	@$(BIN)/python docs/panels.py
	@OMP_NUM_THREADS=1 $(BIN)/python docs/report.py

gpu: $(INSTALLED)  ## measure what only a GPU can tell, in ten minutes (ARGS="--budget 240", ARGS="--smoke --out FILE" without one)
	@$(BIN)/python benchmarks/gpu.py $(ARGS)

lint: $(DEVELOPED)  ## check style, types and which room imports which; the JavaScript too, where there is npm
	@if command -v npm >/dev/null; then npm install --silent --no-audit --no-fund --no-package-lock && npm run --silent lint; \
	else echo "npm is not on the PATH: the JavaScript of the panels is not linted"; fi
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

doctor: $(INSTALLED)  ## check the installation, devices and data sets
	@$(BIN)/python -m cl_explore doctor

clean:  ## delete the environment and all that was built
	rm -rf $(VENV) build node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "cl_explore needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	       "Name another one: make $(or $(MAKECMDGOALS),lab) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "No virtual environment could be made. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "installing torch into $(VENV) (a minute or two) ..."
	@$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	@echo "installing everything else ..."
	@$(PIP) -e .
	@touch $@

$(DEVELOPED): $(INSTALLED)
	@echo "installing what developers need ..."
	@$(PIP) -e '.[dev]'
	@touch $@

$(BROWSER): $(DEVELOPED)
	@$(PIP) -e '.[browser]'
	@touch $@
