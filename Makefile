# `make` lists the targets. Each step prints its name and its time; none of them asks anything.
# Variables can be given on the command line: make drift INVENTORY=inventories/luwu

.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

INVENTORY     ?= inventories/luwu
LAB           ?= inventories/lab
SERVICES      ?= inventories/lab-services
DOCUMENTATION ?= build/documentation/site/index.html
WORKERS       ?= 2
FUZZ_EXAMPLES ?= 2000
FUZZ_MUTATIONS ?= 20000

# What the lab needs from Debian, until the library is there to say it.
LAB_PACKAGES := systemd-container mmdebstrap iproute2 openssh-client nftables util-linux apt-utils

export TOPOLOGY_VENV ?= $(CURDIR)/.venv
# Ansible wants UTF-8 and skips an ansible.cfg that it finds in a folder others can write to.
export LC_ALL := C.UTF-8
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export FUZZ_EXAMPLES

# Lines that name the built-in variable MAKE are run even by `make -n`, and these boot and end a lab.
export MAKE_PROGRAM := $(MAKE)
again  := "$$MAKE_PROGRAM"
phase  := tools/phase
python := "$$TOPOLOGY_VENV/bin/python"
is_root = [ "$$(id -u)" -eq 0 ]
# `topology lab status` exits 0 when the lab is up.
lab_is_up = $(is_root) && "$$TOPOLOGY_VENV/bin/topology" lab status $(LAB) >/dev/null 2>&1 </dev/null

# Only what exists is run, and a target with nothing to run fails: see `some`.
fast_tests  = $(wildcard tests/unit tests/rules tests/golden tests/districts tests/fuzz)
# All that need no lab; the longest come first.
lone_tests  = tests/property tests/devices $(fast_tests)
# These long tests have small labs of their own.
drift_lab   = tests/drift/lab
kinds_lab   = tests/lab/kinds-lab
drift_tests = tests/lab/test_drift.py tests/lab/test_drift_timer.py tests/lab/test_device_backup.py
kinds_tests = tests/lab/test_kinds.py
faults_lab  = tests/lab/faults-lab
faults_tests = tests/lab/test_faults.py
lab_tests   = $(wildcard tests/lab tests/drift)
service_tests = $(if $(wildcard tests/lab/service/test_*.py),tests/lab/service)
without_lab = not lab and not bench and not vm and not checkers
bench_tests = $(wildcard tests/bench)
linted_yaml = $(wildcard .github .gitlab-ci.yml .yamllint .ansible-lint .pre-commit-config.yaml .config mkdocs.yml inventories playbooks roles molecule deploys docs tests)
some = @test -n "$(strip $1)" || { echo "make $@: $2 not found: nothing to run" >&2; exit 1; }

# The steps of a target are in order, also with -j; what can run side by side does so by itself.
.NOTPARALLEL:

.PHONY: help
help: ## List the targets (what `make` alone does)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---------------------------------------------------------------- environment

.PHONY: setup
setup: ## Make .venv from the pinned packages; quick when nothing changed
	@tools/setup </dev/null

.PHONY: pins
pins: setup ## Renew requirements/*.txt (PACKAGE=name: only that one)
	@$(phase) 'pins' python tools/pin $(PACKAGE)

# ---------------------------------------------------------------- lab

.PHONY: lab
lab: ## Boot the lab, apply everything twice, test it, document it (root; others: all but the lab)
	@if $(is_root); then $(again) lab-root; else $(again) lab-user; fi

.PHONY: lab-root
lab-root: lab-apply lab-verify
	@echo
	@echo 'The lab is up. What you can do now:'
	@echo '  open the documentation    $(CURDIR)/$(DOCUMENTATION)'
	@echo '  look at it                $(TOPOLOGY_VENV)/bin/topology lab status $(LAB)'
	@echo '  log in to a host          $(TOPOLOGY_VENV)/bin/topology lab ssh HOST'
	@echo '  break and heal something  $(TOPOLOGY_VENV)/bin/topology lab break|heal LINK'
	@echo '  take it down              $(TOPOLOGY_VENV)/bin/topology lab down $(LAB)'

