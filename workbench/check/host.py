# SPDX-License-Identifier: GPL-2.0
"""Checks of `make check` that boot nothing: the tools' own tests, mbox, builds. check/plan.py lists them all."""

import concurrent.futures
import json
import subprocess
import sys

from kernel import prefixes
from kernel.build import Kernel
from lib import paths
from lib.cases import Case


def tool_tests():
    """The unit tests of the workbench; each module in a process of its own, as they set up their own build directories. Two at
    a time, the long ones first: much of their time they wait for guests that hang and servers that do not answer."""
    modules = sorted((paths.WORKBENCH / "tests").glob("test_*.py"), key=lambda path: -path.stat().st_size)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = dict(zip(modules, pool.map(module_tests, modules)))
    return [case for module in sorted(modules) for case in found[module]]


def module_tests(path):
    """The tests of one module."""
    done = subprocess.run([sys.executable, paths.WORKBENCH / "tests" / "run.py", path.stem], capture_output=True, text=True,
                          check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    cases = [Case(*row) for row in rows]
    if done.returncode or not rows:
        cases.append(Case(path.stem, "failed", " ".join(done.stderr.split())[-400:] or "no test ran"))
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
