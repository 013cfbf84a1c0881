# The two commands: `make site` and `make test`. Both install what they need into .venv first.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
TOOLS := tests/page_tools
# Processes that run tests, each with one thread and files of its own. One more than there are cores: tests wait for
# browsers and for other processes.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')

# Many processes import torch and more: seconds each, three times as many where Python may not keep what it compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: site test check release clean

site: $(VENV)/installed
	@if command -v quarto >/dev/null 2>&1; then \
		QUARTO_PYTHON=$(abspath $(RUN)) quarto render; \
	else \
		$(RUN) tools/preview.py; \
	fi
	@echo "the site is in _site/; to read it: $(RUN) -m http.server --directory _site"

test: $(VENV)/installed $(TOOLS)/node_modules/installed
	$(RUN) -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(RUN) -m lrcore.atlas check

# Wheel, sources, the built site and the committed data, in dist/.
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' lrcore/__init__.py)
release: export LRCORE_NO_DATA = 1
release:
	git diff --quiet HEAD || { echo "commit first: the data are those of HEAD, wheel and site those of the files"; exit 1; }
	$(MAKE) site
	$(RUN) -m pip install --quiet --disable-pip-version-check build
	rm -rf dist build
	$(RUN) -m build --outdir dist
	$(RUN) -m zipfile -c dist/lrcore-$(VERSION)-site.zip _site
	git archive --format=zip --prefix=lrcore-$(VERSION)/ --output=dist/lrcore-$(VERSION)-data.zip HEAD \
		data imgs CITATION.cff LICENSE

# Installed once per change of pyproject.toml; the stamp is written last, so a broken install is repeated. Python compiles
# what it imports by itself: a small part of what is installed.
$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[dev]'
	@touch $@

# axe-core and Lighthouse, for the tests of the pages; where there is no npm, those tests say that they are skipped.
$(TOOLS)/node_modules/installed: $(TOOLS)/package.json $(TOOLS)/package-lock.json
	@if command -v npm >/dev/null 2>&1; then \
		npm ci --prefix $(TOOLS) --no-audit --no-fund --silent && touch $@; \
	fi

clean:
	rm -rf _site .quarto site/vendor .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
