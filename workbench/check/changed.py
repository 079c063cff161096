# SPDX-License-Identifier: GPL-2.0
"""The source with other files in the place of some of its own, for one command, and the object trees built of it.

The compiler sees the changed files in a mount namespace, so that build/source stays as it is, and objects stay: an object tree
of mutants begins as a copy of their config's. A file that was changed once is a copy from then on, written anew whenever its
content changes, and so newer than what was made of it before.
"""

import os

from kernel.build import Kernel
from lib import files, paths
from lib.errors import CommandError

ENTER = 'from=$1 to=$2; shift 2; while [ "$1" != -- ]; do mount --bind "$from/$1" "$to/$1" || exit; shift; done; shift; exec "$@"'


def edited(source, edits):
    """File -> its content with some edits, of those that they change. Each is a file, text that is there exactly once, and what takes
    its place."""
    found = {}
    for name, old, new in edits:
        if not (source / name).is_file():
            raise CommandError(f"does not apply: there is no {name}")
        text = found[name] if name in found else (source / name).read_text(encoding="utf-8")
        if (times := text.count(old)) != 1:
            where = "is not there" if not times else f"is there {times} times"
            raise CommandError(f"does not apply: in {name} {where}: {' '.join(old.split())[:100]}")
        found[name] = text.replace(old, new)
        if found[name] == text:
            raise CommandError(f"changes nothing in {name}")
    return found


class Changed:
    """Files that are seen in the place of the source's own, by what way_in() runs."""

    def __init__(self, folder, source=None):
        self.folder, self.source = folder, source or paths.SOURCE

    def names(self):
        """The files that are, or once were, changed."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def become(self, texts):
        """Change these files, and no others. Only what differs is written, so that make builds what it has to."""
        for name in sorted({*self.names(), *texts}):
            path = self.folder / name
            if not (self.source / name).is_file():
                path.unlink()       # what was made of it goes with it
                continue
            content = texts[name].encode() if name in texts else (self.source / name).read_bytes()
            if not path.is_file() or path.read_bytes() != content:
                files.write(path, content)

    def way_in(self):
        """What runs a command that sees them. Mounts of a namespace are seen by nobody else, and end with it."""
        names = self.names()
        if not names:
            return []
        alone = ["--user", "--map-root-user"] if os.geteuid() else []
        return ["unshare", *alone, "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh", str(self.folder), str(self.source),
                *names, "--"]


class MutatedKernel(Kernel):
    """An object tree in which mutants of a config are built: one after the other, or all of them (check/onekernel.py)."""

    def __init__(self, config, label="mutants"):
        super().__init__(config, label=f"{label}-{config}")
        self.changed = Changed(self.objects / ".mutants")

    def make(self, *words):
        """make, where the files are changed."""
        return [*self.changed.way_in(), *super().make(*words)]

    def seed(self, made_of=None):
        """Begin as a copy of a tree without mutants."""
        super().seed(made_of or super().made_of())

    def made_of(self):
        """No other tree may begin as a copy of this one."""
        return super().made_of() + "mutants\n"
