# `make` lists the targets. The environment is created on first use from requirements.lock (exact versions and hashes)
# and updated when pyproject.toml or the lock changes.

PYTHON ?= python3
ARGS ?=
WORKERS ?= 2
TARGET ?= cpu
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help run demo test stack stack-test chaos fuzz dashboards pictures lint format types check lock bench kafka clean venv

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(READY) ## run the monitor and its page on http://127.0.0.1:8080 (ARGS="--port 9000" passes options)
	@$(BIN)/riskwire run $(ARGS)

demo: $(READY) ## replay a fictional crisis and watch it on the page
	@$(BIN)/riskwire demo $(ARGS)

# Most tests mostly wait, so two files run at once, each worker with its own Kafka, the long files first. WORKERS=0 runs
# one test after the other, as a debugger needs it.
test: $(READY) ## run the unit, integration and chaos tests (ARGS="-k notify -x" passes options)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
		tests/chaos tests/stack tests/integration tests/unit $(ARGS)

stack: $(READY) ## run everything on this machine: Kafka, PostgreSQL, Prometheus, Alertmanager, services; with a crisis
	@$(BIN)/python tests/stack/run.py $(ARGS)

stack-test: $(READY) ## run everything on this machine, and check each hop of a crisis
	@$(BIN)/python -m pytest tests/stack $(ARGS)

chaos: $(READY) ## inject faults into the services on Kafka (ARGS="--faults 320 --articles 15000" passes options)
	@$(BIN)/python tests/chaos/run.py $(ARGS)

fuzz: $(READY) ## read mutated feed documents for minutes (ARGS="--seconds 300 --seed 7" passes options)
	@$(BIN)/python tests/fuzz/fuzz_documents.py $(ARGS)

dashboards: $(READY) ## write the dashboards of Grafana from deploy/grafana/riskwire_dashboards
	@$(BIN)/python deploy/grafana/build.py

pictures: $(READY) ## draw the pictures of the page and of two dashboards (needs PostgreSQL 15 and Chromium)
	@$(BIN)/python tests/pictures/draw.py

lint: $(READY) ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(READY) ## ruff: fix what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(READY) ## mypy, strict
	@$(BIN)/mypy

check: lint types test ## everything that CI checks

bench: $(READY) ## run the benchmarks and print their figures
	@for bench in tests/bench/bench_*.py; do echo "== $$bench"; $(BIN)/python $$bench $(ARGS) || exit 1; done

# hatchling and editables build the project itself. They are in the lock, so that installing fetches nothing else.
lock: $(READY) ## rewrite requirements.lock from pyproject.toml
	@$(BIN)/python -m pip install --quiet uv
	@printf 'hatchling\neditables\n' | $(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes \
		--no-emit-index-url --no-header --extra cpu --extra kafka --extra postgres --extra otel --extra dev \
		pyproject.toml - -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --constraint requirements.lock \
		--extra gpu --extra kafka --extra postgres pyproject.toml -o deploy/image/requirements.gpu.lock
	@printf 'cyclonedx-bom\ndocker-compose-py\nkubernetes-validate\npip-audit\n' | $(BIN)/uv pip compile --quiet --upgrade \
		--universal --generate-hashes --no-emit-index-url --no-header - -o deploy/tools.lock

.PHONY: deploy-tools image image-test dist dist-test sbom audit

# The tools that check deploy/ have an environment of their own: riskwire needs none of them.
deploy-tools: .venv-deploy/.ready ## install the tools that check deploy/ into .venv-deploy

.venv-deploy/.ready: deploy/tools.lock
	@$(PYTHON) -m venv .venv-deploy
	@.venv-deploy/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/tools.lock
	@touch $@

image: ## build the container image riskwire:cpu (TARGET=gpu for the other; ARGS are options of docker build)
	@DOCKER_BUILDKIT=1 docker build --file deploy/Dockerfile --target $(TARGET) --tag riskwire:$(TARGET) \
		--build-arg VERSION="$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)" \
		--build-arg REVISION="$$(git rev-parse HEAD)" --build-arg CREATED="$$(date -u +%FT%TZ)" $(ARGS) .

image-test: $(READY) deploy-tools ## build images, run riskwire in them, and Compose while containers are killed (minutes; needs Docker)
	@$(BIN)/python -m pytest tests/image -s $(ARGS)

dist: $(READY) ## build wheel and sdist into dist/
	@$(BIN)/python -m hatchling build -d dist

dist-test: $(READY) ## build wheel and sdist, and try them in an empty environment (minutes; needs a package index)
	@$(BIN)/python -m pytest tests/release -s $(ARGS)

sbom: deploy-tools ## write the bill of materials of the image (CycloneDX) to dist/riskwire.cdx.json
	@mkdir -p dist
	@$(PYTHON) deploy/image/locked_requirements.py requirements.lock cpu kafka postgres > dist/image-requirements.txt
	@.venv-deploy/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --of JSON \
		--output-file dist/riskwire.cdx.json dist/image-requirements.txt
	@echo "dist/riskwire.cdx.json"

audit: deploy-tools ## look the locked versions up among known vulnerabilities (needs the network)
	@.venv-deploy/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock $(ARGS)

kafka: ## fetch Apache Kafka for the tests into .cache/kafka (needs Maven; KAFKA_HOME may name a release instead)
	@command -v mvn >/dev/null || { echo "make kafka needs Maven (Debian: apt install maven). Or unpack an Apache Kafka release" \
		"and set KAFKA_HOME to its folder." >&2; exit 1; }
	@mvn --batch-mode --quiet --file deploy/kafka/pom.xml dependency:copy-dependencies \
		-DoutputDirectory=$(CURDIR)/.cache/kafka/libs
	@echo "Kafka is in .cache/kafka, where the tests find it."

clean: ## remove caches and build outputs; .venv and data stay
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find services models tests -name __pycache__ -type d -prune -exec rm -rf {} +

venv: $(READY) ## create .venv and install everything into it

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "riskwire needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo 'missing')." >&2; \
		echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { \
		echo "The environment .venv could not be created with '$(PYTHON) -m venv'; on Debian: apt install python3-venv" >&2; exit 1; }
	@echo "Installing what riskwire needs into .venv (once; about a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@
