# SPDX-License-Identifier: GPL-2.0
"""build/linux, a git tree in which the user works: its branch series is moved to what was assembled, and nothing of the
user's is lost on the way."""

import os
import re
from pathlib import Path

from lib import files, lock, paths
from lib.console import say
from lib.errors import CommandError
from lib.git import Git

BASE = "refs/tags/base"
BRANCH = "refs/heads/series"
ASSEMBLED = "refs/workbench/assembled"
# Set while the tree holds only part of the series because a patch did not apply.
PARTIAL = "refs/workbench/partial"
# A tree with patches/, the new files and MAINTAINERS as they were when the commits were made from them.
INPUTS = "refs/workbench/inputs"
KEEP_OR_DROP = "'make refresh' keeps them, FORCE=1 drops them"


def linux():
    """build/linux, which the base command makes."""
    if not (paths.LINUX / ".git").exists():
        raise CommandError(f"{paths.LINUX} does not exist; run workbench/wb base")
    return Git(paths.LINUX)


def locked():
    """The lock of build/linux: the base command, assemble and refresh change it one after the other."""
    return lock.held(paths.BUILD / "base.running", f"works on {paths.LINUX}")


def forced():
    """Did the user say FORCE=1?"""
    return os.environ.get("FORCE", "") not in ("", "0")


class OwnCommits(CommandError):
    """Branch series holds what was not assembled."""


def guard_commits(git):
    """Refuse to drop the user's commits."""
    what = own_commits(git)
    if what:
        raise OwnCommits(f"branch series of {git.work_tree} holds {what}; {KEEP_OR_DROP} (git reflog still has them)")


def guard_tree(git):
    """Refuse to drop what the user did in build/linux and did not commit."""
    busy = git.busy()
    if busy:
        raise CommandError(f"{git.work_tree} is in the middle of git {busy}; finish it, then 'make refresh'; "
                          f"FORCE=1 drops it")
    dirty = git.dirty()
    if dirty:
        raise CommandError(f"{git.work_tree} has uncommitted changes ({names(dirty)}); commit them, then "
                          f"{KEEP_OR_DROP}")


def own_commits(git):
    """What branch series holds that was not assembled, in words; None if there is nothing of that kind."""
    branch, assembled = git.commit(BRANCH), git.commit(ASSEMBLED)
    if not branch or branch in (assembled, git.commit(BASE)):
        return None
    span = f"{assembled}..{branch}" if assembled else f"{BASE}..{branch}"
    count = int(git.text("rev-list", "--count", span))
    return f"{count} commits that patches/ does not" if count else "another history than patches/ gave it"


def names(found):
    """A short list of names."""
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def on_branch(git):
    """Is build/linux on branch series?"""
    return git.run("symbolic-ref", "-q", "HEAD", check=False).stdout.decode().strip() == BRANCH


def move(git, repository, new, force):
    """Put build/linux on the commit. git writes only the files that differ."""
    old = git.commit("HEAD")
    if git.commit(BRANCH) == new and old == new and on_branch(git) and not git.commit(PARTIAL) \
            and not git.busy() and not (force and git.dirty()):
        say(f"Nothing changed: series is {new[:12]}")
    else:
        switch(git, new, force)
        changed = git.out("diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new).count(b"\0")
        say(f"Branch series is {new[:12]}, tree {git.tree(new)[:12]}; {changed} files changed")
    git.out("update-ref", "-m", "series assemble", ASSEMBLED, new)
    git.run("update-ref", "-d", PARTIAL, check=False)
    remember_inputs(git, repository)


def switch(git, new, force):
    """Move branch and work tree; with force whatever is in the way is dropped.

    While files are written a marker tells that what lies there is ours, and where it was to go.
    """
    if force:
        drop_unfinished(git)
        git.out("reset", "--quiet", "--hard")
    files.write(moving(git), f"{new} {git.commit('HEAD')}\n")
    try:
        git.out("checkout", "--quiet", "--no-track", *(["--force"] if force else []), "-B", "series", new)
    except CommandError as failure:
        # An untracked file in the way, or a git command of the user's: nothing was written.
        if re.search(r"would be overwritten by checkout|Unable to create .*index\.lock': File exists", str(failure)):
            moving(git).unlink()
            raise
        raise CommandError([*failure.problems,
                            f"{git.work_tree} is half-way; the next 'make tree' finishes it"]) from failure
    moving(git).unlink()


def drop_unfinished(git):
    """End what git is in the middle of, without a change to the tree."""
    for _ in range(3):    # one can be within another
        busy = git.busy()
        if not busy:
            return
        git.out(busy, "--quit")
    raise CommandError(f"git {git.busy()} in {git.work_tree} cannot be ended")


def moving(git):
    """There while the work tree is moved; holds the commit that it is moved to, and the one that it was at."""
    return Path(git.path("workbench-moving"))


def finish_interrupted(git):
    """Finish a move that was killed or that failed half-way. Files that differ for another reason are the user's."""
    if not moving(git).exists():
        return
    new, old = moving(git).read_text().split()
    git.settle()
    if git.commit("HEAD") in (old, new):
        ours = git.out("diff-tree", "-r", "-z", "--name-only", "--no-renames", "HEAD", new).split(b"\0")
        others = [path for path in git.dirty() if path.encode(errors="surrogateescape") not in ours]
        if others:
            raise CommandError(f"{git.work_tree} has uncommitted changes ({names(others)}) beside those of a 'make tree' "
                               f"that was interrupted: commit or undo them (git checkout {others[0]})")
        say(f"finishing the move to {new[:12]}, which was interrupted")
        git.out("checkout", "--quiet", "--force", "--no-track", "-B", "series", new)
        git.out("update-ref", "-m", "series assemble", ASSEMBLED, new)
    moving(git).unlink()


def remember_inputs(git, repository, instead=None):
    """Keep what the tree was made from, so that refresh can tell, and merge, what was edited in both places.

    instead is path -> (content, executable) for files that differ in the repository.
    """
    instead = instead or {}
    here = git.blobs(repository.top, [path for path in repository.owned() if path not in instead])
    found = [(path, os.access(repository.top / path, os.X_OK), blob) for path, blob in here.items()]
    found += [(path, executable, git.blob(data)) for path, (data, executable) in instead.items()]
    kept = {path: ("100755" if executable else "100644", blob) for path, executable, blob in found}
    git.out("update-ref", INPUTS, git.small_tree(kept))


def inputs(git):
    """What remember_inputs() kept, path -> (blob, executable); None if nothing was kept yet."""
    if git.run("rev-parse", "--verify", "--quiet", INPUTS, check=False).returncode:
        return None
    return {path: (blob, mode == "100755") for path, (mode, blob) in git.listing(INPUTS).items()}
