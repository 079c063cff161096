# SPDX-License-Identifier: GPL-2.0
"""KTAP and kselftest results as a flat list of cases, read with the kernel's own parser."""

import importlib
import re
import sys

from lib import paths
from lib.cases import Case

SKIP = re.compile(r"^\s*(?:not )?ok (\d+) (?:- )?(.*?) ?# SKIP ?(.*)$")


def kernel_parser():
    """tools/testing/kunit/kunit_parser.py of the tree under test."""
    folder = str(paths.SOURCE / "tools" / "testing" / "kunit")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module("kunit_parser"), importlib.import_module("kunit_printer")


def nested(text):
    """The TAP of each test program inside a kselftest log: each runner above it prefixed its lines with another `# `."""
    lines = text.splitlines()
    prefix = ""
    for line in lines:
        if match := re.match(r"((?:# )*)TAP version", line):
            prefix = match[1] if len(match[1]) >= len(prefix) else prefix
    programs = []
    for line in (line[len(prefix):] for line in lines if line.startswith(prefix)):
        if line.startswith("TAP version"):
            programs.append([])
        if programs:
            # The parser takes `ok 4 # SKIP why` for a pass without a name.
            programs[-1].append(re.sub(r"^((?:not )?ok (\d+)) (# SKIP)", r"\1 case \2 \3", line))
    return programs


def cases(lines, prefix=""):
    """Every leaf case. No case, a wrong plan or a line that is not KTAP is a failed case of its own."""
    parser, printer = kernel_parser()
    top = parser.parse_run_tests(lines, printer.null_printer)
    reasons = {match[2]: match[3] for line in lines if (match := SKIP.match(line))}
    found = []
    walk(top, prefix, found, parser.TestStatus, reasons)
    if not found:
        found.append(Case(prefix or "results", "failed", "no test case ran"))
    if top.counts.errors and all(case.status != "failed" for case in found):
        found.append(Case(f"{prefix} format", "failed", f"{top.counts.errors} errors in the KTAP output"))
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
