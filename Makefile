# make lab     installs what the lessons need and opens JupyterLab on them
# make test    runs all tests: package, every notebook, a browser pass
#
# Both make .venv when it is missing and install again only when
# pyproject.toml or constraints.txt have changed.

VENV     ?= .venv
JOBS     ?= 2
LAB_ARGS ?=
KIT_ARGS ?=
BIN      := $(VENV)/bin

# The first Python of a version that torch and the lessons support.
PYTHON   ?= $(shell for p in python3.11 python3.12 python3.13 python3.10 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& echo $$p && break; done)

# JupyterLab stays off the network: no news, no look for updates or extensions.
LAB_OFFLINE := --LabApp.news_url=None \
	--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate \
	--LabApp.extension_manager=readonly

# Waiting OpenMP threads sleep: on few or busy cores spinning ones make torch
# many times slower.
export OMP_WAIT_POLICY := PASSIVE

NBVAL := --nbval-lax --nbval-current-env --nbval-cell-timeout=300

# In the tests nothing reaches the network, kernels of notebooks included, nor
# a learner's record of progress.
GUARD := PYTHONPATH=$(CURDIR)/tests/guard PRUNING_LESSONS_PROGRESS=off

.PHONY: lab test lint test-package test-notebooks test-browser test-all faults kit notebooks site benchmark env chromium clean

lab: $(VENV)/.lab
	$(BIN)/jupyter lab $(LAB_OFFLINE) --ServerApp.root_dir=notebooks $(LAB_ARGS)

# The package first and by itself: it is quick, and it measures time. Every
# layer runs, whichever failed before it. Each learner's notebook runs whole; of
# the solved ones, which differ in the exercises alone, only those run.
test: $(VENV)/.test chromium
	@failed=0; \
	$(MAKE) --no-print-directory test-package || failed=1; \
	$(GUARD) $(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(NBVAL) \
		tests/browser tests/notebooks notebooks/*.ipynb || failed=1; \
	exit $$failed

test-package: $(VENV)/.test
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile tests/package tests/faults

lint: $(VENV)/.test
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

test-notebooks: $(VENV)/.test
	$(GUARD) $(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(NBVAL) tests/notebooks notebooks/*.ipynb

test-browser: $(VENV)/.test chromium
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile tests/browser

# What is too long for every change: every trial, the solved notebooks whole.
test-all: test faults
	$(GUARD) $(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(NBVAL) notebooks/solutions/*.ipynb

# Kills, full disks, damaged files, wrong arguments: some two thousand trials,
# counted in tests/faults/README.md. A sample of them is in test-package.
faults: $(VENV)/.test
	$(BIN)/python tests/faults/run.py

# All that the course needs without a network, for a stick or a local server:
# make kit KIT_ARGS="--python 3.11 3.12 --out /media/stick/kit"
kit: $(VENV)/.test
	$(BIN)/python scripts/make_kit.py $(KIT_ARGS)

# Makes the notebooks from notebooks/sources and runs them.
notebooks: $(VENV)/.test
	$(BIN)/python scripts/build_notebooks.py $(LESSONS)

# The course as a static site in site/, from the notebooks as they are; nothing is run.
site: $(VENV)/.test
	$(BIN)/python scripts/make_site.py

env: $(VENV)/.test

$(VENV)/.lab:  EXTRAS := lab
$(VENV)/.test: EXTRAS := lab,test

$(VENV)/.lab $(VENV)/.test: pyproject.toml constraints.txt Makefile
	@test -n "$(PYTHON)" || { echo "Python 3.10 to 3.13 is needed; none was found." \
		"Install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "No environment could be made. On Debian and Ubuntu:" \
		"apt-get install python3-venv"; exit 1; }
# torch comes first and alone. On Linux PyPI's torch brings gigabytes of CUDA;
# PyTorch's own index has it without. Where that index cannot be reached,
# pip's usual sources must do. (On macOS and Windows PyPI's torch has no CUDA.)
	@cpu=https://download.pytorch.org/whl/cpu; from=; \
	if [ "$$(uname -s)" = Linux ]; then \
		if $(BIN)/python -c "import urllib.request as r; r.urlopen('$$cpu/torch/', timeout=10)" 2>/dev/null; \
		then from="--extra-index-url $$cpu"; \
		else echo "$$cpu cannot be reached: torch comes from pip's usual sources."; fi; \
	fi; \
	$(BIN)/python -m pip install $$from -c constraints.txt torch
	$(BIN)/python -m pip install -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

# The browser pass drives Debian's chromium. Who may install packages gets it
# here; without it the browser tests are skipped with a line that says so, in
# CI they fail.
chromium:
	@for name in chromium chromium-browser google-chrome; do \
		command -v $$name >/dev/null && exit 0; done; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "Installing chromium for the browser tests"; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends chromium; } >/dev/null \
		|| echo "chromium could not be installed"; \
	fi

# All of benchmarks/, some five hours on two cores: what compress keeps, peers beside it, what tasks
# cost, what distillation wins back, speed, growth, XLM-R-base's size. What is done has a stamp, and
# run.py goes on where it was: after an interruption the same command does the rest. A peer that
# cannot be installed keeps the rows that are there. TextPruner needs an older transformers, so an
# environment of its own. make benchmark QUICK=--quick tries all of it in some twenty minutes, and
# writes to a temporary folder.
BENCHMARKS := run tasks distil speed cost base_size
QUICK      ?=
STAMPS     := build/benchmarks$(QUICK)
PEER       := .venv-textpruner

benchmark: $(VENV)/.test
	@$(PEER)/bin/python -c "import textpruner" 2>/dev/null || { $(PYTHON) -m venv $(PEER) && \
	$(PEER)/bin/python -m pip install --quiet torch==2.13.0 transformers==4.57.6 sentencepiece protobuf tqdm && \
	$(PEER)/bin/python -m pip install --quiet --no-deps textpruner==1.1.post2; } \
	|| echo "TextPruner could not be installed: its rows stay."
	@$(BIN)/python -m pip install --quiet --no-deps torch-pruning==1.6.1 \
	|| echo "Torch-Pruning could not be installed: its rows stay."
	@mkdir -p $(STAMPS)
	@for name in $(BENCHMARKS); do test -e $(STAMPS)/$$name || \
	{ $(BIN)/python benchmarks/$$name.py $(QUICK) && touch $(STAMPS)/$$name; } || exit 1; done
	@test -n "$(QUICK)" || $(BIN)/python benchmarks/report.py
	@rm -rf $(STAMPS)

clean:
	rm -rf $(VENV) .venv-textpruner artefacts dist kit site *.egg-info .pytest_cache .hypothesis
