# SPDX-License-Identifier: GPL-2.0
"""Tests of the Makefile and of what it calls first: in a copy of the repository's shell of it, with commands that pretend."""

import contextlib
import importlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from shared import entry

WORKBENCH = Path(__file__).resolve().parent.parent
TOP = WORKBENCH.parent

# Writes down what it was called with, and the environment. A shell's command ends with the status that it is told.
PRETENDER = """#!/usr/bin/env python3
import json, os, sys
with open("calls", "a") as calls:
    calls.write(json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], dict(os.environ)]) + "\\n")
sys.exit(int(os.environ.get("PRETENDED", "0")) if "shell" in sys.argv else 0)
"""


class Copied(unittest.TestCase):
    """The Makefile in a folder of its own, where wb and setup only write down that they were called."""

    def setUp(self):
        self.folder = self.place("repository")
        self.env = {name: value for name, value in os.environ.items()
                    if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "KERNEL", "FORCE", "WB_BUILD", "T", "BASE", "ALL")}

    def place(self, name):
        """A folder with the Makefile, the configs and pretended commands."""
        folder = Path(tempfile.mkdtemp(prefix="test-make-")) / name
        self.addCleanup(shutil.rmtree, folder.parent)
        (folder / "workbench/host").mkdir(parents=True)
        shutil.copy(TOP / "Makefile", folder)
        shutil.copytree(WORKBENCH / "kernel/configs", folder / "workbench/kernel/configs")
        for path in ("workbench/wb", "workbench/host/setup"):
            (folder / path).write_text(PRETENDER)
            (folder / path).chmod(0o755)
        for path in ("lib.sh", "clean"):
            shutil.copy(WORKBENCH / "host" / path, folder / "workbench/host")
        return folder

    def make(self, *words, env=None):
        """Run make; exit status and all that it printed."""
        done = subprocess.run(["make", *words], cwd=self.folder, env={**self.env, **(env or {})}, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        return done.returncode, done.stdout

    def calls(self):
        """(command, words, environment) of each call since the last question."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    def last(self, *words, env=None):
        """The words and the environment of a command's last call."""
        status, text = self.make(*words, env=env)
        self.assertEqual(status, 0, text)
        _, called, environment = self.calls()[-1]
        return called, environment


class Make(Copied):
    """What the commands do with what they are told."""

    def test_help(self):
        """At most 100 columns, and the configs that can be built."""
        status, text = self.make()
        self.assertEqual(status, 0)
        self.assertLessEqual(max(map(len, text.splitlines())), 100)
        for path in (WORKBENCH / "kernel/configs").glob("*.config"):
            self.assertRegex(text, rf"[ =]{path.stem}\n")
        for fragment in ("memory", "kunit"):
            self.assertNotRegex(text, rf"CONFIG=.*{fragment}")

    def test_help_names_every_command(self):
        """What the Makefile has as a command for users is in the help."""
        _, text = self.make()
        for goal in ("demo", "check", "check-full", "lint", "shell", "tree", "refresh", "range-diff", "base-update", "kernel",
                     "mbox", "bisect", "bench", "clean"):
            self.assertIn(f"make {goal} ", text)

    def test_the_status_of_a_command_in_the_guest(self):
        """Whatever fails, make ends with 2: it says what the status was, and help and README claim no more."""
        status, text = self.make("shell", "CMD=exit 7", env={"PRETENDED": "7"})
        self.assertEqual(status, 2)
        self.assertRegex(text, r"\*\*\* \[Makefile:\d+: shell\] Error 7")
        self.assertEqual(self.make("shell", "CMD=true")[0], 0)
        for text in (self.make()[1], (TOP / "README.md").read_text(encoding="utf-8")):
            self.assertIn("`Error N` is its exit status", text)

    def test_setup_once_with_all_groups(self):
        """One call before all else: a user without root gets one command, not five in turn."""
        for goals, groups in ((["shell"], "base check guest kernel"), (["demo"], "base guest kernel"),
                              (["demo", "mbox"], "base guest kernel mbox"), (["kernel", "CONFIG=arm64"], "base aarch64-linux-gnu kernel"),
                              (["kernel", "CONFIG=default"], "base kernel"), (["tree"], "base")):
            self.assertEqual(self.make(*goals)[0], 0)
            calls = self.calls()
            self.assertEqual([call[1] for call in calls if call[0] == "setup"], [groups.split()], goals)
            self.assertEqual(calls[0][0], "setup")

    def test_environment_does_not_count(self):
        """Names of one letter and common ones mean something only on the command line."""
        poison = {name: "poison" for name in ("T", "R", "BASE", "ALL", "AGAIN", "ACCEPT", "CONFIG", "MACHINE", "APPEND", "CMD",
                                              "SHARE", "GDB", "TOPIC", "SIGNOFF", "FROM")}
        self.assertEqual(self.last("check", env=poison)[0], ["check"])
        self.assertEqual(self.last("bench", env=poison)[0], ["bench"])
        self.assertNotIn("poison", self.last("shell", env=poison)[0])
        self.assertEqual(self.last("mbox", env=poison)[0], ["series", "recipients"])
        words, environment = self.last("demo", env=poison)
        self.assertEqual(words, ["demo"])
        self.assertEqual({environment[f"WB_{name}"] for name in poison}, {""})
        (self.folder / "build/downloads").mkdir(parents=True)
        self.make("clean", env=poison)
        self.assertTrue((self.folder / "build/downloads").exists())

    def test_command_line_counts(self):
        """The same names, typed."""
        self.assertEqual(self.last("check", "T=known", "BASE=1", "AGAIN=1")[0], ["check", "--base", "--again", "known"])
        self.assertEqual(self.last("bisect", "AGAIN=1")[0], ["prefixes", "--again"])
        self.assertEqual(self.last("bisect")[0], ["prefixes"])
        self.assertEqual(self.last("check-full")[0], ["check", "--full"])
        self.assertEqual(self.last("bench", "R=a b")[0], ["bench", "a", "b"])
        self.assertEqual(self.last("kernel", "CONFIG=off")[0], ["kernel", "off"])
        self.assertEqual(self.last("shell", "MACHINE=small", "APPEND=a b")[0], ["shell", "--", "default", "small", "a b"])
        self.assertEqual(self.last("shell", "CMD=a b", "SHARE=c d", "GDB=1")[0],
                         ["shell", "--cmd", "a b", "--share", "c d", "--gdb", "--", "default", "cxl", "page_owner=on"])
        self.assertEqual(self.last("check", "ACCEPT=1", "T=a b")[0], ["check", "--accept", "a", "b"])
        self.assertEqual(self.last("range-diff", "FROM=HEAD~1")[0], ["series", "range-diff", "HEAD~1"])

    def test_words_for_a_kernel_do_not_break_ours(self):
        """W=1, -k and -j reach neither our commands' names nor the kernel's make."""
        words, environment = self.last("-k", "-j4", "W=1", "V=1", "C=2", "KCFLAGS=-O0", "demo")
        self.assertEqual(words, ["demo"])
        for name in ("MAKEFLAGS", "MFLAGS", "W", "V", "C", "KCFLAGS"):
            self.assertNotIn(name, environment)

    def test_settings_reach_the_commands(self):
        """What may be in the environment as well is handed on."""
        for how in ({"env": {"KERNEL": "/k", "FORCE": "1", "SETUP": "no"}}, {}):
            words = ["tree"] if how else ["tree", "KERNEL=/k", "FORCE=1", "SETUP=no"]
            _, environment = self.last(*words, **how)
            self.assertEqual([environment[name] for name in ("KERNEL", "FORCE", "SETUP")], ["/k", "1", "no"])

    def test_quotes_are_only_characters(self):
        """A name with an apostrophe, a dollar or a star gets there as it was typed."""
        for value in ("O'Brien <o@b.org>", 'a "b" $HOME $(shell false) `false` *', "Zoë; false"):
            self.assertEqual(self.make("mbox", f"SIGNOFF={value}")[0], 0)
            called = [words for _, words, _ in self.calls() if "export" in words]
            self.assertEqual(called, [["series", "export", "--signoff", value]])
            self.assertEqual(self.last("shell", f"APPEND={value}")[0][-1], value)
            self.assertEqual(self.last("shell", f"CMD={value}")[0][2], value)

    def test_check_comes_first(self):
        """It knows the names and what they need, so nothing is installed or made before it; only Python it has to have."""
        self.assertEqual(self.make("check", "T=typo")[0], 0)
        self.assertEqual([call[:2] for call in self.calls()], [["wb", ["check", "typo"]]])
        for goal, groups in (("check", "base check guest kernel lint mbox"), ("check-full", "base check check-full guest kernel lint mbox")):
            self.assertIn(f"command -v python3 >/dev/null || workbench/host/setup {groups}\n", self.make("-n", goal)[1])

    def test_a_config_that_cannot_be_built(self):
        """A fragment is none; what there is is told, before anything is installed."""
        for words in (["kernel", "CONFIG=memory"], ["kernel"], ["kernel", "CONFIG=x;false"], ["shell", "CONFIG=memory"]):
            status, text = self.make(*words)
            self.assertEqual(status, 2)
            self.assertIn("there are: arm64 blocks debian debug default", text)
            self.assertEqual(self.calls(), [])

    def test_range_diff_has_to_know_from_what(self):
        """Told before anything is assembled."""
        status, text = self.make("range-diff")
        self.assertEqual((status, self.calls()), (2, []))
        self.assertIn("FROM= names a revision", text)

    def test_paths_that_make_cannot_handle(self):
        """Refused in the first second, before a download of minutes."""
        for path in ("/a b", "/a:b"):
            status, text = self.make("tree", f"WB_BUILD={path}")
            self.assertEqual(status, 2)
            self.assertRegex(text, r"^Makefile:\d+: \*\*\* .* has a space or a colon.*\n$")
        for name in ("a b", "a:b"):
            self.folder = self.place(name)
            self.assertIn("has a space or a colon", self.make("tree")[1])
            self.assertEqual(self.calls(), [])

    def test_clean(self):
        """What takes long to get again stays; ALL=1 removes all; WB_BUILD counts."""
        elsewhere = self.folder.parent / "elsewhere"
        for build, words in ((self.folder / "build", []), (elsewhere, [f"WB_BUILD={elsewhere}"])):
            for name in ("downloads", "ccache", "linux", "kernel", "run", "logs"):
                (build / name).mkdir(parents=True)
            (build / "base.env").touch()
            status, text = self.make("clean", *words)
            self.assertEqual((status, str(build) in text), (0, True), text)
            self.assertEqual(sorted(os.listdir(build)), ["base.env", "ccache", "downloads", "linux"])
            (build / "logs").mkdir()
            self.assertEqual(self.make("clean", "ALL=1", *words)[0], 0)
            self.assertEqual(os.listdir(build), [])

    def test_clean_does_not_empty_a_folder_of_others(self):
        """WB_BUILD with a typing error in it."""
        home = self.folder.parent / "home"
        (home / "letters").mkdir(parents=True)
        status, text = self.make("clean", "ALL=1", f"WB_BUILD={home}")
        self.assertEqual(status, 2)
        self.assertIn("was not made by the workbench", text)
        self.assertTrue((home / "letters").exists())

    def test_no_topic_is_named(self):
        """Adding a topic touches no shared list."""
        text = (TOP / "Makefile").read_text()
        for topic in (path.name for path in (WORKBENCH / "topics").iterdir()):
            self.assertNotRegex(text, rf"\b{re.escape(topic)}\b")

    def interrupt(self, command, reached):
        """Run make in a session of its own, send its group SIGINT when a file is there; status and output."""
        with subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, start_new_session=True) as running:
            deadline = time.monotonic() + 120
            while not reached.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            os.killpg(running.pid, signal.SIGINT)
            text = running.communicate(timeout=300)[0]
        return running.returncode, text

    def test_interrupt_is_one_line(self):
        """^C under make: the command's own line, and no more."""
        shutil.copy(WORKBENCH / "wb", self.folder / "workbench/wb")
        shutil.copytree(WORKBENCH / "lib", self.folder / "workbench/lib")
        (self.folder / "workbench/base").mkdir()
        (self.folder / "workbench/base/command.py").write_text(
            "import time\ndef main(_):\n    open('reached', 'w').close()\n    time.sleep(600)\n")
        status, text = self.interrupt(["make", "tree"], self.folder / "reached")
        self.assertEqual(status, -signal.SIGINT)
        self.assertRegex(text, r"^\[ *\d+:\d\d\] interrupted\n$")

    def test_interrupt_in_a_shell_script(self):
        """The same for the commands that are shell. Who says that it is time is the program that would go on: a shell that
        is about to start one would wait for its end first."""
        (self.folder / "workbench/host/setup").write_text(
            "#!/bin/sh\nTOP=$PWD\n. workbench/host/lib.sh\nsh -c ': >reached; exec sleep 600'\nsay 'went on'\n")
        status, text = self.interrupt(["make", "tree"], self.folder / "reached")
        self.assertEqual(status, -signal.SIGINT)
        self.assertRegex(text, r"^\[ *\d+:\d\d\] interrupted\n$")


