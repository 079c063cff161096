# SPDX-License-Identifier: GPL-2.0
"""A run works on the commit that it started with, whatever is assembled meanwhile."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

import test_series
from check import boots, static
from check import run as check
from check.suite import Suite
from guest import qemu
from kernel import build, prefixes, source
from lib import lock, paths
from lib.errors import CommandError
from lib.git import Git, listed, mail_of

# Pins, says on which commit, and holds it until its input ends.
RUN = "import sys; sys.path.insert(0, sys.argv[1]); from kernel import source; " \
      "print(source.pin(), flush=True); sys.stdin.read()"


class Run(test_series.Toy):
    """A toy kernel and the toy repository, and commands that pin it."""

    def setUp(self):
        super().setUp()
        self.source = self.top / "build/source"

    def assembled(self, text):
        """Assemble the series with another mm/alpha.c; returns the commit."""
        self.put("mm/alpha.c", text)
        self.good("assemble")
        return self.git("rev-parse", "series")

    def start(self):
        """A command in a process of its own, which pins."""
        command = subprocess.Popen([sys.executable, "-B", "-c", RUN, str(paths.WORKBENCH)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   env={**os.environ, "WB_TOP": str(self.top)})
        self.addCleanup(command.stdout.close)
        self.addCleanup(command.communicate)
        late = threading.Timer(300, command.kill)   # what does not come is a failure, and no hang
        late.start()
        self.addCleanup(late.cancel)
        return command

    @staticmethod
    def line(command, word):
        """The first line of a command's output that has a word in it."""
        for text in command.stdout:
            if word in text:
                return text
        return "nothing"

    @contextlib.contextmanager
    def pinned(self, **how):
        """Pin in this process for a while."""
        with self.here(), mock.patch.object(source, "PINNED", []), mock.patch.object(source, "HELD", {}), \
                contextlib.redirect_stdout(io.StringIO()) as said:
            try:
                yield source.pin(**how), said
            finally:
                for held in [pin.lock for pin in source.PINNED] + list(source.HELD.values()):
                    held.close()


