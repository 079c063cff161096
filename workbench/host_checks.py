# SPDX-License-Identifier: GPL-2.0
"""The checks of `make check` that boot nothing: the tools' own tests, lint, mbox, sparse and W=1, object code, builds."""

import difflib
import json
import re
import subprocess
import sys

import bisecting
import kernels
import lint_checks
import static_checks
import wb
from ktap import Case

# What an allocation or a free runs through. With every option of the series off they have to be the base's.
HOT = ["mm/page_alloc.o", "mm/slub.o", "mm/folio.o", "mm/memory.o", "mm/mempolicy.o", "mm/vmscan.o"]


def tool_tests():
    """The unit tests of the workbench; each module in a process of its own, as they set up their own build directories."""
    cases = []
    for module in sorted(path.stem for path in (wb.TOP / "workbench" / "tests").glob("test_*.py")):
        done = subprocess.run([sys.executable, wb.TOP / "workbench" / "unit_tests.py", module], capture_output=True,
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
        done = subprocess.run([wb.TOP / "workbench" / "series", *words], capture_output=True, text=True, check=False)
        cases.append(Case(f"series {' '.join(words)}", "failed" if done.returncode else "passed",
                          " ".join((done.stdout + done.stderr).split())[-500:] if done.returncode else ""))
        if done.returncode:
            break
    return cases


def disassembly(kernel, name):
    """An object's code without addresses of its file."""
    text = wb.out(["objdump", "-dr", "--no-show-raw-insn", kernel.objects / name])
    return re.sub(r"^.*file format.*$", "", text, flags=re.M)


def object_code():
    """Off: the kernel builds with every new option off, and its hot objects are the base's, instruction by instruction."""
    ours, base = kernels.Kernel("off"), kernels.Kernel("off", base=True)
    ours.build()
    kernels.base_tree()
    base.build(*HOT)
    cases = [Case("off builds", "passed")]
    for name in HOT:
        before, now = disassembly(base, name), disassembly(ours, name)
        if before == now and len(now.splitlines()) > 100:
            cases.append(Case(f"object code {name}", "passed"))
        else:
            differing = [line for line in difflib.unified_diff(before.splitlines(), now.splitlines(), lineterm="", n=0)
                         if line.startswith(("+", "-"))]
            cases.append(Case(f"object code {name}", "failed", f"{len(differing)} lines differ, first: "
                              + " | ".join(differing[2:5])))
    return cases


# (name, topic, function, only in check-full)
CHECKS = [
    ("tools", "workbench", tool_tests, False),
    ("lint", "workbench", lint_checks.everything, False),
    ("mbox", "workbench", mbox, False),
    ("static", "workbench", static_checks.sparse_and_warnings, False),
    ("off", "workbench", object_code, False),
    ("bisect", "workbench", bisecting.every_prefix, True),
]
