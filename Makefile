# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/uv pip install -q --python $(BIN)/python --compile-bytecode


.PHONY: demo test faults quick lint types bench bench-full generate lock clean

demo: $(VENV)/demo.stamp
	$(BIN)/python tests/tools.py haproxy
	$(BIN)/deliver demo

test: $(VENV)/dev.stamp
	$(BIN)/python tests/tools.py
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/coverage erase
	$(BIN)/python -m pytest tests/unit tests/integration -n 3 --dist loadfile -rs --cov --cov-report=
	$(BIN)/python -m pytest tests/faults -n 3 --dist loadfile -rs
	$(BIN)/coverage report --include='*/prefect_delivery/*' --fail-under=90

# Every fault with so many seeds, and docs/reliability.md with the figures;
# one of them again: pytest tests/faults -k "row_07 and seed17-"
SEEDS ?= 100
MACHINES := tests/integration/ledger/test_ledger_machines.py
faults: $(VENV)/dev.stamp
	$(BIN)/python tests/tools.py
	DELIVERY_FAULT_SEEDS=$(SEEDS) $(BIN)/python -m pytest tests/faults $(MACHINES) -n 2 --fault-table

quick: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/unit -n 2

# Beside what people would use instead; the full run writes docs/performance.md.
bench: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks

bench-full: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks --full --page

generate: $(VENV)/dev.stamp
	$(BIN)/python -m prefect_delivery.registry

# Versions and hashes of everything, without the address of any index.
LOCK := uv pip compile -q pyproject.toml --universal --generate-hashes --no-annotate --no-header
lock:
	echo 'prefect<3.9' | $(LOCK) -c - -o requirements.lock
	$(LOCK) --extra team -c requirements.lock -o requirements-team.lock
	$(LOCK) --extra team --group dev -c requirements-team.lock -o requirements-dev.lock

$(VENV)/bin/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q uv

$(VENV)/demo.stamp: pyproject.toml requirements.lock | $(VENV)/bin/uv
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-deps -e .
	touch $@

$(VENV)/dev.stamp: pyproject.toml requirements-dev.lock | $(VENV)/bin/uv
	$(INSTALL) --require-hashes -r requirements-dev.lock
	$(INSTALL) --no-deps -e .
	touch $@ $(VENV)/demo.stamp

clean:
	rm -rf $(VENV) build dist *.egg-info
