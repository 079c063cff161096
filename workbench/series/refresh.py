# SPDX-License-Identifier: GPL-2.0
"""From commits back to the stored series: patch files, overlay files, MAINTAINERS entries."""

import os
from pathlib import Path

from lib import files
from lib.console import say
from lib.errors import CommandError
from series import forgotten
from series.branch import ASSEMBLED, BASE, BRANCH, PARTIAL, inputs, moving, names, remember_inputs
from series.maintainers import Maintainers
from series.order import SeriesFile
from series.patch import format_patch, parse_patch, path_problem, slug, split_notes
from series.repo import Repository, mark, read


class Reader:
    """Reads the commits between the base and a tip and computes what the repository has to hold."""

    def __init__(self, git, repository, tip, inherit_notes=False):
        self.git = git
        self.repository = repository
        self.tip = tip
        self.base = git.commit(BASE)
        self.inherit_notes = inherit_notes
        self.base_files = git.listing(self.base)
        self.added = {}
        self.entries = {}
        self.problems = []
        self.old = {}
        self.taken = set()

    def commits(self):
        """The commits, oldest first."""
        if self.git.run("merge-base", "--is-ancestor", self.base, self.tip, check=False).returncode:
            raise CommandError(f"branch series does not start at the base ({self.base[:12]})")
        merges = self.git.text("rev-list", "--merges", f"{self.base}..{self.tip}")
        if merges:
            raise CommandError(f"commit {merges[:12]} is a merge; the series is a straight line (git rebase base)")
        listed = self.git.text("rev-list", "--reverse", "--topo-order", f"{self.base}..{self.tip}")
        return listed.split("\n") if listed else []

    def wanted(self):
        """Everything the repository has to hold: path -> (content, executable)."""
        files = {}
        order = []
        place, places = None, {}
        commits = self.commits()
        self._match(commits)
        for commit in commits:
            place, path, data = self._patch(commit, place)
            order.append(path)
            places[path] = place[1]
            files[f"patches/{path}"] = (data, False)
        self._check_order(order, places)
        if self.problems:
            raise CommandError(self.problems)
        for path, (mode, blob, _) in self.added.items():
            files[path] = (self.git.content(blob), mode == "100755")
        files["patches/series"] = (self.repository.series.rewritten(order, places).encode(), False)
        files["MAINTAINERS"] = (self._maintainers(), False)
        return {path: item for path, item in files.items() if path != "MAINTAINERS" or item[0]
                or (self.repository.top / "MAINTAINERS").exists()}

    def _match(self, commits):
        """Find the stored patch of each commit: by its subject, else by author and date, else by its place."""
        patches = self.repository.patches
        by_subject = {slug(patch.subject): patch for patch in patches}
        details = [self.git.text("log", "-1", "--no-mailmap", "--no-show-signature", "--encoding=UTF-8", "--date=raw",
                                 "--format=%ae %ad%n%s", commit).split("\n", 1) for commit in commits]
        self.old = {commit: by_subject[slug(subject)] for commit, (_, subject) in zip(commits, details)
                    if slug(subject) in by_subject}
        for commit, (author, _) in zip(commits, details):
            same = [patch for patch in self._unmatched() if f"{patch.mail} {patch.stamp()}" == author]
            if commit not in self.old and len(same) == 1:
                self.old[commit] = same[0]
        new = [commit for commit in commits if commit not in self.old]
        gone = self._unmatched()
        if len(new) == len(gone):
            self.old.update(zip(new, gone))

    def _unmatched(self):
        """The stored patches that no commit was found for."""
        taken = {patch.path for patch in self.old.values()}
        return [patch for patch in self.repository.patches if patch.path not in taken]

    def _place(self, claims, old, before):
        """Topic and part of a commit: as its notes say, else those its patch had, else those of the commit before."""
        series = self.repository.series
        topic, part = before or (next(iter(series.topics), None), None)
        if old:
            topic, part = old.topic, series.places[old.path]
        if claims["Topic"] and claims["Topic"][-1] != topic:
            topic, part = claims["Topic"][-1], None
        if claims["Part"]:
            part = claims["Part"][-1]
        return topic, series.first(topic) if part is None else part

    def _patch(self, commit, before):
        """One commit as ((topic, part), file name in patches/, content); before is where the commit before it went."""
        header = self.git.out("log", "-1", "--format=email", "--no-mailmap", "--no-notes", "--no-show-signature",
                              "--no-color", "--encoding=UTF-8", commit).split(b"\n\n", 1)[0]
        message = self.git.text("log", "-1", "--format=%b", "--no-notes", "--no-show-signature", "--no-color",
                                "--encoding=UTF-8", commit)
        body, notes = split_message(message)
        subject = self.git.text("log", "-1", "--format=%s", "--encoding=UTF-8", commit)
        notes, claims = split_notes(notes)
        adds, entries, diff = self._content(commit, subject)
        old = self.old.get(commit)
        topic, part = self._place(claims, old, before)
        if not notes and old and self.inherit_notes:
            notes = old.notes
        if topic not in self.repository.series.topics:
            self.problems.append(f"commit {commit[:12]} ('{subject}'): topic {topic} has no heading in patches/series")
            topic = topic or "none"
        elif not any((other.topic, other.name) == (topic, part) for other in self.repository.series.parts):
            self.problems.append(f"commit {commit[:12]} ('{subject}'): topic {topic} has no part {part} in patches/series")
        path = self._name(topic, slug(subject))
        data = format_patch(header, body, notes, adds, entries, diff)
        self.problems += [f"commit {commit[:12]} ('{subject}'): {text.split(': ', 1)[1]}"
                          for text in parse_patch(data, path).problems]
        return (topic, part), path, data

    def _name(self, topic, name):
        """A file name that no other patch of the topic has."""
        path, number = f"{topic}/{name}.patch", 2
        while path in self.taken:
            path, number = f"{topic}/{name[:56]}-{number}.patch", number + 1
        self.taken.add(path)
        return path

    def _content(self, commit, subject):
        """What a commit changes: files it adds, entries it adds, and the diff of the rest."""
        before, after = {}, {}
        adds = []
        where = f"commit {commit[:12]} ('{subject}')"
        for status, paths, entries in self._raw(commit):
            for path in paths:
                if path in self.added:
                    _, _, owner = self.added[path]
                    self.problems.append(f"{where}: {path}: changes a file that {owner} adds; fold it into that commit "
                                         f"(git commit --fixup, git rebase -i --autosquash base)")
            if status == "A" and paths[0] not in self.base_files:
                adds.append(self._add(paths[0], entries[1], where))
                continue
            if entries[0]:
                before[paths[0]] = entries[0]
            if entries[1]:
                after[paths[-1]] = entries[1]
        titles = self._new_entries(before, after, where)
        return [path for path in adds if path], titles, self.git.diff(before, after)

    def _add(self, path, entry, where):
        """Note a new overlay file."""
        wrong = path_problem(path)
        if entry[0] not in ("100644", "100755"):
            wrong = "only regular files can be added"
        if wrong:
            self.problems.append(f"{where}: {path}: {wrong}")
            return None
        if path not in self.added:
            self.added[path] = (*entry, where)
        return path

    def _raw(self, commit):
        """The changed files of a commit: (status letter, paths, [entry before, entry after])."""
        fields = self.git.out("diff-tree", "-r", "-z", "--raw", "--no-commit-id", "--find-renames=50%", "-l0",
                              "-O/dev/null", "--no-abbrev", f"{commit}^", commit).split(b"\0")
        fields = [item.decode(errors="surrogateescape") for item in fields]
        changes = []
        while len(fields) > 1:
            old_mode, new_mode, old_blob, new_blob, status = fields.pop(0)[1:].split(" ")
            paths = [fields.pop(0)] + ([fields.pop(0)] if status[0] == "R" else [])
            old = (old_mode, old_blob) if status[0] != "A" else None
            new = (new_mode, new_blob) if status[0] != "D" else None
            if status[0] == "R" and paths[0] in self.added:
                # Not a rename of the kernel's file: report it as a change of a file the series adds.
                paths = paths[:1]
            changes.append((status[0], paths, [old, new]))
        return changes

    def _new_entries(self, before, after, where):
        """Take the entries a commit adds to MAINTAINERS out of its diff; returns their titles."""
        if "MAINTAINERS" not in before or "MAINTAINERS" not in after:
            return []
        old = Maintainers(self.git.content(before["MAINTAINERS"][1]))
        new = Maintainers(self.git.content(after["MAINTAINERS"][1]))
        for title in self.entries:
            if title not in new.titles or new.entry(title) != self.entries[title][0]:
                self.problems.append(f"{where}: MAINTAINERS: changes entry {title} that {self.entries[title][1]} adds; "
                                     f"fold it into that commit")
        titles = [title for title in new.titles if title not in old.titles]
        for title in titles:
            self.entries[title] = (new.entry(title), where)
            new.remove(title)
        rest = self.git.blob(new.data())
        after["MAINTAINERS"] = (after["MAINTAINERS"][0], rest)
        if after["MAINTAINERS"] == before["MAINTAINERS"]:
            del before["MAINTAINERS"], after["MAINTAINERS"]
        return titles

    def _maintainers(self):
        """Our MAINTAINERS with the entries as the commits have them."""
        ours = Maintainers(read(self.repository.top / "MAINTAINERS") or b"")
        for title in list(ours.titles):
            if title not in self.entries:
                ours.remove(title)
        for title, (text, _) in self.entries.items():
            if title not in ours.titles:
                ours.insert(title, text)
            elif ours.entry(title) != text:
                ours.replace(title, text)
        return ours.data()

    def _check_order(self, order, places):
        """The commits of a topic stand together, and so do those of a part, in the order of the headings."""
        topics = list(self.repository.series.topics)
        parts = [(part.topic, part.name) for part in self.repository.series.parts]
        for before, after in zip(order, order[1:]):
            one, two = before.split("/")[0], after.split("/")[0]
            here, there = (one, places[before]), (two, places[after])
            if one in topics and two in topics and topics.index(one) > topics.index(two):
                self._out_of_order(after, "Topic", one)
            elif here in parts and there in parts and one == two and parts.index(here) > parts.index(there):
                self._out_of_order(after, "Part", here[1])

    def _out_of_order(self, path, what, name):
        self.problems.append(f"patches/{path}: comes after a commit of {what.lower()} {name}; reorder the commits, or "
                             f"put a line '{what}: {name}' below '---' in its message")


