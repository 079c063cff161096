# SPDX-License-Identifier: GPL-2.0
"""What a run remembers: only what passed, and only for the same state."""

import importlib.machinery
import importlib.util
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import wb
from ktap import Case

loader = importlib.machinery.SourceFileLoader("check", str(wb.TOP / "workbench" / "check"))
check = importlib.util.module_from_spec(importlib.util.spec_from_loader("check", loader))
loader.exec_module(check)

GOOD = [Case("a", "passed"), Case("b", "skipped", "needs c")]


class Remembered(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.suite = check.Suite("one default", "topic", lambda: GOOD)
        for patch in (mock.patch.object(check, "RECORD", Path(folder.name)), mock.patch.object(check, "state_key", lambda: self.state)):
            patch.start()
            self.addCleanup(patch.stop)
        self.state = "first"

    def test_what_passed_is_known_to_the_next_run(self):
        check.Progress(True, False).note(self.suite, GOOD)
        later = check.Progress(True, False)
        self.assertEqual(later.earlier(self.suite), GOOD)
        self.assertEqual(later.used, 2)

    def test_a_failure_is_not(self):
        check.Progress(True, False).note(self.suite, [*GOOD, Case("c", "failed", "why")])
        self.assertEqual(check.Progress(True, False).earlier(self.suite), [])

    def test_nor_is_another_state(self):
        check.Progress(True, False).note(self.suite, GOOD)
        self.state = "second"
        self.assertEqual(check.Progress(True, False).earlier(self.suite), [])

    def test_again_forgets(self):
        check.Progress(True, False).note(self.suite, GOOD)
        self.assertEqual(check.Progress(True, True).earlier(self.suite), [])

    def test_named_suites_neither_use_nor_leave_anything(self):
        check.Progress(False, False).note(self.suite, GOOD)
        self.assertEqual(check.Progress(True, False).earlier(self.suite), [])
        check.Progress(True, False).note(self.suite, GOOD)
        self.assertEqual(check.Progress(False, False).earlier(self.suite), [])


if __name__ == "__main__":
    unittest.main()
