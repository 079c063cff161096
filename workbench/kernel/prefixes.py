# SPDX-License-Identifier: GPL-2.0
"""Build every prefix of the series: the touched directories at each commit with the options on and off, the whole
kernel at the end of each part. Results are kept by tree, options, tools, environment and goals, so that a commit that
did not change is not built again: wb prefixes [--again], which forgets them."""

import argparse
import hashlib
import json

from kernel import source
from kernel.build import Kernel, reaches_make, requested
from lib import console, files, lock, paths, process
from lib.cases import Case
from lib.errors import CommandError

TREE = paths.BUILD / "linux-bisect"
KNOWN = paths.BUILD / "check" / "bisect.json"


def prefixes():
    """(commit, part, subject) of the series, oldest first."""
    lines = process.out([paths.WORKBENCH / "wb", "series", "prefixes"]).splitlines()
    found = [tuple(line.split(None, 2)) for line in lines]
    if found and found[-1][0] != source.commit():
        raise CommandError("patches/ is not what this run began with: its prefixes are others; start again")
    return found


def directories():
    """The directories of the kernel that the series touches, as make goals."""
    names = source.git().text("diff-tree", "-r", "--name-only", "--no-renames", source.base(),
                              source.commit()).splitlines()
    built = ("arch/x86", "drivers", "fs", "kernel", "lib", "mm")
    found = {name.rsplit("/", 1)[0] + "/" for name in names if name.startswith(built) and name.endswith((".c", "Makefile"))}
    return sorted(name for name in found if not any(name != other and name.startswith(other) for other in found)) or ["mm/"]


def made_with(config, goals):
    """What a result depends on beside the tree: all options that are asked for, the compiler, the linker, what of the
    environment reaches them, and what is built."""
    kernel = Kernel(config)
    tools = [process.out([tool, "--version"]).splitlines()[0] for tool in (kernel.compiler, f"{kernel.cross}ld")]
    asked = json.dumps([sorted(requested(config).items()), tools, reaches_make(), goals])
    return f"{config} {hashlib.sha256(asked.encode()).hexdigest()[:24]}"


def forget():
    """Build all of them anew."""
    KNOWN.unlink(missing_ok=True)


def every_prefix():
    """A case for each commit and config."""
    with lock.held(f"{TREE}.lock", f"builds prefixes in {TREE}"):
        return every_prefix_locked()


def every_prefix_locked():
    """The same, while nobody else moves the tree."""
    known = files.read_json(KNOWN, {})
    commits, goals, cases = prefixes(), directories(), []
    how = {(config, ends): made_with(config, [] if ends else goals) for config in ("default", "off") for ends in (False, True)}
    for number, (commit, part, subject) in enumerate(commits):
        ends = number + 1 == len(commits) or commits[number + 1][1] != part
        tree = source.git().tree(commit)
        for config in ("default", "off"):
            this = f"{tree} {how[config, ends]}"
            name = f"builds with {config}: {subject}"
            if this not in known:
                console.say(f"bisect {number + 1}/{len(commits)} {config}: {subject}")
                source.bring(TREE, commit)
                try:
                    Kernel(config, label=f"{config}-bisect", source=TREE).build(*([] if ends else goals))
                except SystemExit:
                    cases.append(Case(name, "failed", f"{commit[:12]} does not build"))
                    continue
                known[this] = subject
                files.write_json(KNOWN, known)
            cases.append(Case(name, "passed"))
    return cases


def main(words):
    """Build them all, and say which fail."""
    parser = argparse.ArgumentParser(prog="wb prefixes", description=__doc__)
    parser.add_argument("--again", action="store_true")
    again = parser.parse_args(words).again
    source.pin()
    if again:
        forget()
    cases = every_prefix()
    for case in cases:
        print(f"{case.status:7} {case.name} {case.detail}")
    failed = [case for case in cases if case.status == "failed"]
    console.say(f"{len(cases) - len(failed)} of {len(cases)} prefixes build")
    return bool(failed)
