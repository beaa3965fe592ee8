# Every command of this project. `make` alone lists them.
# Everything is installed inside the checkout: .venv (Python 3.13) and .tools (uv, sam, ministack). No Docker, no sudo.

# macOS ships GNU make 3.81: no .SHELLFLAGS, so the shell's flags stand here, and no .ONESHELL; a test runs this file so.
SHELL := bash -euo pipefail
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# Any Python from 3.11 on starts the installation; uv then finds or fetches the 3.13 that Lambda runs.
PYTHON3 ?= python3
UV      := .tools/uv/bin/uv
SAM     := .tools/sam/bin/sam
PYTHON  := .venv/bin/python
BUILT   := .aws-sam/build/template.yaml
SBOM    := .aws-sam/build/sbom.cdx.json
SOURCES := layers/stripe_to_segment/python functions tools tests

export SAM_CLI_TELEMETRY := 0
# Stale or foreign settings of a caller's shell must not move the installation elsewhere, nor have each process compile
# all of it again.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.PHONY: help install build run demo screenshot test test-fast laws truth chaos fuzz mutate destinations golden lint check format generate docs docs-serve package publish wheel invoke \
	bench burst deploy lock clean named-bucket FORCE

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/.installed .tools/sam/.installed .tools/ministack/.installed ## Install everything into .venv and .tools

build: $(BUILT) $(SBOM) ## Build functions and layers with `sam build`, and list what is in them, if anything changed

run: build install ## Run the whole pack on this machine: emulator, template, sample events, source debugger; until Ctrl-C
	$(PYTHON) -m stripe_to_segment_tools.local_stack.run

demo: build install ## Run it once: import a small business, print the calls that each sample event became, and stop
	$(PYTHON) -m stripe_to_segment_tools.local_stack.demo

screenshot: build install ## Write docs/page.png, the source debugger in Chromium, and docs/demo.txt, what `make demo` prints
	$(PYTHON) -m stripe_to_segment_tools.page.screenshot
	@# Kept only if everything arrived.
	@mkdir -p .local
	(echo '$$ make demo'; $(PYTHON) -m stripe_to_segment_tools.local_stack.demo) > .local/demo.txt
	mv .local/demo.txt docs/demo.txt

test: build install .tools/dbt/.installed .tools/recipes/.installed ## Run the whole test suite in parallel; PYTEST="-k renewal" selects tests and runs them one by one
	$(PYTHON) -m pytest $(or $(PYTEST),-n auto)

test-fast: build install ## Run the tests without emulator, browser, dbt, sam, checkov and mypy, over fewer examples
	HYPOTHESIS_PROFILE=fast $(PYTHON) -m pytest -n auto -m "not stack and not emulator and not browser and not tool and not warehouse"

laws: build install ## Run the laws of the tests over twenty times as many examples as `make test`: SEED=1
	HYPOTHESIS_PROFILE=many $(PYTHON) -m pytest -n auto tests/unit tests/simulator tests/door $(if $(SEED),--hypothesis-seed=$(SEED))

truth: .venv/.installed ## Compare revenue, refunds and mrr with simulated customers: CUSTOMERS=500 SEED=1; IMPORTED=1 imports them
	$(PYTHON) -m tests.simulator $(if $(IMPORTED),--imported)

chaos: build install ## Send events through the local stack while AWS and Segment fail: EVENTS=10000 SEED=1
	$(PYTHON) -m tests.chaos --events $(or $(EVENTS),10000) --seed $(or $(SEED),1)

fuzz: .venv/.installed ## Send forged, broken and strange requests to the webhook: CASES=20000 SEED=1; STRIPE_EVENTS_DIR=… adds recorded events
	$(PYTHON) -m tests.door

mutate: build install ## Make small mistakes in the package and list those that no test notices: MUTANTS=50 SEED=1 MODULE=mapping MINUTES=20
	$(PYTHON) -m tests.mutation

destinations: .venv/.installed .tools/destinations/.installed ## Compare docs/destinations.md with Segment's own destination code, run on the samples (needs npm); UPDATE=1 writes it
	UPDATE=$(UPDATE) $(PYTHON) -m tests.destinations

golden: install ## Rewrite the expected calls of recorded events and the fields that are read, for review; STRIPE_EVENTS_DIR=… adds the corpus
	UPDATE_GOLDEN=1 $(PYTHON) -m pytest tests/unit/test_corpus.py tests/unit/test_shapes.py

