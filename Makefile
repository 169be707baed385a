# Needs make, git and a Python 3.11 or later; everything else is fetched into .uv/ and .venv/.

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .uv/bin/uv
BIN := .venv/bin

PROJECTS := pyproject.toml $(wildcard libs/*/pyproject.toml apps/*/pyproject.toml deploy/*/pyproject.toml)
MEMBERS := $(patsubst %/pyproject.toml,%,$(filter-out pyproject.toml,$(PROJECTS)))
IMAGES := users orders inventory
EXPORT = $(UV) export --quiet --package microdemo-$(1) --no-dev --no-emit-workspace --no-header --no-annotate

# Whatever environment the caller is in, this checkout's is .venv, made by the Python named above.
unexport VIRTUAL_ENV UV_PROJECT_ENVIRONMENT PYTHONPATH PYTHONHOME
export UV_PYTHON_DOWNLOADS := never
# As pip does: a network with certificates of its own is known to the system, not to uv.
export UV_SYSTEM_CERTS := true

define HELP
make up       start everything on http://127.0.0.1:8080 (PORT=8081, REPLICAS=2), with demo data the first time
make down     stop everything; the data stays
make status   what runs, where, and what it weighs
make logs     the last lines of the logs (PART=users, FOLLOW=1)
make seed     load the demo data again (ORDERS=1000000 loads that many orders)
make watch    start everything, reload the services when their code changes, until Ctrl-C
make reset    stop everything and delete the data
make test     the tests, on real servers (ARGS="-k order")
make check    linters, types, imports, dependencies
make format   format the code
make hooks    check what is committed, as it is committed
make lock     resolve the dependencies anew and write deploy/requirements/
endef

.DEFAULT_GOAL := help
.PHONY: help up down status logs reset seed watch test check format hooks lock

help:
	$(info $(HELP))
	@:

up down reset watch: .venv/.synced
	@$(BIN)/microdemo $@

# That something is down is an answer here, no error.
status: .venv/.synced
	@$(BIN)/microdemo status || true

logs: .venv/.synced
	@$(BIN)/microdemo logs $(PART) $(if $(FOLLOW),--follow)

seed: .venv/.synced
	@$(BIN)/microdemo seed $(if $(ORDERS),--orders $(ORDERS))

# The system's own tests come after the others, not beside them: they load both cores by themselves.
test: .venv/.synced
ifdef ARGS
	@$(BIN)/pytest $(ARGS)
else
	@$(BIN)/pytest --numprocesses 2 --dist loadscope libs apps deploy examples
	@$(BIN)/pytest tests
	@oldest="$$($(BIN)/python -m microdemo_core.testing.oldest)"; \
	if [ -n "$$oldest" ]; then echo "The services once more, with $$oldest"; \
	    env $$oldest $(BIN)/pytest --numprocesses 2 --dist loadscope apps; fi
endif

check: .venv/.synced
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	@set -e; for member in $(MEMBERS); do echo "deptry $$member"; (cd $$member && ../../$(BIN)/deptry src); done
	@set -e; for image in $(IMAGES); do \
	    echo "requirements $$image"; \
	    $(call EXPORT,$$image) | cmp --silent - deploy/requirements/$$image.txt \
	        || { echo "deploy/requirements/$$image.txt is not what the projects ask for: run make lock."; exit 1; }; \
	done

format: .venv/.synced
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

hooks: .venv/.synced
	@$(BIN)/prek install

lock: .venv/.synced
	$(UV) lock
	@mkdir -p deploy/requirements
	@set -e; for image in $(IMAGES); do $(call EXPORT,$$image) > deploy/requirements/$$image.txt; done

.uv/.uv-$(UV_VERSION):
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here: name a Python 3.11 or later with PYTHON=."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(PYTHON) is Python %d.%d: name a Python 3.11 or later with PYTHON=." % sys.version_info[:2] or 0)'
	@echo "Fetching uv $(UV_VERSION) …"
	@rm -rf .uv
	@$(PYTHON) -m venv .uv
	@.uv/bin/python -m pip install -qq --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

.venv/.synced: $(PROJECTS) .uv/.uv-$(UV_VERSION)
	@echo "Installing …"
	@$(UV) sync --all-packages --quiet --python $(PYTHON)
	@touch $@
