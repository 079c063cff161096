# SPDX-License-Identifier: GPL-2.0
"""What there is to run, what of it is meant by a name, and what it needs."""

import os
import subprocess
import tempfile
import unittest
from unittest import mock

from check import expected, plan, promised, run
from check.suite import Suite
from guest import qemu
from kernel import source
from lib import paths
from lib.errors import CommandError


class Plan(unittest.TestCase):
    def test_each_suite_has_a_name_of_its_own(self):
        labels = [suite.label for suite in plan.everything()]
        self.assertEqual(len(labels), len(set(labels)))
        self.assertIn("page-owner:debug", labels)

    def test_every_group_that_a_suite_needs_is_there(self):
        listed = subprocess.run([paths.WORKBENCH / "host" / "setup", "--list"], capture_output=True, text=True, check=True).stdout.split()
        for suite in plan.everything():
            self.assertLessEqual(set(suite.needs), set(listed), suite.label)

    def test_a_table_under_a_config(self):
        entry = {"name": "x", "configs": ["default", "debug"], "jobs": ["a"], "jobs-debug": ["b"], "prepare-debug": ["p"], "timeout": 9}
        self.assertEqual(plan.under(entry, "default"), {"name": "x", "configs": ["default", "debug"], "jobs": ["a"], "timeout": 9})
        self.assertEqual(plan.under(entry, "debug")["jobs"], ["b"])
        self.assertEqual(plan.under(entry, "debug")["prepare"], ["p"])

    def test_a_key_that_nobody_reads_is_refused(self):
        for text in ('[[suite]]\nname = "x"\nconfigs = ["default"]\nkunits = []\n', '[[suite]]\nname = "x"\nconfigs = ["default"]\njobs-debug = []\n',
                     '[[program]]\nname = "x"\nfile = "y"\n'):
            kind = text.split("]")[0].strip("[")
            with mock.patch.object(plan, "files", return_value=[("t", mock.Mock(read_text=lambda text=text: text))]), \
                    self.assertRaisesRegex(CommandError, "unknown key (kunits|jobs-debug|file)"):
                plan.tables(kind)


class Promised(unittest.TestCase):
    """Cases that follow from rows and files."""

    def test_the_bench_has_each_row_and_figure_with_a_bound(self):
        rows = [{"id": "pair", "short": True}, {"id": "plain", "short": True}]
        bounds = {"pair": {"max": 1}, "long": {"max": 1}, "insn free": {"max": 1}, "size struct page": {"max": 1}}
        with mock.patch.object(promised.run, "plan", lambda *_: ({"function": [{"names": ["free"]}]}, rows, bounds)), \
                mock.patch.object(promised.run, "static_names", lambda _: {"insn free", "insn alloc", "size struct page"}):
            self.assertEqual(promised.bench(), ["boots", "pair", "insn free", "size struct page"])
            self.assertEqual(promised.missing(promised.bench(), ["boots", "pair", "size struct page"]), ["insn free"])

    def test_the_bench_s_own_files(self):
        with mock.patch.object(promised.run.figures, "compiler_name", lambda: "gcc 12"):
            self.assertGreater(len(promised.bench()), 10)

    def test_a_compiler_that_can_be_had_links_and_says_what_is_new(self):
        with mock.patch.object(promised.compilers, "why_not", lambda compiler: "needs root" if compiler.name == "gcc-15" else ""):
            self.assertEqual(promised.other_compilers(), ["clang-19 links", "clang-19 W=1", "gcc-14 links", "gcc-14 W=1", "gcc-15 links"])
            self.assertEqual(promised.missing(promised.other_compilers(), [
                "clang-19 links", "clang-19 W=1 mm/a.c", "gcc-14 links", "gcc-15 links"]), ["gcc-14 W=1"])


