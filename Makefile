# Needs make and a Python >= 3.11; everything else is set up in .venv, from requirements.lock.
#   make demo PYTHON=/path/to/python     chooses the Python that .venv is made with

BIN := .venv/bin
PYTHONS := $(or $(PYTHON),python3.11 python3.12 python3.13 python3.14 python3 python)
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
FITS := import ensurepip, sys; sys.exit(sys.version_info < (3, 11))

.DEFAULT_GOAL := help
.PHONY: demo test test-all test-faults lint bench readme reports lock setup clean help

demo: setup  ## compare seven rules on the digits: a table and a figure in results-demo
	$(BIN)/targetprop compare --dataset digits --rules bp fa dfa tp dtp dtpdrl ddtp-linear --seeds 3 --out results-demo --overwrite

test: setup  ## run the tests, but not the slow ones
	@$(BIN)/python -m pytest -q -n auto --dist loadfile -m "not slow" $(ARGS)

test-all: setup  ## run all tests, the slow ones included
	@$(BIN)/python -m pytest -q -n auto --dist loadfile $(ARGS)

test-faults: setup  ## kill, fill the disk, damage files, and try command lines (an hour on 2 cores)
	@$(BIN)/python -m pytest -q -m faults tests/faults --faults-report benchmarks/faults.json $(ARGS); status=$$?; \
	$(BIN)/python tools/faults.py; exit $$status

lint: setup  ## check style, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

bench: setup  ## measure what each rule costs on this machine
	$(BIN)/targetprop bench $(ARGS)

readme: setup  ## fill the tables of README.md from results/ and benchmarks/
	$(BIN)/python tools/readme.py

reports: setup  ## write the pages and pictures of all results
	$(BIN)/python tools/reports.py

lock: .venv/locked  ## pin pyproject.toml's dependencies in requirements.lock (newest ones: ARGS=--upgrade)
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --output-file requirements.lock $(ARGS) pyproject.toml

setup: .venv/installed  ## make .venv, or bring it up to date

clean:  ## remove .venv
	rm -rf .venv

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*  ## /make \1|/p' Makefile | while IFS='|' read -r goal text; do printf '  %-15s%s\n' "$$goal" "$$text"; done

.venv/locked: requirements.lock
	@found=; for python in $(PYTHONS); do \
		if "$$python" -c '$(FITS)' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "No Python >= 3.11 with venv among: $(PYTHONS). Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi; \
	echo "Making .venv with $$found"; "$$found" -m venv --clear .venv
	@echo "Installing the packages of requirements.lock (1 GB on disk)"
	@$(PIP) install --require-hashes --requirement requirements.lock
	@touch $@

.venv/installed: .venv/locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(PIP) check || { echo 'requirements.lock does not fit pyproject.toml: run make lock.' >&2; exit 1; }
	@touch $@
