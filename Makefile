# What people do here. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Where rustup puts cargo, for shells that have not read its env file.
export PATH := $(PATH):$(HOME)/.cargo/bin

# For `make demo`: how many cameras, and the port of the console.
CAMERAS ?= 4
PORT ?= 8080
# For `make torture`: how often the gateway is killed, and what the dice begin with.
KILLS ?= 50
SEED ?= 1
# For `make fuzz`: seconds for each target.
FUZZ_S ?= 60
# What libFuzzer needs of the compiler: counters at every branch, and what is compared. Of the sanitizers, which
# only a nightly toolchain has, none is needed: outside of `mux` the code is safe, and a panic is a finding.
FUZZ_FLAGS = --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1
# With a target named, build scripts and macros are built without these flags.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 16

.PHONY: demo
demo: ## the whole gateway with simulated cameras, doors and police, on this machine alone
	@bash deploy/setup.sh demo
	@bash src/web/console/build.sh
	cargo run --locked -- demo --cameras $(CAMERAS) --port $(PORT)

.PHONY: test
test: ## everything that must hold before a change lands; what CI runs
	@bash deploy/setup.sh test
	@bash src/web/console/build.sh check
	@$(MAKE) --no-print-directory lint
	NEXTEST_TEST_THREADS=$$((2 * $$(nproc))) cargo nextest run --locked --profile ci
	cargo test --locked --doc --quiet
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet

.PHONY: console
console: ## the pages of the console, into target/console; quiet when nothing changed
	@bash deploy/setup.sh console
	@bash src/web/console/build.sh

.PHONY: lint
lint: ## formatting, house rules, clippy: the fast part of `make test`
	cargo fmt --check
	@mkdir -p target
	CARGO_MANIFEST_DIR="$$PWD" rustc --edition 2024 --test tests/it/tidy.rs -o target/tidy
	target/tidy --quiet
	cargo clippy --locked --all-targets -- -D warnings

.PHONY: bench
bench: ## measurements, side by side (tests/bench/README.md); some minutes of a quiet machine, nothing fails
	@bash deploy/setup.sh test
	cargo bench --locked --benches

.PHONY: torture
torture: ## the crash and disk tests alone, with KILLS=50 kills at random (SEED=1 says when)
	@bash deploy/setup.sh test
	STAIRGATE_TEST_KILLS=$(KILLS) STAIRGATE_TEST_SEED=$(SEED) cargo nextest run --locked \
	    --success-output final -E 'binary(it) & test(/^end_to_end::(kills|disks|storms|crash)::/)'

.PHONY: fuzz
fuzz: ## random bytes into every decoder, FUZZ_S=60 each, under libFuzzer; any toolchain will do
	@bash deploy/setup.sh fuzz
	RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --release --manifest-path tests/fuzz/Cargo.toml --target $(HOST)
	@for target in $$(ls tests/fuzz/seeds); do \
	    mkdir -p "tests/fuzz/corpus/$$target" tests/fuzz/artifacts; \
	    "tests/fuzz/target/$(HOST)/release/$$target" \
	        "tests/fuzz/corpus/$$target" "tests/fuzz/seeds/$$target" \
	        -artifact_prefix=tests/fuzz/artifacts/ -max_total_time=$(FUZZ_S) -rss_limit_mb=1024 -print_final_stats=1; \
	done
