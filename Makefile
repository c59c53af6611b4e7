# `make demo` shows what ecomctl does; `make test` proves that it does. Both install only what is missing.
CARGO ?= cargo
# Tests and the demo find the programs of this checkout, never installed ones.
DEMO := target/demo/ecomctl

.PHONY: help demo test test-all deps deps-test kafka engine images build release lint audit bench docs fuzz clean

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

demo: deps kafka ## One coupon event on real servers, from nothing to a verdict
	$(CARGO) build --profile demo --bin ecomctl
	@$(DEMO) demo

test: deps-test kafka ## Format, lints, unit, property, snapshot and end-to-end tests, with one closing count
	@scripts/test.sh

test-all: deps-test kafka ## The same and what takes longer
	@ECOMCTL_TEST_ALL=1 scripts/test.sh

deps: ## Install what is missing: compiler, server programs that start nothing, a JVM, Maven
	@scripts/deps.sh

deps-test: ## The same and what only the tests need
	@scripts/deps.sh test

kafka: ## Put Kafka's jars into the cache
	@scripts/kafka.sh

engine: ## Start a Docker Engine for the tests, where none runs
	@scripts/engine.sh

images: ## Build the images of the Docker tests, where they are missing or old
	@scripts/images.sh

build: ## Build for development
	$(CARGO) build --workspace

release: ## Build for use
	$(CARGO) build --release --bin ecomctl

lint: ## Format and lints, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

audit: ## Licences, duplicates and sources of all crates
	@command -v cargo-deny >/dev/null || $(CARGO) install cargo-deny --locked
	$(CARGO) deny check licenses bans sources

bench: deps kafka release ## The coupon path beside its own no-op route, and the generator beside wrk
	@scripts/bench.sh

clean: ## Remove what was built
	$(CARGO) clean
