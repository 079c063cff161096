# SPDX-License-Identifier: GPL-2.0
"""Run the tests: check [--full] [--base] [--again] [--accept] [--list] [NAME ...]

NAME is a topic with all its variants, a suite with all its configs, or one boot as SUITE:CONFIG; --list shows them.
Without names everything is run that has not passed yet in the same state (kernel, guest, jobs, tools: check/cache.py);
--again runs it all. What is named is always run.
--accept writes the cases that were seen into the expected.txt of their topics (check/expected.py).
--base boots the base's kernels instead of the series', to see a test fail there; nothing is expected of them.
--full adds what only check-full runs. GUESTS=N boots so many guests at once; the default goes by CPUs and memory.
The last line is `N passed, N failed, N skipped`; every case is in build/check: cases.txt, junit.xml, results.ktap.
"""

import argparse
import subprocess
import time
import traceback

from check import boots, cache, plan, report
from check.expected import Expected
from check.schedule import Schedule
from check.suite import Result, Suite
from guest import qemu
from kernel import prefixes, source
from lib import console, files, lock, paths, stop
from lib.cases import Case
from lib.errors import CommandError


def prepare(suites):
    """What the suites need: packages, in one call; the base, the series, the guest's files."""
    groups = sorted({"base", *(group for suite in suites for group in suite.needs)})
    for words in ([paths.WORKBENCH / "host" / "setup", *groups], [paths.WORKBENCH / "wb", "base"]):
        status = subprocess.run(words, check=False).returncode
        if status:
            raise SystemExit(status)    # it has said why
    source.pin()
    if any("guest" in suite.needs for suite in suites):
        qemu.prepare(kselftests=any("check" in suite.needs for suite in suites),
                     more=sorted({suite.table["root"] for suite in suites if "root" in suite.table}))


class Runner:
    """Runs one suite after the other, or takes what is known of it."""

    def __init__(self, kernels, known, expected):
        self.kernels, self.known, self.expected = kernels, known, expected

    def judged(self, suite, cases):
        """The cases as they count."""
        return self.expected.compared(suite, cases) if self.expected else cases

    def __call__(self, suite):
        """The result of a suite. One that stops half-way is a failed case, with the reason."""
        started = time.monotonic()
        try:
            return self.result(suite, started)
        except (SystemExit, Exception) as error:    # pylint: disable=broad-exception-caught
            detail = boots.reason(error)
            if not isinstance(error, (SystemExit, CommandError)):
                log = paths.LOGS / f"check-{suite.label}.log"
                files.write(log, traceback.format_exc())
                detail += f" (log {log})"
            return Result(suite, [Case(suite.label, "failed", detail)], time.monotonic() - started)

    def result(self, suite, started):
        """Look for a known result, else run; keep what passed if nothing that it depends on has changed meanwhile."""
        reads, run = suite.reads, suite.run
        if suite.config:
            if suite.config in self.kernels.problems:
                raise CommandError(f"kernel {suite.config}: {self.kernels.problems[suite.config]}")
            boot = boots.boot_of(suite, self.kernels.built[suite.config])
            reads, run = lambda found: found.guest(boot, suite.table), lambda: boots.cases(suite, boot)
        key = cache.key_of(reads)
        cases = self.known.find(suite.label, key)
        if cases and not any(case.status == "failed" for case in self.judged(suite, cases)):
            return Result(suite, self.judged(suite, cases), earlier=True)
        if not suite.config:
            console.say(suite.label)
        cases = run() or [Case(suite.label, "failed", "no case ran")]
        result = Result(suite, self.judged(suite, cases), time.monotonic() - started)
        if not result.failed and cache.key_of(reads) == key:
            self.known.note(suite.label, key, cases)
        return result


def run_all(suites, runner, slots):
    """The results of all suites, in the order of the suites, each shown as it comes in."""
    found = {}
    for result in Schedule(suites, runner.kernels, runner, slots).results():
        report.show(result)
        found[result.suite.label] = result
    return [found[suite.label] for suite in suites]


def arguments(words):
    """The command line."""
    parser = argparse.ArgumentParser(prog="wb check", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    for flag in ("--full", "--base", "--again", "--accept", "--list"):
        parser.add_argument(flag, action="store_true")
    args = parser.parse_args(words)
    if args.base and args.accept:
        parser.error("--accept is for the series; nothing is expected of the base")
    return args


def main(words):
    """Refuse what is not there before anything else is done; then run."""
    args = arguments(words)
    everything = plan.everything()
    suites = plan.chosen(everything, args.names, args.full or args.list)
    if args.list:
        for suite in suites:
            print(f"{suite.topic:14} {suite.label}{'  (check-full)' if suite.full else ''}")
        return 0
    expected = None if args.base else Expected({suite.topic for suite in everything})
    return stop.guarded(lambda: check(args, everything, suites, expected))


def check(args, everything, suites, expected):
    """Prepare, run, count."""
    with lock.held(report.RECORD / "lock", "checks this repository; wait for its end", wait=False):
        prepare(suites)
        if args.again and any(suite.name == "bisect" for suite in suites):
            prefixes.forget()
        known = cache.Cache(report.RECORD / "passed", use=not (args.names or args.again or args.base),
                            keep=not args.base)
        runner = Runner(boots.Kernels(args.base), known, None if args.accept else expected)
        results = run_all(suites, runner, boots.guests_at_once())
        if args.accept:
            for line in expected.accept(results, everything):
                print(f"expected: {line}")
        elif expected and (left := expected.orphans(everything)):
            results.append(Result(Suite("expected", "workbench"), left))
    return report.finish(results, args.base)
