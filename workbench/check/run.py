# SPDX-License-Identifier: GPL-2.0
"""Run the tests: check [--full] [--base] [--again] [--list] [SUITE or TOPIC ...]

Without names everything is run that has not passed yet with the same tree, tools and accelerator; --again runs it all.
What is named is always run, a topic with all its variants. --base boots the base's kernels instead of the series', to see
a test fail there. GUESTS=N boots so many guests at once; the default goes by CPUs and memory.
--full adds what only check-full runs.
The last line is `N passed, N failed, N skipped`; every case is in build/check/cases.txt.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import fcntl
import functools
import hashlib
import json
import os
import subprocess
import sys
import tomllib
import traceback

from check import host, ktap
from guest import qemu
from kernel.build import Kernel, base_tree
from lib import console, paths, process
from lib.cases import Case

RECORD = paths.BUILD / "check"
DEBUG_SLOWER = 4    # KASAN and lockdep under TCG
GUEST_MEMORY = 6 << 30
STOPS = (OSError, RuntimeError, subprocess.SubprocessError, ValueError, KeyError)


def guest_suites():
    """The suites of the guest itself and of each topic."""
    found = []
    for path in [paths.WORKBENCH / "guest" / "suites.toml", *sorted(paths.TOPICS.glob("*/suites.toml"))]:
        topic = path.parent.name if path.is_relative_to(paths.TOPICS) else "workbench"
        found += [{**entry, "topic": topic} for entry in tomllib.loads(path.read_text())["suite"]]
    return found


def guests_at_once():
    """How many guests run side by side: each has two virtual CPUs, but most of what it does is done by one."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(os.environ.get("GUESTS") or 0) or max(1, min(4, os.cpu_count(), memory // GUEST_MEMORY))


class Suite:
    """Anything that has a name, a topic and cases: a host check, or one boot of a guest suite with its kernel's config."""

    def __init__(self, name, topic, run, full=False, config=None):
        self.name, self.topic, self.run, self.full, self.config = name, topic, run, full, config

    def wanted(self, names, full):
        """Whether the command line asks for it: by name, with or without the config, by topic, or by naming nothing."""
        if names:
            return bool({self.name, self.name.split(" ")[0], self.topic} & set(names))
        return full or not self.full


@functools.cache
def built_kernel(config, base):
    """The kernel of a config, built once in a run."""
    kernel = Kernel(config, base=base)
    if base:
        base_tree()
    kernel.build()
    return kernel


def boot_cases(suite, config, base):
    """Boot, and collect the cases of one guest suite under one config."""
    kernel = built_kernel(config, base)
    jobs = list(suite.get("jobs", []))
    files = {}
    if suite.get("kunit"):
        jobs.append("kunit")
        files["suites"] = "\n".join(suite["kunit"]) + "\n"
    if suite.get("kselftest"):
        jobs.append("kselftest")
        files["selftests"] = "\n".join(suite["kselftest"]) + "\n"
    slower = DEBUG_SLOWER if config == "debug" else 1
    boot = qemu.Boot(kernel=kernel.image(), name=f"{suite['name']}-{kernel.label}", machine=suite["machine"],
                       append=suite.get("append", ""), jobs=tuple(jobs), files=files, config=config,
                       witness=tuple(suite.get("witness", [])),
                       kselftests=bool(suite.get("kselftest")) or suite.get("installed", False),
                       timeout=suite.get("timeout", 120) * slower * guests_at_once())
    outcome = qemu.run(boot)
    if outcome.skipped:
        return [Case(f"boot {boot.name}", "skipped", outcome.skipped)]
    print("".join(f"         | {line}\n" for line in outcome.excerpt), end="", flush=True)
    detail = "; ".join(outcome.problems)
    cases = [Case(f"boot {boot.name}", "failed" if detail else "passed",
                  f"{detail} (log {outcome.console})" if detail else "")]
    return cases + result_cases(suite, outcome)


def result_cases(suite, outcome):
    """The cases in what the guest left; a result that was promised and is not there is a failed case."""
    cases = []
    for name in suite.get("kunit", []):
        cases += read_results(outcome.text(f"kunit-{name}.ktap").splitlines(), "kunit", name)
    for name in suite.get("kselftest", []):
        test = name.split(":")[1]
        runner = ktap.cases(outcome.text(f"kselftest-{test}.ktap").splitlines(), "runner")
        cases += [case for case in runner if case.status != "passed"]
        for program in ktap.nested(outcome.text(f"kselftest/{test}")) or [[]]:
            cases += read_results(program, "kselftest", test)
    for job in outcome.jobs:
        if job not in ("kunit", "kselftest"):
            cases += read_results(outcome.text(f"{job}.ktap").splitlines(), "job", job)
    return cases


def read_results(lines, kind, name):
    """The cases of one file."""
    if not lines:
        return [Case(f"{kind} {name}", "failed", "no results were left")]
    return ktap.cases(lines, kind if kind == "kunit" else f"{kind} {name}")


