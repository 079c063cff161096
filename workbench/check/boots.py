# SPDX-License-Identifier: GPL-2.0
"""Boots: a guest suite's table and a kernel -> what QEMU is given, and the cases in what the guest left."""

import dataclasses
import functools
import os
import threading

from check import ktap
from guest import qemu
from kernel.build import Kernel, base_tree
from lib import console
from lib.cases import Case
from lib.errors import CommandError

DEBUG_SLOWER = 4    # KASAN and lockdep under TCG
GUEST_MEMORY = 6 << 30


def guests_at_once():
    """How many guests run side by side: each has two virtual CPUs, but most of what it does is done by one."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(os.environ.get("GUESTS") or 0) or max(1, min(4, os.cpu_count(), memory // GUEST_MEMORY))


@functools.cache
def room():
    """The machine's room for guests: suites run side by side, and so do the boots of a suite that has many."""
    return threading.BoundedSemaphore(guests_at_once())


def reason(error):
    """What stopped something, in one line."""
    if isinstance(error, SystemExit):
        return getattr(error, "text", None) or "it stopped, see above"
    return str(error) if isinstance(error, CommandError) else f"{type(error).__name__}: {error}"


class Kernels:
    """The kernels of a run. Each is built once; one that cannot be built fails once, with a reason."""

    def __init__(self, base=False):
        self.base, self.built, self.problems = base, {}, {}

    def build(self, config):
        """Build one, if nobody has; what goes wrong is kept."""
        if config in self.built or config in self.problems:
            return
        try:
            kernel = Kernel(config, base=self.base)
            if self.base:
                base_tree()
            kernel.build()
            if not self.built:
                console.say(f"kernel {config} is ready, the first one: its guests can start")
            self.built[config] = kernel
        except (SystemExit, Exception) as error:    # pylint: disable=broad-exception-caught
            self.problems[config] = reason(error)


def jobs_of(table):
    """The jobs of a suite, in the order in which they run."""
    lists = [job for job in ("kunit", "kselftest") if table.get(job)]
    return (*table.get("prepare", []), *table.get("jobs", []), *lists)


def installed(table):
    """Whether the guest has the kselftests, which jobs run, too."""
    return bool(table.get("kselftest")) or table.get("installed", False)


def boot_of(suite, kernel):
    """What is booted for a suite. Its time is for an idle machine; here other guests, a build and a check may run, too."""
    table = suite.table
    lists = {"suites": table.get("kunit"), "selftests": table.get("kselftest")}
    modules = [kernel.driver_again(*entry.split()) for entry in table.get("driver-again", [])]
    loaded = kernel.modules(table["modules"]) if "modules" in table else []
    lists["load"] = [path.name for path in loaded]
    slower = (DEBUG_SLOWER if suite.config == "debug" else 1) * (guests_at_once() + 2)
    return qemu.Boot(kernel=kernel.image(), name=f"{suite.name}-{kernel.label}", machine=table["machine"],
                     append=table.get("append", ""), jobs=jobs_of(table), config=suite.config,
                     witness=tuple(table.get("witness", [])), timeout=table.get("timeout", 120) * slower,
                     files={name: "\n".join(lines) + "\n" for name, lines in lists.items() if lines},
                     binaries={path.name: path for path in (*modules, *loaded)},
                     taint=qemu.TAINT_TEST | (qemu.TAINT_MODULE if modules else 0) | (qemu.TAINT_UNSIGNED if loaded else 0),
                     root=table.get("root", ""), kselftests=installed(table), killed=tuple(table.get("killed", [])))


def cases(suite, boot, quiet=False):
    """Boot, and collect the cases; the console around a problem is shown, unless a problem is what is wanted."""
    with room():
        outcome = qemu.run(boot)
    if outcome.skipped:
        return [Case(f"boot {boot.name}", "skipped", outcome.skipped)]
    if not quiet:
        print("".join(f"         | {line}\n" for line in outcome.excerpt), end="", flush=True)
    detail = "; ".join(outcome.problems)
    whole = Case(f"boot {boot.name}", "failed", f"{detail} (log {outcome.console})") if detail else \
        Case(f"boot {boot.name}", "passed")
    return [whole] + result_cases(suite.table, outcome)


def result_cases(table, outcome):
    """The cases in what the guest left; a result that was promised and is not there is a failed case."""
    found, took = [], ktap.durations(outcome.told()) if table.get("kunit") else {}
    for name in table.get("kunit", []):
        found += [dataclasses.replace(case, seconds=took.get(case.name.removeprefix("kunit/")))
                  for case in read_results(outcome.text(f"kunit-{name}.ktap").splitlines(), "kunit", name)]
    for name in table.get("kselftest", []):
        found += kselftest_cases(name.split(":")[1], outcome)
    for job in (*(job for job in outcome.jobs if job == "witness"), *table.get("jobs", [])):
        found += read_results(outcome.text(f"{job}.ktap").splitlines(), "job", job)
    return found


def kselftest_cases(test, outcome):
    """The cases of a kselftest: those of its programs, and what the runner has against them."""
    runner = ktap.cases(outcome.text(f"kselftest-{test}.ktap").splitlines(), "runner")
    streams = ktap.nested(outcome.text(f"kselftest/{test}"))
    inside = [case for stream in streams for case in stream.cases(f"kselftest {test}")]
    return [case for case in runner if case.status != "passed"] + \
        (inside or [Case(f"kselftest {test}", "failed", "no results were left")])


def read_results(lines, kind, name):
    """The cases of one file."""
    if not lines:
        return [Case(f"{kind} {name}", "failed", "no results were left")]
    return ktap.cases(lines, kind if kind == "kunit" else f"{kind} {name}")
