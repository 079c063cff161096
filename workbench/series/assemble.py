# SPDX-License-Identifier: GPL-2.0
"""From the stored series to commits, without a work tree."""

import copy
import os
import re

from lib.console import say
from lib.errors import CommandError
from lib.git import GitError
from series.branch import BASE
from series.maintainers import Maintainers


class PatchFails(CommandError):
    """A diff that does not apply: the number of its patch, and the changes of those before it."""

    def __init__(self, number, problem, changes):
        super().__init__(problem)
        self.number, self.changes = number, changes


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
            added = [path for patch in self.patches for path in patch.adds]
            self.blobs = self.git.blobs(self.repository.top, added)
        changes = []
        for number, patch in enumerate(self.patches):
            try:
                changes.append(self._changes(patch))
            except GitError as failure:
                raise PatchFails(number, apply_problem(patch, failure), changes) from failure
        return self.commits(changes, messages)

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

    def _changes(self, patch):
        """What a patch changes: path -> (mode, blob), or None for a file that goes away."""
        changes = self._apply(patch) if patch.diff else {}
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

    def _apply(self, patch):
        """Apply the diff to an index that holds just the files it names. git apply takes no fuzz."""
        before = {path: self.files[path] for path in patch.touched() if path in self.files}
        with self.git.index(before) as chosen:
            done = self.git.run("apply", "--cached", "--verbose", "-", stdin=patch.diff, env=chosen)
            listed = self.git.out("ls-files", "-s", "-z", env=chosen)
        self._remember_offsets(patch, done.stderr.decode(errors="replace"))
        after = {}
        for record in listed.split(b"\0"):
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

    def commits(self, changes, messages=None):
        """Create the commits with one fast-import, which tells their ids."""
        if not changes:
            return []
        temporary = f"refs/workbench/building-{os.getpid()}"
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
            stream.append(f"\nget-mark :{number}\n".encode())
        ids = self.git.text("fast-import", "--quiet", "--force", "--date-format=raw", stdin=b"".join(stream)).split()
        self.git.out("update-ref", "-d", temporary)
        return ids


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
