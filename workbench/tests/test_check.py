# SPDX-License-Identifier: GPL-2.0
"""One suite from its key to its result, boots, and a whole check that is interrupted. Kernels and guests are stubs here."""

import os
import re
import signal
import subprocess
import sys
import unittest
from unittest import mock

from check import boots, cache, host, report, run, schedule
from check.suite import Suite
from guest import qemu
from lib import console, lock, paths
from lib.cases import Case
from lib.errors import CommandError
from shared import GOOD, PATIENCE, Folder, alive, wait_for


class Stub:
    """Kernels that are there at once, or cannot be built."""

    def __init__(self, problem=""):
        self.built, self.problems, self.problem = {}, {}, problem

    def build(self, config):
        if self.problem:
            self.problems[config] = self.problem
        else:
            self.built[config] = mock.Mock(label=config, image=lambda: paths.BUILD / "image")


class Running(Folder):
    """One suite, from its key to its result."""

    def setUp(self):
        super().setUp()
        self.patch(console, "say")
        self.cache = cache.Cache(self.folder / "passed")
        self.state, self.ran = "a", 0

    def suite(self, cases=None, **more):
        def work():
            self.ran += 1
            return GOOD if cases is None else cases
        return Suite("x", "t", work, reads=lambda found: found.add("state", self.state), **more)

    def run_once(self, suite, expectations=None):
        return run.Runner(Stub(), self.cache, expectations)(suite)

    def test_a_second_run_takes_what_is_known(self):
        self.run_once(self.suite())
        again = self.run_once(self.suite())
        self.assertEqual((self.ran, again.earlier, again.cases), (1, True, GOOD))
        self.state = "b"
        self.assertFalse(self.run_once(self.suite()).earlier)
        self.state = "a"
        self.assertTrue(self.run_once(self.suite()).earlier)
        self.assertEqual(self.ran, 2)

    def test_what_changes_while_it_runs_leaves_no_pass(self):
        suite = self.suite()

        def work():
            self.state = "b"
            return GOOD
        suite.run = work
        self.assertFalse(self.run_once(suite).failed)
        for self.state in ("a", "b"):
            self.assertFalse(self.run_once(self.suite()).earlier, self.state)

    def test_a_known_result_that_is_not_expected_any_more_is_run_again(self):
        self.run_once(self.suite())
        hopes = mock.Mock(compared=lambda suite, cases: [*cases, Case("c", "failed", "missing")])
        result = self.run_once(self.suite(), hopes)
        self.assertEqual((self.ran, len(result.failed)), (2, 1))

    def test_a_result_that_is_not_as_expected_is_not_kept(self):
        hopes = mock.Mock(compared=lambda suite, cases: [*cases, Case("c", "failed", "missing")])
        self.run_once(self.suite(), hopes)
        self.assertFalse(self.run_once(self.suite()).earlier)

    def test_what_stops_is_a_failed_case_with_its_reason(self):
        self.patch(paths, "LOGS", self.folder)
        for error, told in ((CommandError("no tree"), r"^no tree$"), (OSError("gone"), r"OSError: gone \(log .*check-x.log\)"),
                            (console.Died("mm/x.c:1: error", "x.log"), r"^mm/x.c:1: error \(log x.log\)$")):
            suite = self.suite()
            suite.run = mock.Mock(side_effect=error)
            result = self.run_once(suite)
            self.assertEqual(len(result.failed), 1)
            self.assertRegex(result.failed[0].detail, told)
        self.assertIn("gone", (self.folder / "check-x.log").read_text())

    def test_no_case_is_a_failure(self):
        self.assertEqual(len(self.run_once(self.suite([])).failed), 1)


class Whole(Folder):
    """What comes before and after the suites."""

    def setUp(self):
        super().setUp()
        self.patch(report, "RECORD", self.folder)
        self.patch(report, "finish", lambda results, base: len(results))
        self.patch(run, "run_all", lambda suites, *_: suites)
        self.prepared = self.patch(run, "prepare")
        self.forgotten = self.patch(run.prefixes, "forget")

    def check(self, *words):
        suites = [Suite("bisect", "series")]
        return run.check(run.arguments(words), suites, suites, None)

    def test_a_second_one_is_refused_before_it_moves_anything(self):
        """W2"""
        with lock.held(self.folder / "lock", "checks"), self.assertRaisesRegex(CommandError, "checks this repository; wait"):
            self.check()
        self.prepared.assert_not_called()
        self.assertEqual(self.check(), 1)
        self.prepared.assert_called_once()

    def test_again_builds_every_prefix_anew(self):
        """F5"""
        self.check("bisect")
        self.forgotten.assert_not_called()
        self.check("--again", "bisect")
        self.forgotten.assert_called_once()


