# Every target installs what it needs first (scripts/setup says what and why) and then does one thing.
# `make` alone lists them.

# Tools that scripts/setup brought come first.
export HOME := $(or $(HOME),$(shell getent passwd $$(id -u) | cut -d: -f6))
export PATH := $(CURDIR)/.tools/node/bin:$(CURDIR)/.tools/bin:$(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)
export CARGO_NET_RETRY ?= 10
# Empty, it means rust-toolchain.toml's; cargo and rustup would take an empty variable for a name.
RUSTUP_TOOLCHAIN ?= $(shell scripts/toolchain)
ifneq ($(RUSTUP_TOOLCHAIN),)
export RUSTUP_TOOLCHAIN
endif

APPLIANCES ?= 24
BENCH_APPLIANCES ?= 100 1000 4000 10000
FUZZ_SECONDS ?= 10
FUZZ_TARGETS ?=
RUNS ?= 20
INVENTORY ?= 100000
SOAK_MINUTES ?= 60
SOAK_APPLIANCES ?= 100
SIMULATIONS ?= 100000
IDLE_MINUTES ?= 10
CUTS ?= 3000
SEED ?=
RECONFIGURATIONS ?= 10000
KILLS ?= 300

TARGET := $(or $(CARGO_TARGET_DIR),target)
NEXTEST := cargo nextest run --locked

