# SPDX-License-Identifier: GPL-2.0
"""What a run remembers: only what passed, and only for the same state."""

import functools
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from check import run as check
from lib import console
from lib.cases import Case

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


class Wanted(unittest.TestCase):
    SUITES = [check.Suite("one default", "a", None), check.Suite("one debug", "a", None),
              check.Suite("long debug", "a", None, full=True), check.Suite("two", "b", None)]

    def wanted(self, names, full=False):
        return [suite.name for suite in self.SUITES if suite.wanted(names, full)]

    def test_nothing_named(self):
        self.assertEqual(self.wanted([]), ["one default", "one debug", "two"])
        self.assertEqual(self.wanted([], full=True), [suite.name for suite in self.SUITES])

    def test_a_topic_is_run_whole(self):
        self.assertEqual(self.wanted(["a"]), ["one default", "one debug", "long debug"])

    def test_a_suite_with_and_without_its_config(self):
        self.assertEqual(self.wanted(["one"]), ["one default", "one debug"])
        self.assertEqual(self.wanted(["one debug", "two"]), ["one debug", "two"])


class SideBySide(unittest.TestCase):
    """Guests run at once after the host checks and the kernels; results stay in the order of the suites."""

    def run_all(self, build, boot):
        suites = [check.Suite("slow", "a", functools.partial(boot, "slow"), config="c"), check.Suite("host", "a", lambda: GOOD),
                  check.Suite("quick", "a", functools.partial(boot, "quick"), config="c")]
        with mock.patch.object(check, "built_kernel", build), mock.patch.object(check, "guests_at_once", lambda: 2), \
                mock.patch.object(check, "report"), mock.patch.object(console, "say"):
            return check.run_all(suites, check.Progress(False, False), False)

    def test_two_are_there_at_once_and_the_order_stays(self):
        both = threading.Barrier(2, timeout=20)

        def boot(name):
            both.wait()
            return [Case(name, "passed")]

        results = self.run_all(mock.Mock(), boot)
        self.assertEqual([name for name, _ in results], ["slow", "host", "host", "quick"])
        self.assertEqual({case.status for name, case in results if name != "host"}, {"passed"})

    def test_a_kernel_that_does_not_build_fails_its_suites_alone(self):
        build = mock.Mock(side_effect=SystemExit)
        results = self.run_all(build, lambda name: build())
        self.assertEqual([case.status for name, case in results if name != "host"], ["failed", "failed"])
        self.assertEqual([case for name, case in results if name == "host"], GOOD)


if __name__ == "__main__":
    unittest.main()