class Kernels(unittest.TestCase):
    def test_a_kernel_that_does_not_compile_is_made_once_and_tells_why(self):
        with mock.patch.object(boots, "Kernel") as kernel:
            kernel.return_value.build.side_effect = console.Died("building default: mm/x.c:1:1: error: no", "kernel.log")
            kernels = boots.Kernels()
            runner = run.Runner(kernels, cache.Cache("/nowhere"), None)
            suites = [Suite(name, "t", config="default", table={}) for name in ("a", "b", "c")]
            results = list(schedule.Schedule(suites, kernels, runner, 2).results())
            self.assertEqual(kernel.return_value.build.call_count, 1)
        self.assertEqual(len(results), 3)
        for result in results:
            self.assertEqual([case.detail for case in result.cases], ["kernel default: building default: mm/x.c:1:1: error: no (log kernel.log)"])


    def test_it_is_said_when_guests_can_start(self):
        with mock.patch.object(boots, "Kernel") as kernel, mock.patch.object(console, "say") as say:
            kernels = boots.Kernels()
            kernel.return_value.build.side_effect = [console.Died("broken"), None, None]
            for config in ("a", "b", "c"):
                kernels.build(config)
        say.assert_called_once_with("kernel b is ready, the first one: its guests can start")


class Boots(unittest.TestCase):
    TABLE = {"machine": "cxl", "prepare": ["p"], "jobs": ["j"], "kunit": ["u"], "kselftest": ["mm:k"], "timeout": 10}

    def test_the_order_of_jobs(self):
        self.assertEqual(boots.jobs_of(self.TABLE), ("p", "j", "kunit", "kselftest"))

    def test_debug_has_more_time_and_so_has_what_runs_beside_others(self):
        kernel = mock.Mock(label="debug")
        times = []
        for config in ("default", "debug"):
            with mock.patch.object(boots, "guests_at_once", lambda: 2):
                times.append(boots.boot_of(Suite("x", "t", config=config, table=self.TABLE), kernel).timeout)
        self.assertEqual(times, [40, 160])

    def test_modules_are_built_and_named_in_the_order_in_which_they_are_loaded(self):
        kernel = mock.Mock(label="default")
        kernel.modules = lambda names: [paths.BUILD / name for name in names]
        boot = boots.boot_of(Suite("x", "t", config="default", table={**self.TABLE, "modules": ["lib/b.ko", "drivers/a.ko"]}), kernel)
        self.assertEqual(boot.files["load"], "b.ko\na.ko\n")
        self.assertEqual(boot.binaries, {"b.ko": paths.BUILD / "lib/b.ko", "a.ko": paths.BUILD / "drivers/a.ko"})
        self.assertTrue(boot.taint & qemu.TAINT_UNSIGNED)
        self.assertFalse(boots.boot_of(Suite("x", "t", config="default", table=self.TABLE), kernel).taint & qemu.TAINT_UNSIGNED)

    @unittest.skipUnless((paths.SOURCE / "tools/testing/kunit").is_dir(), "needs the kernel's KTAP parser")
    def test_what_prepares_has_no_case_and_what_was_promised_has_to_be_there(self):
        tap = "TAP version 13\n1..1\nok 1 fine\n"
        outcome = mock.Mock(jobs=("p", "j"), told=lambda: [],
                            text=lambda name: {"p.ktap": tap, "j.ktap": tap}.get(name, ""))
        cases = boots.result_cases({"prepare": ["p"], "jobs": ["j"]}, outcome)
        self.assertEqual([case.name for case in cases], ["job j/fine"])
        cases = boots.result_cases(self.TABLE, outcome)
        self.assertEqual([case.name for case in cases if case.status == "failed"], ["kunit u", "runner/<missing>", "kselftest k"])

    @unittest.skipUnless((paths.SOURCE / "tools/testing/kunit").is_dir(), "needs the kernel's KTAP parser")
    def test_cases_of_kunit_have_the_time_that_the_console_tells(self):
        told = ["[    1.000000]     # Subtest: u", "[    1.250000]     ok 1 fine"]
        outcome = mock.Mock(jobs=(), told=lambda: told, text=lambda name: "TAP version 13\n1..1\n    # Subtest: u\n    1..2\n"
                            "    ok 1 fine\n    ok 2 other\nok 1 u\n")
        self.assertEqual([(case.name, case.seconds) for case in boots.result_cases({"kunit": ["u"]}, outcome)],
                         [("kunit/u/fine", 0.25), ("kunit/u/other", None)])


