# SPDX-License-Identifier: GPL-2.0
"""What a run leaves and says: cases.txt, junit.xml, results.ktap, the lines that the user sees."""

import collections
import re
import xml.etree.ElementTree as xml

from guest import qemu
from lib import console, files, paths

RECORD = paths.BUILD / "check"
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def count(cases):
    """How many passed, failed and were skipped."""
    return collections.Counter(case.status for case in cases)


def totals(cases):
    """The same in words."""
    number = count(cases)
    return f"{number['passed']} passed, {number['failed']} failed, {number['skipped']} skipped"


def minutes(seconds):
    """A time as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def help_for(suite, base=False):
    """Where a suite's log is, and how to run it alone."""
    again = f"again: make check T={suite.label}{' BASE=1' if base else ''}"
    log = qemu.RUNS / f"{suite.name}-{suite.config}{'-base' if base else ''}" / "console.log"
    return f"log {log}, {again}" if suite.config else again


def show(result):
    """A line for the suite, and one for each case that did not pass."""
    earlier = " (in an earlier run, with the same state)" if result.earlier else f" in {minutes(result.seconds)}"
    console.say(f"{result.suite.label}: {totals(result.cases)}{earlier}")
    if not result.earlier:
        print("".join(f"         {case.status.upper()} {case.name}: {case.detail}\n"
                      for case in result.cases if case.status != "passed"), end="", flush=True)


def durations(results):
    """How long each suite took, the slowest first, three beside each other."""
    ran = sorted((result for result in results if not result.earlier), key=lambda result: -result.seconds)
    cells = [f"{minutes(result.seconds):>6} {result.suite.label}" for result in ran]
    width = max(map(len, cells), default=0)
    rows = [cells[first:first + 3] for first in range(0, len(cells), 3)]
    lines = ["  ".join(f"{cell:{width}}" for cell in row).rstrip() for row in rows]
    total = minutes(sum(result.seconds for result in ran))
    return [*lines, f"{total:>6} for all of them, several at once"] if rows else []


def cases_text(results, base):
    """cases.txt: a line for each case; one that failed has its log and how to run it again."""
    lines = []
    for result in results:
        for case in result.cases:
            more = f"{': ' * bool(case.detail)}{case.detail}"
            help_text = f" ({help_for(result.suite, base)})" if case.status == "failed" else ""
            lines.append(f"{case.status:8} {result.suite.label}: {case.name}{more}{help_text}\n")
    return "".join(lines)


def junit(results, base):
    """JUnit XML: a testsuite for each suite, with its time; and the time of each case that has one."""
    def plain(text):
        return NOT_XML.sub("?", text)

    def numbers(element, cases):
        number = count(cases)
        wanted = {"tests": len(cases), "failures": number["failed"], "errors": 0, "skipped": number["skipped"]}
        for name, value in wanted.items():
            element.set(name, str(value))

    top = xml.Element("testsuites", name="check", time=f"{sum(result.seconds for result in results):.1f}")
    numbers(top, [case for result in results for case in result.cases])
    for result in results:
        suite = xml.SubElement(top, "testsuite", name=result.suite.label, time=f"{result.seconds:.1f}")
        numbers(suite, result.cases)
        for case in result.cases:
            entry = xml.SubElement(suite, "testcase", name=plain(case.name),
                                   classname=f"{result.suite.topic}.{result.suite.label}")
            if case.seconds is not None:
                entry.set("time", f"{case.seconds:.3f}")
            if case.status == "skipped":
                xml.SubElement(entry, "skipped", message=plain(case.detail))
            elif case.status == "failed":
                xml.SubElement(entry, "failure", message=plain(case.detail)).text = help_for(result.suite, base)
    xml.indent(top)
    return xml.tostring(top, encoding="utf-8", xml_declaration=True) + b"\n"


def ktap(results, base):
    """One KTAP stream: a subtest for each suite, with the times as diagnostic lines before what they are of."""
    def plain(text):
        return " ".join(text.replace("#", "").split()) or "unnamed"

    lines = ["KTAP version 1", f"1..{len(results)}"]
    for number, result in enumerate(results, 1):
        lines += ["    KTAP version 1", f"    # Subtest: {plain(result.suite.label)}",
                  f"    # duration: {result.seconds:.1f} s", f"    1..{len(result.cases)}"]
        for place, case in enumerate(result.cases, 1):
            if case.status == "failed":
                lines += [f"    # {plain(case.detail)}", f"    # {plain(help_for(result.suite, base))}"]
            if case.seconds is not None:
                lines.append(f"    # duration: {case.seconds:.3f} s")
            skip = f" # SKIP {plain(case.detail)}" if case.status == "skipped" else ""
            lines.append(f"    {'not ok' if case.status == 'failed' else 'ok'} {place} {plain(case.name)}{skip}")
        lines.append(f"{'not ok' if result.failed else 'ok'} {number} {plain(result.suite.label)}")
    return "\n".join(lines) + "\n"


def write(results, base=False):
    """All files."""
    files.write(RECORD / "cases.txt", cases_text(results, base))
    files.write(RECORD / "junit.xml", junit(results, base))
    files.write(RECORD / "results.ktap", ktap(results, base))


def finish(results, base=False):
    """The last lines; returns the exit status."""
    write(results, base)
    for line in durations(results):
        print(f"         {line}")
    console.say(f"every case: {RECORD / 'cases.txt'} (for machines: junit.xml, results.ktap)")
    for result in results:
        for case in result.failed:
            print(f"FAILED {result.suite.label}: {case.name}: {case.detail}")
        if result.failed:
            print(f"       {help_for(result.suite, base)}")
    if earlier := sum(len(result.cases) for result in results if result.earlier):
        print(f"{earlier} of these results are from earlier runs with the same state; AGAIN=1 runs them again")
    everything = [case for result in results for case in result.cases]
    print(totals(everything), flush=True)
    return 1 if count(everything)["failed"] or not count(everything)["passed"] else 0
