# SPDX-License-Identifier: GPL-2.0
"""The repository that holds the series: what it contains, and the rules that need no kernel."""

import hashlib
import os
import re
import stat
from pathlib import Path

from lib.git import listed
from series.maintainers import Maintainers, sort_key
from series.order import LIMIT, SeriesFile
from series.patch import OURS, SUBJECT_LIMIT, parse_patch, path_problem


def read(path):
    """A file's content, or None."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return None


class Repository:
    """Our own files: the overlay, patches/ and MAINTAINERS."""

    def __init__(self, top):
        self.top = Path(top)
        self.series = SeriesFile((read(self.top / "patches/series") or b"").decode("utf-8", errors="replace"))
        self.patches = []
        self.problems = list(self.series.problems)
        for path in self.series.patches:
            data = read(self.top / "patches" / path)
            if data is None:
                self.problems.append(f"patches/series: {path} is listed but does not exist")
            else:
                self.patches.append(parse_patch(data, path))
        self.overlay = self._overlay()
        self.maintainers = Maintainers(read(self.top / "MAINTAINERS") or b"")

    def _overlay(self):
        """All overlay files: path -> mode."""
        found = {}
        for path in self._files():
            info = os.lstat(self.top / path)
            if not stat.S_ISREG(info.st_mode):
                self.problems.append(f"{path}: not a regular file")
                continue
            found[path] = "100755" if info.st_mode & stat.S_IXUSR else "100644"
        return found

    def _files(self):
        """Paths of all files that are not ours; what a .gitignore of the repository names does not count."""
        return [name for name in listed(self.top, *OURS) if not name.startswith(".")]

    def content(self, path):
        """The content of one of our files."""
        return (self.top / path).read_bytes()

    def parts(self):
        """(part, its patches), in the order of the series."""
        known = {patch.path: patch for patch in self.patches}
        return [(part, [known[path] for path in part.patches if path in known]) for part in self.series.parts]

    def label(self, patch):
        """The part of a patch, as commands name it."""
        name = self.series.places.get(patch.path)
        return f"{patch.topic}/{name}" if name else patch.topic

    def owned(self):
        """Everything that refresh may write: patches/, overlay files, MAINTAINERS."""
        paths = [f"patches/{path}" for path in self.series.patches if (self.top / "patches" / path).exists()]
        paths += [path for path in ("patches/series", "MAINTAINERS") if (self.top / path).exists()]
        return sorted(paths + list(self.overlay))

    def mark(self, path):
        """What tells two states of a file apart: content and executable bit."""
        data = read(self.top / path)
        if data is None:
            return "absent"
        return mark(data, os.stat(self.top / path).st_mode & stat.S_IXUSR)

    def check(self):
        """Every problem that can be found without a kernel."""
        problems = list(self.problems)
        for patch in self.patches:
            problems += patch.problems
        problems += self._conflicts() + self._stray_patches() + self._claims() + self._folding() + self._entries() \
            + self._parts() + self._covers()
        return list(dict.fromkeys(problems))

    def _conflicts(self):
        """Marks of a merge that 'make refresh' could not finish."""
        return [f"{path}: holds conflict markers (<<<<<<<): resolve them" for path in self.owned()
                if re.search(rb"^[+ ]?<{7} edited here$", read(self.top / path) or b"", re.MULTILINE)]

    def _stray_patches(self):
        base = self.top / "patches"
        listed = set(self.series.patches)
        stray = sorted(str(path.relative_to(base)) for path in base.rglob("*") if path.is_file())
        return [f"patches/{path}: not in patches/series" for path in stray
                if path != "series" and path not in listed and not self._cover(path)]

    def _cover(self, path):
        return any(path == part.cover for part in self.series.parts)

    def _parts(self):
        """What is posted at once can be read at once."""
        problems = []
        for part in self.series.parts:
            count = len(part.patches)
            if count > LIMIT and not part.long:
                problems.append(f"patches/series: part {part.label} has {count} patches, {LIMIT} are allowed: cut it, or say "
                                "below its heading why not ('# long: ...')")
            if part.name and not count:
                problems.append(f"patches/series: part {part.label} has no patches")
        return problems

    def _covers(self):
        """A cover letter is a subject, a blank line and a body, which tells of a part what it costs and what was tested."""
        problems = []
        for part in self.series.parts:
            data = read(self.top / "patches" / part.cover)
            where = f"patches/{part.cover}"
            if data is None:
                problems += [f"{where}: does not exist; each part has a cover letter"] if part.name else []
                continue
            lines = data.decode("utf-8", errors="replace").split("\n")
            if part.name:
                problems += [f"{where}: no paragraph begins with '{word}'" for word in ("Cost:", "Tested")
                             if not any(line.startswith(word) and not before.strip()
                                        for before, line in zip(lines, lines[1:]))]
            if not lines[0].strip() or len(lines[0]) > SUBJECT_LIMIT:
                problems.append(f"{where}: the first line is the subject, at most {SUBJECT_LIMIT} characters")
            if len(lines) < 3 or lines[1].strip() or not "".join(lines[2:]).strip():
                problems.append(f"{where}: a blank line and the body follow the subject")
            problems += [f"{where}: b4 would split the mailbox at this line: {line[:60]}"
                         for line in lines if line.startswith("From ")]
        return problems

    def _claims(self):
        """Each overlay file is claimed once and each claim exists."""
        problems = []
        owner = {}
        for patch in self.patches:
            for path in patch.adds:
                if path in owner:
                    problems.append(f"patches/{patch.path}: {path}: already added by patches/{owner[path]}")
                    continue
                owner[path] = patch.path
                if path not in self.overlay and not path_problem(path):
                    problems.append(f"patches/{patch.path}: Adds: {path}: no such file in the repository")
        for path in self.overlay:
            if path not in owner:
                wrong = path_problem(path)
                problems.append(f"{path}: {wrong}" if wrong else f"{path}: no patch claims this file (Adds: {path})")
        return problems

    def _folding(self):
        """A file of the series is complete in the patch that adds it."""
        owner = {path: patch.path for patch in self.patches for path in patch.adds}
        return [f"patches/{patch.path}: {path}: the diff touches a file that patches/{owner[path]} adds; fold it "
                f"into that file" for patch in self.patches for path in patch.touched() if path in owner]

    def _entries(self):
        """Each entry of our MAINTAINERS is claimed once, each claim exists, and the entries are in order."""
        problems = []
        owner = {}
        titles = self.maintainers.titles
        for title in self.maintainers.duplicates():
            problems.append(f"MAINTAINERS: {title}: entry occurs twice")
        for before, after in zip(titles, titles[1:]):
            if sort_key(before) > sort_key(after):
                problems.append(f"MAINTAINERS: {after}: entry is not in alphabetical order")
        for patch in self.patches:
            for title in patch.entries:
                if title in owner:
                    problems.append(f"patches/{patch.path}: Entry: {title}: already merged by patches/{owner[title]}")
                elif title not in titles:
                    problems.append(f"patches/{patch.path}: Entry: {title}: no such entry in MAINTAINERS")
                owner.setdefault(title, patch.path)
        return problems + [f"MAINTAINERS: {title}: no patch claims this entry (Entry: {title})"
                           for title in titles if title not in owner]


def mark(data, executable):
    """A short text that stands for content and executable bit."""
    return hashlib.sha256(data).hexdigest() + ("+x" if executable else "")
