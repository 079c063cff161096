# SPDX-License-Identifier: GPL-2.0
"""Checks of `make check` that boot nothing: the tools' own tests, mbox, object code, builds. check/plan.py lists them all."""

import difflib
import json
import re
import subprocess
import sys
from pathlib import Path

from bench import objects
from check import static
from kernel import prefixes, source
from kernel.build import Kernel, base_tree
from lib import paths, process
from lib.cases import Case

# What an allocation or a free runs through. With every option of the series off they have to be the base's.
HOT = ["mm/page_alloc.o", "mm/slub.o", "mm/folio.o", "mm/memory.o", "mm/mempolicy.o", "mm/vmscan.o", "mm/page-writeback.o",
       "mm/show_mem.o", "mm/util.o", "mm/khugepaged.o", "mm/memory_hotplug.o", "kernel/cgroup/cpuset.o"]

# Functions that differ from the base's with every option off, because the series mends something for everybody.
MENDED = {
    "mm/memory_hotplug.o": {"__add_memory_resource": "does not warn if a node cannot be registered",
                            "__add_pages": "removes the sections of a failed addition"},
    "mm/page_alloc.o": {"alloc_contig_frozen_range_noprof": "leaves the isolation of others alone"},
}


def tool_tests():
    """The unit tests of the workbench; each module in a process of its own, as they set up their own build directories."""
    cases = []
    for module in sorted(path.stem for path in (paths.WORKBENCH / "tests").glob("test_*.py")):
        done = subprocess.run([sys.executable, paths.WORKBENCH / "tests" / "run.py", module], capture_output=True,
                              text=True, check=False)
        rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
        cases += [Case(*row) for row in rows]
        if done.returncode or not rows:
            cases.append(Case(module, "failed", " ".join(done.stderr.split())[-400:] or "no test ran"))
    return cases


def mbox():
    """What `make mbox` writes, applied by b4 to a clean base, is the assembled tree."""
    cases = []
    for words in (["export"], ["prove-mbox"]):
        done = subprocess.run([paths.WORKBENCH / "wb", "series", *words], capture_output=True, text=True, check=False)
        cases.append(Case(f"series {' '.join(words)}", "failed" if done.returncode else "passed",
                          " ".join((done.stdout + done.stderr).split())[-500:] if done.returncode else ""))
        if done.returncode:
            break
    return cases


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


def object_code():
    """Off: what the series edits builds with every new option off, and hot objects are the base's, instruction by
    instruction. That all the rest does, and that such a kernel links, is shown by bisect."""
    ours, base = Kernel("off"), Kernel("off", base=True)
    edited = static.git("diff-tree", "-r", "--name-only", "--no-renames", "--diff-filter=M", source.base(),
                        source.commit()).splitlines()
    objects = [str(Path(name).with_suffix(".o")) for name in static.built_sources(ours)[0] if name in edited]
    ours.build(*dict.fromkeys([*objects, *HOT]))
    base_tree()
    base.build(*HOT)
    cases = [Case(f"off builds the {len(objects)} files that the series edits", "passed")]
    for name in HOT:
        before, now = disassembly(base, name), disassembly(ours, name)
        differing = differing_lines(name, before, now)
        if not differing and len(now.splitlines()) > 100:
            mended = "".join(f", but for {function}, which {why}" for function, why in MENDED.get(name, {}).items())
            cases.append(Case(f"object code {name}{mended}", "passed"))
        else:
            cases.append(Case(f"object code {name}", "failed", f"{len(differing)} lines differ, first: "
                              + " | ".join(differing[2:5])))
    return cases


def other_architectures():
    """The touched directories with Debian's cross compilers."""
    cases = []
    for config in ("arm64",):
        try:
            Kernel(config).build(*prefixes.directories())
            cases.append(Case(f"{config} builds {' '.join(prefixes.directories())}", "passed"))
        except SystemExit:
            cases.append(Case(f"{config} builds", "failed", "see the error above"))
    return cases
