# SPDX-License-Identifier: GPL-2.0
# The commands of the repository; `make` alone lists them. Each is a command of workbench/wb, which says what it does.
CONFIGS := $(sort $(basename $(notdir $(wildcard workbench/kernel/configs/*.config))))

# What a command can be told, on make's command line only: such names are in many people's environment. The values reach the
# commands as WB_NAME, and never as text of the shell's.
WORDS := T R BASE ALL AGAIN ACCEPT CONFIG MACHINE APPEND CMD SHARE GDB TOPIC SIGNOFF FROM
typed = $(if $(filter command,$(firstword $(origin $1))),$(value $1))
$(foreach word,$(WORDS),$(eval override export WB_$(word) := $$(call typed,$(word))))
# Nothing else that was typed gets any further (W=1 is meant for a kernel), but for these, which may be in the environment, too.
SETTINGS := KERNEL ACCEL GUESTS DEBIAN_MIRROR FORCE SETUP WB_BUILD
$(foreach name,$(filter-out $(SETTINGS),$(.VARIABLES)),$(if $(call typed,$(name)),$(eval unexport $(name))))
unexport MAKEFLAGS MFLAGS

# One start time for all scripts of a command, so that their progress lines count on.
export WB_START := $(shell date +%s)
export PYTHONDONTWRITEBYTECODE := 1

ifneq ($(words $(CURDIR)).$(words $(WB_BUILD))$(findstring :,$(CURDIR)$(WB_BUILD)),1.$(if $(WB_BUILD),1,0))
$(error '$(CURDIR)'$(if $(WB_BUILD), or '$(WB_BUILD)') has a space or a colon, which make cannot handle: use a path without)
endif

# The groups of host/packages that a command needs, besides base; all are asked for at once.
cross = $(patsubst %-,%,$(shell sed -n 's/^\# cross: *//p' workbench/kernel/configs/$(filter $(CONFIGS),$(WB_CONFIG)).config 2>/dev/null))
needs.kernel = kernel $(cross)
needs.demo := kernel guest
needs.shell = kernel guest check $(cross)
needs.check := kernel guest check lint mbox
needs.check-full := $(needs.check) check-full
needs.bench := kernel guest bench
needs.lint := lint
needs.mbox := mbox
needs.bisect := kernel
needs.rootfs := guest
needs.kselftest := kernel check

.DEFAULT_GOAL := help
.PHONY: help demo check check-full lint shell tree refresh range-diff base-update kernel mbox bisect bench clean \
	setup base-tree rootfs kselftest known-config known-revision
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

help:
	@printf '%s\n' \
	'Private memory for Linux: a patch series, and the workbench to build, boot and test it.' \
	'' \
	'  make demo            boot the patched kernel with emulated CXL memory and walk through it' \
	'  make check           all tests; again: what has not passed (AGAIN=1: all); the last line counts' \
	'  make check T=NAME    a topic, a suite, or one boot of it as SUITE:CONFIG (workbench/wb check' \
	'                       --list has the names); BASE=1 runs it on the kernel without the series,' \
	'                       ACCEPT=1 writes its cases down as the expected ones' \
	'  make check-full      check, and every config, boot line and commit (hours)' \
	'  make lint            the fast static checks alone' \
	'  make shell           the guest with a shell, or CMD="..."; `Error N` is its exit status' \
	'                       [CONFIG=default] [MACHINE=cxl] [APPEND="page_owner=on"] [SHARE=dir] [GDB=1]' \
	'  make bench           base and series side by side: instructions, times, sizes [R="ROW ..."]' \
	'' \
	'  make tree            the series as commits in build/linux [FORCE=1 drops unsaved commits]' \
	'  make refresh         build/linux back into patches/ and the new files' \
	'  make range-diff      the series as it was beside that of now, FROM=HEAD~3 or another revision' \
	'  make base-update     the newest 7.3.y: what conflicts, what moved, and a new base/lock' \
	'  make kernel          build one kernel, CONFIG=$(firstword $(CONFIGS))' \
	$(patsubst %,'                                           %',$(wordlist 2,99,$(CONFIGS))) \
	'  make mbox            build/mbox/*.mbx, one per part, proven with b4; whom it goes to: *.to' \
	'                       [TOPIC=topic or topic/part] [SIGNOFF="Name <mail>"]' \
	'  make bisect          build every commit of the series, with its options on and off (hours);' \
	'                       AGAIN=1: also those that are known to build' \
	'  make clean           remove build/ but for downloads, ccache and the tree; ALL=1 removes all' \
	'' \
	'  KERNEL=<git tree[@revision] | directory | tarball>  use this Linux 7.3 from now on;' \
	'  KERNEL=debian        go back to the one that is tested, from Debian' \
	'  SETUP=no             install nothing, say what is missing' \
	'  WB_BUILD=/path       keep everything generated there, not in build/' \
	'  ACCEL=kvm            use KVM if a probe boot works (TCG otherwise)' \
	'  GUESTS=1             boot one guest of check at a time' \
	'' \
	'README.md has what it takes, what to do when a test fails, and how to work on the series.'

setup:
	@workbench/host/setup base $(sort $(foreach goal,$(MAKECMDGOALS),$(needs.$(goal))))

base-tree: setup
	@workbench/wb base

tree: base-tree
	@workbench/wb series assemble

refresh: setup
	@workbench/wb series refresh

known-revision:
	@$(if $(WB_FROM),:,echo 'FROM= names a revision of this repository: make range-diff FROM=HEAD~3' >&2; exit 1)

range-diff: known-revision tree
	@exec workbench/wb series range-diff "$$WB_FROM"

base-update: tree
	@workbench/wb base --update

rootfs: setup
	@workbench/wb root

kselftest: base-tree
	@workbench/wb root kselftest

# What follows assembles the series itself, makes what it needs of the guest, and works on that tree until it ends.
known-config:
	@$(if $(filter $(CONFIGS),$(WB_CONFIG)),:,echo 'CONFIG= names what is built; there are: $(CONFIGS)' >&2; exit 1)

kernel: known-config base-tree
	@exec workbench/wb kernel "$$WB_CONFIG"

demo: base-tree
	@workbench/wb demo

shell: $(if $(WB_CONFIG),known-config) base-tree
	@exec workbench/wb shell $(if $(WB_CMD),--cmd "$$WB_CMD") $(if $(WB_SHARE),--share "$$WB_SHARE") $(if $(WB_GDB),--gdb) \
		-- "$${WB_CONFIG:-default}" "$${WB_MACHINE:-cxl}" "$${WB_APPEND:-page_owner=on}"

# The check looks its names up first and then installs what just these need. It cannot do that without Python.
check check-full:
	@command -v python3 >/dev/null || workbench/host/setup base $(sort $(needs.$@))
	@set -f; exec workbench/wb check $(if $(filter check-full,$@),--full) $(if $(WB_BASE),--base) $(if $(WB_AGAIN),--again) \
		$(if $(WB_ACCEPT),--accept) $$WB_T

bench: base-tree
	@set -f; exec workbench/wb bench $$WB_R

lint: base-tree
	@workbench/wb lint

bisect: base-tree
	@workbench/wb prefixes $(if $(WB_AGAIN),--again)

mbox: tree
	@exec workbench/wb series export $(if $(WB_TOPIC),--topic "$$WB_TOPIC") $(if $(WB_SIGNOFF),--signoff "$$WB_SIGNOFF")
	@exec workbench/wb series prove-mbox $(if $(WB_TOPIC),--topic "$$WB_TOPIC")
	@exec workbench/wb series recipients $(if $(WB_TOPIC),--topic "$$WB_TOPIC")

clean:
	@workbench/host/clean $(if $(WB_ALL),--all)
