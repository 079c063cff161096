# SPDX-License-Identifier: GPL-2.0
"""What a run leaves and says."""

import contextlib
import io
import unittest
import xml.etree.ElementTree as xml

from check import ktap, report
from check.suite import Result, Suite
from guest import qemu
from lib import paths
from lib.cases import Case
from shared import GOOD, Folder


class Reported(Folder):
    RESULTS = [Result(Suite("lint", "workbench"), GOOD, 3.25),
               Result(Suite("x", "t", config="debug"), [Case("a # <1> & \x01", "failed", "why | because"), Case("c", "passed", seconds=0.5)], 62.5)]

    def setUp(self):
        super().setUp()
        self.patch(report, "RECORD", self.folder)

    def finish(self, results=None):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            status = report.finish(self.RESULTS if results is None else results)
        return status, said.getvalue()

    def test_the_last_line_and_the_exit_status(self):
        status, said = self.finish()
        self.assertEqual((status, said.splitlines()[-1]), (1, "2 passed, 1 failed, 1 skipped"))
        self.assertEqual(self.finish(self.RESULTS[:1])[0], 0)
        self.assertEqual(self.finish([])[0], 1)

    def test_a_failure_says_where_its_log_is_and_how_to_run_it_again(self):
        _, said = self.finish()
        self.assertIn(f"log {qemu.RUNS}/x-debug/console.log, again: make check T=x:debug", said)
        self.assertIn("again: make check T=x:debug", (self.folder / "cases.txt").read_text())
        self.assertEqual(report.help_for(Suite("lint", "t")), "again: make check T=lint")

    def test_how_long_each_took_the_slowest_first(self):
        _, said = self.finish()
        self.assertLess(said.index("1:02 x:debug"), said.index("0:03 lint"))
        self.assertIn("1:05 for all", said)

    def test_junit_can_be_read(self):
        self.finish()
        top = xml.parse(self.folder / "junit.xml").getroot()
        self.assertEqual({name: top.get(name) for name in ("tests", "failures", "skipped", "time")},
                         {"tests": "4", "failures": "1", "skipped": "1", "time": "65.8"})
        self.assertEqual([(suite.get("name"), suite.get("tests"), suite.get("time")) for suite in top],
                         [("lint", "2", "3.2"), ("x:debug", "2", "62.5")])
        self.assertEqual([(case.get("name"), case[0].tag if len(case) else "") for case in top.iter("testcase")],
                         [("a", ""), ("b", "skipped"), ("a # <1> & ?", "failure"), ("c", "")])
        self.assertIn("make check T=x:debug", top.find(".//failure").text)
        self.assertEqual([case.get("time") for case in top.iter("testcase")], [None, None, None, "0.500"])

    @unittest.skipUnless((paths.SOURCE / "tools/testing/kunit").is_dir(), "needs the kernel's KTAP parser")
    def test_ktap_is_read_by_the_kernel_s_parser(self):
        self.finish()
        lines = (self.folder / "results.ktap").read_text().splitlines()
        self.assertEqual([(case.name, case.status, case.detail) for case in ktap.cases(lines)][:2],
                         [("lint/a", "passed", ""), ("lint/b", "skipped", "needs c")])
        self.assertEqual(lines[lines.index("    # duration: 0.500 s") + 1], "    ok 2 c")
        parser, printer = ktap.kernel_parser()
        top = parser.parse_run_tests(lines, printer.null_printer)
        self.assertEqual((top.counts.passed, top.counts.failed, top.counts.skipped, top.counts.errors), (2, 1, 1, 0))


if __name__ == "__main__":
    unittest.main()
