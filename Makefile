# make demo   sets up and runs the main job, offline, on real adversarial photographs
# make test   sets up and passes the tests
# make test-integrations   tests inside deepinv, timm and torchvision, which `make test` leaves out
# make lint   formatting, lint rules, types, and which room may import which
# make check  lint and test, as CI does
# make bench  measures speed and recovery; IMAGES=DIR for a folder with one folder a class (WordNet id)

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXTRAS := dev
IMAGES ?= samples
HOSTS := $(VENV)/hosts

.PHONY: demo test test-integrations lint check bench format setup clean

demo: $(READY)
	$(BIN)/deep-protection demo --out demo

test: $(READY)
	$(BIN)/python -m pytest

# A folder of their own, beside the environment: transformers does not start where a torchvision is installed that was
# built for another PyTorch, as it is beside CPU builds.
test-integrations: $(READY)
	test -d $(HOSTS)/deepinv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--no-deps --target $(HOSTS) torchvision timm deepinv einops h5py natsort
	PYTHONPATH=$(HOSTS) $(BIN)/python -m pytest tests/test_deepinv.py tests/test_torchvision_timm.py

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

check: lint test test-integrations

bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks all --images $(IMAGES)

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

setup: $(READY)

# The environment is made anew when what it depends on has changed.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps torchattacks
	touch $(READY)

clean:
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
