# SPDX-License-Identifier: GPL-2.0
"""A command that is interrupted or ended takes everything along that it started, and starts nothing more."""

import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

from lib import paths, stop
from shared import PATIENCE, Folder, alive, wait_for

# Two threads that run one program after the other; each program notes its process id, and will not end by itself.
PROGRAM = """
import concurrent.futures, subprocess, sys
sys.path.insert(0, sys.argv[1])
from lib import stop
def run(_):
    subprocess.run(["sh", "-c", sys.argv[3], "sh", sys.argv[2]], check=False)
def work():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(run, range(6)))
sys.exit(stop.guarded(work))
"""
PLAIN = 'echo $$ >>"$1"; exec sleep 60'
# The entry command, whose command to build a kernel only runs the program.
ENTRY = """
import subprocess, sys
from unittest import mock
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
import kernel.build
from shared import entry
kernel.build.main = lambda words: subprocess.run(["sh", "-c", sys.argv[3], "sh", sys.argv[2]], check=False).returncode
sys.exit(entry().run(["kernel", "default"]))
"""
STUBBORN = 'trap "" TERM INT; echo $$ >>"$1"; while :; do sleep 60; done'


class Ended(Folder):
    def setUp(self):
        super().setUp()
        self.pids = self.write("pids", "")

    def started(self):
        return [int(word) for word in self.pids.read_text(encoding="utf-8").split()]

    def end(self, number, script=PLAIN, group=False, program=PROGRAM, running=2):
        """(exit status, what was said on stderr, seconds until the end) of a command that gets a signal while programs run."""
        with subprocess.Popen([sys.executable, "-c", program, paths.WORKBENCH, self.pids, script], text=True,
                              stderr=subprocess.PIPE, start_new_session=True) as command:
            self.addCleanup(lambda: [os.kill(pid, signal.SIGKILL) for pid in self.started() if alive(pid)])
            self.assertTrue(wait_for(lambda: len(self.started()) == running))
            began = time.monotonic()
            (os.killpg if group else os.kill)(command.pid, number)
            _, said = command.communicate(timeout=PATIENCE)
            took = time.monotonic() - began
        time.sleep(0.3)
        return command.returncode, said, took

    def assert_over(self, number, word, ended, limit=10.0):
        status, said, took = ended
        self.assertEqual(status, 128 + number, said)
        self.assertRegex(said, rf"\A\[ *\d+:\d\d\] {word}\n\Z")
        self.assertLess(took, limit)
        self.assertEqual(len(self.started()), 2, "a program was started after the end")
        self.assertEqual([pid for pid in self.started() if alive(pid)], [])

    def test_a_c_of_the_terminal(self):
        self.assert_over(signal.SIGINT, "interrupted", self.end(signal.SIGINT, group=True))

    def test_an_interrupt_of_the_command_alone(self):
        self.assert_over(signal.SIGINT, "interrupted", self.end(signal.SIGINT))

    def test_the_end_that_a_ci_sends(self):
        self.assert_over(signal.SIGTERM, "ended by SIGTERM", self.end(signal.SIGTERM))
        self.pids.write_text("")
        self.assert_over(signal.SIGTERM, "ended by SIGTERM", self.end(signal.SIGTERM, group=True))

    def test_a_z_of_the_terminal_stops_and_goes_on(self):
        def state(pid):
            return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]

        with subprocess.Popen([sys.executable, "-c", PROGRAM, paths.WORKBENCH, self.pids, PLAIN], start_new_session=True,
                              stderr=subprocess.DEVNULL) as command:
            self.assertTrue(wait_for(lambda: len(self.started()) == 2))
            os.kill(command.pid, signal.SIGTSTP)
            self.assertTrue(wait_for(lambda: {state(pid) for pid in (command.pid, *self.started())} == {"T"}))
            os.kill(command.pid, signal.SIGCONT)
            self.assertTrue(wait_for(lambda: "T" not in {state(pid) for pid in (command.pid, *self.started())}))
            os.kill(command.pid, signal.SIGINT)
            self.assertEqual(command.wait(timeout=PATIENCE), 130)

    def test_programs_that_do_not_listen_are_killed(self):
        self.assert_over(signal.SIGINT, "interrupted", self.end(signal.SIGINT, STUBBORN, group=True), 20.0)

    def test_every_command_takes_its_programs_along(self):
        """Not only the check: a build that is ended from outside leaves no make behind."""
        status, said, _ = self.end(signal.SIGTERM, program=ENTRY, running=1)
        self.assertEqual(status, 143, said)
        self.assertRegex(said, r"\A\[ *\d+:\d\d\] ended by SIGTERM\n\Z")
        self.assertEqual([pid for pid in self.started() if alive(pid)], [])


class Status(unittest.TestCase):
    def status(self, work):
        script = f"import sys; sys.path.insert(0, {str(paths.WORKBENCH)!r})\nfrom lib import stop, errors\n{work}\nsys.exit(stop.guarded(work))"
        return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=PATIENCE)

    def test_the_exit_status_is_the_work_s(self):
        for work, status in (("work = lambda: None", 0), ("work = lambda: 3", 3), ("work = lambda: sys.exit(4)", 4), ("work = lambda: 1 / 0", 1)):
            self.assertEqual(self.status(work).returncode, status, work)

    def test_output_is_not_lost(self):
        self.assertEqual(self.status("def work(): print('said', end='')").stdout, "said")

    def test_a_problem_is_one_line(self):
        done = self.status("def work(): raise errors.CommandError('no such thing')")
        self.assertRegex(done.stderr, r"\A\[ *\d+:\d\d\] error: no such thing\n\Z")
        self.assertEqual(done.returncode, 1)

    def test_a_full_disk_or_a_folder_of_somebody_else_is_one_line_too(self):
        for number, text in ((28, "No space left on device"), (13, "Permission denied")):
            done = self.status(f"def work(): raise OSError({number}, {text!r}, '/build/x')")
            self.assertRegex(done.stderr, rf"\A\[ *\d+:\d\d\] error: /build/x: {text}\n\Z")
            self.assertEqual(done.returncode, 1)

    def test_a_mistake_of_ours_is_told_whole(self):
        self.assertIn("ZeroDivisionError", self.status("work = lambda: 1 / 0").stderr)

    def test_what_is_left_behind_ends(self):
        done = self.status("import subprocess\ndef work(): print(subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL).pid)")
        self.assertFalse(alive(int(done.stdout)))


class Below(unittest.TestCase):
    def test_children_of_children_are_found(self):
        with subprocess.Popen(["sh", "-c", "sleep 60 & wait"]) as shell:
            self.assertTrue(wait_for(lambda: len(stop.below(shell.pid)) == 1))
            inner = stop.below(shell.pid)[0]
            self.assertLessEqual({shell.pid, inner}, set(stop.below(os.getpid())))
            os.kill(inner, signal.SIGKILL)


if __name__ == "__main__":
    unittest.main()