class Names(unittest.TestCase):
    SUITES = [Suite("one", "a", config="default"), Suite("one", "a", config="debug"), Suite("long", "a", config="debug", full=True),
              Suite("two", "b"), Suite("b", "b", config="default")]

    def chosen(self, *words, full=False):
        return [suite.label for suite in plan.chosen(self.SUITES, words, full)]

    def test_nothing_named(self):
        self.assertEqual(self.chosen(), ["one:default", "one:debug", "two", "b:default"])
        self.assertEqual(self.chosen(full=True), [suite.label for suite in self.SUITES])

    def test_a_topic_is_run_whole_also_if_a_suite_has_its_name(self):
        self.assertEqual(self.chosen("a"), ["one:default", "one:debug", "long:debug"])
        self.assertEqual(self.chosen("b"), ["two", "b:default"])

    def test_one_boot(self):
        self.assertEqual(self.chosen("one"), ["one:default", "one:debug"])
        for words in (["one:debug"], ["one debug"], ["one", "debug"]):
            self.assertEqual(self.chosen(*words, "two"), ["one:debug", "two"])
        self.assertEqual(self.chosen("b:default"), ["b:default"])

    def test_a_name_that_is_nothing_s_is_refused_also_beside_others(self):
        for words in (["typo"], ["two", "typo"], ["two", "debug"], ["one:nowhere"], ["typo", "one", "debug"]):
            with self.assertRaisesRegex(CommandError, "no topic or suite", msg=words):
                self.chosen(*words)
        with self.assertRaisesRegex(CommandError, "is it two"):
            self.chosen("twoo")

    def test_it_is_refused_before_anything_is_prepared(self):
        with mock.patch.object(run, "prepare") as prepare, mock.patch.object(run.stop, "guarded") as guarded:
            with self.assertRaises(CommandError):
                run.main(["lint", "typo"])
        prepare.assert_not_called()
        guarded.assert_not_called()

    def test_make_refuses_it_before_it_sets_anything_up(self):
        with tempfile.TemporaryDirectory() as build:
            done = subprocess.run(["make", "-C", paths.TOP, "check", "T=lint typo"], capture_output=True, text=True, check=False,
                                  env={**os.environ, "WB_BUILD": build}, timeout=60)
            self.assertEqual(os.listdir(build), [])
        self.assertIn("no topic or suite typo", done.stderr)
        self.assertNotEqual(done.returncode, 0)


class Prepared(unittest.TestCase):
    def prepare(self, *suites):
        with mock.patch.object(run.subprocess, "run") as command, mock.patch.object(source, "pin"), mock.patch.object(qemu, "prepare") as guest:
            command.return_value.returncode = 0
            run.prepare(suites)
        return [[str(word) for word in call.args[0]] for call in command.call_args_list], guest

    def test_the_packages_of_all_suites_in_one_call(self):
        commands, guest = self.prepare(Suite("x", "t", needs=("lint", "kernel")), Suite("y", "t", needs=("kernel", "mbox")))
        self.assertEqual(commands[0][1:], ["base", "kernel", "lint", "mbox"])
        self.assertEqual(len([words for words in commands if words[0].endswith("setup")]), 1)
        guest.assert_not_called()

    def test_the_guest_s_files_for_what_boots(self):
        _, guest = self.prepare(Suite("x", "t", config="default", needs=("kernel", "guest")))
        guest.assert_called_once_with(kselftests=False, more=[])
        _, guest = self.prepare(Suite("x", "t", needs=("lint",)), Suite("x", "t", config="default", needs=("kernel", "guest", "check")))
        guest.assert_called_once_with(kselftests=True, more=[])
        _, guest = self.prepare(Suite("x", "t", config="default", needs=("guest",), table={"root": "tools"}))
        guest.assert_called_once_with(kselftests=False, more=["tools"])


class Listed(unittest.TestCase):
    """The files that are there."""

    def test_each_check_of_no_topic_has_cases_that_are_listed_or_promised(self):
        suites = plan.host_checks()
        hopes = expected.Expected({suite.topic for suite in suites})
        self.assertEqual([suite.label for suite in suites if not suite.promised and not hopes.lines(suite)], [])

    def test_they_can_be_read_and_name_suites_that_are_there(self):
        suites = plan.everything()
        self.assertEqual(expected.Expected({suite.topic for suite in suites}).orphans(suites), [])

    def test_they_are_as_accepting_would_write_them(self):
        for path in [paths.WORKBENCH / "guest" / "expected.txt", *paths.TOPICS.glob("*/expected.txt")]:
            if path.exists():
                self.assertEqual(path.read_text(), expected.written(expected.read(path)), path)


if __name__ == "__main__":
    unittest.main()
