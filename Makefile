# SPDX-License-Identifier: Apache-2.0
#
# `make help` lists what there is to type. Recipes are one line each; what is longer stands in scripts/.

PREFIX        ?= /usr/local
DESTDIR       ?=
CONFIGURATION ?= release
SWIFT         ?= swift
BUILD_FLAGS   ?=
TEST_FLAGS    ?=

# STATIC=1 links the Swift runtime into the programs, so that they run where no Swift is installed. It changes how
# everything is compiled; a folder of its own keeps the tests from rebuilding it all.
ifdef STATIC
BUILD_FLAGS += --static-swift-stdlib --scratch-path .build/static
endif

BIN    = $(shell $(SWIFT) build -c $(CONFIGURATION) $(BUILD_FLAGS) --show-bin-path)
SWIFTS = Package.swift Sources Tests

# The worker chooses its BLAS kernels itself; neither a build nor a test may inherit a choice from this shell.
unexport OPENBLAS_CORETYPE OPENBLAS_L2_SIZE OPENBLAS_NUM_THREADS OMP_NUM_THREADS

.PHONY: help deps build test test-cluster demo bench bench-engine gpu-bundle fuzz soak parity schema format lint install uninstall deb test-system clean
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install the system packages that are missing, check the compiler
	@scripts/deps

build: deps ## build the programs; STATIC=1 links the Swift runtime into them
	$(SWIFT) build -c $(CONFIGURATION) $(BUILD_FLAGS)

test: ## build everything and run every test
	@scripts/deps test
	@scripts/test $(CONFIGURATION) $(TEST_FLAGS)

test-cluster: ## start a Slurm cluster of this one machine and run the tests that need it; as root
	@scripts/deps cluster
	@scripts/test-cluster $(CONFIGURATION) $(TEST_FLAGS)

demo: build ## teach a small model about invented people, make it forget some of them, show the proof
	@scripts/demo "$(BIN)"

bench: build ## compare speed and memory with PyTorch, mergekit and SQLite on this machine
	@Benchmarks/run "$(BIN)"

bench-engine: build ## compare training, evaluation and generation with PyTorch and transformers
	@Benchmarks/run "$(BIN)" engine

gpu-bundle: deps ## pack worker, engine tests and the comparison with PyTorch for a machine with a card and no Swift
	$(SWIFT) build -c $(CONFIGURATION) --build-tests
	$(MAKE) build STATIC=1
	@scripts/gpu-bundle ".build/static/$(CONFIGURATION)/unlearnd-worker" "$(shell $(SWIFT) build -c $(CONFIGURATION) --show-bin-path)"

fuzz: build ## send the daemon what no client would, for SECONDS (60); SEED repeats a run
	@scripts/fuzz "$(BIN)" $(or $(SECONDS),60) $(SEED)

soak: build ## kill the daemon KILLS (1000) times under load, and look that nothing is lost; SEED repeats a run
	@scripts/soak "$(BIN)" $(or $(KILLS),1000) $(SEED)

parity: build ## repeat the numeric comparisons with PyTorch, transformers, tokenizers and mergekit
	@scripts/parity "$(BIN)"

schema: build ## write docs/schema.json anew, after the protocol has grown
	@scripts/schema "$(BIN)"

format: ## rewrite the Swift sources in the project's format
	$(SWIFT) format --in-place --recursive $(SWIFTS)

lint: ## check format, imports, licence lines, example data and units
	@scripts/lint $(SWIFTS)

install: ## install programs, units and manual pages below $(DESTDIR)$(PREFIX); after `make build`, with the same STATIC
	@scripts/install "$(BIN)" "$(DESTDIR)" "$(PREFIX)"

uninstall: ## remove what `make install` installed; data and configuration stay
	@scripts/install --remove "$(DESTDIR)" "$(PREFIX)"

deb: deps ## build the Debian package into dist/ and check it with lintian
	@scripts/deb

test-system: deb ## try the package in a booted Debian 12 container: install, jobs, kill, reboot, upgrade, purge; as root
	@scripts/test-system

clean: ## remove build products
	rm -rf .build Benchmarks/.work dist debian/pages debian/unlearnd debian/.debhelper
