# SPDX-License-Identifier: GPL-2.0
# The commands of the repository; `make` alone lists them. Each is a command of workbench/wb, which says what it does.
W := workbench
# One start time for all scripts of a command, so that their progress lines count on.
export WB_START := $(shell date +%s)
export PYTHONDONTWRITEBYTECODE := 1
export KERNEL ACCEL DEBIAN_MIRROR FORCE

.DEFAULT_GOAL := help
.PHONY: help demo check check-full lint shell tree refresh kernel mbox bisect clean base-tree rootfs kselftest bench setup-%
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

help:
	@printf '%s\n' \
	'Private memory for Linux: a patch series, and the workbench to build, boot and test it.' \
	'' \
	'  make demo              boot the patched kernel with emulated CXL memory and walk through it (15 min, again 30 s)' \
	'  make check             all tests (41 min; again: what has not passed with the same tree); the last line counts them' \
	'  make check T=NAME      just a topic with all its variants, or a suite; workbench/wb check --list shows them; BASE=1 runs the base kernel' \
	'  make check-full        check, and every config, boot line and prefix (hours); both go on where they were stopped, AGAIN=1 starts anew' \
	'  make lint              the fast static checks alone' \
	'  make shell             the guest with a shell  [CONFIG=default] [MACHINE=cxl] [APPEND="page_owner=on"] [SHARE=folder] [GDB=1]' \
	'                         CMD="..." runs that alone; workbench/wb shell --cmd "..." has its exit status' \
	'' \
	'  make bench             base and patched kernel side by side: instructions, times, sizes; table and plots (6 min, 25 with the kernels) [R="ROW ..."]' \
	'' \
	'  make tree              the series as commits in build/linux  [FORCE=1 drops commits that were not refreshed]' \
	'  make refresh           build/linux back into patches/ and the new files' \
	'  make kernel CONFIG=x   build one kernel; configs: $(sort $(basename $(notdir $(wildcard $(W)/kernel/configs/*.config))))' \
	'  make mbox              build/mbox/*.mbx, proven with b4  [TOPIC=x] [SIGNOFF="Name <mail>"]' \
	'  make bisect            build every prefix of the series' \
	'  make clean             remove build/ but for what was downloaded and compiled; make clean ALL=1 removes all' \
	'' \
	'  KERNEL=<git tree | directory | tarball>   use this Linux 7.3 in place of Debian'"'"'s source' \
	'  ACCEL=kvm                                 use KVM if a probe boot works (TCG otherwise)' \
	'  GUESTS=1                                  boot one guest of check at a time'

# A word for the shell, whatever is in it.
quoted = '$(subst ','\'',$(1))'

setup-%:
	@$(W)/host/setup base $(if $(filter-out base,$*),$*)

base-tree: setup-base
	@$(W)/wb base

tree: base-tree
	@$(W)/wb series assemble

refresh: setup-base
	@$(W)/wb series refresh

rootfs: setup-guest
	@$(W)/wb root

kselftest: setup-check
	@$(W)/wb root kselftest

kernel: setup-kernel tree
	@test -n '$(CONFIG)' || { echo 'make kernel CONFIG=name; make shows the names'; exit 1; }
	@$(W)/wb kernel $(CONFIG)

demo: setup-kernel tree rootfs
	@$(W)/wb demo

shell: setup-kernel tree rootfs kselftest
	@$(W)/wb shell $(or $(CONFIG),default) $(or $(MACHINE),cxl) $(call quoted,$(or $(APPEND),page_owner=on)) \
		$(if $(CMD),--cmd $(call quoted,$(CMD))) $(if $(SHARE),--share $(call quoted,$(SHARE))) $(if $(GDB),--gdb)

check: setup-kernel setup-lint setup-mbox $(if $(filter page-owner unmapped series arches kunit-%,$(T)),setup-check-full) tree rootfs kselftest
	@$(W)/wb check $(if $(BASE),--base) $(if $(AGAIN),--again) $(T)

check-full: setup-kernel setup-lint setup-mbox setup-check-full tree rootfs kselftest
	@$(W)/wb check --full $(if $(AGAIN),--again) $(T)

bench: setup-kernel setup-guest setup-bench tree rootfs
	@$(W)/wb bench $(R)

lint: setup-lint tree
	@$(W)/wb lint

mbox: setup-mbox tree
	@$(W)/wb series export $(if $(TOPIC),--topic $(TOPIC)) $(if $(SIGNOFF),--signoff '$(SIGNOFF)')
	@$(W)/wb series prove-mbox $(if $(TOPIC),--topic $(TOPIC))

bisect: setup-kernel tree
	@$(W)/wb prefixes

clean:
	@echo 'removing build/$(if $(ALL),, but for downloads, ccache and the base tree)'
	@if [ -n '$(ALL)' ]; then rm -rf build; else rm -rf build/kernel build/run build/logs build/mbox build/check build/bench build/kselftest build/rootfs; fi