.PHONY: lab-apply
lab-apply: setup
	@$(phase) 'lab: packages' tools/lab-packages $(LAB_PACKAGES)
	@$(phase) 'lab: up' topology lab up $(LAB)
	@$(phase) 'lab: apply' ansible-playbook -i $(LAB) playbooks/site.yml
	@$(phase) 'lab: apply again, nothing may change' tools/assert-unchanged -i $(LAB) playbooks/site.yml

.PHONY: lab-verify
lab-verify: setup
	$(call some,$(lab_tests),tests/lab)
	@$(phase) 'lab: document' ansible-playbook -i $(LAB) playbooks/document.yml
	@$(phase) 'lab: tests' env TOPOLOGY_TEST_LAB=$(LAB) pytest $(lab_tests) -m 'lab and not runtime and not slow and not long and not vm'

.PHONY: lab-user
lab-user: setup
	@echo 'You are not root, so the lab itself is left out: its hosts are systemd-nspawn containers with'
	@echo 'network namespaces of their own, and only root may make those. Everything else is done:'
	@echo 'the facts are checked, the configuration is rendered, the documentation is built.'
	@$(phase) 'check' topology check $(LAB)
	@$(phase) 'render' topology render $(LAB) --out build/lab
	@$(phase) 'document' ansible-playbook -i $(LAB) playbooks/document.yml
	@echo
	@echo '  rendered configuration    $(CURDIR)/build/lab'
	@echo '  open the documentation    $(CURDIR)/$(DOCUMENTATION)'
	@echo '  the whole lab             sudo make lab'

# ---------------------------------------------------------------- tests

.PHONY: test
test: setup ## Lint, then every test; with root also the lab, taken down at the end
	@if $(is_root); then $(phase) 'packages' tools/lab-packages $(LAB_PACKAGES); fi
	@$(again) lint
	@$(again) test-without-lab
	@if $(is_root); then \
		$(again) test-lab; \
	else \
		echo 'NOT RUN: the lab part of the tests (you are not root; sudo make test runs it)'; \
	fi

.PHONY: test-fast
test-fast: setup ## Only what needs no lab: unit, rules, golden (under a minute)
	$(call some,$(fast_tests),tests/unit tests/rules tests/golden)
	@$(phase) 'tests: fast' pytest -n $(WORKERS) --dist worksteal -m '$(without_lab) and not slow' $(fast_tests)

.PHONY: test-devices
test-devices: setup
	@$(phase) 'tests: switches and radios' pytest -n $(WORKERS) --dist worksteal tests/devices

# In one run, so that no process waits for the last test of the other.
.PHONY: test-without-lab
test-without-lab: setup
	@$(phase) 'tests: without a lab' pytest -n $(WORKERS) --dist worksteal -m '$(without_lab)' $(lone_tests)

# A lab that was up before is left up; one that this target booted is taken down, also after a failure.
around_lab = @if $(lab_is_up); then keep=yes; else keep=; fi; \
	status=0; \
	{ $1; } || status=$$?; \
	if [ -z "$$keep$(KEEP_LAB)" ]; then $(phase) 'lab: down' topology lab down $(LAB) || status=1; fi; \
	exit $$status

# Two labs, one after the other: the network, then the services. With LONG=yes also what takes minutes.
.PHONY: test-lab
test-lab: setup
	$(call around_lab,$(again) lab-apply && $(again) test-checkers && $(again) lab-verify && $(again) lab-runtime \
		&& if [ -n "$(LONG)" ]; then $(again) lab-long; fi)
	$(if $(service_tests),@$(again) test-services LAB=$(SERVICES))
	$(if $(LONG),@$(again) test-own-lab LAB=$(drift_lab) TESTS='$(drift_tests)')
	$(if $(LONG),@$(again) test-own-lab LAB=$(kinds_lab) TESTS='$(kinds_tests)')
	$(if $(LONG),@$(again) test-own-lab LAB=$(faults_lab) TESTS='$(faults_tests)')

