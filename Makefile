# make demo   sets up and runs the main job, offline, on real adversarial photographs: two minutes on two cores
# make test   sets up and passes the tests: minutes on two cores
# make campaigns   the long ones: kills, attackers who know, real documents
# make test-integrations   tests inside deepinv, timm, torchvision and RobustBench, which `make test` leaves out
# make lint   formatting, lint rules and types of Python and of the page, and which room may import which
# make docs   builds the site into site/, warnings are errors
# make check  lint, docs, their tables and all tests but those in other hosts, as CI does
# make bench  measures speed and recovery; IMAGES=DIR for a folder with one folder a class (WordNet id)

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXTRAS := dev
IMAGES ?= samples
HOSTS := $(VENV)/hosts
PAGE := src/deep_protection/service/page
# One more than there are cores in CI: servers start and browsers wait.
TESTERS ?= 3
# A thread each: processes of several threads wait for each other's cores, and the tests take twice the time.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
# A file in one process, for its services and fits are shared; in the order of tests/conftest.py, the longest first.
SHARED_OUT := --numprocesses $(TESTERS) --dist loadfile --no-loadscope-reorder
# Ray Serve alone: a second cluster beside it, on two cores, takes longer to start than it waits.
RAY := tests/test_ray_serve.py

.PHONY: demo test campaigns test-integrations lint docs tables check bench format setup clean

demo: $(READY)
	$(BIN)/deep-protection demo --out demo

test: $(READY)
	$(PYTEST) $(SHARED_OUT) --ignore $(RAY) -m 'not campaign'

campaigns: $(READY)
	$(PYTEST) $(SHARED_OUT) --ignore $(RAY) -m campaign
	$(PYTEST) $(RAY)

# Folders of their own beside the environment: transformers does not start where a torchvision is installed that was
# built for another PyTorch, as it is beside CPU builds; and robustbench wants an older timm and an older setuptools.
test-integrations: $(HOSTS)/.ready
	OMP_NUM_THREADS=1 PYTHONPATH=$(HOSTS) $(BIN)/python -m pytest tests/test_deepinv.py tests/test_torchvision_timm.py
	OMP_NUM_THREADS=1 PYTHONPATH=$(HOSTS) $(BIN)/python -m pytest tests/test_examples.py -k 'torchvision or deepinv or v2'
	OMP_NUM_THREADS=1 PYTHONPATH=$(HOSTS)/robustbench:$(HOSTS) $(BIN)/python -m pytest tests/test_robustbench.py

$(HOSTS)/.ready: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --constraint constraints.txt --no-deps \
		--target $(HOSTS) torchvision timm deepinv einops h5py natsort
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --no-deps --target $(HOSTS)/robustbench \
		robustbench==1.1.1 timm==1.0.9 pandas==3.1.1 torchdiffeq==0.2.5 geotorch==0.4.0 gdown==6.5.1 \
		beautifulsoup4==4.15.0 soupsieve==4.1.3 setuptools==80.10.2
	touch $(HOSTS)/.ready

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/oxlint --quiet --deny-warnings $(PAGE)
	@if command -v tsc > /dev/null; then tsc -p $(PAGE)/jsconfig.json; \
	else echo "The types of the page were not checked: no tsc (Debian: apt-get install node-typescript)" >&2; fi

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Lint beside the documents, for types are checked on one core. Then all tests in one go: what they import, they import
# once, and no core waits for the last of the short ones.
check: $(READY)
	$(MAKE) --jobs 2 lint docs tables
	$(PYTEST) $(SHARED_OUT) --ignore $(RAY)
	$(PYTEST) $(RAY)

# Every table of the documents, from the committed results; the tests look at the main ones only.
tables: $(READY)
	$(BIN)/python -m benchmarks documents --check

bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks all --images $(IMAGES)

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

setup: $(READY)

# The environment is made anew when what it depends on has changed.
# Not compiled: that takes as long as all the rest, and Python compiles what it imports.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt \
		--editable '.[$(EXTRAS)]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --no-deps \
		torchattacks
	touch $(READY)

clean:
	rm -rf $(VENV) demo site build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
