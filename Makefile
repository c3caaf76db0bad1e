# What people run. Each target that needs something installs it first, or says what to install.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
# Settings of `headland dev`: make demo ARGS="--edges 2 --origin http://127.0.0.1:8000"
ARGS ?=

.PHONY: help demo build build-pgo test lint bench fmt clean bootstrap-build bootstrap-test

help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: bootstrap-build ## Builds and runs a whole CDN on this machine; stop it with Ctrl-C (ARGS="--edges 2")
	@$(CARGO) build --locked --release --package headland
	@exec "$$(scripts/target-dir.sh)/release/headland" dev $(ARGS)

build: bootstrap-build ## Builds every program for production
	@$(CARGO) build --locked --release --workspace --bins

build-pgo: bootstrap-build ## The same, optimised by what a profile says: half an hour, and less processor time for each request
	@scripts/build-pgo.sh

test: bootstrap-test ## Checks format and lints, then runs every test
	@scripts/lint.sh
	@scripts/test.sh

lint: bootstrap-test ## Checks format, lints, shell scripts and licences
	@scripts/lint.sh

bench: bootstrap-build ## Measures: changes reaching edges, what objects and records cost, hit ratios, the steps of a hit
	@$(CARGO) bench --locked --workspace

fmt: ## Formats the code
	@$(CARGO) fmt --all

clean: ## Removes what was built and what was installed into .tools
	@$(CARGO) clean
	@rm -rf .tools .demo

bootstrap-build:
	@scripts/bootstrap.sh build

bootstrap-test:
	@scripts/bootstrap.sh test
