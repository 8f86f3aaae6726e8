# Needs Python 3.11+, a Java 17+ runtime, make and git. Another Python than python3: make demo PYTHON=python3.12
PYTHON ?= python3
JOBS := .venv/jobs/bin
AIRFLOW := .venv/airflow/bin
UV_COMPILE := .venv/tools/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: help setup setup-test demo demo-alert up down test test-unit test-services test-spark test-faults test-airflow test-e2e test-quick lint bench-extract bench-smoke bench-quality bench-publish bench-read bench-training lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install everything into .venv (seconds when it is already there)
	@$(PYTHON) tools/setup.py

setup-test: ## install what the tests need too
	@$(PYTHON) tools/setup.py --test

demo: setup ## set up, then run the whole path on some days (LANDING=dir: on your own files; CONTENT=1: their content too)
	@$(JOBS)/content-signals demo $(if $(LANDING),--landing "$(LANDING)") $(if $(CONTENT),--content)

demo-alert: setup ## break a day on purpose: the alert arrives in a mailbox and at a webhook of this machine
	@$(JOBS)/python -m content_signals.local.demo_alert

up: setup ## start the Airflow UI, the online store, and the feature server and UI of Feast
	@$(JOBS)/content-signals up

down: ## stop what `make up` started
	@if [ -x $(JOBS)/content-signals ]; then $(JOBS)/content-signals down; else echo "nothing is set up here"; fi

# One after the other, cheapest first, whatever -j says. Unit and Spark tests run in two processes, the latter a session
# each: small queries keep one core busy.
test: setup-test ## set up, then run every test
	$(JOBS)/python -m pytest tests/unit -n 2
	$(JOBS)/python -m pytest tests/services -n 2 --dist loadfile
	$(AIRFLOW)/python -m pytest tests/airflow
	$(JOBS)/python -m pytest tests/spark -n 2 --dist loadfile
	$(JOBS)/python -m pytest tests/faults -m "not slow"
	$(JOBS)/python -m pytest tests/e2e

test-unit: setup-test ## the tests that need neither a JVM nor Airflow
	$(JOBS)/python -m pytest tests/unit -n 2

test-services: setup-test ## the tests that start processes and an online store
	$(JOBS)/python -m pytest tests/services -n 2 --dist loadfile

test-spark: setup-test ## the tests that start Spark
	$(JOBS)/python -m pytest tests/spark -n 2 --dist loadfile

test-faults: setup-test ## damage days in every way we know: nothing bad is served; rewrites the table in docs/faults.md
	$(JOBS)/python -m pytest tests/faults -n 2 --dist loadfile --faults-doc docs/faults.md

test-airflow: setup-test ## the tests of the DAGs
	$(AIRFLOW)/python -m pytest tests/airflow

test-e2e: setup-test ## the tests that run the whole path
	$(JOBS)/python -m pytest tests/e2e

test-quick: lint ## lint, unit tests and the quick tests of the DAGs, in under two minutes
	$(JOBS)/python -m pytest tests/unit -n 2
	$(JOBS)/python -m pytest tests/services -n 2 --dist loadfile
	$(AIRFLOW)/python -m pytest tests/airflow -m "not slow"

lint: setup-test ## style, types and import directions
	$(JOBS)/ruff check .
	$(JOBS)/ruff format --check .
	$(JOBS)/mypy --strict content_signals
	$(JOBS)/lint-imports
	$(JOBS)/python -m content_signals.inspection.pages --check

bench-extract: setup ## extraction beside DuckDB on 30 million generated events, medians of three
	$(JOBS)/python -m benchmarks.extract --rows 30000000 --runs 3

bench-smoke: setup ## its first three steps on 3 million, under three minutes; the ratios are added to benchmarks/history.jsonl
	$(JOBS)/python -m benchmarks.extract --rows 3000000 --runs 3 --no-json --history benchmarks/history.jsonl

bench-quality: setup ## a suite on 20 million rows: Great Expectations as it comes, ours and DuckDB, medians of three
	$(JOBS)/python -m benchmarks.quality --rows 20000000 --runs 3

bench-publish: setup ## a day of a million rows into the online store: ours and both engines of Feast, medians of three
	$(JOBS)/python -m benchmarks.publish --rows 1000000 --runs 3
	$(JOBS)/python -m benchmarks.publish --memory 100000,1000000,5000000

bench-read: setup ## features read online: our client, the SDK and the HTTP server of Feast
	$(JOBS)/python -m benchmarks.read

bench-training: setup ## training sets: ours without a JVM and Feast on Spark, medians of three; then 10 million rows from 20 million
	$(JOBS)/python -m benchmarks.training
	$(JOBS)/python -m benchmarks.training --entities 10000000 --rows 20000000 --alone

lock: setup ## compile requirements/*.in into the hashed locks, keeping versions that still fit
	$(UV_COMPILE) requirements/tools.in -o requirements/tools.txt
	$(UV_COMPILE) --override requirements/jobs-overrides.txt requirements/jobs.in -o requirements/jobs.txt
	$(UV_COMPILE) --override requirements/jobs-overrides.txt requirements/jobs-test.in -o requirements/jobs-test.txt
	$(UV_COMPILE) --override requirements/airflow-overrides.txt requirements/airflow.in -o requirements/airflow.txt
	$(UV_COMPILE) requirements/airflow-test.in -o requirements/airflow-test.txt

clean: ## stop everything; remove the environments, local state and caches
	@if [ -x $(JOBS)/content-signals ]; then $(JOBS)/content-signals down || echo "could not stop the services"; fi
	rm -rf .venv var spark-warehouse build dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