class Entry(unittest.TestCase):
    """workbench/wb itself, called without make."""

    def wb(self, *words, **env):
        """Run it; exit status and all that it printed."""
        done = subprocess.run([WORKBENCH / "wb", *words], env={**os.environ, **env}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout

    def test_paths_that_make_cannot_handle(self):
        """Refused at once, in one line."""
        for path, words in (("/a b", "has a space or a colon"), ("/a:b", "has a space or a colon"), ("a", "is not an absolute path")):
            status, text = self.wb("series", "check", WB_BUILD=path)
            self.assertEqual((status, len(text.splitlines())), (1, 1), text)
            self.assertIn(words, text)

    def test_each_command_tells_what_it_does_and_does_nothing(self):
        """Also those that take no words, which would begin to build; and a word that nobody knows is refused."""
        for module in dict.fromkeys(entry().COMMANDS.values()):
            main = importlib.import_module(module).main
            for words, status in ((["--help"], 0), (["--no-such-word"], 2)):
                with self.subTest(module=module, words=words), contextlib.redirect_stdout(io.StringIO()) as out, \
                        contextlib.redirect_stderr(out), mock.patch.object(subprocess, "Popen", side_effect=AssertionError), \
                        self.assertRaises(SystemExit) as ended:
                    main(words)
                self.assertEqual((ended.exception.code, out.getvalue()[:6]), (status, "usage:"))

    def test_nothing_that_a_command_runs_gets_the_variables_of_a_hook(self):
        """W12, W16: nor those of a make above it, nor the user's language."""
        seen = {}
        leaked = {"GIT_DIR": "/x", "GIT_INDEX_FILE": "/x", "GIT_CONFIG_COUNT": "0", "MAKEFLAGS": "k", "LANGUAGE": "de"}
        with mock.patch.dict(os.environ, leaked), mock.patch("series.command.main", lambda _: seen.update(os.environ)):
            entry().main(["series", "check"])
        self.assertEqual((set(leaked) & set(seen), seen["LC_ALL"]), (set(), "C.UTF-8"))

    def test_an_interrupt_of_a_command_that_has_the_terminal(self):
        """W23: a shell in the guest is not run in a process of its own."""
        with mock.patch("guest.shell.main", side_effect=KeyboardInterrupt), contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(entry().run(["shell"]), 130)
        self.assertRegex(said.getvalue(), r"^\[ *\d+:\d\d\] interrupted\n$")

    def test_a_full_disk_is_one_line(self):
        """Also where nothing but our own writing met it."""
        full = f"{WORKBENCH}/tests/../wb"
        script = ("import importlib.machinery, importlib.util, sys; from unittest import mock\n"
                  f"loader = importlib.machinery.SourceFileLoader('wb', {full!r})\n"
                  "wb = importlib.util.module_from_spec(importlib.util.spec_from_loader('wb', loader)); loader.exec_module(wb)\n"
                  "import series.command\n"
                  "series.command.main = mock.Mock(side_effect=OSError(28, 'No space left on device', '/build/x'))\n"
                  "sys.exit(wb.main(['series', 'check']))\n")
        done = subprocess.run(["python3", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"^\[ *\d+:\d\d\] error: /build/x: No space left on device\n$")


class Repository(unittest.TestCase):
    """What git and a CI make of it."""

    def test_line_ends_are_kept(self):
        """A clone with core.autocrlf=true is the same bytes, or no script of it would run."""
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            git = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-C", str(place / "from")]
            (place / "from").mkdir()
            shutil.copy(TOP / ".gitattributes", place / "from")
            (place / "from/script").write_bytes(b"#!/bin/sh\n:\n")
            for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
                subprocess.run([*git, *words], check=True)
            subprocess.run(["git", "clone", "-q", "-c", "core.autocrlf=true", place / "from", place / "to"], check=True)
            self.assertEqual((place / "to/script").read_bytes(), b"#!/bin/sh\n:\n")

    def test_readme(self):
        """It names commands that there are, in lines and cells that can be read."""
        text, makefile = (TOP / "README.md").read_text(), (TOP / "Makefile").read_text()
        lines = text.splitlines()
        for goal in set(re.findall(r"(?:`|^    )make ([a-z][a-z-]*)", text, re.MULTILINE)):
            self.assertRegex(makefile, rf"(?m)^[a-z -]*\b{goal}\b[a-z -]*:")
        self.assertLessEqual(max(len(line) for line in lines), 127)
        status = lines[lines.index("## Status"):]
        for cell in (cell for line in status if line.startswith("|") for cell in line.split("|")):
            self.assertLessEqual(len(cell.split()), 15, cell)

    def test_ci_files(self):
        """Both call .ci/run and nothing else of ours, keep what is slow to get, and hand back the results."""
        for name, plain in ((".gitlab-ci.yml", r"^    - build/{}/$"), (".github/workflows/ci.yml", r"^ +build/{}$")):
            text = (TOP / name).read_text()
            self.assertNotIn("\t", text)
            self.assertEqual([line for line in text.splitlines() if (len(line) - len(line.lstrip())) % 2], [], name)
            self.assertRegex(text, r"(?m)^ +- (run: )?\.ci/run$")
            self.assertNotRegex(text, r"(?m)^[^#]*\b(make check|workbench/)")
            for folder in ("downloads", "ccache", "check", "run", "logs"):
                self.assertRegex(text, "(?m)" + plain.format(folder).replace("    -", " +-"), name)
            try:
                yaml = importlib.import_module("yaml")
            except ImportError:
                continue
            self.assertIsInstance(yaml.safe_load(text), dict)


class CI(Copied):
    """`.ci/run` in a folder without .git, as a release's tarball has it."""

    def test_it_is_the_check(self):
        """Words are handed on."""
        (self.folder / ".ci").mkdir()
        shutil.copy(TOP / ".ci/run", self.folder / ".ci")
        done = subprocess.run([self.folder / ".ci/run", "T=known"], cwd="/", env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(self.calls()[-1][:2], ["wb", ["check", "known"]])


if __name__ == "__main__":
    unittest.main()
