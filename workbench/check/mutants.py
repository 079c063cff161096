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

How they are tried is in check/trials.py.
"""

import dataclasses
import tomllib

from check import expected, onekernel, reads, trials
from check.changed import edited
from check.suite import Suite
from lib import paths
from lib.cases import Case
from lib.errors import CommandError

KEYS = {"name", "breaks", "boot", "killed_by", "boot_tells", "timeout", "edit"}
EDIT = {"file", "old", "new"}


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
        return edited(source, self.edits)


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


def topics():
    """The topics that have mutants."""
    return [folder.parent.name for folder in sorted(paths.TOPICS.glob("*/mutants"))]


def inputs(found, names):
    """What the result depends on; that of a part is not that of all."""
    reads.mutants(found)
    found.add("mutants", names)


def of_configs(known):
    """Config -> {TOPIC/NAME: mutant} of all topics, where a kernel is booted."""
    found = {}
    for topic in topics():
        for mutant in read(topic):
            if mutant.boot in known and known[mutant.boot].config:
                found.setdefault(known[mutant.boot].config, {})[f"{topic}/{mutant.name}"] = mutant
    return found


def suite(topic, known, images):
    """The suite of a topic's mutants, with each as a part."""
    mutants, name = read(topic), f"mutants-{topic}"

    def some(names):
        chosen = [mutant for mutant in mutants if mutant.name in names]
        wanted = [f"mutant {mutant.name}" for mutant in chosen]
        return Suite(name, "mutants", lambda: trials.cases(topic, chosen, known, images), full=True, needs=("kernel", "guest", "check"),
                     builds=True, reads=lambda found: inputs(found, wanted), promised=lambda: wanted,
                     parts=tuple(mutant.name for mutant in mutants), some=some)

    return some({mutant.name for mutant in mutants})


def suites(known):
    """A suite for each topic that has mutants. `known` is what they can name: label -> boot or program."""
    images = onekernel.Images(lambda: of_configs(known))
    return [suite(topic, known, images) for topic in topics()]


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
