# SPDX-License-Identifier: GPL-2.0
"""What there is to run, and what of it is asked for.

Each topic's suites.toml (and guest/suites.toml, for the guest itself) has tables of four kinds.

[[suite]]       what is booted, once under each config
  name          with the config it names one boot: NAME:CONFIG
  configs       kernel/configs/CONFIG.config, for each of these
  machine       of guest/machines
  append        parameters for the kernel
  witness       what the guest has to see beside its machine's and its config's witnesses: NAME WORDS of witness/NAME
  prepare       jobs that make the guest ready and have no cases; one that fails fails the boot
  jobs          jobs that print KTAP, from the topic's jobs/ or guest/jobs
  kunit         KUnit suites, run after the jobs
  kselftest     COLLECTION:TEST, run last
  modules       modules of this kernel, by their paths: the job insmod loads them, in this order
  driver-again  "OPTION FILE INIT": a driver that is in the kernel as a module, FILE's last part in the folder of the jobs;
                append has to keep the kernel from starting its own: initcall_blacklist=INIT
  root          of the guest, one that has more: guest/root.py, MORE
  killed        names of programs that the OOM killer may take: a test has them use up all memory
  installed     true: a job wants the kselftests in the guest, though none is named
  timeout       seconds for an idle machine without debug options; 120
  full          true: in check-full only
  KEY-CONFIG    takes the place of KEY under that config (append, witness, prepare, jobs, kunit, kselftest, timeout,
                full)

[[program]]     a program of the topic's folder that prints TAP
  name
  run           the program and its arguments; {linux} is the kernel tree, {base:FILE} a file of the base
  reads         what it reads below the kernel tree
  needs         groups of host/packages
  full

[[same]]        tests that have to end alike on the base, on the series, and on the series when more jobs have run
  name, config, machine, append, prepare, kselftest, timeout, full    as of a suite; one config
  plug          the jobs that make the difference of the third boot

[[kunit_py]]    KUnit the usual way: kunit.py builds a kernel of its own and boots it
  name
  args          for kunit.py
  tree          the name of its object tree, if two share one
  needs, full

Everything else in these files belongs to others (`demo` to guest/demo.py, `tools` to guest/tools.py,
`collections` of kselftests that are in the guest for jobs, beside those that a suite names, to guest/root.py).
"""

import difflib
import tomllib

from bench import run as bench
from check import builds, host, kunit_py, lint, mutants, objects, programs, promised, reads, same, static
from check.suite import Suite
from kernel import prefixes
from lib import paths
from lib.errors import CommandError

VARIABLE = ("append", "witness", "prepare", "jobs", "kunit", "kselftest", "timeout", "full")
KEYS = {
    "suite": {"name", "configs", "machine", "root", "killed", "installed", "modules", "driver-again", *VARIABLE},
    "program": {"name", "run", "reads", "needs", "full"},
    "same": {"name", "config", "machine", "append", "prepare", "kselftest", "timeout", "full", "plug"},
    "kunit_py": {"name", "args", "tree", "needs", "full"},
}


def host_checks():
    """The checks that belong to no topic. Which cases they have is computed where it depends on the series."""
    return [
        Suite("tools", "workbench", host.tool_tests, needs=("lint", "mbox"), reads=reads.tools),
        Suite("lint", "workbench", lint.everything, needs=("lint",), reads=reads.lint, promised=promised.lint),
        Suite("mbox", "workbench", host.mbox, needs=("mbox",), reads=reads.mbox),
        Suite("static", "workbench", static.sparse_and_warnings, needs=("kernel", "lint"), builds=True,
              reads=reads.static, promised=promised.static),
        Suite("off", "workbench", objects.everything_off, needs=("kernel",), builds=True,
              reads=reads.off, promised=promised.off),
        Suite("modules", "workbench", builds.modules, needs=("kernel",), builds=True, reads=reads.modules,
              promised=promised.modules),
        # In check-full until the base's figures are recorded for this kernel (wb bench --record): without, it builds the base.
        Suite("bench", "workbench", bench.short_cases, full=True, needs=("kernel", "guest"), builds=True,
              reads=reads.bench, promised=promised.bench),
        Suite("bisect", "series", prefixes.every_prefix, full=True, needs=("kernel",), builds=True, reads=reads.bisect,
              promised=promised.bisect),
        Suite("options", "series", builds.each_off, full=True, needs=("kernel",), builds=True, reads=reads.modules,
              promised=promised.options),
        Suite("compilers", "series", builds.other_compilers, full=True, needs=("kernel", "check-full"), builds=True,
              reads=reads.compilers, promised=promised.other_compilers),
        Suite("arches", "series", host.other_architectures, full=True, needs=("kernel", "check-full"), builds=True,
              reads=reads.arches, promised=promised.arches),
    ]


