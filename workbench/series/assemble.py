# SPDX-License-Identifier: GPL-2.0
"""From the stored series to commits: build them without a work tree, then move build/linux to them."""

import copy
import os
import re
import tempfile
from pathlib import Path

from lib import files, lock, paths
from lib.console import say
from lib.errors import CommandError
from lib.git import NOBODY, Git, GitError
from series import forgotten
from series.maintainers import Maintainers
from series.repo import Repository

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


class PatchFails(CommandError):
    """A diff that does not apply; carries the number of its patch."""

    def __init__(self, number, problem):
        super().__init__(problem)
        self.number = number


class Builder:
    """Builds the commits of the series on top of the base.

    Only the files that a patch touches go through an index: the kernel has 95 000 files, and reading and
    writing an index of that size for each patch would take most of the time.
    """

    def __init__(self, git, repository, base=BASE):
        self.git = git
        self.repository = repository
        self.patches = repository.patches
        self.base = git.commit(base)
        if not self.base:
            raise CommandError(f"{git.work_tree} has no base kernel (tag base); run workbench/wb base")
        self.base_files = git.listing(self.base)
        self.files = {}
        self.blobs = {}
        self.offsets = []

    def part(self, patches):
        """A builder of some of the patches, in their order. What was looked at when all were built is not again."""
        other = copy.copy(self)
        other.patches, other.offsets = patches, []
        return other

    def build(self, messages=None):
        """Build every commit; returns the commit ids, oldest first. Messages (by path) replace those of the patches."""
        self.files = dict(self.base_files)
        if not self.blobs:
            self._check_paths()
            self._store_overlay()
        changes = []
        with tempfile.TemporaryDirectory(prefix="series-") as scratch:
            for number, patch in enumerate(self.patches):
                try:
                    changes.append(self._changes(patch, os.path.join(scratch, "index")))
                except GitError as failure:
                    raise PatchFails(number, apply_problem(patch, failure)) from failure
            return self.commits(changes, messages, scratch)

    def build_until(self, number):
        """Build the commits before a patch that fails."""
        self.files = dict(self.base_files)
        with tempfile.TemporaryDirectory(prefix="series-") as scratch:
            changes = [self._changes(patch, os.path.join(scratch, "index")) for patch in self.patches[:number]]
            return self.commits(changes, None, scratch)

    def _check_paths(self):
        """Assembling never overwrites: what the series adds must not be in the base."""
        problems = []
        if "MAINTAINERS" not in self.files and any(patch.entries for patch in self.patches):
            raise CommandError("the base kernel has no MAINTAINERS to merge our entries into")
        parents = {"/".join(path.split("/")[:n]) for path in self.files for n in range(1, path.count("/") + 1)}
        base_titles = set(Maintainers(self._content("MAINTAINERS")).titles)
        for patch in self.patches:
            where = f"patches/{patch.path}"
            for path in patch.adds:
                if path in self.files:
                    problems.append(f"{where}: {path}: the base kernel already has this file")
                elif path in parents:
                    problems.append(f"{where}: {path}: the base kernel has a directory of this name")
                upper = ["/".join(path.split("/")[:n]) for n in range(1, path.count("/") + 1)]
                problems += [f"{where}: {path}: {name} is a file in the base kernel"
                             for name in upper if name in self.files]
            problems += [f"{where}: {item.new}: the diff renames a file to a path that exists"
                         for item in patch.files if item.kind == "rename" and item.new in self.files]
            problems += [f"{where}: Entry: {title}: the base kernel's MAINTAINERS already has this entry"
                         for title in patch.entries if title in base_titles]
        if problems:
            raise CommandError(problems)

    def _content(self, path):
        """The content of a kernel file at this point of the series."""
        return self.git.content(self.files[path][1]) if path in self.files else b""

    def _store_overlay(self):
        """Store the blobs of all overlay files with one command."""
        paths = [path for patch in self.patches for path in patch.adds]
        if not paths:
            return
        names = "".join(f"{self.repository.top.resolve() / path}\n" for path in paths)
        ids = self.git.text("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=os.fsencode(names)).split("\n")
        self.blobs = dict(zip(paths, ids))

    def _changes(self, patch, index):
        """What a patch changes: path -> (mode, blob), or None for a file that goes away."""
        changes = self._apply(patch, index) if patch.diff else {}
        for path in patch.adds:
            changes[path] = (self.repository.overlay[path], self.blobs[path])
        if patch.entries:
            mode, blob = changes.get("MAINTAINERS") or self.files["MAINTAINERS"]
            merged = Maintainers(self.git.content(blob))
            for title in sorted(patch.entries):
                merged.insert(title, self.repository.maintainers.entry(title))
            changes["MAINTAINERS"] = (mode, self.git.blob(merged.data()))
        for path, entry in changes.items():
            if entry:
                self.files[path] = entry
            else:
                del self.files[path]
        return changes

    def _apply(self, patch, index):
        """Apply the diff to an index that holds just the files it names. git apply takes no fuzz."""
        before = {path: self.files[path] for path in patch.touched() if path in self.files}
        self.git.fill_index(before, index)
        chosen = {"GIT_INDEX_FILE": index}
        done = self.git.run("apply", "--cached", "--verbose", "-", stdin=patch.diff, env=chosen)
        self._remember_offsets(patch, done.stderr.decode(errors="replace"))
        after = {}
        for record in self.git.out("ls-files", "-s", "-z", env=chosen).split(b"\0"):
            if record:
                meta, path = record.split(b"\t", 1)
                mode, blob, _ = meta.decode().split(" ")
                after[path.decode(errors="surrogateescape")] = (mode, blob)
        changes = {path: entry for path, entry in after.items() if before.get(path) != entry}
        changes.update({path: None for path in before if path not in after})
        return changes

    def _remember_offsets(self, patch, report):
        """git apply accepts a hunk at another line; that is told, and 'make refresh' puts it right."""
        name = ""
        for line in report.split("\n"):
            if line.startswith("Checking patch "):
                name = line[len("Checking patch "):].rstrip(".")
            if " (offset " in line:
                text = f"patches/{patch.path}: {name}: {line}"
                if text not in self.offsets:
                    self.offsets.append(text)

    def commits(self, changes, messages, scratch):
        """Create the commits with one fast-import."""
        if not changes:
            return []
        temporary = f"refs/workbench/building-{os.getpid()}"
        marks = os.path.join(scratch, "marks")
        stream = []
        for number, (patch, changed) in enumerate(zip(self.patches, changes), 1):
            message = (messages[patch.path] if messages else patch.message()).encode(errors="surrogateescape")
            person = f"{patch.name} <{patch.mail}> {patch.stamp()}"
            parent = self.base if number == 1 else f":{number - 1}"
            head = (f"commit {temporary}\nmark :{number}\nauthor {person}\ncommitter {person}\ndata {len(message)}\n")
            stream.append(head.encode() + message + f"\nfrom {parent}\n".encode())
            for path, entry in sorted(changed.items(), key=lambda item: (item[1] is not None, item[0])):
                line = f"M {entry[0]} {entry[1]} {path}\n" if entry else f"D {path}\n"
                stream.append(line.encode(errors="surrogateescape"))
            stream.append(b"\n")
        self.git.out("fast-import", "--quiet", "--force", "--date-format=raw", f"--export-marks={marks}",
                     stdin=b"".join(stream))
        self.git.out("update-ref", "-d", temporary)
        ids = dict(line.split() for line in Path(marks).read_text(encoding="ascii").splitlines())
        return [ids[f":{number}"] for number in range(1, len(changes) + 1)]


def apply_problem(patch, failure):
    """One line that names patch, file and line, from git apply's report."""
    text = "\n".join(failure.problems)
    where = f"patches/{patch.path}"
    match = re.search(r"error: patch failed: (.+):(\d+)$", text, re.MULTILINE)
    if match:
        return f"{where}: {match.group(1)}: line {match.group(2)}: hunk does not apply"
    lines = [line.split("error: ", 1)[1] for line in text.split("\n") if "error: " in line]
    return f"{where}: {lines[0] if lines else text.splitlines()[-1]}"


def checked(repository):
    """Stop if the repository breaks a rule that needs no kernel."""
    problems = repository.check()
    if problems:
        raise CommandError(problems)


def build(git, repository):
    """Build the commits for a command that only reads them; returns (builder, commits)."""
    checked(repository)
    builder = Builder(git, repository)
    return builder, builder.build()


def tip(builder, commits):
    """The last commit of the series, or the base when it is empty."""
    return commits[-1] if commits else builder.base


def tell_offsets(builder):
    """Mention hunks that did not apply at their own line."""
    for text in builder.offsets:
        say(f"note: {text}; 'make refresh' corrects the patch")


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


def names(paths):
    """A short list of names."""
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


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
    paths_here = [path for path in repository.owned() if path not in instead]
    lines = "".join(f"{repository.top.resolve() / path}\n" for path in paths_here)
    ids = git.text("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=os.fsencode(lines)).split("\n")
    modes = {path: "100755" if os.access(repository.top / path, os.X_OK) else "100644" for path in paths_here}
    kept = {path: (modes[path], blob) for path, blob in zip(paths_here, ids)}
    kept.update({path: ("100755" if executable else "100644", git.blob(data))
                 for path, (data, executable) in instead.items()})
    with tempfile.TemporaryDirectory(prefix="series-") as scratch:
        git.out("update-ref", INPUTS, git.small_tree(kept, os.path.join(scratch, "index")))


def inputs(git):
    """What remember_inputs() kept, path -> (content, executable); None if nothing was kept yet."""
    if git.run("rev-parse", "--verify", "--quiet", INPUTS, check=False).returncode:
        return None
    return {path: (blob, mode == "100755") for path, (mode, blob) in git.listing(INPUTS).items()}


def stop_at_conflict(git, builder, failure, force):
    """Leave build/linux as git am does at the patch that does not apply."""
    repository = builder.repository
    patch = repository.patches[failure.number]
    done = builder.build_until(failure.number)
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
    with tempfile.TemporaryDirectory(prefix="series-") as scratch:
        index = os.path.join(scratch, "index")
        for patch in repository.patches[first:]:
            added = {path: (repository.overlay[path], builder.blobs[path]) for path in patch.adds}
            diff = git.diff({}, added, index)
            before = merged_maintainers(builder, entries)
            entries += patch.entries
            diff += git.diff(before, merged_maintainers(builder, entries), index) if patch.entries else b""
            mail = (repository.top / "patches" / patch.path).read_bytes()
            head = mail[:mail.index(b"\n---\n") + 5]
            mails.append(head + b"\n" + patch.diff + diff + b"-- \n\n")
    return b"".join(mails)


def merged_maintainers(builder, entries):
    """The base's MAINTAINERS with some of our entries, as a set of files for Git.diff()."""
    mode, blob = builder.base_files["MAINTAINERS"]
    merged = Maintainers(builder.git.content(blob))
    for title in entries:
        merged.insert(title, builder.repository.maintainers.entry(title))
    return {"MAINTAINERS": (mode, builder.git.blob(merged.data()))}