# Seeded changes, bad hosts, remediation, the timer; what takes name servers; faults made on purpose.
.PHONY: test-own-lab
test-own-lab: setup
	$(call around_lab,$(again) lab-apply && $(phase) 'lab of its own: tests' env TOPOLOGY_TEST_LAB=$(LAB) pytest $(TESTS) -m 'lab and long')

.PHONY: test-services
test-services: setup
	$(call around_lab,$(again) lab-apply && $(again) services-verify && if [ -n "$(LONG)" ]; then $(again) services-long; fi)

.PHONY: services-verify
services-verify: setup
	@$(phase) 'services: tests' env TOPOLOGY_TEST_LAB=$(LAB) pytest $(service_tests) -m 'lab and not long and not vm'

.PHONY: services-long
services-long: setup
	@$(phase) 'services: losses and recovery' env TOPOLOGY_TEST_LAB=$(LAB) pytest $(service_tests) -m 'lab and long and not vm'

.PHONY: lab-long
lab-long: setup
	@$(phase) 'lab: long failures' env TOPOLOGY_TEST_LAB=$(LAB) pytest $(lab_tests) \
		$(addprefix --ignore=,$(drift_tests) $(kinds_tests) $(faults_tests)) -m 'lab and long and not vm'

# The role guest against a vSphere simulator that is built from Debian's govmomi (root installs what is missing).
.PHONY: vsphere
vsphere: setup ## Make, resize and remove guests in a vSphere simulator (root)
	@$(phase) 'vsphere: simulator' tools/vsphere-simulator
	@$(phase) 'vsphere: guests' pytest -m vsphere -n $(WORKERS) tests/vsphere

# Every rendered file of every gateway, judged by the daemons' own checkers, which come from the lab's mirror.
.PHONY: test-checkers
test-checkers: setup
	@$(phase) 'checkers: unpack' tools/checkers build/checkers
	@TOPOLOGY_CHECKERS=$(CURDIR)/build/checkers $(phase) 'checkers: every gateway' pytest -n $(WORKERS) tests/unit -m checkers

.PHONY: lab-runtime
lab-runtime: setup
	$(call some,$(lab_tests),tests/lab)
	@$(phase) 'lab: failures and recovery' pytest $(lab_tests) -m 'lab and (runtime or slow) and not long and not vm'

.PHONY: test-all
test-all: setup ## make test, and what the nightly CI adds: failures, Molecule, VMs, fuzz, mutation (root)
	@$(is_root) || { echo 'make test-all: needs root (sudo make test-all)' >&2; exit 1; }
	@$(again) test LONG=yes
	@$(again) vsphere
	@$(again) molecule
	@$(again) molecule-site
	@$(again) molecule-vm
	@$(again) molecule-freebsd
	@$(again) fuzz
	@$(again) coverage
	@$(again) mutation
	@$(again) fresh

.PHONY: molecule
molecule: setup ## Every Molecule scenario whose hosts are containers (root)
	@$(phase) 'molecule' molecule test --all --exclude gateway-freebsd --exclude site

.PHONY: molecule-site
molecule-site: setup ## The whole lab as a Molecule scenario; replaces the lab that is up (root)
	@$(phase) 'molecule: the whole lab' molecule test -s site

# The same definition with the gateways as virtual machines: a kernel of their own, trunks, power cuts.
.PHONY: molecule-vm
molecule-vm: setup ## The gateway scenario on virtual machines (root, QEMU; minutes without KVM)
	@$(phase) 'vm: packages' tools/apt-install qemu-system-x86 e2fsprogs
	@$(phase) 'vm: a machine of its own' pytest tests/lab/test_vm.py
	@$(phase) 'molecule: gateway on virtual machines' env TOPOLOGY_LAB_INSTANCES=vm molecule test -s gateway

.PHONY: molecule-freebsd
molecule-freebsd: setup ## The gateway scenario on FreeBSD; wants TOPOLOGY_FREEBSD_IMAGE and KVM
	@$(phase) 'molecule: gateway on FreeBSD' molecule/gateway-freebsd/run