def files():
    """(topic, path) of each suites.toml."""
    return [("workbench", paths.WORKBENCH / "guest" / "suites.toml"),
            *((path.parent.name, path) for path in sorted(paths.TOPICS.glob("*/suites.toml")))]


def tables(kind):
    """(topic, entry) of each table of a kind; a key that nobody reads is a mistake."""
    found = []
    for topic, path in files():
        for entry in tomllib.loads(path.read_text()).get(kind, []):
            known = KEYS[kind] | {f"{key}-{config}" for key in VARIABLE for config in entry.get("configs", [])}
            if unknown := sorted(set(entry) - known):
                raise CommandError(f"{path}: {kind} {entry.get('name', 'without a name')}: unknown key "
                                   f"{', '.join(unknown)}; workbench/check/plan.py says which there are")
            found.append((topic, entry))
    return found


def under(entry, config):
    """A suite's table as it is under a config: KEY-CONFIG in the place of KEY."""
    plain = {key: value for key, value in entry.items() if key in KEYS["suite"]}
    return {**plain, **{key: entry[f"{key}-{config}"] for key in VARIABLE if f"{key}-{config}" in entry}}


def boots():
    """Each guest suite under each of its configs."""
    found = []
    for topic, entry in tables("suite"):
        for config in entry["configs"]:
            table = under(entry, config)
            installed = table.get("kselftest") or table.get("installed")
            found.append(Suite(entry["name"], topic, config=config, full=table.get("full", False), table=table,
                               needs=("kernel", "guest", *(["check"] if installed else []))))
    return found


def everything():
    """Everything there is to run, in order: the cheap ones first."""
    own = [programs.suite(topic, entry) for topic, entry in tables("program")]
    booted = boots()
    known = {suite.label: suite for suite in (*own, *booted)}
    found = [*host_checks(), *own,
             *(kunit_py.suite(topic, entry) for topic, entry in tables("kunit_py")),
             *(same.suite_of(topic, entry) for topic, entry in tables("same")),
             Suite("mutants-fit", "workbench", lambda: mutants.sound(known), reads=reads.fit,
                   promised=lambda: [f"{topic}:" for topic in mutants.topics()]),
             *mutants.suites(known),
             *booted]
    labels = [suite.label for suite in found]
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        raise CommandError(f"more than one suite is called {', '.join(twice)}")
    return found


def joined(words, suites):
    """The words of the command line, each naming something: `SUITE CONFIG`, in one word or two, is SUITE:CONFIG."""
    labels = {suite.label for suite in suites}
    found = []
    for word in " ".join(words).split():
        if found and f"{found[-1]}:{word}" in labels:
            found[-1] += f":{word}"
        else:
            found.append(word)
    return found


def chosen(suites, words, full=False):
    """The suites that are asked for; all but those of check-full when none is named. A name of nothing is refused."""
    words = joined(words, suites)
    known = sorted({name for suite in suites for name in (suite.topic, suite.name, suite.label, *suite.named_parts())})
    problems = []
    for word in words:
        if word not in known:
            close = difflib.get_close_matches(word, known, 1)
            hint = f" (is it {close[0]}?)" if close else ""
            problems.append(f"no topic or suite {word}{hint}; workbench/wb check --list shows them")
    if problems:
        raise CommandError(problems)
    if not words:
        return [suite for suite in suites if full or not suite.full]
    return [part for suite in suites if (part := asked_for(suite, words))]


def asked_for(suite, words):
    """A suite, or those of its parts that are named, or None."""
    if any(suite.called(word) for word in words):
        return suite
    named = {part for word in words for part in suite.parts if word == f"{suite.name}/{part}"}
    return suite.some(named) if named else None
