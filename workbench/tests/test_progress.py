# SPDX-License-Identifier: GPL-2.0
"""Tests of the progress of a kernel's build."""

import contextlib
import io
import unittest
from unittest import mock

from kernel import build, progress
from shared import Folder


class ProgressTests(Folder):
    """With an object tree of few files and a make that only prints."""

    def setUp(self):
        super().setUp()
        self.build = self.folder
        self.patch(progress, "SHIPPED", self.write("shipped.toml", "default = { lines = 40, files = 20 }\n"))
        self.patch(progress, "KEPT", self.build / "objects.json")
        self.patch(progress.paths, "BUILD", self.build)

    def make(self, objects, label="default", script="", quiet=False, more=0):
        """Run a make that builds these objects and prints a line for each, and more lines; what was said and the count."""
        tree = self.build / "kernel" / label
        script = script or (f"mkdir -p {tree}/mm; for n in $(seq {objects}); do echo \"  CC      mm/$n.o\"; : >{tree}/mm/$n.o; done; "
                            f"for n in $(seq {more}); do echo '  AR      built-in.a'; done; echo '  HOSTCC  scripts/x'")
        said = io.StringIO()
        now = iter(range(0, 100000, 31))
        with contextlib.redirect_stdout(said), mock.patch.object(progress.time, "time", lambda: next(now)):
            count = build.run_counted(["sh", "-c", script], self.build / "log", {"PATH": "/usr/bin:/bin"}, label, quiet)
        return said.getvalue(), count

    def test_the_first_build_goes_by_what_is_shipped(self):
        """n of m, and the time left, which is in proportion."""
        said, count = self.make(10, more=10)
        self.assertEqual(count, 20)
        self.assertIn("default: 1 of about 40 objects\n", said)
        self.assertRegex(said, r"default: 20 of about 40 objects, \d+:\d\d left\n")

    def test_the_next_goes_by_the_last(self):
        """Also for the base's kernel of the same config."""
        self.make(10, more=10)
        for label in ("default", "default-base"):
            with self.subTest(label):
                tree = self.build / "kernel" / label
                for path in (tree / "mm").glob("*") if tree.exists() else []:
                    path.unlink()
                self.assertRegex(self.make(10, label, more=10)[0], r"10 of about 20 objects, (\d+):\d\d left\n")

    def test_one_that_was_stopped_goes_on(self):
        """What lies there already is not built again."""
        self.make(10, more=10)
        for n in range(5, 11):
            (self.build / f"kernel/default/mm/{n}.o").unlink()
        said, _ = self.make(10, script="for n in 1 2 3; do echo '  CC      mm/x.o'; done")
        self.assertIn("3 of about 12 objects", said)

    def test_more_than_was_foreseen(self):
        """What was changed made old what lay there: no total is told that is not one."""
        self.make(10, more=10)
        (self.build / "kernel/default/mm/10.o").unlink()
        said, _ = self.make(10, script="for n in 1 2 3 4; do echo '  CC      mm/x.o'; done")
        self.assertIn("2 of about 2 objects", said)
        self.assertIn("default: 3 objects\n", said)

    def test_of_a_change_nobody_knows_the_total(self):
        """A complete tree: the number alone, and it is not taken for a build from nothing."""
        self.make(10, more=10)
        kept = (self.build / "objects.json").read_text()
        said, count = self.make(10, script="echo '  CC      mm/x.o'; echo '  CC      mm/y.o'")
        self.assertEqual(count, 2)
        self.assertIn("default: 2 objects\n", said)
        self.assertEqual((self.build / "objects.json").read_text(), kept)

    def test_unknown_config(self):
        """No number is invented."""
        self.assertIn("new: 3 objects\n", self.make(3, "new")[0])

    def test_quiet(self):
        """Says nothing, counts all the same."""
        self.assertEqual(self.make(3, quiet=True), ("", 3))

    def test_the_shipped_numbers_are_of_configs(self):
        """A config that is gone leaves no number behind."""
        self.assertLessEqual(set(progress.tomllib.loads((progress.paths.WORKBENCH / "kernel/objects.toml").read_text())),
                             set(build.names()))


if __name__ == "__main__":
    unittest.main()
