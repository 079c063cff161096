# SPDX-License-Identifier: GPL-2.0
"""Mutants: changes of the source that a test has to notice, each.

The files topics/TOPIC/mutants/*.toml have a table for each mutant; `boot`, where all of a file have the same, stands at its top.

[[mutant]]
  name          make check T=mutants-TOPIC/NAME runs it alone
  breaks        what does not hold with it, in a sentence
  boot          SUITE:CONFIG that is booted, or the name of a [[program]]
  killed_by     the cases that have to fail, as expected.txt has them
  boot_tells    what the boot's own failure has to tell, where the guest does not get to its cases: "at slab_alloc+0x"
  timeout       takes the place of the suite's, where a mutant hangs
[[mutant.edit]]
  file          below the kernel tree
  old, new      text that is there exactly once, and what takes its place

A boot is tried without a mutant first, in the same object tree; what fails then kills nobody. Then each mutant is applied,
built, booted, and has to make the cases fail that it names: other cases, or none, are not enough.

The compiler sees the changed files in the place of the source's own, in a mount namespace, so that build/source stays as it
is, and objects stay: build/kernel/mutants-CONFIG begins as a copy of CONFIG. A file that was changed once is a copy from then
on, written anew whenever its content changes, and so newer than what was made of it before.
"""

import dataclasses
import os
import tomllib

from check import boots, expected, programs, reads
from check.suite import Suite
from kernel.build import Kernel
from lib import console, files, paths, process
from lib.cases import Case
from lib.errors import CommandError

KEYS = {"name", "breaks", "boot", "killed_by", "boot_tells", "timeout", "edit"}
EDIT = {"file", "old", "new"}
ENTER = 'from=$1 to=$2; shift 2; while [ "$1" != -- ]; do mount --bind "$from/$1" "$to/$1" || exit; shift; done; shift; exec "$@"'


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A table."""
    name: str
    breaks: str
    boot: str
    edits: tuple                # (file, old, new)
    killed_by: tuple = ()
    boot_tells: str = ""
    timeout: int = 0

    def texts(self, source):
        """File -> its content with the mutant, of those that it changes."""
        found = {}
        for name, old, new in self.edits:
            if not (source / name).is_file():
                raise CommandError(f"does not apply: there is no {name}")
            text = found[name] if name in found else (source / name).read_text(encoding="utf-8")
            if (times := text.count(old)) != 1:
                where = "is not there" if not times else f"is there {times} times"
                raise CommandError(f"does not apply: in {name} {where}: {' '.join(old.split())[:100]}")
            found[name] = text.replace(old, new)
            if found[name] == text:
                raise CommandError(f"changes nothing in {name}")
        return found


def mutant_of(path, entry, boot):
    """A table as a mutant; what is missing, or what nobody reads, is a mistake."""
    entry = {"boot": boot, **entry}
    where = f"{path}: mutant {entry.get('name', 'without a name')}"
    wrong = [f"unknown key {key}" for key in sorted(set(entry) - KEYS)]
    wrong += [f"no {key}" for key in ("name", "breaks", "boot", "edit") if not entry.get(key)]
    wrong += [f"an edit with {', '.join(sorted(edit))}" for edit in entry.get("edit", []) if set(edit) != EDIT or not edit["old"]]
    if not entry.get("killed_by") and not entry.get("boot_tells"):
        wrong.append("neither killed_by nor boot_tells: nothing has to notice it")
    if wrong:
        raise CommandError(f"{where}: {'; '.join(wrong)}; workbench/check/mutants.py says what there has to be")
    return Mutant(entry["name"], entry["breaks"], entry["boot"],
                  tuple((edit["file"], edit["old"], edit["new"]) for edit in entry["edit"]),
                  tuple(entry.get("killed_by", [])), entry.get("boot_tells", ""), entry.get("timeout", 0))


def read(topic):
    """The mutants of a topic, in the order of their files."""
    found = []
    for path in sorted((paths.TOPICS / topic / "mutants").glob("*.toml")):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        if set(table) - {"boot", "mutant"}:
            raise CommandError(f"{path}: there are boot and mutant, not {', '.join(sorted(set(table) - {'boot', 'mutant'}))}")
        found += [mutant_of(path, entry, table.get("boot", "")) for entry in table.get("mutant", [])]
    names = [mutant.name for mutant in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CommandError(f"{topic}: more than one mutant is called {', '.join(twice)}")
    return found


class Changed:
    """Files that are seen in the place of the source's own, by what way_in() runs."""

    def __init__(self, folder, source=None):
        self.folder, self.source = folder, source or paths.SOURCE

    def names(self):
        """The files that are, or once were, changed."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def become(self, texts):
        """Change these files, and no others. Only what differs is written, so that make builds what it has to."""
        for name in sorted({*self.names(), *texts}):
            path = self.folder / name
            if not (self.source / name).is_file():
                path.unlink()       # what was made of it goes with it
                continue
            content = texts[name].encode() if name in texts else (self.source / name).read_bytes()
            if not path.is_file() or path.read_bytes() != content:
                files.write(path, content)

    def way_in(self):
        """What runs a command that sees them. Mounts of a namespace are seen by nobody else, and end with it."""
        names = self.names()
        if not names:
            return []
        alone = ["--user", "--map-root-user"] if os.geteuid() else []
        return ["unshare", *alone, "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh", str(self.folder), str(self.source),
                *names, "--"]


class MutatedKernel(Kernel):
    """The object tree in which a config's mutants are built, one after the other."""

    def __init__(self, config):
        super().__init__(config, label=f"mutants-{config}")
        self.changed = Changed(self.objects / ".mutants")

    def make(self, *words):
        """make, where the files are changed."""
        return [*self.changed.way_in(), *super().make(*words)]

    def seed(self, made_of=None):
        """Begin as a copy of a tree without mutants."""
        super().seed(made_of or super().made_of())

    def made_of(self):
        """No other tree may begin as a copy of this one."""
        return super().made_of() + "mutants\n"


