# SPDX-License-Identifier: GPL-2.0
"""The series of an earlier revision of this repository beside that of now: what changed from one posting to the next."""

import collections
import os
import re
import tempfile
from pathlib import Path

from lib.console import say
from lib.errors import CommandError
from lib.git import Git
from series.assemble import Builder, PatchFails, build, tip
from series.repo import Repository

EARLIER = "refs/workbench/earlier"
PAIR = re.compile(r"^ *(?:\d+|-+): +\S+ ([=!<>]) +(?:\d+|-+): ", re.MULTILINE)
WORDS = {"=": "same", "!": "changed", ">": "new", "<": "gone"}


def range_diff(git, repository, revision):
    """The command: print git range-diff of both on the base that is there, and a line that counts."""
    builder, commits = build(git, repository)
    earlier = earlier_tip(git, repository.top, revision)
    git.out("update-ref", "-m", f"series of {revision}", EARLIER, earlier)
    text = git.text("range-diff", "--no-color", "--no-notes", f"{builder.base}..{earlier}",
                    f"{builder.base}..{tip(builder, commits)}")
    if text:
        print(text)
    count = collections.Counter(PAIR.findall(text))
    say(f"since {revision}: " + ", ".join(f"{count[sign]} {word}" for sign, word in WORDS.items())
        + f"; that series is {EARLIER} in {git.work_tree}")


def earlier_tip(git, top, revision):
    """Assemble the series of a revision, in a folder that goes away; its rules may have been others: none is checked."""
    if not (Path(top) / ".git").exists():
        raise CommandError(f"{top} is no git repository: it has no earlier revision")
    ours = Git(top)
    found = ours.commit(revision)
    if not found:
        raise CommandError(f"FROM={revision}: this repository has no such revision")
    with tempfile.TemporaryDirectory(prefix="series-earlier-") as folder:
        index = {"GIT_INDEX_FILE": os.path.join(folder, "index")}
        ours.out("read-tree", found, env=index)
        ours.out("checkout-index", "--all", f"--prefix={folder}/top/", env=index)
        builder = Builder(git, Repository(os.path.join(folder, "top")))
        try:
            return tip(builder, builder.build())
        except PatchFails as failure:
            raise CommandError([*failure.problems, f"the series of {revision} does not apply to the base that is there "
                                "now; KERNEL= takes another"]) from failure
