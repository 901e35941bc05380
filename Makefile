# Two commands: `make quickstart` shows a result, `make test` checks everything. Both set up .venv by themselves.
PYTHON ?= python3
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
PYTEST_WORKERS ?= 2

.PHONY: quickstart test fuzz format bench picture clean

quickstart: .venv/installed
	$(BIN)/python run.py

test: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal

# Damaged files for every reader, about 7 minutes; docs/untrusted_files.md.
fuzz: .venv/installed-dev
	$(BIN)/python -m tests.fuzz

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed-dev
	$(BIN)/python -m benchmarks.loader

# The pictures in README: the quickstart's own output.
picture: .venv/installed
	$(BIN)/python run.py hydra.run.dir=outputs/picture
	mkdir -p docs/images
	cp outputs/picture/trajectory.png outputs/picture/scene.gif docs/images/

clean:
	rm -rf .venv build *.egg-info

# The stamps make a second run start at once; they are renewed when the dependencies change.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is older; choose one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up .venv: this downloads PyTorch and the other packages of constraints.txt, once."
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) --quiet --editable .
	@touch $@

.venv/installed-dev: .venv/installed tests/requirements-video.txt
	$(PIP_INSTALL) --quiet --editable '.[dev]'
	$(PIP_INSTALL) --quiet --no-deps -r tests/requirements-video.txt
	@touch $@
