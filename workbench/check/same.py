# SPDX-License-Identifier: GPL-2.0
"""The kernel's own tests on the base's kernel, on the series' and on that again with private memory in the machine: whatever a
test finds, it has to find each time. A test that fails on the base fails, and one that skips there skips.

What passes or fails for other reasons than the kernel, such as the speed of an emulated machine, cannot be in the list.
"""

import dataclasses

from check import boots, expected, ktap, reads
from check.suite import Suite
from guest import qemu
from kernel.build import Kernel, base_tree
from lib import paths
from lib.cases import Case

SIDES = ("base", "ours", "private")


def kernel_of(config, side):
    """A side's kernel, built."""
    if side == "base":
        base_tree()
    kernel = Kernel(config, base=side == "base")
    kernel.build()
    return kernel


def boot_of(suite, side, kernel):
    """A side's boot: with private memory there are jobs that plug it, before the tests."""
    more = suite.table["plug"] if side == "private" else []
    table = {**suite.table, "prepare": [*suite.table.get("prepare", []), *more]}
    boot = boots.boot_of(dataclasses.replace(suite, table=table), kernel)
    return dataclasses.replace(boot, name=f"{suite.name}-{side}")


def ended(test, outcome):
    """Name -> how it ended, of the cases of a test: the runner's verdict, and those that it printed itself."""
    name = test.partition(":")[2]
    runner = ktap.cases(outcome.text(f"kselftest-{name}.ktap").splitlines(), "runner")
    inside = [case for stream in ktap.nested(outcome.text(f"kselftest/{name}")) for case in stream.cases(name)]
    return {known: case.status for known, case in expected.numbered([*runner, *inside])}


def compared(test, outcomes):
    """The case of a test: what ended in another way somewhere, as words."""
    found = {side: ended(test, outcome) for side, outcome in outcomes.items()}
    wrong = [f"{name}: {', '.join(f'{side} {cases.get(name, chr(45))}' for side, cases in found.items())}"
             for name in dict.fromkeys(name for cases in found.values() for name in cases)
             if len({cases.get(name) for cases in found.values()}) > 1]
    if not any("passed" in cases.values() or "skipped" in cases.values() or len(cases) > 1 for cases in found.values()):
        wrong = wrong or ["it did nothing anywhere"]
    return Case(test, "failed" if wrong else "passed", "; ".join(wrong)[:1000])


def booted(suite, side):
    """What a side's boot left."""
    boot = boot_of(suite, side, kernel_of(suite.config, side))
    with boots.room():
        return qemu.run(boot)


def cases(suite):
    """Build, boot thrice, compare."""
    outcomes = {side: booted(suite, side) for side in SIDES}
    found = [Case(f"boot of {side}", "failed" if outcome.problems else "passed", "; ".join(outcome.problems))
             for side, outcome in outcomes.items()]
    tests = [compared(test, outcomes) for test in suite.table["kselftest"]]
    passed = [name for test in suite.table["kselftest"] for name, status in ended(test, outcomes["base"]).items()
              if status == "passed"]
    return [*found, *tests, Case("most of them can be run on the base", "passed" if len(passed) >= len(tests) else "failed",
                                 f"{len(passed)} cases passed")]


def inputs(entry, found):
    """What the result depends on."""
    reads.builds(found)
    found.code("check", "guest", "topics")
    for name in ("root.cpio.zst", "kselftest.cpio"):
        found.file(paths.BUILD / "rootfs" / name)
    found.add("table", entry)
    found.environment("ACCEL")
    found.tools("qemu-system-x86_64")


def suite_of(topic, entry):
    """The suite of one [[same]] table. It is no boot of the schedule's: it has three, and needs two kernels."""
    inside = Suite(entry["name"], topic, config=entry["config"], table=entry)
    return Suite(entry["name"], topic, lambda: cases(inside), full=entry.get("full", False), builds=True,
                 needs=("kernel", "guest", "check"), reads=lambda found: inputs(entry, found))