# Every linter runs, so that one round shows everything.
.PHONY: lint
lint: setup ## ruff, mypy, yamllint, ansible-lint, the CI definitions against their schemas
	$(call some,$(wildcard playbooks/*.yml),playbooks/*.yml)
	@status=0; \
	$(phase) 'lint: ruff check' ruff check . || status=1; \
	$(phase) 'lint: ruff format' ruff format --check . || status=1; \
	$(phase) 'lint: mypy' mypy --strict topology || status=1; \
	$(phase) 'lint: yamllint' yamllint --strict $(linted_yaml) || status=1; \
	$(phase) 'lint: ansible-lint' tools/lint-ansible || status=1; \
	$(phase) 'lint: GitHub workflows' check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml || status=1; \
	$(phase) 'lint: GitLab pipeline' check-jsonschema --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci .gitlab-ci.yml || status=1; \
	exit $$status

.PHONY: fuzz
fuzz: setup ## FUZZ_MUTATIONS=20000 damaged inventories, FUZZ_EXAMPLES=2000 inputs for each property
	$(call some,$(fast_tests),tests/unit tests/rules tests/golden)
	@FUZZ_MUTATIONS=$(FUZZ_MUTATIONS) $(phase) 'fuzz: damaged inventories' pytest --timeout 0 -n $(WORKERS) tests/fuzz
	@PYTHONPATH=tools $(phase) 'fuzz: properties' pytest -p pytest_fuzz --hypothesis-profile=fuzz --timeout 0 \
		-n $(WORKERS) -m 'hypothesis and not lab' $(fast_tests)

.PHONY: coverage
coverage: setup ## Lines and branches of topology/ that the tests without a lab run; table by package in build/coverage
	@$(phase) 'coverage' tools/coverage build/coverage $(lone_tests)

.PHONY: mutation
mutation: setup ## Change the code of allocation, policy and rules; tests must notice (hours; MUTANTS=n: a sample)
	@$(phase) 'mutation' python tools/mutation --out build/mutation $(if $(MUTANTS),--sample $(MUTANTS))

.PHONY: fresh
fresh: setup ## README's two commands in bare Debian 12 and 13 root file systems (root); log in build/fresh
	@$(is_root) || { echo 'make fresh: needs root (sudo make fresh)' >&2; exit 1; }
	@$(phase) 'fresh: Debian 12' tools/fresh bookworm
	@$(phase) 'fresh: Debian 13' tools/fresh trixie

# ---------------------------------------------------------------- drift

.PHONY: drift
drift: setup ## What differs from the plan on the hosts of INVENTORY (exit code 2 of make: something does)
	@$(phase) 'drift' topology drift $(INVENTORY)

# The reference: every expectation by itself through testinfra. HOSTS='dc-*,bua' takes patterns of hosts and sites.
.PHONY: drift-reference
drift-reference: setup
	@$(phase) 'drift: reference' env TOPOLOGY_INVENTORY=$(INVENTORY) pytest -q -n $(WORKERS) --dist loadgroup \
		--timeout 0 tests/drift $(if $(HOSTS),--hosts='$(HOSTS)')

# ---------------------------------------------------------------- the rest

.PHONY: docs
docs: setup ## Build the documentation of INVENTORY
	@$(phase) 'document' ansible-playbook -i $(INVENTORY) playbooks/document.yml
	@echo '   open $(CURDIR)/$(DOCUMENTATION)'

.PHONY: bench
bench: setup ## Measure time and memory against the bars (peers in .venv-bench)
	$(call some,$(bench_tests),tests/bench)
	@$(phase) 'bench: peers' tools/setup --bench
	@$(phase) 'bench' pytest $(bench_tests) -m bench -s --timeout 0

.PHONY: clean
clean: ## Take the lab down and remove everything that the other targets made
	@if $(lab_is_up); then $(phase) 'lab: down' topology lab down $(LAB); fi
	@rm -rf build site dist .cache .ansible .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage *.egg-info
	@find . \( -name .git -o -name '.venv*' \) -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
	@for venv in "$$TOPOLOGY_VENV" "$$TOPOLOGY_VENV-bench"; do \
		if [ -e "$$venv/pyvenv.cfg" ]; then rm -rf "$$venv"; fi; \
	done
