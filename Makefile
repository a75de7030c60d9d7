# make demo | test | lint | paper | report | status | miniworld: each makes .venv when it is missing.
PYTHON ?= python3.11
BIN = .venv/bin
CORES ?= all
CONFIG ?= config/mini.yaml
MINI = --configfile config/mini.yaml

.PHONY: demo test test-long test-slurm lint format paper status report forecast graph docs gpus miniworld clean

demo: .venv/installed
	$(BIN)/snakemake --cores $(CORES) $(MINI)
	@echo "Tables: results/mini/tables  Pictures: results/mini/figures, results/mini/gallery.html  Data: results/mini/corrupted"

paper: .venv/installed
	$(BIN)/snakemake --cores $(CORES) --resources gpu=8

test: .venv/tested
	$(BIN)/pytest -m "not slurm and not long" --numprocesses auto --dist loadfile --no-loadscope-reorder

test-long: .venv/tested
	$(BIN)/pytest -m long --numprocesses auto --dist loadfile --no-loadscope-reorder

test-slurm: .venv/tested
	$(BIN)/pytest -m slurm

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint $(MINI)

format: .venv/tested
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

status: .venv/installed
	PYTHONPATH=workflow $(BIN)/python -m blemish.planning.status $(CONFIG)

report: .venv/installed
	$(BIN)/snakemake $(MINI) --report results/mini/report.html

forecast: .venv/installed
	PYTHONPATH=workflow $(BIN)/python -m blemish.planning.forecast $(CONFIG)

graph: .venv/installed
	$(BIN)/snakemake show_tables --rulegraph mermaid-js $(MINI) | grep -v -e style -e title -e "^---"

docs: .venv/installed
	PYTHONPATH=workflow $(BIN)/python -m blemish.config.reference

gpus: .venv/installed
	PYTHONPATH=workflow $(BIN)/python -m blemish.jobs.devices

miniworld: .venv/tested
	$(BIN)/snakemake --snakefile rules/miniworld.smk --cores $(CORES)

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: requirements.txt | .venv/bin/python
	$(BIN)/pip install --quiet --requirement requirements.txt
	touch $@

.venv/tested: requirements-dev.txt .venv/installed
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	touch $@

clean:
	rm -rf .venv results/mini results/test
