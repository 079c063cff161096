# SPDX-License-Identifier: GPL-2.0
"""KTAP and kselftest results as a flat list of cases, read with the kernel's own parser."""

import importlib
import re
import sys
from dataclasses import dataclass, field

from lib import paths
from lib.cases import Case

RESULT = re.compile(r"(?:not )?ok \d+")
PLAN = re.compile(r"1\.\.(\d+)")
TIMED = re.compile(r"^\[ *(\d+\.\d+)\] ( *)(?:# Subtest: (?P<subtest>.*)|(?:not )?ok \d+ (?:- )?(?P<result>.*?)(?: # .*)?)$")
SKIP = re.compile(r"^\s*(?:not )?ok (\d+) (?:- )?(.*?) ?# SKIP ?(.*)$")


def kernel_parser():
    """tools/testing/kunit/kunit_parser.py of the tree under test."""
    folder = str(paths.SOURCE / "tools" / "testing" / "kunit")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module("kunit_parser"), importlib.import_module("kunit_printer")


@dataclass
class Stream:
    """What one program of a kselftest log printed as TAP, without the prefix that its lines got from the runners."""
    prefix: str
    lines: list = field(default_factory=list)
    verdicts: set = field(default_factory=set)  # results, counted from 0, that tell how a stream inside it ended
    inner: bool = False                         # a stream inside it has ended since its last result

    def cases(self, name):
        """Its cases. A verdict repeats what the stream inside it says, unless it failed. TAP's plan may come last, of
        which the parser knows nothing."""
        plan = [line for line in self.lines if PLAN.match(line)]
        rest = [line for line in self.lines if not PLAN.match(line)]
        found = cases([*rest[:1], *plan, *rest[1:]], name)
        if len(found) != sum(bool(RESULT.match(line)) for line in self.lines):
            return found
        return [case for number, case in enumerate(found) if number not in self.verdicts or case.status == "failed"]


def nested(text):
    """The TAP streams of a kselftest log, of each program and at any depth, in the order in which they began.

    Each runner above a program prefixed its lines with another `# `. A stream lasts until another begins at its depth
    or above; a line belongs to the deepest one that it can belong to.
    """
    streams, open_ones = [], []
    for line in text.splitlines():
        if match := re.match(r"((?:# )*)TAP version", line):
            open_ones = [stream for stream in open_ones if len(stream.prefix) < len(match[1])]
            open_ones.append(Stream(match[1]))
            streams.append(open_ones[-1])
        owner = next((stream for stream in reversed(open_ones) if line.startswith(stream.prefix)), None)
        if owner is None:
            continue
        if RESULT.match(line[len(owner.prefix):]):
            for stream in open_ones[:open_ones.index(owner)]:
                stream.inner = True
            if owner.inner:
                owner.verdicts.add(sum(bool(RESULT.match(known)) for known in owner.lines))
            owner.inner = False
        owner.lines.append(line[len(owner.prefix):])
    return streams


def named(line):
    """A result without a name gets its number for one: the parser takes `ok 4 # SKIP` for a pass, and drops `ok 4`."""
    return re.sub(r"^(\s*(?:not )?ok (\d+))\s*(?:- *)?(#.*)?$", r"\1 case \2 \3", line).rstrip()


def cases(lines, prefix=""):
    """Every leaf case. No case, a wrong plan or a line that is not KTAP is a failed case of its own."""
    parser, printer = kernel_parser()
    lines = [named(line) for line in lines]
    top = parser.parse_run_tests(lines, printer.null_printer)
    reasons = {match[2]: match[3] for line in lines if (match := SKIP.match(line))}
    found = []
    walk(top, prefix, found, parser.TestStatus, reasons)
    if not found:
        found.append(Case(prefix or "results", "failed", "no test case ran"))
    plans = [int(match[1]) for line in lines if (match := PLAN.match(line))]
    results = sum(bool(RESULT.match(line)) for line in lines)
    if plans and plans[0] < results:    # the parser stops reading where the plan ends
        found.append(Case(f"{prefix} format", "failed", f"{results} results, and a plan of {plans[0]}"))
    if top.counts.errors and all(case.status != "failed" for case in found):
        found.append(Case(f"{prefix} format", "failed", f"{top.counts.errors} errors in the KTAP output"))
    return found


def durations(lines):
    """SUITE/CASE -> seconds, of what KUnit says on a console while it runs: from the result before, or the suite's begin."""
    found, names, since = {}, [], {}
    for match in filter(None, map(TIMED.match, lines)):
        time, depth = float(match[1]), len(match[2]) // 4
        if match["subtest"] is not None:
            names[max(depth - 1, 0):] = [match["subtest"]]
        elif depth and depth in since:
            found["/".join([*names[:depth], match["result"]])] = time - since[depth]
        since[depth] = time
    return found


def walk(test, path, found, status, reasons):
    """Collect the leaves; a test that failed although none of its subtests did counts as well."""
    own = "" if test.name == "main" else test.name
    name = "/".join(part for part in (path, own) if part)
    before = len(found)
    for sub in test.subtests:
        walk(sub, name, found, status, reasons)
    if test.subtests:
        if not test.ok_status() and all(case.status != "failed" for case in found[before:]):
            found.append(Case(name or "results", "failed", words(test.status)))
    elif own and test.status == status.SUCCESS:
        found.append(Case(name, "passed"))
    elif own and test.status == status.SKIPPED:
        found.append(Case(name, "skipped", reasons.get(own) or "no reason given"))
    elif own:
        told = "; ".join(line.strip("# ") for line in test.log if re.search(r"xpect|error|assert", line))[:300]
        found.append(Case(name, "failed", told or words(test.status)))


def words(status):
    """A status of the kernel's parser in plain words."""
    return status.name.lower().replace("_", " ")
