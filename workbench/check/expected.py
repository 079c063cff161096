# SPDX-License-Identifier: GPL-2.0
"""The cases that each suite has to have, and how each has to end: topics/TOPIC/expected.txt, guest/expected.txt.

    SUITE:CONFIG | CASE | pass
    SUITE:CONFIG | CASE | skip: REASON

A run is compared exactly: a case that is missing, that is new, that skips for another reason, or that passes where it
was to be skipped, fails by name. `make check ACCEPT=1` writes the lines of the suites that were run, and the diff is
reviewed like code. A reason that has figures of the machine in it is another one on the next machine: a test has to say
why it skips in words that stay.

Checks whose cases follow from the series itself (check/promised.py) have no lines here.
"""

from check import promised
from lib import files, paths
from lib.cases import Case
from lib.errors import CommandError

SEPARATOR = " | "
HEADER = """\
# The cases of each suite, and how each ends: SUITE:CONFIG | CASE | pass, or skip: REASON. A run is compared exactly.
# `make check T=SUITE ACCEPT=1` writes the lines of what it runs; what changes here is reviewed like code.
"""


def file_of(topic):
    """The file of a topic; what belongs to none is kept with the guest."""
    folder = paths.TOPICS / topic
    return (folder if folder.is_dir() else paths.WORKBENCH / "guest") / "expected.txt"


def verdict(case):
    """How a case ended, as it is written."""
    return "pass" if case.status == "passed" else f"skip: {case.detail}"


def numbered(cases):
    """(name, case): the second case of a name is `NAME (2)`."""
    seen, found = {}, []
    for case in cases:
        seen[case.name] = seen.get(case.name, 0) + 1
        found.append((case.name if seen[case.name] == 1 else f"{case.name} ({seen[case.name]})", case))
    return found


def read(path):
    """label -> {case: verdict} of one file."""
    found = {}
    if not path.exists():
        return found
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        label, _, rest = line.partition(SEPARATOR)
        name, _, ending = rest.rpartition(SEPARATOR)
        if not (label and name and (ending == "pass" or ending.startswith("skip: "))):
            raise CommandError(f"{path}:{number}: not SUITE:CONFIG | CASE | pass, or skip: REASON: {line}")
        if name in found.setdefault(label, {}):
            raise CommandError(f"{path}:{number}: {label} has {name} twice")
        found[label][name] = ending
    return found


def written(lines):
    """The content of a file."""
    return HEADER + "".join(f"{label}{SEPARATOR}{name}{SEPARATOR}{ending}\n"
                            for label, cases in sorted(lines.items()) for name, ending in sorted(cases.items()))


class Expected:
    """All lines of all files."""

    def __init__(self, topics):
        self.files = {path: read(path) for path in sorted({file_of(topic) for topic in topics})}

    def lines(self, suite):
        """{case: verdict} of a suite."""
        return self.files.get(file_of(suite.topic), {}).get(suite.label, {})

    def compared(self, suite, cases):
        """The cases of a run, with those failed that are not what is expected, and those that are missing."""
        if suite.promised:
            return cases + [Case(text, "failed", "no case is about it, and the series has it")
                            for text in promised.missing(suite.promised(), [case.name for case in cases])]
        lines, where = self.lines(suite), file_of(suite.topic).relative_to(paths.WORKBENCH)
        if not lines:
            return cases + [Case("expected cases", "failed",
                                 f"no expected cases in {where}; make check T={suite.label} ACCEPT=1 writes them")]
        found = [judged(name, case, lines.get(name), where) for name, case in numbered(cases)]
        left = sorted(set(lines) - {name for name, _ in numbered(cases)})
        if left and any(case.status == "failed" and case.name.startswith("boot ") for case in cases):
            told = f"{len(left)} of {len(lines)}: {'; '.join(left[:4])} ..."
            return found + [Case("cases that did not run", "failed", told)]
        return found + [Case(name, "failed", f"missing: {where} expects {lines[name]}") for name in left]

    def orphans(self, suites):
        """A failed case for each suite that has lines, and is not there."""
        known = {(file_of(suite.topic), suite.label) for suite in suites if not suite.promised}
        told = "has lines of it, but there is no such suite; ACCEPT=1 drops them"
        return [Case(label, "failed", f"{path.relative_to(paths.WORKBENCH)} {told}")
                for path, lines in self.files.items() for label in sorted(lines) if (path, label) not in known]

    def accept(self, results, suites):
        """Take over what was seen of suites in which no case failed; what was changed, in lines for the user. The files are read
        again: they may have changed since the run began, which can be an hour ago."""
        self.files = {path: read(path) for path in self.files}
        told = []
        for case in self.orphans(suites):
            for path, lines in self.files.items():
                if lines.pop(case.name, None) is not None:
                    told.append(f"{path.relative_to(paths.WORKBENCH)}: {case.name}: no such suite, its lines are gone")
        for result in results:
            if result.suite.promised:
                continue
            if result.failed:
                told.append(f"{result.suite.label}: not accepted, {len(result.failed)} of its cases failed")
                continue
            lines = {name: verdict(case) for name, case in numbered(result.cases)}
            refuse_unwritable(result.suite, lines)
            told += [f"{result.suite.label}: {line}" for line in changes(self.lines(result.suite), lines)]
            self.files.setdefault(file_of(result.suite.topic), {})[result.suite.label] = lines
        for path, lines in self.files.items():
            text = written(lines)
            if lines and not (path.exists() and path.read_text(encoding="utf-8") == text):
                files.write(path, text)
        return told


def judged(name, case, line, where):
    """A case as it counts, given the verdict that its line has."""
    if case.status == "failed":
        return case
    seen = verdict(case)
    if line is None:
        return Case(name, "failed", f"new: {where} does not have it ({seen}); ACCEPT=1 writes it")
    return case if seen == line else Case(name, "failed", f"it was {seen}; {where} expects {line}")


def refuse_unwritable(suite, lines):
    """What would be read back as something else."""
    for name, ending in lines.items():
        if SEPARATOR in ending or "\n" in name + ending or name != name.strip() or ending != ending.strip():
            raise CommandError(f"{suite.label}: {name}: {ending} cannot be written to expected.txt: "
                               "give it another name or reason")


def changes(before, now):
    """What differs between two sets of lines, a line each."""
    return [*(f"- {name}{SEPARATOR}{before[name]}" for name in sorted(before) if now.get(name) != before[name]),
            *(f"+ {name}{SEPARATOR}{now[name]}" for name in sorted(now) if before.get(name) != now[name])]
