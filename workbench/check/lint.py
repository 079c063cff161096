# SPDX-License-Identifier: GPL-2.0
"""The fast static checks: the series' rules, the round trip, our own sources, checkpatch, kernel-doc, shellcheck."""

import argparse
import collections
import concurrent.futures
import os
import subprocess

from check import rules, static
from kernel import source
from lib import paths
from lib.cases import Case


def command(name, words):
    """A case for a command that says what is wrong when it fails."""
    done = subprocess.run([str(word) for word in words], cwd=paths.TOP, capture_output=True, text=True, check=False)
    told = " ".join((done.stdout + done.stderr).split())[-600:]
    return Case(name, "failed" if done.returncode else "passed", told if done.returncode else "")


def everything():
    """All of it. The parts wait for programs of one thread each, so they run side by side; the slowest comes first."""
    series = [paths.WORKBENCH / "wb", "series"]
    parts = [
        lambda: [command("round trip", [*series, "round-trip"])],
        static.checkpatch,
        static.kernel_doc,
        static.shellcheck,
        rules.everything,
        lambda: [command("series format, claims and orphans", [*series, "check"])],
    ]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [case for cases in pool.map(lambda part: part(), parts) for case in cases]


def main(words):
    """Run them alone; prints what does not pass, and the counts on the last line."""
    argparse.ArgumentParser(prog="wb lint", description=__doc__).parse_args(words)
    source.pin()
    cases = everything()
    for case in cases:
        if case.status != "passed":
            print(f"{case.status.upper()} {case.name}: {case.detail}")
    count = collections.Counter(case.status for case in cases)
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return bool(count["failed"])