class OneTree(Run):
    """build/source stays where a run has it."""

    def test_a_check_builds_what_it_started_with(self):
        """Another terminal assembles while the check runs."""
        built, test = [], self

        def kernel(self, *_, **__):
            test.put("mm/alpha.c", "BROKEN\n")
            subprocess.run([sys.executable, "-B", paths.WORKBENCH / "wb", "series", "assemble"], check=True,
                           env={**os.environ, "WB_TOP": str(test.top)}, stdout=subprocess.DEVNULL)
            built.append((self.source / "mm/alpha.c").read_text())

        def boot(job):
            outcome = qemu.Outcome(job.name, Path("console"), Path("none"), 1.0)
            if "BROKEN" in built[-1]:
                outcome.problems.append("the kernel is broken")
            return outcome

        self.assembled("int good;\n")
        suite = Suite("toy", "toy", config="default", table={"machine": "cxl"})
        said = io.StringIO()
        with self.here(), mock.patch.object(build.Kernel, "build", kernel), mock.patch.object(qemu, "run", boot), \
                mock.patch.object(source, "PINNED", []), mock.patch.object(check.cache, "key_of", lambda _: "key"), \
                contextlib.redirect_stdout(said):
            source.pin()
            results = check.run_all([suite], check.Runner(boots.Kernels(), mock.Mock(find=lambda *_: []), None), 1)
            for pin in source.PINNED:
                pin.lock.close()
        self.assertEqual(built, ["int good;\n"])
        self.assertEqual([case.status for result in results for case in result.cases], ["passed"], said.getvalue())
        self.assertEqual((self.linux / "mm/alpha.c").read_text(), "BROKEN\n")

    def test_what_is_built_stays(self):
        """The same without check: the tree that a kernel is built from, and the commits that are asked for."""
        first = self.assembled("int good;\n")
        with self.pinned() as (commit, _):
            self.assembled("BROKEN\n")
            self.assertEqual((build.Kernel("default").source / "mm/alpha.c").read_text(), "int good;\n")
            self.assertEqual([commit, source.commit(), static.commits()[-1][0]], [first] * 3)
            self.assertEqual(source.pin(), first)

    def test_another_commit_waits_and_the_same_goes_on(self):
        first = self.start()
        self.line(first, "Branch series is")
        commit = self.line(first, self.git("rev-parse", "series")).strip()
        same = self.start()
        self.assertEqual(self.line(same, commit).strip(), commit)
        other = self.assembled("int other;\n")
        third = self.start()
        told = self.line(third, "waiting")
        self.assertIn(f"another command works in {self.source} on commit {commit[:12]}, this one needs {other[:12]}",
                      told)
        self.assertEqual((self.source / "mm/alpha.c").read_text(), "int alpha;\n")
        same.communicate()
        time.sleep(0.1)
        self.assertEqual((self.source / "mm/alpha.c").read_text(), "int alpha;\n", "one of two still holds it")
        first.communicate()
        self.assertEqual(self.line(third, other).strip(), other)
        self.assertEqual((self.source / "mm/alpha.c").read_text(), "int other;\n")

    def test_only_files_that_differ_are_written(self):
        with self.pinned():
            times = {path: path.stat().st_mtime_ns for path in self.source.rglob("*.c")}
        self.assembled("int other;\n")
        with self.pinned():
            changed = {path.name for path, stamp in times.items() if path.stat().st_mtime_ns != stamp}
        self.assertEqual(changed, {"alpha.c"})

    def test_an_interrupted_move_is_ours_to_mend(self):
        self.assembled("int alpha;\n")
        with self.pinned():
            pass
        source.marker(self.source).write_text("somewhere\n")
        (self.source / "mm/alpha.c").write_text("half")
        (self.source / "mm/half.c").write_text("half")
        Path(self.git("-C", str(self.source), "rev-parse", "--path-format=absolute", "--git-path", "index.lock")).touch()
        with self.pinned():
            self.assertEqual((self.source / "mm/alpha.c").read_text(), "int alpha;\n")
        self.assertFalse((self.source / "mm/half.c").exists())
        self.assertFalse(source.marker(self.source).exists())

    def test_a_move_that_was_killed_is_mended(self):
        """A checkout that is killed half-way, by a filter that never ends."""
        with self.pinned():
            pass
        self.put("mm/beta.c", "int beta;\n")
        self.change("patches/page-owner/mm-add-alpha.patch", "Adds: mm/alpha.c\n", "Adds: mm/alpha.c\nAdds: mm/beta.c\n")
        tip = self.assembled("int slow;\n")
        self.git("config", "filter.slow.smudge", "sleep 60")
        (self.linux / ".git/info").mkdir(exist_ok=True)
        (self.linux / ".git/info/attributes").write_text("mm/beta.c filter=slow\n")
        command = self.start()
        while not source.marker(self.source).exists() or not (self.source / "mm/alpha.c").read_text().startswith("int slow"):
            self.assertIsNone(command.poll())
            time.sleep(0.02)
        for child in self.children(command.pid):
            os.kill(child, 9)
        command.kill()
        command.communicate()
        (self.linux / ".git/info/attributes").unlink()
        with self.pinned() as (commit, _):
            self.assertEqual(commit, tip)
            self.assertEqual((self.source / "mm/beta.c").read_text(), "int beta;\n")
        self.assertEqual(self.git("-C", str(self.source), "status", "--porcelain"), "")

    @staticmethod
    def children(pid):
        """All processes below one."""
        found = []
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *OneTree.children(int(child))]
        return found

    def test_what_is_edited_there_is_refused(self):
        with self.pinned():
            pass
        (self.source / "mm/alpha.c").write_text("edited\n")
        with self.assertRaisesRegex(CommandError, "was edited .mm/alpha.c., but belongs to the workbench"), self.pinned():
            pass
        self.assertEqual((self.source / "mm/alpha.c").read_text(), "edited\n")
        with mock.patch.dict(os.environ, FORCE="1"), self.pinned():
            self.assertEqual((self.source / "mm/alpha.c").read_text(), "int alpha;\n")

    def test_a_copied_build_folder_gets_trees_of_its_own(self):
        with self.pinned():
            pass
        before = self.git("-C", str(self.source), "rev-parse", "HEAD")
        original, self.top = self.top, self.home / "copy"
        shutil.copytree(original, self.top, symlinks=True)
        self.linux, self.source = self.top / "build/linux", self.top / "build/source"
        self.assembled("int other;\n")
        with self.pinned():
            self.assertEqual((self.source / "mm/alpha.c").read_text(), "int other;\n")
        self.assertEqual(self.git("-C", str(original / "build/source"), "rev-parse", "HEAD"), before)
        self.assertEqual((original / "build/source/mm/alpha.c").read_text(), "int alpha;\n")

    def test_the_base_s_tree(self):
        with self.pinned():
            tree = source.base_tree()
            self.assertEqual(tree, self.top / "build/linux-base")
            self.assertFalse((tree / "mm/alpha.c").exists())
            self.assertEqual((tree / "README").read_text(), "toy\n")
            self.assertEqual(source.base(), self.git("rev-parse", "base"))
            with self.assertRaisesRegex(CommandError, "another command"), lock.held(f"{tree}.lock", "holds it", wait=False):
                self.fail("the base's tree can be moved")

    def test_nothing_is_read_before_it_is_pinned(self):
        with mock.patch.object(source, "PINNED", []), self.assertRaisesRegex(RuntimeError, "before the run has pinned"):
            source.commit()


