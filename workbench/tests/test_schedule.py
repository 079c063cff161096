# SPDX-License-Identifier: GPL-2.0
"""What runs beside what."""

import threading
import unittest
from unittest import mock

from check import schedule
from check.suite import Result, Suite
from shared import GOOD


class SideBySide(unittest.TestCase):
    """The two lanes."""

    def setUp(self):
        self.log, self.lock = [], threading.Lock()

    def note(self, text):
        with self.lock:
            self.log.append(text)

    def schedule(self, suites, run_suite, build=None, slots=2):
        kernels = mock.Mock()
        kernels.build = build or (lambda config: self.note(f"kernel {config}"))
        return [result.suite.label for result in schedule.Schedule(suites, kernels, run_suite, slots).results()]

    def work(self, suite):
        self.note(suite.label)
        return Result(suite, GOOD)

    def test_everything_is_run_once(self):
        suites = [Suite("host", "t"), Suite("static", "t", builds=True), Suite("x", "t", config="a"), Suite("x", "t", config="b")]
        self.assertEqual(sorted(self.schedule(suites, self.work)), ["host", "static", "x:a", "x:b"])
        self.assertEqual(sorted(self.log), ["host", "kernel a", "kernel b", "static", "x:a", "x:b"])

    def test_kernels_are_built_in_order_and_before_checks_that_build(self):
        suites = [Suite("static", "t", builds=True), Suite("x", "t", config="b"), Suite("x", "t", config="a")]
        self.schedule(suites, self.work)
        self.assertEqual([line for line in self.log if line in ("kernel a", "kernel b", "static")], ["kernel b", "kernel a", "static"])

    def test_a_boot_starts_while_the_next_kernel_is_built(self):
        booted = threading.Event()

        def build(config):
            self.assertTrue(config == "default" or booted.wait(20), "the second kernel was built first")

        def boot(suite):
            booted.set()
            return Result(suite, GOOD)
        self.schedule([Suite("x", "t", config="default"), Suite("x", "t", config="debug")], boot, build)

    def test_a_host_check_runs_while_the_first_kernel_is_built(self):
        checked = threading.Event()

        def check(suite):
            checked.set()
            return Result(suite, GOOD)
        self.schedule([Suite("lint", "t"), Suite("x", "t", config="default")], check, lambda _: self.assertTrue(checked.wait(20)))

    def test_a_boot_waits_for_no_check(self):
        """The boots keep their order; a check that runs while the kernel is built is waited for by another one alone."""
        booted, host = threading.Event(), [Suite(name, "t") for name in ("lint", "mbox")]

        def work(suite):
            if suite.label == "lint":
                self.assertTrue(booted.wait(20), "no boot began beside it")
            if suite.label == "x:b":
                booted.set()
            return self.work(suite)

        boots = [Suite(name, "t", config=config) for config in "ab" for name in ("y", "x")]
        self.schedule([*host, *boots], work, slots=1)
        self.assertEqual([line for line in self.log if ":" in line], ["y:a", "x:a", "y:b", "x:b"])
        self.assertEqual(self.log[-1], "mbox")

    def test_a_boot_starts_beside_a_build_and_a_check(self):
        """As on a machine with two CPUs: the first guest is not to wait for the longest check."""
        booted, checked = threading.Event(), threading.Event()

        def build(config):
            self.assertTrue(checked.wait(20) if config == "default" else booted.wait(20), f"kernel {config} waited in vain")

        def work(suite):
            if suite.config == "default":
                booted.set()
            elif not suite.config:
                checked.set()
                self.assertTrue(booted.wait(20), "the guest waits for the check")
            return Result(suite, GOOD)
        suites = [Suite("tools", "t"), *(Suite("x", "t", config=config) for config in ("default", "debug"))]
        self.assertEqual(len(self.schedule(suites, work, build)), 3)

    def most_at_once(self, suites, slots):
        now, most = [], []

        def work(suite):
            with self.lock:
                now.append(suite)
                most.append(len(now))
            threading.Event().wait(0.05)
            with self.lock:
                now.remove(suite)
            return Result(suite, GOOD)
        self.schedule(suites, work, slots=slots)
        return max(most)

    def test_no_more_than_there_are_slots(self):
        boots_alone = [Suite(str(number), "t", config="a") for number in range(8)]
        self.assertEqual(self.most_at_once(boots_alone, 3), 3)
        self.assertEqual(self.most_at_once(boots_alone, 1), 1)
        self.assertEqual(self.most_at_once([Suite(str(number), "t", builds=True) for number in range(4)], 3), 1)

    def test_one_less_while_something_is_built(self):
        going, most, end = [], [], threading.Event()

        def work(suite):
            if suite.builds:
                end.wait(20)
                return Result(suite, GOOD)
            with self.lock:
                going.append(suite)
                most.append(len(going))
            threading.Event().wait(0.05)
            with self.lock:
                going.remove(suite)
                if len(most) == 4:
                    end.set()
            return Result(suite, GOOD)
        self.schedule([Suite("static", "t", builds=True), *(Suite(str(number), "t") for number in range(4))], work, slots=2)
        self.assertEqual(max(most), 1)

    def test_who_stops_listening_stops_the_rest(self):
        stream = schedule.Schedule([Suite(str(number), "t") for number in range(9)], mock.Mock(), self.work, 1).results()
        next(stream)
        stream.close()
        self.assertLessEqual(len(self.log), 2)


if __name__ == "__main__":
    unittest.main()
