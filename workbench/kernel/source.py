# SPDX-License-Identifier: GPL-2.0
"""The source that a run works on: what branch series was when it began, whatever becomes of build/linux meanwhile.

build/linux is the user's: there commits are edited, rebased and assembled at any time. What builds or reads kernel
files takes them from build/source (paths.SOURCE), a work tree of the same git repository that nobody edits. A run pins
it: it holds a shared lock until it ends, and who wants it at another commit waits. Moving writes only the files that
differ, so that objects stay. The base's tree, build/linux-base, is held in the same way.

In a run no name (series, base) is looked up again, only the commits that pin() found: commit() and base().
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lib import console, files, lock, paths
from lib.errors import CommandError
from lib.git import Git
from series import branch, tree


@dataclass(frozen=True)
class Pin:
    """The commits of a run, and the lock on the tree."""
    commit: str
    base: str
    lock: object


PINNED = []     # the Pin of this process, once there is one
HELD = {}       # path of another tree that this process holds -> its lock


def pin(own=False):
    """Assemble the series, bring build/source to it and keep it there until this process ends; returns the commit.

    With own=True commits of build/linux that were not refreshed are taken as they are, which is said.
    """
    if PINNED:
        return commit()
    found, start = tree.for_run(own)
    PINNED.append(Pin(found, start, hold(paths.SOURCE, found)))
    return found


def commit():
    """The commit that this run works on."""
    return pinned().commit


def base():
    """The commit that the series of this run stands on."""
    return pinned().base


def pinned():
    """The Pin of this run; who asks before there is one would get a tree that can change."""
    if not PINNED:
        raise RuntimeError("the kernel source is used before the run has pinned it (kernel.source.pin)")
    return PINNED[0]


def git():
    """The repository, in the tree of this run."""
    return Git(paths.SOURCE)


def base_tree():
    """The work tree at the base, for what is compared with the series; it stays there until this process ends."""
    if paths.BASE_SOURCE not in HELD:
        HELD[paths.BASE_SOURCE] = hold(paths.BASE_SOURCE, base())
    return paths.BASE_SOURCE


def hold(path, wanted):
    """Bring a tree to a commit and keep it there: returns the lock that does so while it is open."""
    file = Path(f"{path}.lock")
    while True:
        held = lock.take(file, f"moves {path}", shared=True)
        if at(path, wanted):
            return held
        held.close()
        now = Git(path).commit("HEAD") if ours(path) else None
        with lock.held(file, f"works in {path} on commit {(now or 'none')[:12]}, this one needs {wanted[:12]}"):
            bring(path, wanted)


def bring(path, wanted):
    """Move a tree to a commit if it is not there; the caller keeps others from it."""
    if not at(path, wanted):
        move(path, wanted)
    if not at(path, wanted):
        raise CommandError(f"{path} is not as commit {wanted[:12]} has it, although it was just checked out: "
                           f"git -C {path} status")


def marker(path):
    """There while a tree is being moved, so that what an interrupted move left is known as such."""
    return Path(f"{path}.moving")


def ours(path):
    """Is there a work tree of this repository? A copied build/ may hold one of the repository it was copied from."""
    if not (path / ".git").is_file():
        return False
    done = Git(path).run("rev-parse", "--git-common-dir", check=False)
    common = os.path.realpath(os.path.join(path, done.stdout.decode(errors="surrogateescape").rstrip("\n")))
    return done.returncode == 0 and common == os.path.realpath(paths.LINUX / ".git")


def at(path, wanted):
    """Is a tree at a commit, whole and unchanged?"""
    return not marker(path).exists() and ours(path) and Git(path).commit("HEAD") == wanted and not Git(path).dirty()


def move(path, wanted):
    """Bring a tree to a commit; what an interrupted move left there goes, what somebody edited there does not."""
    interrupted = marker(path).exists()
    edited = Git(path).dirty() if ours(path) and not interrupted else []
    if edited and not branch.forced():
        raise CommandError(f"{path} was edited ({', '.join(edited[:3])}), but belongs to the workbench: edit "
                           f"{paths.LINUX} and commit there; FORCE=1 drops what was edited")
    files.write(marker(path), wanted + "\n")
    if ours(path):
        if interrupted:
            Git(path).settle()
        Git(path).out("checkout", "--quiet", "--force", "--detach", wanted)
        if interrupted:
            Git(path).out("clean", "--quiet", "-ffdx")
    else:
        console.say(f"making the work tree {path}")
        shutil.rmtree(path, ignore_errors=True)
        Git(paths.LINUX).out("worktree", "prune")
        Git(paths.LINUX).out("worktree", "add", "--quiet", "--force", "--force", "--detach", path, wanted)
    marker(path).unlink()