class Refused(Run):
    """What a run would not see."""

    def refused(self, *words, **how):
        with self.assertRaises(CommandError) as caught, self.pinned(**how):
            pass
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_what_is_not_committed(self):
        self.good("assemble")
        (self.linux / "mm/alpha.c").write_text("edited\n")
        for own in (False, True):
            self.refused("uncommitted changes (mm/alpha.c)", own=own)

    def test_a_source_file_that_git_does_not_have(self):
        # As Debian's kernel: everything is hidden from git status.
        self.commit(".gitignore", "*.mod.c\n/*\n", "ignore")
        self.git("tag", "-f", "base")
        self.assembled("int alpha;\n#include \"../lib/far.h\"\n")
        (self.linux / "mm/forgotten.c").write_text("int forgotten;\n")
        (self.linux / "mm/alpha.mod.c").write_text("a product\n")
        (self.linux / "lib/far.h").write_text("int far;\n")
        (self.linux / "lib/other.c").write_text("not ours\n")
        self.refused("mm/forgotten.c: is not in git, though the series works in mm",
                     "lib/far.h: is not in git, though mm/alpha.c names it", "2 files of")
        with mock.patch.dict(os.environ, FORCE="1"), self.pinned() as (_, said):
            self.assertIn("note: mm/forgotten.c", said.getvalue())

    def test_commits_that_patches_does_not_have(self):
        self.good("assemble")
        self.commit("mm/page_alloc.c", "mine\n", "mm: mine\n\nWhy.")
        self.refused("holds 1 commits that patches/ does not")
        with self.pinned(own=True) as (commit, said):
            self.assertEqual(commit, self.git("rev-parse", "series"))
            self.assertIn("branch series holds 1 commits that patches/ does not: this is built", said.getvalue())


