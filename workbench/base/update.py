# SPDX-License-Identifier: GPL-2.0
"""The newest version of Debian's package, and what the series has to say to it, before anything is changed."""

import os
import subprocess

from base import fetch, imports, request, settings
from lib import console, files, paths
from lib.errors import CommandError
from lib.git import Git
from series import assemble
from series.repo import Repository

REPORT = paths.BUILD / "base-update"
REF = "refs/workbench/base-update"


def update(lock):
    """Fetch the newest version, assemble the series on it beside build/linux, tell what that is like, write base/lock."""
    git = Git(paths.LINUX)
    newest = newer(lock)
    if not newest:
        return
    repository = Repository(paths.TOP)
    before, commits = assemble.build(git, repository)
    after = Replay(before, commits, git, imported(lock, newest).commit)
    after.assemble()
    try:
        git.out("update-ref", REF, assemble.tip(after.builder, after.commits))
        for line in after.notes:
            console.say(f"note: {line}")
        tell_range_diff(git, before, commits, after)
    finally:
        git.run("update-ref", "-d", REF, check=False)
    if after.conflicts and os.environ.get("FORCE", "") in ("", "0"):
        raise CommandError([*after.conflicts, f"{len(after.conflicts)} conflicts: base/lock stays at {lock['VERSION']}; FORCE=1 "
                            f"takes {newest.version}, and then 'make tree' stops at the first of them, as git am does"])
    for line in after.conflicts:
        console.say(f"conflict: {line}")
    settings.write(settings.LOCK, {**lock, "VERSION": newest.version, "POOL": newest.pool, "SHA256": newest.sha256},
                   settings.LOCK_COMMENT)
    console.say(f"base/lock has {newest.version} now; next: make tree"
                + ("; make refresh, which corrects the patches" if after.notes or after.conflicts else ""))


def newer(lock):
    """The newest version in the suites, downloaded; None if base/lock has it already."""
    found = fetch.candidates(lock)
    if not found:
        raise CommandError(f"{fetch.mirror()} has no {lock['PACKAGE']} in {lock['SUITES']}; full log: {fetch.LOG}")
    newest = found[0]
    for package in found[1:]:
        if later(package.version, newest.version):
            newest = package
    if not later(newest.version, lock["VERSION"]):
        console.say(f"base/lock has {lock['VERSION']}, and nothing newer is there (newest: {newest.version})")
        return None
    console.say(f"{lock['PACKAGE']} {newest.version} is there; base/lock has {lock['VERSION']}")
    if not fetch.has_checksum(newest.file, newest.sha256) and not fetch.download(newest, fetch.mirror()):
        raise CommandError(f"{newest.file.name} could not be downloaded; base/lock stays as it was")
    return newest


def later(version, other):
    """Is a version of a package later than another? As dpkg sees it."""
    return subprocess.run(["dpkg", "--compare-versions", version, "gt", other], check=False).returncode == 0


def imported(lock, package):
    """The package as a commit of build/linux, kept for the change to it."""
    wanted = request.debian({**lock, "VERSION": package.version, "SHA256": package.sha256})
    base = imports.Base("debian", wanted.text, package.version, package.sha256)
    try:
        imports.clear()
        imports.add(base, wanted, lock["KERNEL_VERSION"], package)
    finally:
        imports.clear()
    return base


class Replay:
    """The series on another base: as it is stored where that applies, else merged, so that every conflict is seen at once."""

    def __init__(self, before, commits, git, base):
        self.git = git
        self.parents = [before.base, *commits]
        self.patches = before.repository.patches
        self.builder = assemble.Builder(git, before.repository, base)
        self.commits = []
        self.notes = []         # what applies, but not as it is stored
        self.conflicts = []

    def assemble(self):
        """Build the commits."""
        try:
            self.commits = self.builder.build()
            self.notes += self.builder.offsets
        except CommandError:
            self.merge()

    def merge(self):
        """Every commit's changes, merged with what the new base has in the same files."""
        now = dict(self.builder.base_files)
        changes = []
        for number, patch in enumerate(self.patches):
            changed = {}
            for path, before, after in self.changed(number):
                changed[path] = self.merged(f"patches/{patch.path}: {path}", before, after, now.get(path))
            now.update(changed)
            now = {path: entry for path, entry in now.items() if entry}
            changes.append(changed)
        self.commits = self.builder.commits(changes)

    def changed(self, number):
        """(path, entry before, entry after) of a commit; an entry is (mode, blob), or None if there is no such file."""
        words = self.git.out("diff-tree", "-r", "-z", "--no-renames", self.parents[number], self.parents[number + 1]).split(b"\0")
        for meta, path in zip(words[::2], words[1::2]):
            old_mode, mode, old_blob, blob, _ = meta.decode().lstrip(":").split(" ")
            entries = [None if set(name) == {"0"} else (bits, name) for bits, name in ((old_mode, old_blob), (mode, blob))]
            yield path.decode(errors="surrogateescape"), *entries

    def merged(self, where, before, after, now):
        """The entry that a change from before to after makes of what is there now."""
        if now in (before, after):
            return after
        if not (before and after and now):
            self.conflicts.append(f"{where}: the new base {'has' if now else 'no longer has'} this file")
            return after
        sides = [self.git.content(blob) for _, blob in (now, before, after)]
        content, conflicts = self.git.merge(*sides)
        if content is None:
            self.conflicts.append(f"{where}: cannot be merged")
            return after
        if conflicts:
            self.conflicts.append(f"{where}: {conflicts} hunk{'s' * (conflicts > 1)} in conflict with the new base")
            content, _ = self.git.merge(*sides, "--theirs")
        else:
            self.notes.append(f"{where}: a three-way merge applies it")
        return after[0], self.git.blob(content)


def tell_range_diff(git, before, commits, after):
    """The series on the old and on the new base: all of it in a file, the patches that differ on the screen."""
    if not commits:
        return
    text = git.text("range-diff", "--no-color", f"{before.base}..{commits[-1]}",
                    f"{after.builder.base}..{after.commits[-1]}")
    files.write(REPORT / "range-diff.txt", text + "\n")
    same = 0
    for part in ("\n" + text).split("\n")[1:]:
        if part[:1].isspace() and part[:4].strip() == "":
            print(part)
        elif " = " in part:
            same += 1
        else:
            print(part)
    console.say(f"{same} of {len(commits)} patches are the same on both; all of it: {REPORT}/range-diff.txt")
