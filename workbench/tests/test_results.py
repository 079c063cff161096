# SPDX-License-Identifier: GPL-2.0
"""How results are read: nothing that went wrong may pass."""

import subprocess
import unittest
from unittest import mock

from check import ktap, static
from kernel import build
from lib import paths
from lib.cases import Case
from shared import Folder

KUNIT = """KTAP version 1
1..1
    KTAP version 1
    # Subtest: shapes
    1..3
    ok 1 round
    {second} 2 square
    ok 3 flat # SKIP needs two nodes
# shapes: pass:2 fail:0 skip:1 total:3
{whole} 1 shapes
"""

KSELFTEST = """# overriding timeout to 1800
# TAP version 13
# # ----------------------
# # running ./shapes
# # ----------------------
# # TAP version 13
# # 1..3
# # ok 1 round
# # ok 2 # SKIP no corners
# # {third} 3 flat
# # # Totals: pass:2
# # [PASS]
# ok 1 shapes
# 1..1
"""


@unittest.skipUnless((paths.SOURCE / "tools/testing/kunit").is_dir(), "needs build/source for the kernel's KTAP parser")
class Ktap(unittest.TestCase):
    def statuses(self, cases):
        return {case.name: case.status for case in cases}

    def test_kunit_results(self):
        cases = ktap.cases(KUNIT.format(second="ok", whole="ok").splitlines(), "kunit")
        self.assertEqual(self.statuses(cases), {"kunit/shapes/round": "passed", "kunit/shapes/square": "passed",
                                                "kunit/shapes/flat": "skipped"})
        self.assertIn(Case("kunit/shapes/flat", "skipped", "needs two nodes"), cases)

    def test_failed_case_is_named(self):
        cases = ktap.cases(KUNIT.format(second="not ok", whole="not ok").splitlines(), "kunit")
        self.assertEqual(self.statuses(cases)["kunit/shapes/square"], "failed")

    def test_suite_that_fails_alone_fails(self):
        cases = ktap.cases(KUNIT.format(second="ok", whole="not ok").splitlines(), "kunit")
        self.assertIn("failed", self.statuses(cases).values())

    def test_truncated_results_fail(self):
        lines = KUNIT.format(second="ok", whole="ok").splitlines()[:7]
        self.assertIn("failed", self.statuses(ktap.cases(lines, "kunit")).values())

    def test_no_case_fails(self):
        for text in ("", "hello\n", "KTAP version 1\n1..0\n"):
            self.assertEqual({case.status for case in ktap.cases(text.splitlines(), "empty")}, {"failed"}, text)

    def nested(self, text):
        return [case for stream in ktap.nested(text) for case in stream.cases("shapes")]

    def test_kselftest_inside_two_runners(self):
        cases = self.nested(KSELFTEST.format(third="ok"))
        self.assertEqual(self.statuses(cases), {"shapes/round": "passed", "shapes/case 2": "skipped", "shapes/flat": "passed"})
        self.assertIn(Case("shapes/case 2", "skipped", "no corners"), cases)
        self.assertEqual(len(cases), 3, "the runner's verdict on a program is no case")
        cases = self.nested(KSELFTEST.format(third="not ok"))
        self.assertEqual(self.statuses(cases)["shapes/flat"], "failed")

    def test_each_program_of_a_kselftest_counts(self):
        cases = self.nested(KSELFTEST.format(third="not ok") + KSELFTEST.format(third="ok"))
        self.assertEqual([case.status for case in cases if case.name == "shapes/flat"], ["failed", "passed"])

    def test_a_stream_inside_a_program_hides_no_other(self):
        inner = "# # # TAP version 13\n# # # 1..1\n# # # ok 1 helper\n"
        second = "# # TAP version 13\n# # 1..3\n" + inner + "# # ok 1 helper ran\n# # ok 2 mine\n# # not ok 3 last\n# not ok 2 second\n"
        text = KSELFTEST.format(third="ok").replace("# 1..1\n", second + "# 1..2\n")
        self.assertEqual([(case.name, case.status) for case in self.nested(text)],
                         [("shapes/second", "failed"), ("shapes/round", "passed"), ("shapes/case 2", "skipped"), ("shapes/flat", "passed"),
                          ("shapes/mine", "passed"), ("shapes/last", "failed"), ("shapes/helper", "passed")])

    def test_results_after_a_stream_s_end_count(self):
        text = KSELFTEST.format(third="ok") + "# # not ok 4 late\n"
        self.assertIn("failed", self.statuses(self.nested(text)).values())

    def test_a_program_that_dies_fails_by_the_runner_s_verdict(self):
        text = KSELFTEST.format(third="ok").replace("# ok 1 shapes", "# not ok 1 shapes # exit=139")
        self.assertEqual([case.name for case in self.nested(text) if case.status == "failed"], ["shapes/shapes"])

    def test_results_without_a_name_count(self):
        cases = ktap.cases(["TAP version 13", "1..4", "ok 1", "not ok 2", "ok 3 -", "ok 4 # SKIP why"], "x")
        self.assertEqual([(case.name, case.status) for case in cases],
                         [("x/case 1", "passed"), ("x/case 2", "failed"), ("x/case 3", "passed"), ("x/case 4", "skipped")])

    def test_log_without_tap(self):
        self.assertEqual(ktap.nested("# timeout set to 45\nhello\n"), [])


