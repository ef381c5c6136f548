# Needs only make and Python >= 3.11. Every target creates or reuses .venv by itself.
BIN := .venv/bin

# Tests, the demo and the benchmarks start many processes: without it each compiles the project anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help venv check format test coverage bench demo revision lock stripe-cli simulate soak

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: ## Create .venv from the pinned requirements, or reuse it
	@PYTHON="$(PYTHON)" ./.ci/venv

demo: venv ## Watch a refund being held and released (ONCE=1: end by itself)
	@$(BIN)/sluice demo $(if $(filter-out 0,$(ONCE)),--once)

# Twice as many as the smallest machine has cores: half of them wait, for a lease or an answer.
WORKERS := 4
test: venv ## Run all tests (ARGS="tests/unit -k money" for some, WORKERS=0 one after the other)
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

bench: venv ## Measure webhooks per second, webhook to refund, planning (ARGS="--rounds 5")
	@$(BIN)/python -m tests.benchmarks.webhooks $(ARGS); webhooks=$$?; \
	$(BIN)/python -m tests.benchmarks.latency $(LATENCY_ARGS); latency=$$?; \
	$(BIN)/python -m tests.benchmarks.planning $(PLANNING_ARGS) && exit $$((webhooks + latency))

simulate: venv ## Replay one simulation and tell what happened in it (SEED=1234)
	@$(BIN)/python -m tests.simulation.run $(SEED)

soak: venv ## Play many simulations (SEEDS=1000 FROM=0), with progress
	@$(BIN)/python -m tests.simulation.crowd --seeds $(or $(SEEDS),1000) --from $(or $(FROM),0)

coverage: venv ## Every branch of the pure core is taken by its own tests, or this fails
	@$(BIN)/coverage run --branch --source=refunds -m pytest -q tests/unit/refunds
	@$(BIN)/coverage report --show-missing --skip-covered --fail-under=100

check: venv ## Formatting, lint, types and import rules
	@$(BIN)/ruff format --check --quiet . || { echo "Run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: venv ## Format the code and fix what lint can fix by itself
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

# Exact, because the websocket of `stripe listen` is not documented anywhere. Install scripts stay
# off: the package for this platform holds the binary as it is.
STRIPE_CLI := @stripe/cli@1.52.0
stripe-cli: ## Install the official Stripe CLI from npm as .tools/stripe
	@command -v npm >/dev/null || { echo "npm is missing: install it, or get the Stripe CLI yourself"; exit 1; }
	@test -x .tools/stripe || { echo "Installing $(STRIPE_CLI) into .tools ..." && \
		npm install --prefix .tools --ignore-scripts --no-audit --no-fund --silent $(STRIPE_CLI) && \
		cd .tools && ln -sf node_modules/@stripe/cli-*/bin/stripe stripe; }
	@test -x .tools/stripe && echo "Ready: .tools/stripe"

revision: venv ## Draft a migration from the tables (REVISION=0002 MESSAGE="add …")
	@$(BIN)/python -c 'import sys; from store.migrate import draft; draft(*sys.argv[1:])' "$(MESSAGE)" "$(REVISION)"
	@$(BIN)/ruff check --quiet --fix-only store/migrations/versions
	@$(BIN)/ruff format --quiet store/migrations/versions

# `--universal`: one lock for every platform and Python the project supports. Annotations stay, so
# that a reader sees why a package is there; addresses and machine paths do not.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links $(LOCK_ARGS)
lock: ## Pin the requirements anew (needs uv; LOCK_ARGS=--upgrade takes newer versions)
	$(LOCK) pyproject.toml --output-file requirements.txt
	$(LOCK) pyproject.toml --group dev --constraint requirements.txt --output-file requirements-dev.txt