lint: .venv/.installed ## Check the code alone: lint, format, which folder imports which, types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports --no-logo --no-cache
	.venv/bin/mypy
	for function in functions/*; do .venv/bin/mypy --no-explicit-package-bases $$function; done

check: install lint docs .tools/checkov/.installed .tools/workflows/.installed .local/translated.json ## Check the code, the docs, the workflows and the template
	PATH="$(CURDIR)/.tools/workflows/bin:$$PATH" .tools/workflows/bin/jactionlint --profile pedantic --strict-exit --no-online
	.tools/workflows/bin/zizmor --offline --no-progress --persona pedantic .github
	.tools/sam/bin/cfn-lint --regions ALL_REGIONS -- template.yaml docs/deploy-role.yaml
	@# W2001, a parameter is not used: SAM has put its value where it was (Globals in template.yaml).
	.tools/sam/bin/cfn-lint --regions ALL_REGIONS --ignore-checks W2001 -- .local/translated.json
	$(SAM) validate --lint
	.tools/checkov/bin/checkov -f template.yaml .local/translated.json

format: install ## Format the code and apply safe fixes
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

generate: install ## Rewrite what is derived from code and template: tracking plan, the guide's tables, the template's events
	$(PYTHON) -m stripe_to_segment_tools.tracking_plan.generate

docs: .venv/.installed .tools/docs/.installed ## Build the pages of docs/ as a site, strictly: .local/site; REPOSITORY_URL=… links to sources
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m stripe_to_segment_tools.docs_site.build

docs-serve: .venv/.installed .tools/docs/.installed ## Serve that site on this machine, until Ctrl-C
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m stripe_to_segment_tools.docs_site.build serve

package: build .venv/.installed ## Write dist/, from which a stack is deployed without building; KEY=… signs its manifest
	$(PYTHON) -m stripe_to_segment_tools.build.package $(if $(KEY),--key "$(KEY)")

publish: named-bucket package ## Put dist/ into a bucket of yours and print the link that launches a stack: BUCKET=… PREFIX=…
	$(PYTHON) -m stripe_to_segment_tools.build.publish "$(BUCKET)" $(if $(PREFIX),--prefix "$(PREFIX)")

# Before anything is built.
named-bucket:
	@test -n "$(BUCKET)" || { echo "usage: make publish BUCKET=… [PREFIX=…] [KEY=…]" >&2; exit 2; }

wheel: .local/wheel/.built ## Build the command line by itself, `stripe-to-segment` as a wheel and its sources, into dist/; REPOSITORY_URL=… for its links
	@mkdir -p dist
	cp .local/wheel/*.whl .local/wheel/*.tar.gz dist/

invoke: build install ## Run a built function under AWS's runtime emulator: FUNCTION=receive EVENT=events/….json
	@test -n "$(FUNCTION)" -a -n "$(EVENT)" || { echo "usage: make invoke FUNCTION=receive|deliver|reconcile|audit EVENT=events/….json" >&2; exit 2; }
	$(PYTHON) -m stripe_to_segment_tools.lambda_runtime.invoke $(FUNCTION) $(EVENT)

bench: build .tools/bench/.installed .local/bench/.installed .local/bench/cli/.installed ## Measure speed and cost against limits and peers; writes benchmarks/README.md and docs/cost.md
	PYTHONPATH="$(CURDIR):$(CURDIR)/tools:$(CURDIR)/layers/stripe_to_segment/python" .tools/bench/bin/python -m benchmarks

burst: build install ## Post events to the local stack at full speed, and check that all arrive: EVENTS=10000
	PYTHONPATH="$(CURDIR)" $(PYTHON) -m benchmarks.burst

deploy: build install ## Deploy into the AWS account of your credentials; asks, or takes STACK REGION SEGMENT_REGION ALARM_EMAIL DELIVERY_MODE
	$(PYTHON) -m stripe_to_segment_tools.commands.deploy

lock: $(UV) ## Pin the requirements again: LOCK=--upgrade takes newer versions
	for list in layers/dependencies/requirements requirements/{uv,sam,checkov,ministack,dev,cli,bench,dbt,workflows,docs,recipes} benchmarks/aws_pattern/requirements; do \
		$(COMPILE) $$list.in --output-file $$list.txt; done

clean: ## Remove what was built and installed
	rm -rf .aws-sam .local dist .venv .tools .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

# Universal: one file serves every platform that a developer may have. No addresses: a file names no package index.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock" $(LOCK)

# --- Installation: a stamp per environment, older than nothing it was made from ---

$(UV): requirements/uv.txt
	@$(PYTHON3) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "error: '$(PYTHON3)' is no Python 3.11 or newer with venv: install one (Debian: apt-get install python3-venv), or name it: make PYTHON3=/path/to/python3" >&2; exit 1; }
	$(PYTHON3) -m venv --clear .tools/uv
	.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

# $(call environment,FOLDER,NAME): a Python 3.13 environment with exactly what requirements/NAME.txt pins.
define environment
	@test -x $(1)/bin/python || $(UV) venv --quiet --clear --python 3.13 $(1) 2>/dev/null || \
		{ echo "error: uv found no Python 3.13 and could not fetch one: install it (for example: pyenv install 3.13) and run make again" >&2; exit 1; }
	$(UV) pip sync --quiet --require-hashes --python $(1) requirements/$(2).txt
endef

.venv/.installed: requirements/dev.txt pyproject.toml $(UV)
	$(call environment,.venv,dev)
	@# The project itself: its packages importable, its command on board.
	$(UV) pip install --quiet --no-deps --no-build-isolation --python .venv --editable .
	@touch $@

.tools/%/.installed: requirements/%.txt $(UV)
	$(call environment,.tools/$*,$*)
	@touch $@

# Segment's destination code. Its lock file has every package with its checksum; no script of a package runs.
.tools/destinations/.installed: tests/destinations/package.json tests/destinations/package-lock.json
	@mkdir -p $(@D)
	cp $^ $(@D)
	npm ci --prefix $(@D) --ignore-scripts --no-fund --no-audit --loglevel error
	@touch $@

# What the cold start is held against: AWS's pattern in the folder that an installer leaves, and the same with bytecode.
.local/bench/.installed: benchmarks/aws_pattern/requirements.txt $(UV)
	rm -rf .local/bench
	for folder in aws-pattern aws-pattern-compiled; do \
		$(UV) pip install --quiet --require-hashes --python 3.13 --target .local/bench/$$folder -r $<; done
	$(UV) run --quiet --no-project --python 3.13 python -m compileall -q .local/bench/aws-pattern-compiled
	@touch $@

# The command line by itself, and the same as everybody gets it: in an environment of its own, compiled.
WHEEL_INPUTS := pyproject.toml hatch_build.py README.md LICENSE $(shell find layers/stripe_to_segment/python tools events -type f ! -name '*.pyc')

.local/wheel/.built: $(WHEEL_INPUTS) .venv/.installed
	rm -rf .local/wheel
	$(PYTHON) -m hatchling build -d .local/wheel
	@touch $@

.local/bench/cli/.installed: .local/wheel/.built requirements/cli.txt .local/bench/.installed
	$(call environment,.local/bench/cli,cli)
	$(UV) pip install --quiet --no-deps --compile-bytecode --reinstall --python .local/bench/cli .local/wheel/*.whl
	.local/bench/cli/bin/python -m compileall -q .local/bench/cli/lib
	@touch $@

# What CloudFormation makes of the template. It would ask in which region's partition.
.local/translated.json: template.yaml tests/template/translate_template.py .tools/sam/.installed
	@mkdir -p .local
	AWS_DEFAULT_REGION=us-east-1 .tools/sam/bin/python tests/template/translate_template.py $< > $@

# --- Build: `sam build` runs when a name or the content of an input changed, whatever git did to the dates ---

.aws-sam/inputs: FORCE
	@mkdir -p .aws-sam
	@find template.yaml samconfig.toml layers functions -type f ! -name '*.pyc' -exec cksum {} + | LC_ALL=C sort > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# sam starts make for each layer: it finds uv and Python 3.13 beside sam, and must not inherit this make's flags.
$(BUILT): .aws-sam/inputs .tools/sam/.installed
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL PATH="$(CURDIR)/.tools/sam/bin:$$PATH" $(SAM) build
	@touch $@

# What is in it, as CycloneDX tells it.
$(SBOM): $(BUILT) tools/stripe_to_segment_tools/build/sbom.py $(wildcard tools/stripe_to_segment_tools/page/static/vendor/*/*) .venv/.installed
	$(PYTHON) -m stripe_to_segment_tools.build.sbom
