# What people type. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test chaos large fuzz conformance screenshots lighthouse bench deploy-check lint sqlx cargo

BUILT := $(or $(CARGO_TARGET_DIR),target)

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

run: cargo ## Build and start everything on this machine; ARGS="--data-dir DIR …" is handed on
	@scripts/install-tools run
	@echo "make: building (the first time takes some minutes) …"
	@cargo build --locked -p vaultaire
	@exec setpriv --pdeathsig TERM -- "$(BUILT)/debug/vaultaire" up $(ARGS)

test: cargo ## Every check and every test; installs what the tests need
	@scripts/install-tools test
	@scripts/deploy-check
	@$(MAKE) --no-print-directory lint
	@scripts/with-postgres cargo test --locked --workspace

chaos: cargo ## Faults, drawn from a seed, while clients keep a ledger: [SEED=n] [MINUTES=m] [ROUNDS=r] [FAULTS=kill,cut-push,…], ten minutes unless said (docs/FAULTS.md)
	@scripts/install-tools chaos
	@cargo build --locked -p vaultaire -p chaos
	@exec setpriv --pdeathsig TERM -- "$(BUILT)/debug/chaos" --seed "$(SEED)" --minutes "$(MINUTES)" --rounds "$(ROUNDS)" --faults "$(FAULTS)"

large: cargo ## Objects of 5 GB: through little memory, and while both nodes are restarted (minutes, and 20 GB of disk)
	@scripts/install-tools test
	@cargo build --locked -p vaultaire
	@scripts/with-postgres cargo test --locked -p e2e --test e2e -- --ignored --nocapture five_gigabytes

fuzz: cargo ## Each fuzz target for a minute; SECONDS_EACH=600 for longer, TARGET=xml for one
	@SECONDS_EACH="$(SECONDS_EACH)" TARGET="$(TARGET)" scripts/fuzz

conformance: cargo ## Ceph's s3-tests through Vaultaire: S3_TESTS=DIR [ENGINE=seaweedfs|moto] [PLACEMENT=dedicated|pooled] [ONLY='-k …']
	@scripts/conformance

screenshots: cargo ## The pictures in docs/images, taken from the running product
	@scripts/install-tools test
	@cargo build --locked -p vaultaire
	@VAULTAIRE_SCREENSHOTS="$(CURDIR)/docs/images" scripts/with-postgres cargo test --locked -p e2e --test e2e -- browser:: pages::

lighthouse: cargo ## Lighthouse on every page of the dashboard (needs Node); writes docs/LIGHTHOUSE.md; ONLY='/login /buckets' looks at those alone
	@scripts/install-tools lighthouse
	@cargo build --locked -p vaultaire
	@ONLY="$(ONLY)" scripts/with-postgres cargo test --locked -p e2e --test e2e -- --ignored --nocapture lighthouse::

bench: cargo ## Vaultaire beside nginx, rclone and s3s-proxy, and a fleet with 100,000 tenants; writes docs/BENCHMARKS.md; ONLY=sides|neighbours|fleet
	@scripts/bench

deploy-check: ## The files in deploy/: schemas, linters, names of settings and metrics (no cargo; part of `make test`)
	@scripts/deploy-check

lint: cargo ## Format and clippy, warnings denied
	@cargo fmt --all --check
	@cargo clippy --locked --workspace --all-targets -- -D warnings

sqlx: cargo ## Prepare the queries' descriptions in .sqlx anew
	@scripts/sqlx-prepare

cargo:
	@command -v cargo >/dev/null || { echo "make: cargo was not found: install Rust 1.94 or later (https://rustup.rs), then try again." >&2; exit 1; }
	@command -v cc >/dev/null || { echo "make: no C compiler was found: run  apt-get install -y gcc libc6-dev  as root, then try again." >&2; exit 1; }