def trimmed(table, mutants):
    """A boot's table with no more tests than have to notice one of the mutants. Jobs stay: one can lead to the next."""
    if any(mutant.boot_tells for mutant in mutants):
        return table
    named = [case for mutant in mutants for case in mutant.killed_by]
    return {**table, "kunit": [name for name in table.get("kunit", []) if any(case.startswith(f"kunit/{name}/") for case in named)],
            "kselftest": [test for test in table.get("kselftest", [])
                          if any(case.startswith(f"kselftest {test.partition(':')[2]}/") for case in named)]}


class Trial:
    """What is tried with each mutant: a boot, or a program."""

    def __init__(self, name, suite, mutants):
        self.name = name
        self.suite = dataclasses.replace(suite, table=trimmed(suite.table, mutants)) if suite.config else suite
        self.kernel = MutatedKernel(suite.config) if suite.config else None
        self.changed = self.kernel.changed if suite.config else Changed(paths.BUILD / "mutants" / suite.name)

    def built(self, texts):
        """Build the source with these files; what goes wrong, in a line."""
        self.changed.become(texts)
        if not self.kernel:
            return ""
        try:
            self.kernel.build(quiet=True)
        except SystemExit:
            return f"does not build: {process.telling_line(paths.LOGS / f'kernel-{self.kernel.label}.log')}"
        return ""

    def cases(self, name, timeout=0):
        """Name -> case of what has been built."""
        if not self.kernel:
            found = programs.cases(self.suite.topic, self.suite.table, self.changed.way_in())
        else:
            table = {**self.suite.table, **({"timeout": timeout} if timeout else {})}
            boot = dataclasses.replace(boots.boot_of(dataclasses.replace(self.suite, table=table), self.kernel),
                                       name=f"{self.name}-{name}")
            found = boots.cases(self.suite, boot, quiet=True)
        return dict(expected.numbered(found))


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


