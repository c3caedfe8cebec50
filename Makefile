# Every target sets up what it needs: Python >= 3.11 and make are enough, and `.venv` is the only place written to
# outside of build results. A second run starts at once: the stamps below are newer than what they depend on.

VENV := .venv
PY := $(VENV)/bin/python
PLUGINS := $(patsubst %/pyproject.toml,%,$(sort $(wildcard plugins/*/pyproject.toml)))
PROJECTS := . $(PLUGINS)
PYPROJECTS := pyproject.toml $(PLUGINS:%=%/pyproject.toml)

# The stamps carry the directory's name, so that a copied or moved tree does not go on importing the original.
empty :=
HERE := $(subst /,+,$(subst $(empty) $(empty),+,$(CURDIR)))
TOOLS := $(VENV)/ready-tools$(HERE)
DEMO := $(VENV)/ready-demo$(HERE)
DEV := $(VENV)/ready-dev$(HERE)

# uv first, for its speed; pip wherever uv cannot reach the package index as pip can (uv reads no pip configuration).
export UV_SYSTEM_CERTS ?= 1
export UV_PYTHON_DOWNLOADS := never
UV := $(PY) -m uv --quiet --no-progress
PIP := $(PY) -m pip --quiet --disable-pip-version-check --no-input
PINNED := --no-deps --require-hashes --no-build-isolation
install = $(UV) pip install --python $(PY) $(1) || { echo "uv could not install, trying pip"; $(PIP) install $(1); }

.DEFAULT_GOAL := help
.PHONY: help setup demo test check check-format check-lint check-types check-api check-layers bench soak docs format lock \
  wheels clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do \
	  printf '%-12s  %s\n' "$$target" "$$text"; done

setup: $(DEV) ## make .venv with everything that development needs

demo: $(DEMO) ## run the demonstration
	@$(PY) examples/demo.py

test: $(DEV) ## run the tests on all cores (options for pytest: make test ARGS="-n0 -k stream")
	$(PY) -m pytest -n auto --dist worksteal $(ARGS)

check: check-format check-lint check-types check-api check-layers ## format, lint, types, layers (all of them: make -k check)

check-format: $(DEV)
	$(PY) -m ruff format --check .

check-lint: $(DEV)
	$(PY) -m ruff check .

# What both checkers must infer of the public API, and refuse, is stated in tests/typing.
check-types: $(DEV)
	$(PY) -m mypy
	$(PY) -m basedpyright --pythonpath $(PY) --project tests/typing

# Every type that a user of the package can see is known, by pyright's rules.
check-api: $(DEV)
	@# --verifytypes takes the interpreter from PATH, whatever --pythonpath says
	PATH="$(CURDIR)/.venv/bin:$$PATH" basedpyright --verifytypes modelhub --ignoreexternal

check-layers: $(DEV)
	$(PY) -m pytest tests/test_layers.py

bench: $(DEV) ## run the benchmarks
	$(PY) benchmarks/run.py $(ARGS)

soak: $(DEV) ## make a million calls to nodes that fail, and see that nothing is left (fewer: make soak ARGS="--calls 50000")
	$(PY) benchmarks/soak.py $(ARGS)

docs: $(DEV) ## build the documentation into docs/_build/html, warnings being errors
	$(PY) -m sphinx --fail-on-warning --nitpicky --keep-going -b html docs docs/_build/html

format: $(DEV) ## format the code and apply the safe fixes
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

wheels: $(DEV) ## build the distributions into dist/
	@rm -rf dist
	for project in $(PROJECTS); do $(PY) -m build --no-isolation --outdir dist $$project || exit; done

# Resolved in one go for every platform. The distributions of this repository are left out of the lists: they are
# installed from the tree. Nothing of the index goes into the files: neither its address nor a path.
COMPILE = $(UV) pip compile --universal --fork-strategy fewest --generate-hashes --no-header --python-version 3.11 \
  --no-emit-index-url --no-emit-find-links --no-emit-package modelhub-core \
  $(subst _,-,$(patsubst plugins/%,--no-emit-package modelhub-%,$(PLUGINS)))
lock: $(TOOLS) ## resolve requirements/*.in anew (LOCK="--upgrade" or LOCK="--upgrade-package NAME" for newer versions)
	@$(COMPILE) $(LOCK) requirements/bootstrap.in --output-file requirements/bootstrap.txt
	@$(COMPILE) $(LOCK) requirements/model.in --no-deps --output-file requirements/model.txt
	@$(COMPILE) $(LOCK) $(PYPROJECTS) --extra cli --extra keyring --extra prices --extra redis --extra store requirements/dev.in --output-file requirements/dev.txt
	@$(COMPILE) $(PYPROJECTS) --extra cli requirements/demo.in --constraints requirements/dev.txt \
	  --output-file requirements/demo.txt

clean: ## remove the environment, caches and build results
	rm -rf $(VENV) dist docs/_build .coverage* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src plugins tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(DEV): $(TOOLS) requirements/dev.txt requirements/model.txt $(PYPROJECTS)
	@echo "Setting up $(VENV) for development ..."
	@$(call install,$(PINNED) -r requirements/dev.txt -r requirements/model.txt)
	@$(call install,--no-deps --no-build-isolation $(PROJECTS:%=-e %))
	@touch $(DEMO) $@

$(DEMO): $(TOOLS) requirements/demo.txt requirements/model.txt $(PYPROJECTS)
	@echo "Setting up $(VENV) for the demonstration ..."
	@$(call install,$(PINNED) -r requirements/demo.txt -r requirements/model.txt)
	@$(call install,--no-deps --no-build-isolation $(PROJECTS:%=-e %))
	@touch $@

PYTHON ?= python3.14 python3.13 python3.12 python3.11 python3
$(TOOLS): requirements/bootstrap.txt
	@if ! $(PY) -c 'import pip' 2>/dev/null; then \
	  found= complete=; \
	  for python in $(PYTHON); do \
	    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    found=$${found:-$$python}; \
	    if $$python -c 'import ensurepip, venv' 2>/dev/null; then complete=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "modelhub needs Python 3.11 or newer; none of these is one: $(PYTHON). Name yours: make PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	  fi; \
	  if [ -z "$$complete" ]; then \
	    echo "$$found has no venv module with ensurepip; install it (Debian, Ubuntu: apt install python3-venv)." >&2; \
	    exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$($$complete --version) ..."; \
	  $$complete -m venv --clear $(VENV) || exit; \
	fi
	@$(PIP) install --require-hashes --no-deps --only-binary :all: -r requirements/bootstrap.txt
	@rm -f $(VENV)/ready-*
	@touch $@
