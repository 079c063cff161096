# SPDX-License-Identifier: GPL-2.0
"""How far the build of a kernel is: n of about m objects, and the time left.

m is what the last build from nothing had, less what lies in the object tree already; before there was one on this machine,
what kernel/objects.toml says. Of a tree that is complete nobody knows what a change makes old: then n is shown alone, and
so it is from where it is more than was foreseen.
"""

import os
import re
import sys
import time
import tomllib

from lib import console, files, paths

OBJECT_LINE = re.compile(r"^\s+(CC|AS|LD|AR|HOSTCC|CC \[M\]|RUSTC)\s")
KEPT = paths.BUILD / "objects.json"
SHIPPED = paths.WORKBENCH / "kernel" / "objects.toml"
COMPLETE = 0.99     # of the object files: what is still missing is no build from nothing


def object_files(folder):
    """The number of object files in a tree; the build's own tools do not count."""
    return sum(name.endswith(".o") for where, _, names in os.walk(folder) for name in names
               if "/scripts" not in where and "/tools" not in where)


class Progress:
    """Counts the objects of one run of make."""

    def __init__(self, label, folder, quiet=False):
        self.label = label
        self.folder = folder
        self.quiet = quiet
        self.count = 0
        self.begun = self.shown = time.time()
        self.before = object_files(folder)
        self.expected = self.expect()

    def known(self):
        """What is known of a build of this tree: lines and object files of one from nothing."""
        kept = files.read_json(KEPT, {})
        shipped = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
        for label in (self.label, self.label.removesuffix("-base")):
            if label in kept:
                return kept[label]
        return shipped.get(self.label.removesuffix("-base"))

    def expect(self):
        """How many objects are still to be built, or None if nobody knows."""
        known = self.known()
        if not known:
            return None
        missing = 1 - self.before / known["files"]
        return round(known["lines"] * missing) if missing > 1 - COMPLETE else None

    def line(self, text):
        """Take a line of make's output."""
        if OBJECT_LINE.match(text) and "scripts/" not in text:
            self.count += 1
        if not self.quiet and time.time() - self.shown > (2 if sys.stdout.isatty() else 30):
            self.shown = time.time()
            end = "\r" if sys.stdout.isatty() else "\n"
            print(f"[{console.elapsed():>6}]   {self.label}: {self.text()}", end=end, flush=True)

    def text(self):
        """What is shown. The start is slow and the rest even, so no time is told for the first objects."""
        if not self.expected:
            return f"{self.count} objects"
        share = self.count / self.expected
        if share > 1:
            return f"{self.count} objects"
        text = f"{self.count} of about {self.expected} objects"
        if 0.05 <= share < 1:
            left = (time.time() - self.begun) * (1 - share) / share
            text += f", {int(left) // 60}:{int(left) % 60:02d} left"
        return text

    def ended(self):
        """Remember a build from nothing; one that went on from a tenth at most counts as such."""
        after = object_files(self.folder)
        if after and self.count and self.before <= after / 10:
            lines = round(self.count / (1 - self.before / after))
            files.write_json(KEPT, {**files.read_json(KEPT, {}), self.label: {"lines": lines, "files": after}})
