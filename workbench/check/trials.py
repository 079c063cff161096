# SPDX-License-Identifier: GPL-2.0
"""Trials of mutants: a boot, or a program, is run with each, and has to fail in the cases that the mutant names.

Other cases, or none, are not enough. The boot is tried without a mutant first, in the same object tree: what fails then kills
nobody. A boot has no more tests than can kill the mutant; as a test may need what another one left, each such set of tests is
booted without a mutant. There are three ways; who is not killed in one is tried in the next, so that it is the mutant that
survives, and not its copy:

  in one guest    One kernel has all mutants of a config, and while it runs it is told which one is on (check/together.py).
  in one kernel   All mutants of a config are built into one kernel, and the boot's parameter says which is on
                  (check/onekernel.py). Guests run side by side.
  alone           The source is changed, built, and booted or run; with a change below tools/ the boot's kselftests are built.
                  So are mutants that cannot share a kernel, and those of a config of which only a few are asked for.
"""

import concurrent.futures
import dataclasses

from check import boots, copies, expected, programs, together
from check.changed import Changed, MutatedKernel
from guest import qemu, root
from lib import console, paths
from lib.cases import Case
from lib.errors import CommandError

FEW = 4     # of a config: for fewer the kernel with all of them is not made


def trimmed(table, mutants):
    """A boot's table with no more tests than have to notice one of the mutants. Jobs can lead to what comes after them, and stay;
    what comes after the last test that has to notice goes."""
    if any(mutant.boot_tells for mutant in mutants):
        return table
    named = [case for mutant in mutants for case in mutant.killed_by]
    kunit = [name for name in table.get("kunit", []) if any(case.startswith(f"kunit/{name}/") for case in named)]
    kselftest = [test for test in table.get("kselftest", [])
                 if any(case.startswith(f"kselftest {test.partition(':')[2]}/") for case in named)]
    jobs = table.get("jobs", [])
    if not kunit and not kselftest:
        needed = [number for number, job in enumerate(jobs, 1) if any(case.startswith(f"job {job}/") for case in named)]
        jobs = jobs[:max(needed, default=0)]
    return {**table, "jobs": jobs, "kunit": kunit, "kselftest": kselftest, "installed": boots.installed(table)}


def alike(table, mutants):
    """Mutants by the tests that their boots have."""
    found = {}
    for mutant in mutants:
        found.setdefault(repr(trimmed(table, [mutant])), []).append(mutant)
    return list(found.values())


@dataclasses.dataclass(frozen=True)
class NoMutant:
    """What stands for the mutant in a boot without one, which has the tests of some mutants."""
    mutants: tuple
    number: int = 1     # of the set of tests
    timeout: int = 0

    @property
    def name(self):
        """What it is called among the mutants of a boot."""
        return "none" if self.number == 1 else f"none-{self.number}"


class Trial:
    """What is tried with each mutant alone."""

    def __init__(self, name, suite):
        self.name, self.suite = name, suite
        self.kernel = MutatedKernel(suite.config) if suite.config else None
        self.changed = self.kernel.changed if suite.config else Changed(paths.BUILD / "mutants" / suite.name)
        self.tests = None       # an archive of kselftests that are made of changed files

    def built(self, texts):
        """Build the source with these files, the kernel and the tests that it has; what goes wrong, in a line."""
        self.changed.become(texts)
        self.tests = None
        wrong = self.kernel.attempt(quiet=True) if self.kernel else ""
        if not wrong and self.kernel and any(name.startswith("tools/") for name in texts):
            collections = sorted({test.partition(":")[0] for test in self.suite.table.get("kselftest", [])})
            try:
                self.tests = root.changed_kselftest(collections, self.changed.way_in())
            except CommandError as error:
                wrong = str(error)
        return wrong and f"does not build: {wrong}"

    def boot_name(self, mutant):
        """What the boot of a mutant, or of none, is called."""
        return f"{self.name}-{mutant.name}"

    def boots_without(self, mutants):
        """The boots without a mutant that some mutants need."""
        parts = alike(self.suite.table, mutants) if self.kernel else [mutants]
        return [NoMutant(tuple(part), number) for number, part in enumerate(parts, 1)]

    def cases(self, mutant, parameter=""):
        """Name -> case of what has been built, with the tests of a mutant."""
        if not self.kernel:
            found = programs.cases(self.suite.topic, self.suite.table, self.changed.way_in())
            return dict(expected.numbered(found))
        table = trimmed(self.suite.table, mutant.mutants if isinstance(mutant, NoMutant) else [mutant])
        table = {**table, **({"timeout": mutant.timeout} if mutant.timeout else {}),
                 "append": f"{parameter} {table.get('append', '')}".strip()}
        suite = dataclasses.replace(self.suite, table=table)
        boot = dataclasses.replace(boots.boot_of(suite, self.kernel), name=self.boot_name(mutant), changed=self.tests)
        return dict(expected.numbered(boots.cases(suite, boot, quiet=True)))