def all_suites(base):
    """Everything there is to run, in order: the cheap ones first."""
    suites = [Suite(name, topic, run, is_full) for name, topic, run, is_full in host.CHECKS]
    for entry in guest_suites():
        for config in entry["configs"]:
            suites.append(Suite(f"{entry['name']} {config}", entry["topic"],
                                lambda entry=entry, config=config: boot_cases(entry, config, base),
                                entry.get("full", False), config))
    return suites


def run_suite(suite):
    """A suite's cases; a suite that stops half-way is a failed case, with the reason."""
    try:
        return suite.run() or [Case(suite.name, "failed", "no case ran")]
    except SystemExit:
        return [Case(suite.name, "failed", "stopped: see the error above")]
    except STOPS as error:
        traceback.print_exc(file=sys.stderr)
        return [Case(suite.name, "failed", f"{type(error).__name__}: {error}")]


def state_key():
    """What a result depends on: the series' tree, every file of the repository but the README, and the tools."""
    tree = process.out(["git", "-C", paths.LINUX, "rev-parse", "series^{tree}"])
    names = process.out(["git", "-C", paths.TOP, "ls-files", "--cached", "--others", "--exclude-standard"]).splitlines()
    digest = hashlib.sha256(tree.encode())
    for tool in ("gcc", "qemu-system-x86_64", "sparse"):
        digest.update(process.out([tool, "--version"]).encode())
    digest.update(os.environ.get("ACCEL", "").encode())
    for name in sorted(set(names)):
        path = paths.TOP / name
        if name != "README.md" and path.is_file():
            digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class Progress:
    """Which suites have passed with this state, so that a stopped run goes on and a second one is short."""

    def __init__(self, active, again):
        self.path, self.active = RECORD / "passed.json", active
        self.key = state_key() if active else ""
        known = json.loads(self.path.read_text()) if active and not again and self.path.exists() else {}
        self.done = known.get("passed", {}) if known.get("key") == self.key else {}
        self.used = 0

    def earlier(self, suite):
        """The cases of a suite that passed before."""
        cases = [Case(*case) for case in self.done.get(suite.name, [])]
        self.used += len(cases)
        return cases

    def note(self, suite, cases):
        """Remember a suite that passed."""
        if self.active and all(case.status != "failed" for case in cases):
            self.done[suite.name] = [[case.name, case.status, case.detail] for case in cases]
            self.path.write_text(json.dumps({"key": self.key, "passed": self.done}))


def report(suite, cases):
    """A line for the suite, and one for each case that did not pass."""
    count = collections.Counter(case.status for case in cases)
    console.say(f"{suite.name}: {count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    for case in cases:
        if case.status != "passed":
            print(f"         {case.status.upper()} {case.name}: {case.detail}", flush=True)


def main(words):
    """Run what is asked for and count."""
    parser = argparse.ArgumentParser(prog="wb check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    for flag in ("--full", "--base", "--again", "--list"):
        parser.add_argument(flag, action="store_true")
    args = parser.parse_args(words)
    suites = [suite for suite in all_suites(args.base) if suite.wanted(args.names, args.full or args.list)]
    if args.list:
        for suite in suites:
            print(f"{suite.topic:12} {suite.name}{'  (check-full)' if suite.full else ''}")
        return 0
    if not suites:
        console.die(f"no suite or topic {' '.join(args.names)}; workbench/wb check --list shows them")
    RECORD.mkdir(parents=True, exist_ok=True)
    with open(RECORD / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.die("another check is running in this repository")
        progress = Progress(not args.names and not args.base, args.again)
        everything = run_all(suites, progress, args.base)
    count = collections.Counter(case.status for _, case in everything)
    (RECORD / "cases.txt").write_text("".join(f"{case.status:8} {suite}: {case.name}{': ' * bool(case.detail)}{case.detail}\n"
                                              for suite, case in everything))
    console.say(f"every case: {RECORD / 'cases.txt'}")
    for suite, case in everything:
        if case.status == "failed":
            print(f"FAILED {suite}: {case.name}: {case.detail}")
    if progress.used:
        print(f"{progress.used} of these results are from an earlier run with the same tree; AGAIN=1 runs them again")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped", flush=True)
    return 1 if count["failed"] or not count["passed"] else 0


def run_all(suites, progress, base):
    """(suite name, case) of every suite: host checks one after the other, then the kernels, then several guests at once."""
    results = {suite.name: progress.earlier(suite) for suite in suites}
    for name in [name for name, cases in results.items() if cases]:
        console.say(f"{name}: passed in an earlier run with the same tree")
    waiting = [suite for suite in suites if not results[suite.name]]

    def ended(suite, cases):
        report(suite, cases)
        progress.note(suite, cases)
        results[suite.name] = cases

    for suite in waiting:
        if not suite.config:
            console.say(suite.name)
            ended(suite, run_suite(suite))
    boots = [suite for suite in waiting if suite.config]
    for config in dict.fromkeys(suite.config for suite in boots):
        with contextlib.suppress(SystemExit, *STOPS):    # each of its suites fails with that
            built_kernel(config, base)
    with concurrent.futures.ThreadPoolExecutor(guests_at_once()) as pool:
        running = {pool.submit(run_suite, suite): suite for suite in boots}
        for done in concurrent.futures.as_completed(running):
            ended(running[done], done.result())
    return [(suite.name, case) for suite in suites for case in results[suite.name]]

