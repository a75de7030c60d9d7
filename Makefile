# make demo | test | lint | rehearsal | mutation | paper | report | status | miniworld | lock: each makes .venv when it is missing.
PYTHON ?= python3.11
BIN = .venv/bin
CORES ?= all
CONFIG ?= config/mini.yaml
MINI = --configfile config/mini.yaml

.PHONY: demo test test-long test-slurm rehearsal rehearsal-narrow mutation lint format paper status report forecast preflight graph docs gpus miniworld lock clean

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

rehearsal: .venv/tested
	$(BIN)/python tests/tools/rehearsal.py

rehearsal-narrow: .venv/tested
	$(BIN)/python tests/tools/rehearsal.py --narrow results/rehearsal-narrow/tables/table1.csv

mutation: .venv/tested
	$(BIN)/pip install --quiet mutmut==3.8.1
	rm -rf .venv/mutation && mkdir .venv/mutation
	git ls-files -z | xargs -0 cp --parents -t .venv/mutation
	cp -r workflow .venv/mutation/src
	cd .venv/mutation && ../bin/python -m mutmut run --max-children 2 $(MUTANTS)

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

preflight: .venv/installed
	PYTHONPATH=workflow $(BIN)/python -m blemish.planning.preflight $(CONFIG)

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

.venv/installed: requirements.lock requirements.txt environment.post-deploy.sh | .venv/bin/python
	PATH="$(CURDIR)/$(BIN):$$PATH" ./environment.post-deploy.sh
	touch $@

.venv/tested: requirements-dev.lock .venv/installed
	$(BIN)/pip install --quiet --require-hashes --no-deps --requirement requirements-dev.lock
	$(BIN)/pip check --quiet
	touch $@

# Exact versions and hashes, of all platforms: the first lock without PyTorch and what only its CUDA builds need, the
# second without what the first holds. What a lock says stays while it fits; delete both to take the newest of everything.
COMPILE = .venv/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--annotation-style line --custom-compile-command "make lock"
LEAVE_OUT = BEGIN { keep = 1 } /^[a-z]/ { keep = !(/^(torch==|triton==|cuda-|nvidia-)/ || $$1 in first) } keep

lock: | .venv/bin/python
	$(BIN)/pip install --quiet --upgrade --target .venv/uv uv==0.13.9
	$(COMPILE) --output-file requirements.lock requirements.txt
	awk '$(LEAVE_OUT)' requirements.lock > .venv/lock && mv .venv/lock requirements.lock
	$(COMPILE) --output-file requirements-dev.lock --constraint requirements.lock requirements-dev.txt
	awk 'FNR == NR { first[$$1]; next } $(LEAVE_OUT)' requirements.lock requirements-dev.lock > .venv/lock
	mv .venv/lock requirements-dev.lock

clean:
	rm -rf .venv results/mini results/test