def split_message(message):
    """Body and notes of a commit message without its subject."""
    lines = message.split("\n")
    end = next((n for n, line in enumerate(lines) if line.rstrip() == "---"), len(lines))
    return "\n".join(lines[:end]).strip("\n"), "\n".join(lines[end + 1:])


def differences(repository, wanted):
    """What refresh would change: (verb, path) pairs."""
    changes = []
    for path in sorted(wanted):
        data, executable = wanted[path]
        now = repository.mark(path)
        if now == "absent":
            changes.append(("new", path))
        elif now != mark(data, executable):
            changes.append(("changed", path))
    claimed = {path for patch in repository.patches for path in patch.adds} & set(repository.overlay)
    claimed |= {f"patches/{patch.path}" for patch in repository.patches}
    changes += [("removed", path) for path in sorted(claimed) if path not in wanted]
    return changes


def both_sides(git, repository, wanted, changes):
    """What to write where the repository was edited after the last 'make tree': (chosen, notes, conflicts, problems).

    The first is path -> (content, executable) to be written, None to be removed; a path that is missing stays as it is.
    """
    record = inputs(git)
    chosen, notes, conflicts, problems = {}, [], [], []
    for _, path in changes:
        theirs = wanted.get(path)
        ours = (read(repository.top / path), os.access(repository.top / path, os.X_OK))
        ours = ours if ours[0] is not None else None
        start = kept(git, record.get(path)) if record is not None else ours
        if start == ours or path == "patches/series" and same_patches(start, ours):
            chosen[path] = theirs
        elif start == theirs:
            notes.append(f"{path} was edited here after the last 'make tree' and is kept; 'make tree' takes it to "
                         "build/linux")
        elif ours is None or theirs is None:
            problems.append(f"{path}: {'removed' if ours is None else 'edited'} here after the last 'make tree' and "
                            f"{'removed' if theirs is None else 'edited'} in build/linux; undo one, or FORCE=1 to take "
                            f"what build/linux has")
        else:
            merged, clean = merge(git, ours, start or (b"", False), theirs)
            if merged is None:
                problems.append(f"{path}: edited here after the last 'make tree' and in build/linux, and cannot be "
                                "merged; undo one, or FORCE=1 to take what build/linux has")
                continue
            chosen[path] = merged
            (notes if clean else conflicts).append(
                f"{path}: was edited here after the last 'make tree' and in build/linux: "
                + ("merged" if clean else "resolve the conflict there"))
    return chosen, notes, conflicts, problems


