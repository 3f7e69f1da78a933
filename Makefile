# `make` lists what there is. Everything sets itself up in .venv first; nothing is installed elsewhere,
# besides Debian packages that tests need, when root runs them (.ci/setup has their names).
#   make PYTHON=python3.12 ...   another interpreter, 3.11 or later
#   make demo ARGS="--json"      options for the demo; TESTS="tests.wire" for `make test`
PYTHON ?=
ARGS ?=
TESTS ?=
TARGETS ?=
MINUTES ?=
ARCH ?=
OLD ?=
BIN := .venv/bin
SOURCES := morphnet tests twisted tap
ENTER := $(BIN)/python -m morphnet.lab.enter --
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo demo-peers demo-home demo-upload test test-pure test-lab test-rootless lint format types bench figures sanitize fuzz wheel deb try-deb try-upgrade setup clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: ## the main job on real traffic, in a network in a box
	@.ci/setup run
	@$(ENTER) $(BIN)/python -m morphnet.lab.demo $(ARGS)

demo-peers: ## two homes meet at a relay and reach each other directly, in a network in a box
	@.ci/setup run
	@$(ENTER) $(BIN)/python -m morphnet.lab.demo_peers $(ARGS)

demo-home: ## a browser behind a NAT reaches files and a terminal at home behind another; leaves pictures
	@.ci/setup dev
	@$(ENTER) $(BIN)/python -m morphnet.lab.demo_home $(ARGS)

demo-upload: ## one upload across five networks and a killed server, beside Prosody's own file share, in the box
	@.ci/setup run
	@$(ENTER) $(BIN)/python -m morphnet.lab.demo_upload $(ARGS)

test: ## every test: pure, in the lab, and in the lab without root
	@.ci/setup dev
	@$(BIN)/python -m tests $(TESTS)

test-pure: ## only the tests that touch no network
	@.ci/setup dev
	@$(BIN)/python -m tests --only pure $(TESTS)

test-lab: ## only the tests in the lab, as who you are
	@.ci/setup dev
	@$(BIN)/python -m tests --only lab $(TESTS)

test-rootless: ## only the tests in the lab, never as root
	@.ci/setup dev
	@$(BIN)/python -m tests --only rootless $(TESTS)

lint: ## style, names, imports: ruff
	@.ci/setup dev
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/ruff format --quiet --check $(SOURCES) || { echo "lint: some files are not formatted: make format"; exit 1; }
	@echo "lint: clean"

format: ## let ruff format the code
	@.ci/setup dev
	@$(BIN)/ruff check --quiet --fix $(SOURCES)
	@$(BIN)/ruff format --quiet $(SOURCES)

types: ## mypy --strict
	@.ci/setup dev
	@$(BIN)/mypy --no-error-summary
	@echo "types: clean"

bench: ## the benchmarks; BENCH=name for one of them
	@.ci/setup bench
	@code=0; for file in tests/bench/bench_$(or $(BENCH),*).py; do \
		[ -e "$$file" ] || { echo "bench: no $$file"; exit 1; }; \
		module=$${file%.py}; $(BIN)/python -m $$(echo $$module | tr / .) $(ARGS) || code=1; \
	done; exit $$code

figures: ## every benchmark, about an hour, and its values into docs/figures.md
	@.ci/setup bench
	@$(BIN)/python -m tests.bench.figures $(ARGS)

sanitize: ## the tests of the compiled core, with the compiler's checks for memory and undefined behaviour in it
	@.ci/setup dev
	@.ci/sanitize

fuzz: ## every parser under a fuzzer, MINUTES=1 each; TARGETS="frames signals" for some
	@.ci/setup fuzz
	@$(BIN)/python -m tests.fuzz --minutes $(or $(MINUTES),1) $(ARGS) $(TARGETS)

wheel: ## a wheel with what is compiled in it, for other machines of this processor, or ARCH=aarch64: dist/
	@ARCH=$(ARCH) packaging/wheel

deb: ## a Debian package with all that it needs of PyPI: dist/
	@packaging/deb

try-deb: ## install that package in a bare Debian, use it, purge it, and see that nothing is left (root)
	@packaging/try-deb

try-upgrade: ## go from package or commit OLD=... to dist/*.deb and back, on two machines, while connections run (root)
	@.ci/setup run
	@packaging/try-upgrade "$(OLD)"

setup: ## only make .venv
	@.ci/setup dev

clean: ## remove all that was made
	@rm -rf .venv .venv.lock build dist ./*.egg-info morphnet/*.so morphnet/*/*.so .hypothesis .mypy_cache .ruff_cache _trial_temp* twisted/plugins/dropin.cache
	@find morphnet tests twisted -name __pycache__ -type d -prune -exec rm -rf {} +
