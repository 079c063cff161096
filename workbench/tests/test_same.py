# SPDX-License-Identifier: GPL-2.0
"""Tests that have to end alike on the base, on the series and with private memory."""

import threading
import unittest
from unittest import mock

from check import expected, same
from check.suite import Suite
from lib.cases import Case


class Compared(unittest.TestCase):
    """A test's case tells where it ended in another way."""

    def case(self, **ends):
        def found(test, outcome):
            del test
            return {name: case.status for name, case in expected.numbered([Case(*words) for words in outcome])}

        with mock.patch.object(same, "ended", found):
            return same.compared("mm:some.sh", ends)

    def test_what_is_the_same_passes_however_it_ends(self):
        alike = [("a", "passed"), ("b", "failed", "x"), ("c", "skipped", "y")]
        self.assertEqual(self.case(base=alike, ours=alike, private=alike).status, "passed")

    def test_another_end_fails_and_says_where(self):
        found = self.case(base=[("a", "passed")], ours=[("a", "passed")], private=[("a", "failed", "x")])
        self.assertEqual((found.status, found.detail), ("failed", "a: base passed, ours passed, private failed"))

    def test_a_case_that_is_missing_fails(self):
        found = self.case(base=[("a", "failed"), ("b", "passed")], ours=[("a", "failed")], private=[("a", "failed")])
        self.assertEqual((found.status, found.detail), ("failed", "b: base passed, ours -, private -"))

    def test_of_two_with_one_name_each_counts(self):
        found = self.case(base=[("a", "passed")] * 2, ours=[("a", "passed")] * 2, private=[("a", "passed"), ("a", "skipped")])
        self.assertEqual(found.detail, "a (2): base passed, ours passed, private skipped")

    def test_no_results_are_not_the_same(self):
        none = [("runner", "failed", "no results")]
        self.assertEqual(self.case(base=none, ours=none, private=none).status, "failed")

    def test_jobs_that_plug_come_before_the_tests_of_the_third_boot(self):
        suite = Suite("s", "t", config="default", table={"machine": "numa", "prepare": ["first"], "plug": ["more"],
                                                         "kselftest": ["mm:some.sh"]})
        kernel = mock.Mock(label="default")
        kernel.image.return_value = "image"
        jobs = {side: same.boot_of(suite, side, kernel).jobs for side in same.SIDES}
        self.assertEqual(jobs["base"], ("first", "kselftest"))
        self.assertEqual(jobs["ours"], jobs["base"])
        self.assertEqual(jobs["private"], ("first", "more", "kselftest"))
        self.assertEqual(same.boot_of(suite, "private", kernel).name, "s-private")

    def test_each_boot_has_its_room_and_a_build_takes_none(self):
        room, seen = threading.BoundedSemaphore(1), []
        suite = Suite("s", "t", config="default", table={"kselftest": []})
        with mock.patch.multiple(same, kernel_of=lambda *_: seen.append(room._value), boot_of=mock.Mock()), \
                mock.patch.object(same.boots, "room", lambda: room), \
                mock.patch.object(same.qemu, "run", lambda _: seen.append(room._value) or mock.Mock(problems=[])):
            same.cases(suite)
        self.assertEqual(seen, [1, 0] * len(same.SIDES))