def kept(git, entry):
    """Content and executable bit of a kept file."""
    return (git.content(entry[0]), entry[1]) if entry else None


def same_patches(one, two):
    """Do two states of patches/series list the same? The rest of it is taken over by refresh in any case."""
    lists = [SeriesFile(side[0].decode("utf-8", errors="replace")).patches if side else None for side in (one, two)]
    return lists[0] == lists[1]


def merge(git, ours, start, theirs):
    """A three-way merge of a file: ((content, executable), did it fit); content with conflict markers if it did not."""
    labels = ["-L", "edited here", "-L", "last make tree", "-L", "build/linux"]
    content, conflicts = git.merge(ours[0], start[0], theirs[0], *labels)
    executable = theirs[1] if theirs[1] != start[1] else ours[1]
    return (content, executable) if content is not None else None, not conflicts


def guard_origin(git, repository, branch):
    """Refuse to empty the repository because the tree was never made from it."""
    if repository.patches and (not git.commit(ASSEMBLED) or branch == git.commit(BASE)):
        raise CommandError(f"branch series of {git.work_tree} was not made from patches/; run 'make tree' first, or "
                          f"FORCE=1 to replace all {len(repository.patches)} patches by what it holds")


def refresh(git, repository, force=False):
    """The command: write what branch series of build/linux holds back to the repository."""
    branch = git.commit(BRANCH)
    if not branch:
        raise CommandError(f"{git.work_tree} has no branch series; 'make tree' makes it")
    if moving(git).exists():
        raise CommandError(f"a 'make tree' was interrupted in {git.work_tree}: run it again first")
    busy = git.busy()
    if busy:
        raise CommandError(f"{git.work_tree} is in the middle of git {busy}; finish it first")
    dirty = git.dirty()
    if dirty:
        raise CommandError(f"{git.work_tree} has uncommitted changes ({names(dirty)}); commit them first")
    if not force:
        guard_origin(git, repository, branch)
    forgotten.refuse(git, git.commit(BASE), branch, force, "the series")
    partial = git.commit(PARTIAL) is not None
    say("Reading the commits of branch series")
    wanted = Reader(git, repository, branch, inherit_notes=partial).wanted()
    changes = differences(repository, wanted)
    chosen, notes, conflicts = {path: wanted.get(path) for _, path in changes}, [], []
    if not force:
        chosen, notes, conflicts, problems = both_sides(git, repository, wanted, changes)
        if problems:
            raise CommandError(problems)
        gone = [path for path, item in chosen.items() if item is None and path.startswith("patches/")]
        if partial and gone:
            raise CommandError([f"{path}: missing on branch series, which held only part of the series after a conflict"
                               for path in gone] + ["'make tree' tries again; FORCE=1 removes them"])
    write(repository, chosen)
    git.out("update-ref", "-m", "series refresh", ASSEMBLED, branch)
    git.run("update-ref", "-d", PARTIAL, check=False)
    remember_inputs(git, Repository(repository.top), wanted)
    for verb, path in changes:
        if path in chosen:
            print(f"  {verb:8} {path}")
    for note in notes:
        say(note)
    if conflicts:
        raise CommandError(conflicts)
    say(f"{len(chosen)} files written or removed" if chosen else "Nothing changed")
    return 0


def write(repository, wanted):
    """Write the files, and remove those that are gone."""
    for path, item in wanted.items():
        target = Path(repository.top / path)
        if item is None:
            target.unlink(missing_ok=True)
            remove_empty(target.parent, repository.top)
        else:
            files.write(target, *item)


def remove_empty(folder, top):
    """Remove folders that became empty."""
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def roundtrip(git, repository, tip):
    """What a refresh from a freshly built series would change; nothing if the round trip is clean."""
    wanted = Reader(git, repository, tip).wanted()
    return [f"{path}: not as 'make refresh' would write it ({verb})" for verb, path in differences(repository, wanted)]