class Settings(Run):
    """F3: what the user set for git changes no result."""

    HOSTILE = {"color.ui": "always", "color.grep": "always", "color.diff": "always", "diff.noprefix": "true",
               "diff.mnemonicPrefix": "true", "diff.renames": "copies", "diff.context": "1", "diff.algorithm": "histogram",
               "format.attach": "x", "format.coverLetter": "true", "format.signOff": "true", "format.thread": "true",
               "format.numbered": "true", "format.subjectPrefix": "RFC", "format.to": "x@y.z", "format.headers": "X: y",
               "format.signature": "me", "format.useAutoBase": "true", "format.from": "true", "format.notes": "true",
               "format.pretty": "fuller", "grep.lineNumber": "true", "grep.column": "true", "grep.fullName": "true",
               "grep.patternType": "fixed", "log.showSignature": "true", "log.decorate": "full", "log.date": "relative",
               "core.quotePath": "true", "core.pager": "false", "core.abbrev": "7", "status.relativePaths": "true",
               "core.commentChar": "@", "core.excludesFile": "~/ignored"}

    def setUp(self):
        super().setUp()
        self.put("mm/Kconfig", "config OURS\n\tbool \"ours\"\n\nconfig HIDDEN\n\tbool\n")
        self.change("patches/page-owner/mm-add-alpha.patch", "Adds: mm/alpha.c\n", "Adds: mm/Kconfig\nAdds: mm/alpha.c\n")
        self.good("assemble")

    def asked(self):
        """What the checks ask git for, each time anew."""
        build.defined_at.cache_clear()
        build.prompted_at.cache_clear()
        with self.pinned():
            return {"options": sorted(build.series_options()), "settable": build.new_options(),
                    "touched": sorted(static.touched(".c")), "commits": static.commits(),
                    "mails": [mail_of(source.git(), commit) for commit, _ in static.commits()],
                    "directories": prefixes.directories(), "files": listed(self.top),
                    "dirty": source.git().dirty(), "base": static.pinned.git().text("show", f"{source.base()}:README")}

    def test_no_setting_changes_what_is_asked(self):
        (self.linux / "lib/new.c").write_text("untracked\n")
        known = {"options": ["CONFIG_HIDDEN", "CONFIG_OURS"], "settable": ["CONFIG_OURS"],
                 "touched": ["mm/alpha.c", "mm/page_alloc.c", "mm/private.c", "mm/unmapped.c"]}
        with mock.patch.object(build, "known_options", wraps=self.with_base_option(build.known_options)):
            plain = self.asked()
            self.assertEqual({key: plain[key] for key in known}, known)
            self.assertIn("\n-line 20\n+alpha\n", plain["mails"][1])
            self.assertIn("\ndiff --git a/mm/page_alloc.c b/mm/page_alloc.c\n", plain["mails"][1])
            home = self.home / "hostile"
            home.mkdir()
            (home / "ignored").write_text("*.c\n")
            (home / ".config/git").mkdir(parents=True)
            (home / ".config/git/ignore").write_text("*.c\n*.patch\n")
            (home / ".config/git/attributes").write_text("* diff=nothing -diff\n")
            env = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}
            for place in ("--global", "--local"):
                for name, value in self.HOSTILE.items():
                    self.git("config", place, name, value, env={**os.environ, **env})
                with self.subTest(place), mock.patch.dict(os.environ, env):
                    self.assertEqual(self.asked(), plain)

    def test_a_commit_is_asked_for_its_options_once(self):
        """Each question reads all Kconfig files; of another commit the answer is another."""
        def questions():
            with self.pinned(), mock.patch.object(Git, "text", autospec=True, side_effect=Git.text) as asked, \
                    mock.patch.object(build, "known_options", wraps=self.with_base_option(build.known_options)):
                found = [(build.new_options(), sorted(build.series_options()), build.switches()) for _ in range(3)]
                found[0][2].clear()     # an answer belongs to who asked
                self.assertEqual(found[1], (build.new_options(), sorted(build.series_options()), build.switches()))
                return found[1], sum("grep" in call.args for call in asked.call_args_list)

        ours = (["CONFIG_OURS"], ["CONFIG_HIDDEN", "CONFIG_OURS"], {"CONFIG_OURS": "bool"})
        self.assertEqual(questions(), (ours, 2))
        self.assertEqual(questions(), (ours, 0))
        self.change("mm/Kconfig", "\tbool\n", "\tbool \"hidden\"\n")
        self.good("assemble")
        more = (["CONFIG_HIDDEN", "CONFIG_OURS"], ["CONFIG_HIDDEN", "CONFIG_OURS"],
                {"CONFIG_OURS": "bool", "CONFIG_HIDDEN": "bool"})
        self.assertEqual(questions(), (more, 2))

    @staticmethod
    def with_base_option(function):
        """The toy's base has no Kconfig file, in which case git grep fails."""
        def known(tree, *commits):
            return function(tree, *commits) if commits != (source.base(),) else {"CONFIG_OLD"}
        return known

    def test_no_option_at_all_is_an_error(self):
        with self.pinned(), mock.patch.object(build, "known_options", lambda *_: {"CONFIG_OLD"}), \
                self.assertRaisesRegex(RuntimeError, "adds no option"):
            build.series_options()

    def test_line_ends_of_a_clone(self):
        """W19: core.autocrlf made the scripts of a clone start with `#!/bin/sh\\r`."""
        (self.top / "run").write_bytes(b"#!/bin/sh\n")
        shutil.copy(paths.WORKBENCH.parent / ".gitattributes", self.top)
        for words in (["init", "-q"], ["add", "run", ".gitattributes"], ["-c", "user.name=a", "-c", "user.email=b", "commit",
                      "-q", "-m", "x"], ["-c", "core.autocrlf=true", "clone", "-q", ".", str(self.home / "clone")]):
            subprocess.run(["git", *words], cwd=self.top, check=True)
        self.assertEqual((self.home / "clone/run").read_bytes(), b"#!/bin/sh\n")

    def test_one_module_calls_git(self):
        """W12: whoever calls git on his own forgets the variables and settings that lib/git.py takes away."""
        callers = [str(path.relative_to(paths.WORKBENCH)) for path in paths.WORKBENCH.rglob("*.py")
                   if path.parent.name != "tests" and re.search(r"""(?<![\w\]])\[\s*["']git["']""", path.read_text())]
        self.assertEqual(callers, ["lib/git.py"])


class Folders(unittest.TestCase):
    """build/run/NAME belongs to one command."""

    def test_a_second_guest_of_the_name_is_told(self):
        with mock.patch.object(qemu, "RUNS", Path(os.environ.get("TMPDIR", "/tmp")) / f"runs-{os.getpid()}"), \
                mock.patch.object(qemu, "RESERVED", {}) as mine:
            self.addCleanup(shutil.rmtree, qemu.RUNS)
            qemu.reserve("shell")
            with mock.patch.object(qemu, "RESERVED", {}), \
                    self.assertRaisesRegex(CommandError, "another command runs the guest shell"):
                qemu.reserve("shell", wait=False)
            qemu.reserve("shell", wait=False)
            mine["shell"].close()


if __name__ == "__main__":
    unittest.main()
