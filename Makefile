# Two commands: `make quickstart` shows a result, `make test` checks everything. Both set up .venv by themselves.
PYTHON ?= python3
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
PYTEST_WORKERS ?= 2
# A thread a worker; and the many processes that tests start find Python's modules compiled, whatever the shell says.
TEST_ENVIRONMENT := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=

.PHONY: quickstart test test-oldest check smoke docs fuzz format bench soak picture clean

# A real person first, then the whole path on synthetic data.
EXAMPLE = experiment=predict input=examples/multiview/cam2_keypoints.json fps=60 camera.image_size=[1088,1920] \
	camera.fx=1674 camera.cx=534 camera.cy=963 camera.tilt_deg=18 camera.roll_deg=3

quickstart: .venv/installed
	$(BIN)/python run.py $(EXAMPLE) hydra.run.dir=outputs/person
	$(BIN)/python run.py hydra.run.dir=outputs/quickstart
	@echo "Look at outputs/person/page.html (and animation.mp4, person_0.bvh), then at outputs/quickstart/table.md and scene.gif."

test: .venv/installed-dev
	$(MAKE) -j2 check docs
	$(TEST_ENVIRONMENT) $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal

# The linter, the import contracts and the type checker.
check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

# The tests on the oldest versions that pyproject.toml allows, torch apart.
test-oldest: .venv-oldest/installed
	$(TEST_ENVIRONMENT) .venv-oldest/bin/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal

# The library and its command from the wheel, built from the sdist, in an environment that holds nothing else.
smoke:
	rm -rf build/smoke build/lib build/dist
	$(PYTHON) -m venv build/smoke
	build/smoke/bin/python -m pip install --disable-pip-version-check --quiet build
	build/smoke/bin/python -m build --outdir build/dist .
	build/smoke/bin/python -m pip install --disable-pip-version-check --quiet -c constraints.txt build/dist/*.whl
	build/smoke/bin/python tests/install/use_library.py
	cd build/smoke && bin/temporal-smoothing $(subst examples/,../../examples/,$(EXAMPLE)) pictures=false exporter=bvh

# The documentation, in build/site; whatever Sphinx warns of is an error.
docs: .venv/installed-dev
	$(BIN)/sphinx-build -E -W --keep-going -q docs build/site

# Damaged files for every reader, EXAMPLES=n for each: about 5 minutes; docs/untrusted_files.md.
EXAMPLES ?= 2000
fuzz: .venv/installed-dev
	FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -n $(PYTEST_WORKERS) tests/fileio/test_fuzz.py

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Every figure of speed and memory, and docs/performance.md: within ten minutes on two cores.
bench: .venv/installed-dev
	$(BIN)/python -m benchmarks.run --docs

# Kills every verb at random moments and compares what the same command then makes; KILLS=n of them.
KILLS ?= 20
soak: .venv/installed-dev
	$(BIN)/python -m tests.soak --kills $(KILLS)

# The pictures of README and of the documentation that its pages do not make by their own commands; Blender's where it is.
picture: quickstart
	cp outputs/quickstart/trajectory.png docs/images/
	$(BIN)/python examples/gif.py outputs/person/animation.mp4 docs/images/person.gif
	$(BIN)/python run.py experiment=predict input=examples/multiview/cam2_keypoints.json fps=60 \
		'camera.image_size=[1088,1920]' exporter=glb pictures=false hydra.run.dir=outputs/clip
	! command -v blender || blender --background --python examples/blender.py -- outputs/clip/scene.glb docs/images/blender.jpg
	$(BIN)/python examples/joints.py outputs/person/predictions.npz docs/images/joints.png
	$(BIN)/python -m benchmarks.studies.failures

clean:
	rm -rf .venv .venv-oldest build *.egg-info

# The stamps make a second run start at once; they are renewed when the dependencies change.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $(PYTHON) is older; choose one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up .venv: this downloads PyTorch and the other packages of constraints.txt, once."
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) --quiet --editable '.[video,export]'
	@touch $@

.venv/installed-dev: .venv/installed tests/requirements-video.txt
	$(PIP_INSTALL) --quiet --editable '.[dev]'
	$(PIP_INSTALL) --quiet --no-deps -r tests/requirements-video.txt
	@touch $@

.venv-oldest/installed: pyproject.toml constraints.txt constraints-oldest.txt
	$(PYTHON) -m venv .venv-oldest
	awk -F== 'FNR == NR {old[tolower($$1)]; print; next} !(tolower($$1) in old)' constraints-oldest.txt constraints.txt \
		> .venv-oldest/constraints.txt
	.venv-oldest/bin/python -m pip install --disable-pip-version-check --quiet -c .venv-oldest/constraints.txt --editable '.[test]'
	@touch $@
