# SPDX-License-Identifier: GPL-2.0
"""Everything off: what the series leaves in such a kernel compiles, and the code of its hot objects is the base's. That it
links and boots is the suite all-off."""

import difflib
import re
from pathlib import Path

from bench import objects
from check import static
from kernel.build import Kernel, base_tree
from lib import process
from lib.cases import Case

# What an allocation or a free runs through. With every option of the series off they have to be the base's.
HOT = ["mm/page_alloc.o", "mm/slub.o", "mm/folio.o", "mm/memory.o", "mm/mempolicy.o", "mm/vmscan.o", "mm/page-writeback.o",
       "mm/show_mem.o", "mm/util.o", "mm/khugepaged.o", "mm/memory_hotplug.o", "kernel/cgroup/cpuset.o",
       # Where unmapped has hooks that are nothing without its options.
       "kernel/fork.o", "mm/hugetlb.o", "mm/memremap.o", "mm/migrate.o", "arch/x86/mm/dump_pagetables.o",
       "arch/x86/mm/pgtable.o",
       # Where private nodes have hooks that are nothing without them. Not mm/memcontrol.o, mm/memcontrol-v1.o, mm/vmstat.o,
       # mm/memory-failure.o and mm/memory-tiers.o: secret memory is counted in each kernel, which moves what comes after its
       # counter, such as pg_data_t::memtier.
       "mm/shmem.o", "mm/swap_state.o", "mm/gup.o", "mm/ksm.o", "mm/madvise.o", "mm/oom_kill.o", "mm/compaction.o",
       "mm/shrinker.o", "mm/page_reporting.o", "mm/damon/ops-common.o", "fs/exec.o", "fs/proc/kcore.o", "fs/proc/task_mmu.o",
       "kernel/sched/fair.o"]

# Functions that differ from the base's with every option off, because the series mends something for everybody.
MENDED = {
    "mm/memory_hotplug.o": {"__add_memory_resource": "does not warn if a node cannot be registered",
                            "__add_pages": "removes the sections of a failed addition",
                            "try_remove_memory": "splits mappings that removed memory shares with other",
                            "__remove_memory": "says that this must not fail",
                            "remove_memory": "can fail for want of a page table",
                            "offline_pages": "fails at once because of secret memory",
                            "do_migrate_range": "looks for secret memory",
                            "offline_and_remove_memory": "says that this must not fail",
                            "offline_and_remove_memory_ranges": "leaves its work to the function below",
                            "offline_and_remove_memory_ranges_locked": "is called by private nodes, too",
                            "add_memory_driver_managed_locked": "is called by private nodes, too"},
    "kernel/cgroup/cpuset.o": {"check_insane_mems_config": "passes nodes without memory",
                               "cpuset_handle_hotplug": "calls that, which is in line no more",
                               "cpuset_write_resmask": "calls that, which is in line no more",
                               "cpuset_can_attach": "has a string with another number",
                               "cpuset_fork": "has a string with another number"},
    "mm/mempolicy.o": {"mpol_rebind_preferred": "keeps the nodes that the user named",
                       "mempolicy_sysfs_init": "misses no node that gets memory meanwhile",
                       "numa_policy_init": "calls a function by its place behind that one"},
    "mm/shmem.o": {"shmem_show_options": "shows mpol= so that /proc/mounts can be read",
                   "shmem_enabled_store": "shares the end of another function no more",
                   **dict.fromkeys(("setup_thp_shmem", "shmem_init", "shmem_undo_range", "shmem_zero_setup",
                                    "shmem_zero_setup_desc"), "has a string with another number")},
    # Two functions of it are in another order.
    "fs/proc/task_mmu.o": {},
    "mm/vmscan.o": {"lru_gen_add_mm": "notes new mms for nodes that get memory later"},
    "arch/x86/mm/pgtable.o": {"pgd_free": "frees the mm-local region, which is always there with page-table isolation"},
    "mm/page_alloc.o": {"alloc_contig_frozen_range_noprof": "leaves the isolation of others alone",
                        "setup_per_cpu_pageset": "allocates the counter of secret memory, too"},
}


def disassembly(kernel, name):
    """An object's code, without the file's name and the numbers in the names of local labels, which count source lines."""
    text = process.out(["objdump", "-dr", "--no-show-raw-insn", kernel.objects / name])
    text = re.sub(r"^.*file format.*$", "", text, flags=re.M)
    return re.sub(r"(__UNIQUE_ID_\w+?)_\d+", r"\1", text)


def differing_lines(name, before, now):
    """What differs in the code of an object; of one with mended functions, what differs in any other function."""
    if name not in MENDED:
        pairs = [("", before.splitlines(), now.splitlines())]
    else:
        before, now = objects.functions(before), objects.functions(now)
        pairs = [(f"{function}: ", before.get(function, []), now.get(function, []))
                 for function in sorted({*before, *now}) if function.removesuffix(".cold") not in MENDED[name]]
    return [prefix + line for prefix, old, new in pairs if old != new
            for line in difflib.unified_diff(old, new, lineterm="", n=0) if line.startswith(("+", "-"))]


def code_case(name, before, now):
    """Whether an object's code is the base's, but for what is mended."""
    differing = differing_lines(name, before, now)
    if not differing and len(now.splitlines()) > 100:
        mended = "".join(f", but for {function}, which {why}" for function, why in MENDED.get(name, {}).items())
        return Case(f"object code {name}{mended}", "passed")
    return Case(f"object code {name}", "failed", f"{len(differing)} lines differ, first: " + " | ".join(differing[2:5]))


def built_files(kernel, sources):
    """Whether a kernel has an object of each source that its configuration asks for."""
    missing = [name for name in sources if not (kernel.objects / Path(name).with_suffix(".o")).exists()]
    if missing or not sources:
        return Case("off compiles what the series leaves in it", "failed", f"not built: {' '.join(missing) or 'no file'}")
    return Case("off compiles what the series leaves in it", "passed")


def everything_off():
    """All files of the series that stay in the kernel of config off, compiled; and the hot objects' code.

    The base's side is some objects, compiled here and not kept as hashes: a difference is to be seen, not just known.
    """
    ours, base = Kernel("off"), Kernel("off", base=True)
    sources = static.built_sources(ours)[0]
    ours.build(*dict.fromkeys([*(str(Path(name).with_suffix(".o")) for name in sources), *HOT]))
    cases = [built_files(ours, sources)]
    base_tree()
    base.build(*HOT)
    return cases + [code_case(name, disassembly(base, name), disassembly(ours, name)) for name in HOT]
