# The one entry for people and CI. `make help` lists the targets; ARGS goes to pytest: make run ARGS="-k inventory"
.DEFAULT_GOAL := help
.PHONY: help setup run report test answers survive defects services suites suites-broken clients lint lock clean
ARGS ?=

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'ARGS="..." is handed on to pytest, e.g. make run ARGS="-k inventory"; PYTHON=... chooses the interpreter'

setup: ## set up .venv, Prometheus and Allure inside this checkout (the other targets do it when needed)
	@PYTHON="$(PYTHON)" scripts/setup

run: setup ## run all experiments on the lab: verdicts, records and an HTML report in reports/
	@.venv/bin/python scripts/run.py $(ARGS)

report: ## build the HTML report of the last run again
	@scripts/setup allure
	@scripts/report

# They start some hundred Python processes, each of which would compile the sources again.
test: setup ## run the harness's own tests
	@env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -m pytest -n 5 --dist loadfile --timeout 300 tests $(ARGS)

answers: setup ## hold the model, the lab and the tests' oracle against all recorded answers of Istio, the guard against the oracle, counting against 10,000 histories, and the schema against validation (ISTIO_ANSWERS=FOLDER: others)
	@ISTIO_ANSWERS_WHOLE=1 HISTORIES=10000 DOCUMENTS=600 .venv/bin/python -m pytest -n 2 --dist load --timeout 900 tests/contract/test_istio_answers_*.py tests/property/test_guard_oracle.py tests/property/test_judge_counting.py tests/property/test_schema.py $(ARGS)

survive: setup ## kill runs, spoil answers and stop sessions in every combination, install the wheel elsewhere, all tests on the lab (more than an hour)
	@CHAOS_EVERY=1 .venv/bin/python -m pytest -n 4 --timeout 600 --dist loadfile tests/survival tests/e2e tests/property tests/unit/library tests/unit/engine/test_defects.py tests/unit/test_pytest_plugin_sessions.py $(ARGS)

defects: setup ## run broken shops and their healthy twins on the lab, and tell which are misjudged (five minutes; ARGS="10 breaker": ten times, those)
	@.venv/bin/python -m benchmarks.defects_on_lab $(ARGS)

services: setup ## ask the library's questions of small real services with defects, as processes on the lab (ten minutes; ARGS="-k no-time-out": that one)
	@CHAOS_EVERY=1 .venv/bin/python -m pytest --timeout 600 tests/services $(ARGS)

suites: setup ## run the suites that come with the package on the lab's shop
	@.venv/bin/python -m pytest -n 12 --maxschedchunk 1 --timeout 600 suites/chaos_suites $(ARGS)

suites-broken: setup ## break what each suite guards, and tell which do not notice; run the suites on Bookinfo
	@CHAOS_EVERY=1 .venv/bin/python -m pytest --timeout 900 tests/suites $(ARGS)

clients: setup ## drive the lab with clients that others wrote: kubectl, Python clients, Chaos Toolkit (some ten minutes at first)
	@.venv/bin/python -m tests.clients.run

lint: ## check style, types, the layers and the dependencies
	@PYTHON="$(PYTHON)" scripts/setup python
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/deptry .

lock: ## renew requirements.lock from pyproject.toml
	@PYTHON="$(PYTHON)" scripts/setup python
	@scripts/lock

clean: ## remove all that the other targets made, .venv and reports included
	@scripts/clean
