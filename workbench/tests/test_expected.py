# SPDX-License-Identifier: GPL-2.0
"""A run has the cases that are expected, and each ends as expected."""

import unittest

from check import expected
from check.suite import Result, Suite
from lib import paths
from lib.cases import Case
from lib.errors import CommandError
from shared import GOOD, Folder


class Expectations(Folder):
    """The lines of expected.txt."""

    def setUp(self):
        super().setUp()
        self.patch(paths, "WORKBENCH", self.folder)
        self.patch(paths, "TOPICS", self.folder / "topics")
        (self.folder / "topics" / "t").mkdir(parents=True)
        self.suite = Suite("x", "t", config="debug")
        self.file = self.folder / "topics" / "t" / "expected.txt"

    def hopes(self, text=None):
        if text is not None:
            self.file.write_text(text)
        return expected.Expected({"t", "workbench"})

    def compared(self, text, *cases):
        """(name, detail) of what fails."""
        return [(case.name, case.detail) for case in self.hopes(text).compared(self.suite, list(cases)) if case.status == "failed"]

    LINES = "x:debug | a | pass\nx:debug | b | skip: needs c\n"

    def test_what_is_expected_is_as_it_was(self):
        self.assertEqual(self.hopes(self.LINES).compared(self.suite, GOOD), GOOD)

    def test_a_case_that_is_missing(self):
        self.assertEqual(self.compared(self.LINES + "x:debug | lost | pass\n", *GOOD), [("lost", "missing: topics/t/expected.txt expects pass")])
        self.assertEqual(self.compared(self.LINES + "x:debug | lost | skip: z\n", *GOOD)[0][0], "lost")

    def test_a_case_that_is_new(self):
        (name, detail), = self.compared(self.LINES, *GOOD, Case("c", "passed"))
        self.assertEqual(name, "c")
        self.assertIn("new: ", detail)

    def test_a_skip_for_another_reason(self):
        (name, detail), = self.compared(self.LINES, GOOD[0], Case("b", "skipped", "needs 1000 us, not 659 us"))
        self.assertEqual((name, detail), ("b", "it was skip: needs 1000 us, not 659 us; topics/t/expected.txt expects skip: needs c"))

    def test_a_skip_where_a_pass_is_expected_and_the_other_way_round(self):
        self.assertEqual([name for name, _ in self.compared(self.LINES, Case("a", "skipped", "why"), GOOD[1])], ["a"])
        self.assertEqual([name for name, _ in self.compared(self.LINES, GOOD[0], Case("b", "passed"))], ["b"])

    def test_all_skipped_is_not_green(self):
        self.assertEqual(len(self.compared(self.LINES, Case("a", "skipped", "no memory"), Case("b", "skipped", "no memory"))), 2)

    def test_a_failure_stays_what_it_is(self):
        self.assertEqual(self.compared(self.LINES, Case("a", "failed", "bad"), GOOD[1]), [("a", "bad")])

    def test_two_cases_of_one_name_are_two(self):
        twice = "x:debug | a | pass\nx:debug | a (2) | pass\n"
        self.assertEqual(self.compared(twice, Case("a", "passed"), Case("a", "passed")), [])
        self.assertEqual([name for name, _ in self.compared(twice, Case("a", "passed"))], ["a (2)"])
        self.assertEqual([name for name, _ in self.compared("x:debug | a | pass\n", Case("a", "passed"), Case("a", "passed"))], ["a (2)"])

    def test_a_boot_that_died_says_once_what_did_not_run(self):
        found = self.compared(self.LINES, Case("boot x-debug", "failed", "panic"))
        self.assertEqual([name for name, _ in found], ["boot x-debug", "cases that did not run"])
        self.assertIn("2 of 2: a; b", found[1][1])

    def test_a_suite_without_lines_fails(self):
        for text in (None, "x:default | a | pass\n"):
            (name, detail), = self.compared(text, *GOOD)
            self.assertEqual(name, "expected cases")
            self.assertIn("make check T=x:debug ACCEPT=1 writes them", detail)

    def test_what_cannot_be_read_is_refused(self):
        for text in ("x:debug | a\n", "x:debug | a | passed\n", "x:debug | a | pass\nx:debug | a | pass\n", "a\n"):
            with self.assertRaisesRegex(CommandError, r"expected.txt:\d"):
                self.hopes(text)

    def test_what_the_series_promises_is_not_listed_but_has_to_be_there(self):
        suite = Suite("lint", "workbench", promised=lambda: ["checkpatch mm: a", "mm/b.c"])
        cases = [Case("checkpatch mm: a", "passed"), Case("W=1 and sparse mm/b.c", "passed")]
        self.assertEqual(self.hopes().compared(suite, cases), cases)
        lost = self.hopes().compared(suite, [Case("checkpatch mm: a b", "passed"), Case("kernel-doc mm/b.c.rst", "passed")])
        self.assertEqual([case.name for case in lost if case.status == "failed"], ["mm/b.c"])
        lost = self.hopes().compared(suite, cases[1:])
        self.assertEqual([case.name for case in lost if case.status == "failed"], ["checkpatch mm: a"])

    def accept(self, *results, text=None):
        told = self.hopes(text).accept([Result(suite, list(cases)) for suite, cases in results], [self.suite, *(suite for suite, _ in results)])
        return told, self.file.read_text() if self.file.exists() else None

    def test_accepting_writes_what_a_second_run_expects(self):
        told, _ = self.accept((self.suite, GOOD))
        self.assertEqual(told, ["x:debug: + a | pass", "x:debug: + b | skip: needs c"])
        self.assertEqual(self.compared(None, *GOOD), [])
        told, _ = self.accept((self.suite, GOOD))
        self.assertEqual(told, [])

    def test_accepting_changes_the_lines_of_what_was_run_alone(self):
        told, text = self.accept((self.suite, [Case("a", "skipped", "now")]), text=self.LINES + "x:default | z | pass\n")
        self.assertEqual(told, [
            "topics/t/expected.txt: x:default: no such suite, its lines are gone", "x:debug: - a | pass", "x:debug: - b | skip: needs c",
            "x:debug: + a | skip: now"])
        other = Suite("x", "t", config="default")
        self.file.write_text(self.LINES + "x:default | z | pass\n")
        hopes = self.hopes()
        hopes.accept([Result(self.suite, [GOOD[0]])], [self.suite, other])
        self.assertEqual([line for line in self.file.read_text().splitlines() if line[0] != "#"], ["x:debug | a | pass", "x:default | z | pass"])
        self.assertIn("x:debug | a | skip: now\n", text)

    def test_what_was_written_while_it_ran_stays(self):
        self.file.write_text(self.LINES)
        hopes, other = self.hopes(), Suite("x", "t", config="default")
        self.file.write_text(self.LINES + "x:default | z | pass\n")
        hopes.accept([Result(self.suite, [GOOD[0]])], [self.suite, other])
        self.assertEqual([line for line in self.file.read_text().splitlines() if line[0] != "#"], ["x:debug | a | pass", "x:default | z | pass"])

    def test_nothing_of_a_suite_with_a_failure_is_accepted(self):
        told, text = self.accept((self.suite, [Case("a", "failed", "why"), Case("new", "passed")]), text=self.LINES)
        self.assertEqual(told, ["x:debug: not accepted, 1 of its cases failed"])
        self.assertIn(self.LINES, text)
        self.assertNotIn("new", text)

    def test_what_could_not_be_read_back_is_not_written(self):
        for case in (Case("a", "skipped", "x | y"), Case("a\nb", "passed"), Case(" a", "passed")):
            with self.assertRaisesRegex(CommandError, "cannot be written"):
                self.accept((self.suite, [case]))

    def test_lines_of_a_suite_that_is_gone(self):
        left = self.hopes("gone:debug | a | pass\n").orphans([self.suite])
        self.assertEqual([(case.name, case.status) for case in left], [("gone:debug", "failed")])


if __name__ == "__main__":
    unittest.main()
