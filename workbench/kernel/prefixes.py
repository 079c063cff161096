# SPDX-License-Identifier: GPL-2.0
"""Build every prefix of the series: the touched directories at each commit with the options on and off, the whole
kernel at the end of each topic. Results are kept by tree id, so that a commit that did not change is not built again."""

import json

from kernel.build import Kernel
from lib import console, paths, process
from lib.cases import Case

TREE = paths.BUILD / "linux-bisect"
KNOWN = paths.BUILD / "check" / "bisect.json"


def prefixes():
    """(commit, topic, subject) of the series, oldest first."""
    lines = process.out([paths.WORKBENCH / "wb", "series", "prefixes"]).splitlines()
    return [tuple(line.split(None, 2)) for line in lines]


def directories():
    """The directories of the kernel that the series touches, as make goals."""
    names = process.out(["git", "-C", paths.LINUX, "diff", "--name-only", "base", "series"]).splitlines()
    built = ("arch/x86", "drivers", "fs", "kernel", "lib", "mm")
    found = {name.rsplit("/", 1)[0] + "/" for name in names if name.startswith(built) and name.endswith((".c", "Makefile"))}
    return sorted(name for name in found if not any(name != other and name.startswith(other) for other in found)) or ["mm/"]


def check_out(commit):
    """Bring the bisect work tree to a commit."""
    if not (TREE / ".git").exists():
        process.out(["git", "-C", paths.LINUX, "worktree", "prune"])
        process.out(["git", "-C", paths.LINUX, "worktree", "add", "--force", "--detach", TREE, commit])
    process.out(["git", "-C", TREE, "checkout", "-q", "--detach", commit])


def every_prefix():
    """A case for each commit and config."""
    known = json.loads(KNOWN.read_text()) if KNOWN.exists() else {}
    commits, goals, cases = prefixes(), directories(), []
    for number, (commit, topic, subject) in enumerate(commits):
        ends = number + 1 == len(commits) or commits[number + 1][1] != topic
        tree = process.out(["git", "-C", paths.LINUX, "rev-parse", f"{commit}^{{tree}}"]).strip()
        for config in ("default", "off"):
            key = f"{tree} {config} {'all' if ends else ' '.join(goals)}"
            name = f"builds with {config}: {subject}"
            if key not in known:
                console.say(f"bisect {number + 1}/{len(commits)} {config}: {subject}")
                check_out(commit)
                try:
                    Kernel(config, label=f"{config}-bisect", source=TREE).build(*([] if ends else goals))
                except SystemExit:
                    cases.append(Case(name, "failed", f"{commit[:12]} does not build"))
                    continue
                known[key] = subject
                KNOWN.parent.mkdir(parents=True, exist_ok=True)
                KNOWN.write_text(json.dumps(known, indent=1))
            cases.append(Case(name, "passed"))
    return cases


def main(_):
    """Build them all, and say which fail."""
    cases = every_prefix()
    for case in cases:
        print(f"{case.status:7} {case.name} {case.detail}")
    failed = [case for case in cases if case.status == "failed"]
    console.say(f"{len(cases) - len(failed)} of {len(cases)} prefixes build")
    return bool(failed)