QEMU = """#!/bin/sh
case $1 in --version) echo stub; exit ;; esac
echo $$ >>PIDS
exec sleep 60
"""
WHOLE = """
import sys
sys.path[:0] = [sys.argv[1]]
from unittest import mock
from check import cache, plan, run, boots
from check.suite import Suite

class Stub(boots.Kernels):
    def build(self, config):
        self.built[config] = mock.Mock(label=config, image=lambda: boots.qemu.paths.BUILD / "image")
suites = [Suite(name, "workbench", config="default", table={"machine": "small", "jobs": ["kunit"]}) for name in "abcdef"]
with mock.patch.object(plan, "everything", lambda: suites), mock.patch.object(run, "prepare"), \\
        mock.patch.object(boots, "Kernels", Stub), mock.patch.object(boots, "guests_at_once", lambda: 2):
    sys.exit(run.main([]))
"""


class Tools(Folder):
    """The suite of these tests."""

    RUN = ("import json, sys, time, pathlib\n"
           "here = pathlib.Path(sys.argv[0]).parent\n"
           "(here / f'{sys.argv[1]}.began').touch()\n"
           "end = time.monotonic() + 20\n"
           "while len(list(here.glob('*.began'))) < 2 and time.monotonic() < end:\n"
           "    time.sleep(0.01)\n"
           "sys.argv[1] == 'test_b' and sys.exit('no such module')\n"
           "print(json.dumps([sys.argv[1], 'passed', str(len(list(here.glob('*.began'))))]))\n")

    def test_two_modules_at_once_and_one_that_says_nothing_has_failed(self):
        self.patch(paths, "WORKBENCH", self.folder)
        for name, text in (("run", self.RUN), ("test_a", ""), ("test_b", "# the longer one"), ("other", "")):
            self.write(f"tests/{name}.py", text)
        self.assertEqual([(case.name, case.status, case.detail) for case in host.tool_tests()],
                         [("test_a", "passed", "2"), ("test_b", "failed", "no such module")])

    def test_they_do_not_get_what_the_command_was_told(self):
        self.write("test_told.py", "import os, unittest\nclass T(unittest.TestCase):\n    def test(self):\n"
                   "        self.assertEqual({'poison'} & set(os.environ.values()), set())\n")
        told = re.search(r"(?m)^SETTINGS := (.*)$", (paths.TOP / "Makefile").read_text())[1].split()
        env = {**os.environ, **{name: "poison" for name in told if name != "WB_BUILD"}, "PYTHONPATH": str(self.folder)}
        done = subprocess.run([sys.executable, paths.WORKBENCH / "tests" / "run.py", "test_told"], env=env, text=True, check=True,
                              capture_output=True)
        self.assertIn('"passed"', done.stdout)


class Interrupted(Folder):
    """A whole check whose QEMU never ends."""

    def test_no_guest_survives_and_none_is_started(self):
        pids = self.write("pids", "")
        self.write("bin/qemu-system-x86_64", QEMU.replace("PIDS", str(pids))).chmod(0o755)
        for name in ("image", "rootfs/root.cpio.zst"):
            self.write(f"build/{name}", name)
        for number, status, said in ((signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "ended by SIGTERM")):
            pids.write_text("")
            env = {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "WB_BUILD": str(self.folder / "build")}
            with subprocess.Popen([sys.executable, "-c", WHOLE, paths.WORKBENCH], env=env, text=True, start_new_session=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
                self.assertTrue(wait_for(lambda: len(pids.read_text().split()) == 2), "no guest was started")
                os.kill(command.pid, number)
                _, told = command.communicate(timeout=PATIENCE)
            self.assertEqual((command.returncode, told.count("\n")), (status, 1), told)
            self.assertIn(said, told)
            started = [int(word) for word in pids.read_text().split()]
            self.assertEqual(len(started), 2)
            self.assertEqual([pid for pid in started if alive(pid)], [])


if __name__ == "__main__":
    unittest.main()
