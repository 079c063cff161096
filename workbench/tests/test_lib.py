# SPDX-License-Identifier: GPL-2.0
"""What all rooms share: files that are whole, and locks."""

import contextlib
import io
import json
import threading
import unittest
from unittest import mock

from lib import files, lock
from lib.errors import CommandError
from lib.git import Git, GitError
from shared import Folder


class Files(Folder):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "new" / "state.json"

    def test_what_was_written_is_read(self):
        files.write_json(self.path, {"a": 1})
        self.assertEqual(files.read_json(self.path, None), {"a": 1})

    def test_what_cannot_be_read_is_the_default(self):
        self.assertEqual(files.read_json(self.path, "none"), "none")
        files.write(self.path, json.dumps({"a": 1})[:4])
        self.assertEqual(files.read_json(self.path, "none"), "none")
        files.write(self.path, b"\xff\xfe")
        self.assertEqual(files.read_json(self.path, "none"), "none")

    def test_a_full_disk_leaves_the_old_file_and_nothing_else(self):
        files.write(self.path, "old")
        with mock.patch.object(files.os, "replace", side_effect=OSError("full")), self.assertRaises(OSError):
            files.write(self.path, "new")
        self.assertEqual(self.path.read_text(), "old")
        self.assertEqual(list(self.path.parent.iterdir()), [self.path])


class Locks(Folder):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "lock"

    def test_who_does_not_wait_is_told(self):
        with lock.held(self.path, "runs"), self.assertRaisesRegex(CommandError, "another command runs"):
            with lock.held(self.path, "runs", wait=False):
                self.fail("two hold it")

    def test_shared_locks_go_together_and_keep_others_out(self):
        with lock.held(self.path, "reads", shared=True), lock.held(self.path, "reads", shared=True, wait=False):
            with self.assertRaises(CommandError), lock.held(self.path, "writes", wait=False):
                self.fail("a writer beside readers")

    def test_who_waits_gets_it_afterwards(self):
        order, said = [], io.StringIO()

        def second():
            with contextlib.redirect_stdout(said), lock.held(self.path, "runs"):
                order.append("second")

        with lock.held(self.path, "runs"):
            thread = threading.Thread(target=second)
            thread.start()
            while "waiting" not in said.getvalue():
                pass
            order.append("first")
        thread.join()
        self.assertEqual(order, ["first", "second"])


class Report(unittest.TestCase):
    """What git says, as the user gets it."""

    def said(self, lines):
        done = mock.Mock(returncode=1, stdout=b"", stderr="".join(f"{line}\n" for line in lines).encode())
        with mock.patch("subprocess.run", return_value=done), self.assertRaises(GitError) as caught:
            Git("/none").out("checkout", "series")
        return caught.exception.problems

    def test_a_line_for_each_of_many_files_is_three(self):
        """W8: on a full disk the reason stood below as many lines as there were files to write."""
        files_lost = [f"error: unable to write file mm/{number}.c" for number in range(71)]
        self.assertEqual("\n".join(self.said([*files_lost, "fatal: write error. Out of diskspace"])).splitlines(), [
            "git checkout: error: unable to write file mm/0.c", "error: unable to write file mm/1.c",
            "error: unable to write file mm/2.c", "(68 more lines like this)", "fatal: write error. Out of diskspace"])

    def test_what_is_short_stays(self):
        self.assertEqual(self.said(["error: a file b", "error: a file c", "error: a file d", "fatal: x"]),
                         ["git checkout: error: a file b\nerror: a file c\nerror: a file d\nfatal: x"])


if __name__ == "__main__":
    unittest.main()
