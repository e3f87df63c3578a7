# Everything Veritrain does from a checkout. A machine needs Python 3.11+ and make; `make setup` builds the rest.
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := runs/demo
BASE := build/base-check
BASE_LIMIT_MB := 400
COMPILE = pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header -q

.PHONY: help setup demo test check bench results pairs ablations echo corpus faults docs lock base-check clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(STAMP) ## build .venv from the hashed lock (quick when nothing changed)

$(STAMP): requirements/train.lock pyproject.toml
	@found=""; for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "make setup: expected Python 3.11 or newer; found $$(python3 --version 2>&1 || echo 'no python3')." >&2; \
	  echo "  do: install Python 3.11+, or name one: make setup PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	if [ ! -x $(BIN)/python ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  $$found -m venv --clear $(VENV) || { \
	    echo "make setup: $$found cannot build a virtual environment." >&2; \
	    echo "  do: install its venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }; \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/train.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

demo: setup $(DEMO)/data.made ## make a small world, train on it, judge the run, write the report
	@number=1; while [ -e $(DEMO)/run-$$number ]; do number=$$((number + 1)); done; \
	run=$(DEMO)/run-$$number; \
	$(BIN)/veritrain train anomaly --config recipes/driving-small.yaml --data $(DEMO)/data --run $$run --seed 0; \
	echo; echo "The report: $$run/report.html"

$(DEMO)/data.made: | $(STAMP)
	@rm -rf $(DEMO)/data
	$(BIN)/veritrain data make driving $(DEMO)/data --scenarios 72 --frames 12 --seed 7
	@touch $@

test: setup ## the default tests (minutes)
	$(BIN)/python -m pytest

check: setup ## style, types, and docs that cannot rot
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/catalogue_docs.py --check

bench: setup ## speed, as ratios measured side by side
	@for script in $$(grep -l __main__ bench/*.py); do echo "== $$script"; $(BIN)/python $$script; done

results: setup ## every number of the documents, computed again
	$(BIN)/python scripts/results.py

pairs: setup ## the study of pairs: hours, goes on where it stopped
	$(BIN)/python scripts/pair_study.py

ablations: setup ## positional encodings, alignments, towers, heads: an hour, goes on where it stopped
	$(BIN)/python scripts/ablations.py

echo: setup ## the joint task on real frames, by patient and leaky: make echo DATA=FOLDER (an hour, goes on)
	@[ -n "$(DATA)" ] || { echo "make echo: no frames. do: make echo DATA=FOLDER" >&2; exit 64; }
	$(BIN)/python scripts/echo_real.py "$(DATA)"

corpus: setup ## audit other people's training artefacts
	$(BIN)/python scripts/corpus.py

faults: setup ## the slow tests: signals, full disks, torn files
	$(BIN)/python -m pytest -m slow

docs: setup ## write docs/catalogue.md from the catalogue
	$(BIN)/python scripts/catalogue_docs.py

lock: ## pin both dependency sets again, with hashes and without addresses
	@uv=$$(command -v $(BIN)/uv || command -v uv) || { echo "make lock: needs uv on the PATH" >&2; exit 1; }; \
	"$$uv" $(COMPILE) -o requirements/base.lock; \
	"$$uv" $(COMPILE) --extra train --extra dev -o requirements/train.lock

base-check: setup ## the base install: no torch, small, and the audit works
	@rm -rf $(BASE) build/lib build/bdist.* && mkdir -p $(BASE)
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps -w $(BASE)/wheel .
	$(BIN)/python -m venv $(BASE)/venv
	$(BASE)/venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/base.lock
	$(BASE)/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps $(BASE)/wheel/*.whl
	@if $(BASE)/venv/bin/python -c 'import torch' 2>/dev/null; then echo "base-check: torch is importable" >&2; exit 1; fi
	@printf 'epoch,train_loss,val_loss,val_auroc\n0,0.70,0.69,0.52\n1,0.52,0.50,0.74\n2,0.41,0.42,0.83\n3,0.33,0.36,0.88\n' \
	  > $(BASE)/history.csv
	cd $(BASE) && venv/bin/veritrain audit history.csv --json > verdict.json
	@$(BASE)/venv/bin/python -c 'import json; v = json.load(open("$(BASE)/verdict.json")); print("audit:", v["verdict"])'
	@size=$$(du -sm $(BASE)/venv | cut -f1); echo "base install: $$size MB (limit $(BASE_LIMIT_MB))"; [ $$size -lt $(BASE_LIMIT_MB) ]

clean: ## remove caches and builds; runs and .venv stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info
	find src tests scripts bench -name __pycache__ -type d -prune -exec rm -rf {} +