class Durations(unittest.TestCase):
    def test_from_one_result_to_the_next(self):
        told = """\
[    0.500000] something else
[    1.000000]     KTAP version 1
[    1.000000]     # Subtest: suite
[    1.000000]     1..3
[    1.500000]     ok 1 one
    ok 1 one
[    1.600000]         # Subtest: many
[    2.000000]         ok 1 a name # of two
[    2.250000]         not ok 2 - other # SKIP why
[    2.300000]     ok 2 many
[   13.300000]     not ok 3 three
[   13.400000] not ok 1 suite
[   20.000000]     # Subtest: next
[   20.250000]     ok 1 one
[   20.250000] ok 2 next
"""
        found = {name: round(seconds, 3) for name, seconds in ktap.durations(told.splitlines()).items()}
        self.assertEqual(found, {"suite/one": 0.5, "suite/many/a name": 0.4, "suite/many/other": 0.25, "suite/many": 0.8,
                                 "suite/three": 11.0, "next/one": 0.25})
        self.assertEqual(ktap.durations(["[    1.0]     ok 1 of nothing that began", ""]), {})


class Fragments(Folder):
    def setUp(self):
        super().setUp()
        for name in ("CONFIGS", "FRAGMENTS"):
            self.patch(build, name, self.folder)

    def test_later_fragments_win(self):
        self.write("low.config", "CONFIG_A=y\nCONFIG_B=\"x y\"\n")
        self.write("high.config", "# with: low\n# CONFIG_A is not set\nCONFIG_C=3\n")
        self.assertEqual(build.requested("high"), {"CONFIG_A": "n", "CONFIG_B": '"x y"', "CONFIG_C": "3"})

    def test_bad_fragments_are_refused(self):
        self.write("lost.config", "# with: nowhere\n")
        self.write("typo.config", "CONFIG_A\n")
        for name in ("lost", "typo", "missing"):
            with self.assertRaises(SystemExit, msg=name):
                build.requested(name)

    def test_what_was_asked_for_has_to_be_there(self):
        self.write("any.config", "CONFIG_A=y\nCONFIG_OURS=y\n")
        whole = build.Kernel("any")
        prefix = build.Kernel("any", source=self.folder)
        with mock.patch.object(build, "series_options", return_value={"CONFIG_OURS"}):
            for kernel, have, lost in ((whole, {"CONFIG_A": "y"}, ["CONFIG_OURS=y"]),
                                       (whole, {"CONFIG_A": "y", "CONFIG_OURS": "y"}, []),
                                       (prefix, {"CONFIG_A": "y"}, []),
                                       (prefix, {"CONFIG_A": "y", "CONFIG_OURS": "m"}, ["CONFIG_OURS=y"]),
                                       (prefix, {"CONFIG_OURS": "y"}, ["CONFIG_A=y"])):
                self.assertEqual(kernel.lost(build.requested("any"), have), lost)


class Remarks(unittest.TestCase):
    def test_only_new_lines_count(self):
        before = "mm/a.c:10:5: warning: old\n"
        self.assertEqual(static.new_lines("mm/a.c:12:5: warning: old\n", before), [])
        self.assertEqual(static.new_lines("mm/a.c:12:5: warning: old\nmm/a.c:13:5: warning: old\n", before),
                         ["mm/a.c:13:5: warning: old"])
        self.assertEqual(static.new_lines("mm/a.c:12:5: warning: new\n", before), ["mm/a.c:12:5: warning: new"])

    def test_checkpatch_s_remarks_are_known_by_the_mail(self):
        said = subprocess.CompletedProcess([], 1, "-:9: WARNING:X: y\n", "")
        with mock.patch.object(static, "mail_of") as git, mock.patch.object(static.subprocess, "run") as run:
            run.return_value = said
            git.return_value = "From 1\nSubject: a\n"
            _, remarks, key = static.remarks_of("1", "base", {})
            git.return_value = "From 2\nSubject: a\n"
            self.assertEqual(static.remarks_of("2", "base", {key: remarks})[1:], (remarks, key))
            self.assertEqual(run.call_count, 1)
            self.assertNotEqual(static.remarks_of("2", "other", {key: remarks})[2], key)
            git.return_value = "From 2\nSubject: b\n"
            self.assertNotEqual(static.remarks_of("2", "base", {key: remarks})[2], key)
            self.assertEqual(run.call_count, 3)
            said.stderr = "no module named ply"
            self.assertIsNone(static.remarks_of("2", "base", {})[2])


if __name__ == "__main__":
    unittest.main()