class SharedTrial(Trial):
    """What is tried with each mutant in the kernel of all of them. Its parameter comes before others that run code at once."""

    def __init__(self, topic, suite, image):
        super().__init__(f"mutants-{topic}", suite)
        self.topic, self.kernel, self.image = topic, image.kernel, image

    def full_name(self, mutant):
        """How a mutant is called among those of all topics."""
        return "" if isinstance(mutant, NoMutant) else f"{self.topic}/{mutant.name}"

    def boot_name(self, mutant):
        """Not the name that it has alone."""
        return f"{super().boot_name(mutant)}-shared"

    def console(self, mutant):
        """What the guest of a mutant printed."""
        return self.console_of(self.boot_name(mutant))

    def console_of(self, name):
        """What a guest printed."""
        path = qemu.RUNS / name / "console.log"
        return path.read_text(errors="replace") if path.is_file() else ""

    def tried(self, mutant):
        """The cases of a boot, with the names of functions as they are in the source; and why nothing of it counts: the kernel
        did not say that the mutant is on."""
        name = self.full_name(mutant)
        found = self.cases(mutant, f"mutant={self.image.number(name)}")
        found = {case: dataclasses.replace(each, detail=copies.NAMED.sub("", each.detail)) for case, each in found.items()}
        proof = self.image.proof(name)
        return found, "" if proof in self.console(mutant) else f"the kernel did not say `{proof}`"

    def judged(self, mutant):
        """The case of a mutant, or None; and why it has to be tried alone."""
        found, why = self.tried(mutant)
        case = judged(mutant, found)
        if why or case.status == "failed":
            return None, why or f"in one kernel {case.detail}"
        return show(self, case), ""

    def at_once(self):
        """How many boots run side by side. What builds a module for each boot does so in one place."""
        return 1 if {"driver-again", "modules"} & set(self.suite.table) else boots.guests_at_once()


def boot_case(found):
    """The case of the boot itself, which has the name of its folder; there is none if a program was run."""
    return next((case for name, case in found.items() if name.startswith("boot ")), Case("boot", "passed"))


def failed(found):
    """The cases that failed, with why, as words."""
    return [f"{name} ({case.detail})" if case.detail else name for name, case in found.items() if case.status == "failed"]


def judged(mutant, found):
    """The case of a mutant, given the cases of its boot: it is killed when all that it names have failed, or it survives."""
    name, boot = f"mutant {mutant.name}", boot_case(found)
    alive = [f"{case} {found[case].status if case in found else 'did not run'}" for case in mutant.killed_by
             if case not in found or found[case].status != "failed"]
    if mutant.boot_tells and not (boot.status == "failed" and mutant.boot_tells in boot.detail):
        alive.append(f"the boot did not tell {mutant.boot_tells}")
    others = failed({case: found[case] for case in found if case not in mutant.killed_by})
    if alive:
        instead = f"; what failed: {'; '.join(others)[:600]}" if others else "; nothing else failed"
        return Case(name, "failed", f"it survives ({mutant.breaks}): {'; '.join(alive)}{instead}")
    told = failed({case: found[case] for case in mutant.killed_by}) or [boot.detail]
    return Case(name, "passed", f"killed by {'; '.join(told)[:400]}")


def wrong_without(mutants, found):
    """What is wrong with a boot without a mutant: it, or what is to kill one, has not passed."""
    wrong = [f"{case} {found[case].status if case in found else 'is not there'}" for mutant in mutants
             for case in mutant.killed_by if case not in found or found[case].status != "passed"]
    wrong += failed(found) if boot_case(found).status == "failed" else []
    return "; ".join(dict.fromkeys(wrong))


def without(trial, mutants):
    """Whether the boot passes without a mutant, and with it all that is to kill one: a case."""
    name = f"no mutant in {trial.suite.label}"
    wrong = trial.built({})
    for boot in () if wrong else trial.boots_without(mutants):
        wrong = wrong or wrong_without(boot.mutants, trial.cases(boot))
    return Case(name, "failed" if wrong else "passed", wrong)