def without(trial, mutants):
    """Whether the boot passes without a mutant, and with it all that is to kill one: a case."""
    name = f"no mutant in {trial.suite.label}"
    if problem := trial.built({}):
        return Case(name, "failed", problem)
    found = trial.cases("none")
    wrong = [f"{case} {found[case].status if case in found else 'is not there'}" for mutant in mutants
             for case in mutant.killed_by if case not in found or found[case].status != "passed"]
    wrong += failed(found) if boot_case(found).status == "failed" else []
    return Case(name, "failed" if wrong else "passed", "; ".join(dict.fromkeys(wrong)))


def tried(trial, mutant):
    """The case of one mutant: apply, build, boot, judge. A problem is told in its case."""
    try:
        texts = mutant.texts(trial.changed.source)
    except CommandError as error:
        return Case(f"mutant {mutant.name}", "failed", str(error))
    if problem := trial.built(texts):
        return Case(f"mutant {mutant.name}", "failed", problem)
    return judged(mutant, trial.cases(mutant.name, mutant.timeout))


def group_cases(trial, mutants):
    """The cases of the mutants that one boot has to kill."""
    found = [without(trial, mutants)]
    if found[0].status != "passed":
        return found + [Case(f"mutant {mutant.name}", "failed", f"not tried: {found[0].name} failed") for mutant in mutants]
    for mutant in mutants:
        found.append(tried(trial, mutant))
        console.say(f"{trial.name}: {found[-1].name}: {found[-1].status}: {found[-1].detail}")
    trial.changed.become({})
    return found


def cases(name, mutants, known):
    """All mutants of a topic, or those that are asked for, in the order of their boots. `known` is label -> suite."""
    found = []
    for label in dict.fromkeys(mutant.boot for mutant in mutants):
        group = [mutant for mutant in mutants if mutant.boot == label]
        if label in known:
            found += group_cases(Trial(name, known[label], group), group)
        else:
            found += [Case(f"mutant {mutant.name}", "failed", f"there is no boot and no program {label}") for mutant in group]
    return found


def topics():
    """The topics that have mutants."""
    return [folder.parent.name for folder in sorted(paths.TOPICS.glob("*/mutants"))]


def inputs(found, names):
    """What the result depends on; that of a part is not that of all."""
    reads.mutants(found)
    found.add("mutants", names)


def suite(topic, known):
    """The suite of a topic's mutants, with each as a part."""
    mutants, name = read(topic), f"mutants-{topic}"

    def some(names):
        chosen = [mutant for mutant in mutants if mutant.name in names]
        wanted = [f"mutant {mutant.name}" for mutant in chosen]
        return Suite(name, "mutants", lambda: cases(name, chosen, known), full=True, needs=("kernel", "guest", "check"),
                     builds=True, reads=lambda found: inputs(found, wanted), promised=lambda: wanted,
                     parts=tuple(mutant.name for mutant in mutants), some=some)

    return some({mutant.name for mutant in mutants})


def suites(known):
    """A suite for each topic that has mutants. `known` is what they can name: label -> boot or program."""
    return [suite(topic, known) for topic in topics()]


def wrong_with(mutant, known):
    """What is wrong with a mutant, as far as nothing has to be built to see it."""
    try:
        mutant.texts(paths.SOURCE)
    except CommandError as error:
        return str(error)
    if mutant.boot not in known:
        return f"there is no boot and no program {mutant.boot}"
    lines = expected.read(expected.file_of(known[mutant.boot].topic)).get(mutant.boot, {})
    strange = [case for case in mutant.killed_by if lines.get(case) != "pass"]
    return f"{mutant.boot} has no case {', '.join(strange)} that passes" if strange else ""


def sound(known):
    """A case for each topic: its mutants fit the tree as it is, and name cases that there are."""
    found = []
    for topic in topics():
        wrong = [(mutant.name, text) for mutant in read(topic) if (text := wrong_with(mutant, known))]
        found += [Case(f"{topic}: mutant {name}", "failed", text) for name, text in wrong] or \
            [Case(f"{topic}: {len(read(topic))} mutants fit", "passed")]
    return found or [Case("mutants", "failed", "no topic has any")]
