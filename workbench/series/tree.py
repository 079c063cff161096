# SPDX-License-Identifier: GPL-2.0
"""`make tree`: the stored series as commits on branch series of build/linux. A patch that does not apply leaves build/linux
as git am does."""

import re

from lib import paths
from lib.console import say
from lib.errors import CommandError
from lib.git import NOBODY
from series import forgotten
from series.assemble import Builder, PatchFails, checked, tell_offsets, tip
from series.branch import (ASSEMBLED, BASE, BRANCH, PARTIAL, OwnCommits, finish_interrupted, forced, guard_commits, guard_tree,
                           linux, locked, move, own_commits, remember_inputs, switch)
from series.maintainers import Maintainers
from series.repo import Repository


def assemble(git, repository, force=False, into=None, checkout=True):
    """The command: build, and move build/linux or the ref given."""
    checked(repository)
    moves = checkout and not into
    if moves:
        finish_interrupted(git)
        if not force:
            guard_tree(git)
    builder = Builder(git, repository)
    say(f"Assembling {len(repository.patches)} patches")
    try:
        commits = builder.build()
    except PatchFails as failure:
        if not moves:
            raise
        if not force:
            guard_commits(git)
        return stop_at_conflict(git, builder, failure, force)
    tell_offsets(builder)
    new = tip(builder, commits)
    if moves and not force and git.commit(BRANCH) != new:
        guard_commits(git)
    if into:
        git.out("update-ref", "-m", "series assemble", into, new)
        say(f"{into} is {new[:12]}, tree {git.tree(new)}")
    elif not checkout:
        print(git.tree(new))
    else:
        move(git, repository, new, force)
    return 0


def for_run(own=False):
    """Assemble for a command that builds or checks the series: (commit, base). All of it has to be in git.

    With own=True the user's own commits are taken as they are if patches/ does not have them.
    """
    git = linux()
    with locked():
        try:
            assemble(git, Repository(paths.TOP), force=forced())
        except OwnCommits:
            if not own:
                raise
            say(f"branch series holds {own_commits(git)}: this is built, not what patches/ has")
        commit, base = git.commit(BRANCH), git.commit(BASE)
        forgotten.refuse(git, base, commit, forced(), "what is built")
    return commit, base


def stop_at_conflict(git, builder, failure, force):
    """Leave build/linux as git am does at the patch that does not apply."""
    repository = builder.repository
    patch = repository.patches[failure.number]
    done = builder.commits(failure.changes)
    before = tip(builder, done)
    switch(git, before, force)
    git.out("update-ref", "-m", "series assemble", ASSEMBLED, before)
    git.out("update-ref", "-m", "series assemble", PARTIAL, before)
    remember_inputs(git, repository)
    code, report = run_am(git, mailbox(builder, failure.number))
    say(f"{len(done)} of {len(repository.patches)} patches are on branch series of {git.work_tree}")
    if code == 0:
        raise CommandError(failure.problems + [
            f"a three-way merge applied it and all later patches: look at the result in {git.work_tree}, then "
            f"'make refresh'"])
    stopped = re.search(r"^Patch failed at (\d+)", report, re.MULTILINE)
    if stopped and int(stopped.group(1)) > 1:
        patch = repository.patches[failure.number + int(stopped.group(1)) - 1]
        failure.problems.append(f"a three-way merge applied it; git am stopped at patches/{patch.path}")
    conflicts = re.findall(r"^CONFLICT .*$", report, re.MULTILINE)[:3] or leave_rejects(git, report)
    raise CommandError(failure.problems + conflicts + [
        f"git am stopped in {git.work_tree} at '{patch.subject}': resolve it there, git add -u, git am --continue, "
        f"then 'make refresh'; git am --abort gives up"])


def run_am(git, mails):
    """Start git am with the user's own configuration: the user goes on with it."""
    someone = {} if git.as_user("var", "GIT_COMMITTER_IDENT").returncode == 0 else NOBODY
    done = git.as_user("-c", "gc.auto=0", "-c", "core.hooksPath=/dev/null", "am", "--3way", "--keep-cr",
                       "--keep-non-patch", "--no-gpg-sign", "--no-scissors", "--whitespace=nowarn", stdin=mails,
                       env=someone)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def leave_rejects(git, report):
    """git am could not merge and changed nothing: apply what can be applied, leave the rest as .rej; what git said."""
    said = [line.split("error: ", 1)[1] for line in report.splitlines() if line.startswith("error: ")]
    if git.text("ls-files", "--unmerged") or git.dirty():
        return said[:3]
    done = git.run("apply", "--reject", "-", stdin=git.out("am", "--show-current-patch=diff"), check=False)
    left = re.findall(r"^Applying patch (\S+) with \d+ rejects?", done.stderr.decode(errors="replace"), re.MULTILINE)
    return said[:3] + [f"no three-way merge is possible; the hunks that did not apply are in {path}.rej"
                       for path in left]


def mailbox(builder, first):
    """The patches from a given one on as mails, with the new files and MAINTAINERS entries as diffs."""
    git, repository = builder.git, builder.repository
    mails = []
    entries = [title for patch in repository.patches[:first] for title in patch.entries]
    for patch in repository.patches[first:]:
        added = {path: (repository.overlay[path], builder.blobs[path]) for path in patch.adds}
        before = merged_maintainers(builder, entries)
        entries += patch.entries
        diff = git.diff({}, added) + git.diff(before, merged_maintainers(builder, entries))
        mail = (repository.top / "patches" / patch.path).read_bytes()
        mails.append(mail[:mail.index(b"\n---\n") + 5] + b"\n" + patch.diff + diff + b"-- \n\n")
    return b"".join(mails)


def merged_maintainers(builder, entries):
    """The base's MAINTAINERS with some of our entries, as a set of files for Git.diff()."""
    mode, blob = builder.base_files["MAINTAINERS"]
    merged = Maintainers(builder.git.content(blob))
    for title in entries:
        merged.insert(title, builder.repository.maintainers.entry(title))
    return {"MAINTAINERS": (mode, builder.git.blob(merged.data()))}