def tried(trial, mutant):
    """The case of one mutant: apply, build, boot, judge. A problem is told in its case."""
    try:
        texts = mutant.texts(trial.changed.source)
    except CommandError as error:
        return Case(f"mutant {mutant.name}", "failed", str(error))
    if problem := trial.built(texts):
        return Case(f"mutant {mutant.name}", "failed", problem)
    return judged(mutant, trial.cases(mutant))


def show(trial, case):
    """Say what became of a mutant."""
    console.say(f"{trial.name}: {case.name}: {case.status}: {case.detail}")
    return case


def alone(trial, mutants, reasons):
    """The cases of mutants that are tried one after the other; `reasons` is why, by the names of those that could not share."""
    found = [without(trial, mutants)]
    if found[0].status != "passed":
        return found + [Case(f"mutant {mutant.name}", "failed", f"not tried: {found[0].name} failed") for mutant in mutants]
    for mutant in mutants:
        case = tried(trial, mutant)
        if why := reasons.get(mutant.name):
            case = dataclasses.replace(case, detail=f"{case.detail} (alone: {why})")
        found.append(show(trial, case))
    trial.changed.become({})
    return found


def shared(trial, mutants):
    """The cases of mutants that are tried in one kernel: those that are killed. And why the others have to be tried alone."""
    killed, reasons = together.tried(trial, mutants, show)
    for name, why in reasons.items():
        console.say(f"{trial.name}: {name} gets a boot of its own: {why}")
    left = [mutant for mutant in mutants if mutant.name in reasons]
    found, reasons = one_boot_each(trial, left) if left else ([], {})
    return [*found, *killed], reasons


def one_boot_each(trial, mutants):
    """The same for mutants that get a boot each."""
    name, reasons, wrong = f"no mutant in {trial.suite.label}, in one kernel", {}, []
    boots_without = trial.boots_without(mutants)
    with concurrent.futures.ThreadPoolExecutor(trial.at_once()) as pool:
        for boot, (found, why) in zip(boots_without, pool.map(trial.tried, boots_without)):
            why = why or wrong_without([], found)
            wrong += [why] if why else []
            early = trial.image.too_early(trial.console(boot))
            reasons |= {mutant.name: told for mutant in boot.mutants if (told := why or unfit(trial, mutant, found, early))}
        ready = [mutant for mutant in mutants if mutant.name not in reasons]
        results = list(pool.map(trial.judged, ready))
    reasons |= {mutant.name: why for mutant, (case, why) in zip(ready, results) if not case}
    told = f"{len(reasons)} are tried alone: {'; '.join(dict.fromkeys(wrong))}" if wrong else ""
    return [Case(name, "skipped" if wrong else "passed", told), *(case for case, _ in results if case)], reasons


def unfit(trial, mutant, found, early):
    """Why a mutant has to be tried alone, given the boot without one that has its tests."""
    if wrong := wrong_without([mutant], found):
        return f"without a mutant: {wrong}"
    return "its function runs before the kernel knows which mutant is on" if trial.full_name(mutant) in early else ""


def apart(topic, mutants, image):
    """Those of some mutants that are in the kernel of all; and why the others are not, by name."""
    if not image:
        return [], {}
    problem = image.build()
    reasons = {mutant.name: image.alone.get(f"{topic}/{mutant.name}", problem) for mutant in mutants}
    return [mutant for mutant in mutants if not reasons[mutant.name]], {name: why for name, why in reasons.items() if why}


def group_cases(topic, suite, mutants, image):
    """The cases of the mutants that one boot has to kill, in their order; the first are those of boots without a mutant."""
    found = []
    sharing, reasons = apart(topic, mutants, image)
    if sharing:
        found, more = shared(SharedTrial(topic, suite, image), sharing)
        reasons |= more
    if left := [mutant for mutant in mutants if not image or mutant.name in reasons]:
        found += alone(Trial(f"mutants-{topic}", suite), left, reasons)
    order = [f"mutant {mutant.name}" for mutant in mutants]
    return sorted(found, key=lambda case: order.index(case.name) if case.name in order else -1)


def cases(topic, mutants, known, images):
    """All mutants of a topic, or those that are asked for, in the order of their boots. `known` is label -> suite."""
    configs = [known[mutant.boot].config for mutant in mutants if mutant.boot in known]
    found = []
    for label in dict.fromkeys(mutant.boot for mutant in mutants):
        group = [mutant for mutant in mutants if mutant.boot == label]
        if label in known:
            config = known[label].config
            image = images.of(config) if config and configs.count(config) >= FEW else None
            found += group_cases(topic, known[label], group, image)
        else:
            found += [Case(f"mutant {mutant.name}", "failed", f"there is no boot and no program {label}") for mutant in group]
    return found
