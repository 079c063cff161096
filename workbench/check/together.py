# SPDX-License-Identifier: GPL-2.0
"""Many mutants in one guest: the kernel that has them all is told while it runs which one is on, so that a mutant costs its
tests and no boot.

A mutant is killed here when its tests pass without it, fail with it, and have passed right before in the same guest; they are
run without it once more, and if they fail then, the next mutant gets a guest of its own to begin with. Only single cases can be
run like this, of KUnit and of programs made with kselftest_harness.h. Who is not killed here may still be: what a mutant does
at boot is not seen, for instance. So it is tried in a boot of its own, as are those whose tests cannot be run alone.
"""

import concurrent.futures
import dataclasses
import re

from check import boots, copies, ktap
from guest import qemu
from lib.cases import Case

SECONDS = 20            # for one mutant
KUNIT_SECONDS = 30      # for a case that is not slow, in place of 300: some mutants make it wait for ever
SILENCE = 120           # each mutant is told on the console, and what its tests do there shows, too
CHOSEN = re.compile(r"mutant: \d+ \([^)\n]*\)")
NUMBERED = re.compile(r" #\d+$")


def tests_of(table, mutant):
    """The tests that have to notice a mutant, as the guest's job has them, or nothing: KIND WHAT CASE,CASE;..."""
    found = {}
    for case in mutant.killed_by:
        test = test_of(table, case)
        if not test or mutant.boot_tells:
            return ""
        found.setdefault(test[0], []).append(test[1])
    return ";".join(f"{test} {','.join(dict.fromkeys(names))}" for test, names in found.items())


def test_of(table, case):
    """The test of a case, and what the case is called in it."""
    kind, _, rest = case.partition("/") if case.startswith("kunit/") else case.partition(" ")
    name, _, inner = rest.partition("/")
    if kind == "kunit" and name in table.get("kunit", []):
        return f"kunit {name}", inner.partition("/")[0]
    for test in table.get("kselftest", []) if kind == "kselftest" else []:
        program = test.partition(":")[2]
        if program == name and (not program.endswith(".sh") or program.startswith("ksft_")) and not NUMBERED.search(inner):
            return f"kselftest {test}", inner
    return None


class Guest:
    """One boot, and what it left of each mutant: `mutants` are tried in their order."""

    def __init__(self, trial, mutants, name):
        self.trial, self.mutants, self.name = trial, mutants, f"{trial.name}-{name}"
        self.outcome = None

    def boot(self):
        """Boot it."""
        table, slower = self.trial.suite.table, boots.DEBUG_SLOWER if self.trial.suite.config == "debug" else 1
        table = {**table, "jobs": [*table.get("jobs", []), "trials"], "kunit": [], "kselftest": [],
                 "installed": boots.installed(table), "timeout": table.get("timeout", 120) + SECONDS * len(self.mutants),
                 "append": f"mutant=0 kunit.timeout={KUNIT_SECONDS * slower} {table.get('append', '')} panic_on_warn=0"}
        boot = boots.boot_of(dataclasses.replace(self.trial.suite, table=table), self.trial.kernel)
        numbers = [self.trial.image.number(self.trial.full_name(mutant)) for mutant in self.mutants]
        lines = [f"{place}\t{number}\t{tests_of(self.tests(), mutant)}\n"
                 for place, (number, mutant) in enumerate(zip(numbers, self.mutants))]
        with boots.room():
            self.outcome = qemu.run(dataclasses.replace(boot, name=self.name, silence=SILENCE * slower,
                                                        files={**boot.files, "mutants": "".join(lines)}))

    def tests(self):
        """The tests of the suite."""
        return {kind: self.trial.suite.table.get(kind, []) for kind in ("kunit", "kselftest")}

    def reached(self):
        """Did it begin with the trials?"""
        return "workbench: job trials" in self.trial.console_of(self.name)

    def cases(self, place, when):
        """Name -> case of what the tests of a mutant said; nothing if one of them did not end."""
        found = {}
        for number, test in enumerate(tests_of(self.tests(), self.mutants[place]).split(";")):
            kind, what, _ = test.split(" ", 2)
            lines = self.outcome.text(f"trial-{place}-{when}-{number}").splitlines()
            if not lines:
                return {}
            prefix = "kunit" if kind == "kunit" else f"kselftest {what.partition(':')[2]}"
            found |= {case.name: case for case in ktap.cases(lines, prefix)}
        return found

    def judged(self, place):
        """What became of a mutant: a case if it was killed, else why not; neither if the guest did not get to it."""
        mutant, found = self.mutants[place], self.cases(place, "with")
        # Those with the same tests stand side by side: what these said after one is what they say before the next.
        before = self.cases(place, "before") or (self.cases(place - 1, "after") if place else {})
        wrong = [name for name in mutant.killed_by if before and (name not in before or before[name].status != "passed")]
        if wrong:
            return None, "" if place else f"alone in a guest, without a mutant: {wrong[0]} did not pass"
        proof, chosen = self.trial.image.proof(self.trial.full_name(mutant)), CHOSEN.findall(self.trial.console_of(self.name))
        if not found:
            return None, "the guest ended with it" if not place or chosen[-1:] == [proof] else ""
        if proof not in chosen:
            return None, "the kernel did not say that it is on"
        alive = [name for name in mutant.killed_by if name not in found or found[name].status != "failed"]
        if alive:
            return None, f"while the guest ran, {alive[0]} did not fail"
        told = "; ".join(f"{name} ({copies.NAMED.sub('', found[name].detail)})" for name in mutant.killed_by)
        return Case(f"mutant {mutant.name}", "passed", f"killed by {told[:400]}"), ""


def one_after_the_other(trial, mutants, name, show):
    """Try mutants in one guest, and in another one when that ended before all were tried. Each guest gets at least one done."""
    killed, reasons, left, number = [], {}, list(mutants), 0
    while left:
        number += 1
        guest = Guest(trial, left, f"{name}-{number}")
        guest.boot()
        if not guest.reached():
            return killed, reasons | {mutant.name: "no guest got as far as its tests" for mutant in left}
        todo = []
        for place, mutant in enumerate(left):
            case, why = guest.judged(place)
            if case:
                killed.append(show(trial, case))
            elif why:
                reasons[mutant.name] = why
            else:
                todo.append(mutant)
        left = todo
    return killed, reasons


def tried(trial, mutants, show):
    """The cases of the mutants that are killed in guests that run on; and name -> why of others."""
    able = sorted((mutant for mutant in mutants if tests_of(trial.suite.table, mutant)),
                  key=lambda mutant: tests_of(trial.suite.table, mutant))
    reasons = {mutant.name: "its tests cannot be run alone" for mutant in mutants if mutant not in able}
    parts = min(trial.at_once(), len(able)) or 1
    size = -(-len(able) // parts) or 1
    chunks = [able[first:first + size] for first in range(0, len(able), size)]
    killed = []
    with concurrent.futures.ThreadPoolExecutor(parts) as pool:
        jobs = [pool.submit(one_after_the_other, trial, chunk, f"{trial.suite.name}-{number}", show)
                for number, chunk in enumerate(chunks, 1)]
        for job in jobs:
            cases, why = job.result()
            killed += cases
            reasons |= why
    return killed, reasons