# Test programs of tests/ that need root, a virtual screen or minutes: each has a target of its own. A pattern that matches
# nothing is an error, hence the turn with `architecture`, which is always there.
LAB := --test 'lab*' --test 'replay*'
ATTACKS_LAN := --test-threads 2 --test 'attacks-lan*'
# They have ports and folders of their own, and wait for clocks more than they work.
ATTACKS_NOC := --test-threads 4 --test 'attacks-noc*'
E2E := --test 'desktop*'
APART := package(system-tests) and binary(/^(architecture|attacks|lab|replay|desktop|bench|soak)/) and not binary(=architecture)
# Real network daemons of Debian, whose own timing changes from run to run: what passes at the second try is reported as flaky.
DAEMONS := package(muster-agent) and binary(=back_ends)
UI_SOURCES := $(wildcard ui/*.html ui/*.ts ui/*.json) $(shell find ui/src ui/public -type f 2>/dev/null)

# The lab makes network namespaces. Who is not root builds as himself and runs only the test programs through sudo.
HOST := $(shell uname -m)-unknown-linux-gnu
AS_ROOT := $(if $(filter-out 0,$(shell id -u)),CARGO_TARGET_$(shell echo $(HOST) | tr a-z- A-Z_)_RUNNER="sudo -E")

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run practice test lint fmt ui rust face contract fuzz fuzz-seeds fuzz-corpus doc architecture lab attacks e2e screenshot bench bench-job bench-discovery bench-noc bench-beats bench-watch bench-peers bench-agent agent model soak soak-beats soak-power soak-agent simulate soak-simulate deny setup-run setup-test setup-bench setup-agent programs bindings icons oui clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F'|' '{ printf "  make %-14s %s\n", $$1, $$2 }'

run: ## open the desktop app with an embedded NOC and a practice fleet of 24
	@scripts/need-display
	@$(MAKE) --no-print-directory setup-run
	@$(MAKE) --no-print-directory programs
	$(TARGET)/debug/muster-desktop --practice $(APPLIANCES)

practice: setup-run ## the same NOC and fleet without a window: a shell in which `muster` works on them
	cargo build --locked -p muster-noc -p muster-console -p system-tests --bins
	@scripts/practice $(APPLIANCES)

test: ## run every check and test below, and stop at the first that fails
	@scripts/steps lint ui rust face contract fuzz simulate doc lab attacks e2e bench

lint: setup-test ui/dist/index.html ## formatting, clippy, Biome, TypeScript, missing texts
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cd ui && npm run --silent lint

fmt: setup-test ui/node_modules/.package-lock.json ## format all sources
	cargo fmt --all
	cd ui && npx biome check --write .

ui: setup-test ui/node_modules/.package-lock.json ## UI unit, accessibility and browser tests
	cd ui && npm test
	cd ui && npm run --silent test:browser

rust: setup-test programs ## Rust tests of the workspace (some start the programs), architecture and bindings among them
	$(NEXTEST) --workspace -E 'not ($(APART)) and not ($(DAEMONS))'
	$(NEXTEST) --workspace --retries 2 -E '$(DAEMONS)'

face: setup-test programs ## the NOC's face in a real browser: Chromium against the real program over TLS, axe, content policy, live changes
	cd ui && npm run --silent test:noc

contract: setup-test programs ## the NOC's interface for operators against its own OpenAPI description, with schemathesis
	.tools/contract/bin/python tests/contract/run.py $(TARGET)/debug/muster-noc

fuzz: setup-test ## every fuzz target for FUZZ_SECONDS (10), or only FUZZ_TARGETS; 3600 for a long look
	scripts/fuzz run $(FUZZ_SECONDS) $(FUZZ_TARGETS)

fuzz-seeds: setup-test ## rewrite the fuzz targets' first inputs from real messages
	cargo run --locked -p muster-fuzz-harness --example seeds

fuzz-corpus: setup-test ## keep what was found by fuzzing here, minimised, in tests/fuzz/corpus
	scripts/fuzz corpus $(FUZZ_TARGETS)

simulate: setup-test programs ## SIMULATIONS (100,000) simulated provisionings on hostile networks, always the same ones
	$(TARGET)/debug/muster-simulator --provisionings $(SIMULATIONS)

soak-simulate: setup-test programs ## other worlds for SOAK_MINUTES (60), from a seed that it prints
	$(TARGET)/debug/muster-simulator --minutes $(SOAK_MINUTES)

doc: setup-test ## examples in the documentation of the protocol
	cargo test --locked --doc -p muster-protocol

architecture: setup-test ## only the tests of the rules between rooms
	$(NEXTEST) -p system-tests --test architecture

lab: setup-test programs ## real network settings in network namespaces (root), and replays of what was recorded
	$(AS_ROOT) $(NEXTEST) --profile alone --workspace $(LAB)

attacks: setup-test programs ## attacks on the real programs, one named test each (root, network namespaces)
	$(AS_ROOT) $(NEXTEST) --profile alone --workspace $(ATTACKS_LAN)
	$(NEXTEST) --workspace $(ATTACKS_NOC)

e2e: setup-test programs ## the desktop app on a virtual screen, through WebDriver
	$(NEXTEST) --profile alone --workspace $(E2E)

screenshot: e2e ## docs/screenshot.png from the end-to-end test
	cp tests/artifacts/configured.png docs/screenshot.png

bench: setup-test programs ## a short run of the benchmarks, unoptimised: shows that they work
	$(TARGET)/debug/bench-job --appliances 100 --operations 50
	$(TARGET)/debug/bench-noc --inventory 2000 --clients 20 --seconds 2
	$(TARGET)/debug/bench-beats --appliances 200 --connected 100 --in-flight 32 --seconds 2
	$(TARGET)/debug/bench-watch --appliances 2000 --probes 20 --storm 300 --storm-interval-s 8 --idle-s 2
	$(TARGET)/debug/soak-beats --kills 5 --appliances 20
	$(if $(filter-out 0,$(shell id -u)),sudo -E) $(TARGET)/debug/bench-discovery --appliances 300 --runs 1 --arp-scan-runs 0

bench-job: setup-test ## from first ping to first beat for BENCH_APPLIANCES (100 1000 4000 10000), one JSON line each
	cargo build --locked --release -p muster-noc -p muster-console -p system-tests --bins
	for count in $(BENCH_APPLIANCES); do $(TARGET)/release/bench-job --appliances $$count || exit 1; done

bench-discovery: setup-test setup-bench ## RUNS (20) discoveries of 1,000 and 4,000 appliances at 0, 10 and 30 % loss, and arp-scan's (root)
	cargo build --locked --release -p muster-console -p system-tests --bin muster --bin fleet --bin bench-discovery
	$(if $(filter-out 0,$(shell id -u)),sudo -E) $(TARGET)/release/bench-discovery --runs $(RUNS)

bench-noc: setup-test ## plans and grants, pages and many operators' programs at once, with INVENTORY (100,000) appliances, one JSON line
	cargo build --locked --release -p muster-noc -p muster-console -p system-tests --bins
	$(TARGET)/release/bench-noc --inventory $(INVENTORY)

bench-beats: setup-test setup-bench ## beats a second, each on disk before it is answered, beside the bare parts and the peers, one JSON line for each inventory
	cargo build --locked --release -p muster-noc -p muster-console -p system-tests --bins
	$(TARGET)/release/bench-beats --appliances 10000 --peers
	$(TARGET)/release/bench-beats --appliances 100000

bench-watch: setup-test ## from a deadline to the alert in the database with a million appliances, idle cost, 50,000 at once, one JSON line
	cargo build --locked --release -p muster-noc -p muster-console -p system-tests --bins
	$(TARGET)/release/bench-watch

bench-peers: setup-test setup-bench ## the same settings by Muster, an Ansible playbook and a parallel ssh loop (root, network namespaces)
	cargo build --locked --release -p muster-noc -p muster-console -p system-tests --bins
	$(if $(filter-out 0,$(shell id -u)),sudo -E) $(TARGET)/release/bench-peers

bench-agent: setup-test setup-bench programs agent ## the agent's size, memory and processor time beside other monitors', IDLE_MINUTES (10) long (root)
	$(if $(filter-out 0,$(shell id -u)),sudo -E) $(TARGET)/debug/bench-agent --agent $(TARGET)/muster-agent --minutes $(IDLE_MINUTES)

agent: setup-agent ## the agent as it is shipped, small and static if it can be: target/muster-agent
	scripts/build-agent

soak: setup-run ## a practice fleet for SOAK_MINUTES (60): appliances go quiet and come back, every alert must follow
	cargo build --locked --release -p muster-noc -p muster-console -p system-tests --bins
	echo 'exec scripts/soak $(SOAK_MINUTES)' | MUSTER_BUILD=release scripts/practice $(SOAK_APPLIANCES)

soak-beats: setup-test programs ## KILLS (300) of a NOC under load: every beat that it acknowledged is there, once
	$(TARGET)/debug/soak-beats --kills $(KILLS) $(if $(SEED),--seed $(SEED))

soak-power: setup-test programs ## CUTS (3,000) power cuts of a real agent, the first before every system call, and every fault (root; SEED repeats)
	$(if $(filter-out 0,$(shell id -u)),sudo -E) $(TARGET)/debug/soak-power --cuts $(CUTS) $(if $(SEED),--seed $(SEED))

soak-agent: setup-test programs ## RECONFIGURATIONS (10,000) of one real agent, which must not grow (root)
	$(if $(filter-out 0,$(shell id -u)),sudo -E) $(TARGET)/debug/soak-agent --reconfigurations $(RECONFIGURATIONS)

model: setup-test ## search every state of one console, two appliances and an attacker; MODEL="--cuts 2" sets bounds
	cargo run --locked -p muster-model --example model -- $(MODEL)

deny: ## licences, bans and sources of all dependencies (needs cargo-deny)
	@command -v cargo-deny >/dev/null || { echo "make deny needs cargo-deny: cargo install --locked cargo-deny"; exit 1; }
	cargo deny --locked check licenses bans sources

bindings: setup-run ## rewrite ui/src/bindings.ts from the Rust view models
	cargo run --quiet --locked -p muster-console --example bindings

icons: ## render icons/ from its SVG sources (needs librsvg2-bin)
	icons/render

oui: setup-run ## rebuild the table of makers from the npm package oui-data
	scripts/oui

clean: ## delete what was built; installed tools stay
	rm -rf $(TARGET) ui/dist ui/dist-fake ui/dist-noc/face ui/node_modules

setup-run:
	@scripts/setup run

setup-test:
	@scripts/setup test

setup-bench:
	@scripts/setup bench

setup-agent:
	@scripts/setup agent

# The contents of the window, and of the NOC's pages, come first: the programs are compiled around them. Always the whole workspace, because cargo would compile
# the dependencies again for another selection of crates with other features.
programs: ui/dist/index.html ui/dist-noc/face/noc.html
	cargo build --locked --workspace --bins

ui/node_modules/.package-lock.json: ui/package.json ui/package-lock.json
	cd ui && ../scripts/retry npm ci --no-progress
	@touch $@

ui/dist/index.html: ui/node_modules/.package-lock.json $(UI_SOURCES)
	cd ui && npm run --silent build
	@touch $@

ui/dist-noc/face/noc.html: ui/node_modules/.package-lock.json $(UI_SOURCES)
	cd ui && npm run --silent build:noc
	@touch $@
