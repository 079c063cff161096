# SPDX-License-Identifier: GPL-2.0
"""Tests of the series tool with a toy kernel: every rule of layout.md is broken on purpose."""

import contextlib
import functools
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from lib import paths, process
from lib.git import Git, listed
from series.maintainers import Maintainers
from series.order import LIMIT, SeriesFile
from series.patch import breaks_message, parse_patch, slug
from shared import entry

# Hundreds of small git commands: in memory they take half the time.
if os.access("/dev/shm", os.W_OK):
    tempfile.tempdir = "/dev/shm"

KERNEL_MAINTAINERS = """\
List of maintainers
===================

Maintainers List
----------------

.. note:: keep the entries in
          alphabetical order.

ALPHA DRIVER
M:	A <a@example.org>
F:	drivers/alpha/

MEMORY MANAGEMENT
M:	M <m@example.org>
F:	mm/

AARDVARK MISPLACED
F:	lib/

ZETA DRIVER
F:	drivers/zeta/

THE REST
M:	T <t@example.org>
F:	*
F:	*/
"""

OUR_MAINTAINERS = """\
PRIVATE NODES
M:	P <p@example.org>
F:	mm/private.c

UNMAPPED PAGES
F:	mm/unmapped.c
"""


# Mailboxes of the toy's parts are in order.
NUMBERS = {"page-owner": "01", "private-nodes": "02"}


def numbered(count, word="line"):
    """A file with numbered lines."""
    return "".join(f"{word} {number}\n" for number in range(1, count + 1))


def mail(subject, body="Because.\n\nIt is so.", notes="", diff="", author="A U Thor <author@example.org>",
         date="Mon, 2 Feb 2026 10:00:00 +0100", extra=""):
    """A patch file."""
    text = (f"From {'0' * 40} Mon Sep 17 00:00:00 2001\nFrom: {author}\nDate: {date}\nSubject: [PATCH] {subject}\n"
            f"{extra}\n{body}\n---\n")
    if notes:
        text += notes.rstrip("\n") + "\n\n"
    return text + diff + "-- \n"


class Toy(unittest.TestCase):
    """A toy kernel in build/linux and a toy repository above it."""

    base_files = {
        "MAINTAINERS": KERNEL_MAINTAINERS,
        "mm/page_alloc.c": numbered(40),
        "mm/Makefile": "obj-y += page_alloc.o\n",
        "mm/old_name.c": numbered(30, "old"),
        "mm/doomed.c": "doomed\n",
        "lib/dos.txt": "one\r\ntwo\r\nthree\r\n",
        "README": "toy\n",
    }

    @classmethod
    def setUpClass(cls):
        cls.template = Path(tempfile.mkdtemp(prefix="series-template-"))
        cls.addClassCleanup(shutil.rmtree, cls.template)
        for path, text in cls.base_files.items():
            target = cls.template / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode())
        for words in (["init", "-q", "-b", "upstream"], ["add", "-f", "."], ["commit", "-q", "-m", "base"],
                      ["tag", "base"], ["config", "user.name", "Some User"],
                      ["config", "user.email", "user@example.org"]):
            subprocess.run(["git", "-c", "user.name=b", "-c", "user.email=b@b", "-c", "core.autocrlf=false", *words],
                           cwd=cls.template, check=True)

    def setUp(self):
        self.home = Path(tempfile.mkdtemp(prefix="series-test-"))
        self.addCleanup(shutil.rmtree, self.home)
        self.top = self.home / "top"
        self.linux = self.top / "build/linux"
        self.linux.parent.mkdir(parents=True)
        shutil.copytree(self.template, self.linux, symlinks=True)
        self.git("update-index", "-q", "--refresh")
        self.put("patches/series", "# the order\n\n# topic: page-owner — first topic\n"
                 "page-owner/mm-add-alpha.patch\n# a remark\npage-owner/mm-use-alpha.patch\n\n"
                 "# topic: private-nodes — second topic\nprivate-nodes/mm-private-nodes.patch\n")
        self.put("mm/alpha.c", "int alpha;\n")
        self.put("mm/private.c", "int private;\n")
        self.put("mm/unmapped.c", "int unmapped;\n")
        self.put("MAINTAINERS", OUR_MAINTAINERS)
        self.put("patches/page-owner/mm-add-alpha.patch", mail("mm: add alpha", notes="Adds: mm/alpha.c\n",
                 diff=self.edit_diff("mm/Makefile", "obj-y += page_alloc.o\n", "obj-y += page_alloc.o alpha.o\n")))
        self.put("patches/page-owner/mm-use-alpha.patch", mail("mm: use alpha", notes="Seen to fail first.\n",
                 diff=self.edit_diff("mm/page_alloc.c", numbered(40), numbered(40).replace("line 20\n", "alpha\n"))))
        self.put("patches/private-nodes/mm-private-nodes.patch", mail(
            "mm: private nodes", notes="Adds: mm/private.c\nAdds: mm/unmapped.c\nEntry: PRIVATE NODES\n"
            "Entry: UNMAPPED PAGES\n"))

    # helpers

    def put(self, path, content):
        """Write a file of the toy repository."""
        target = self.top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    def read(self, path):
        """Read a file of the toy repository."""
        return (self.top / path).read_text(encoding="utf-8")

    @staticmethod
    @functools.lru_cache
    def edit_diff(path, before, after):
        """A diff in the form that the tool writes."""
        with tempfile.TemporaryDirectory(prefix="series-diff-") as folder:
            return Toy.make_diff(Path(folder), path, before, after)

    @staticmethod
    def make_diff(folder, path, before, after):
        """The diff of one file, made by git in an empty folder."""
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        for text in (before, after):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(text.encode())
            if text is before:
                subprocess.run(["git", "-c", "core.autocrlf=false", "add", "-f", path], cwd=folder, check=True)
        return subprocess.run(["git", "-c", "core.autocrlf=false", "diff", "--abbrev=12"], cwd=folder, check=True,
                              stdout=subprocess.PIPE).stdout.decode()

    def git(self, *words, **options):
        """Run git in build/linux."""
        done = subprocess.run(["git", *words], cwd=self.linux, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False, text=True, **options)
        if done.returncode:
            self.fail(f"git {' '.join(words)}: {done.stdout}")
        return done.stdout.rstrip("\n")

    def here(self):
        """The toy repository in place of our own."""
        build = self.top / "build"
        return mock.patch.multiple(paths, TOP=self.top, BUILD=build, LINUX=self.linux, SOURCE=build / "source",
                                   BASE_SOURCE=build / "linux-base")

    def series(self, *words, env=None):
        """Run the tool; returns (exit status, all output)."""
        output = io.StringIO()
        with self.here(), mock.patch.dict(os.environ, env or {}), \
                contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            status = entry().main(["series", *words])
        if os.environ.get("SERIES_TEST_SHOW"):
            print(f"{self.id()}: series {' '.join(words)}\n{output.getvalue()}")
        return status, output.getvalue()

    def good(self, *words, env=None):
        """Run the tool and expect success."""
        status, text = self.series(*words, env=env)
        self.assertEqual(status, 0, text)
        return text

    def bad(self, *words, says=(), env=None):
        """Run the tool and expect an error that says all of this."""
        status, text = self.series(*words, env=env)
        self.assertEqual(status, 1, text)
        for words_said in [says] if isinstance(says, str) else says:
            self.assertIn(words_said, text)
        return text

    def snapshot(self):
        """All files of the repository without build/."""
        return {str(path.relative_to(self.top)): (path.read_bytes(), os.access(path, os.X_OK))
                for path in self.top.rglob("*") if path.is_file() and "build" not in path.relative_to(self.top).parts}

    def round_trip(self):
        """Assemble, refresh, and expect that no file changed."""
        before = self.snapshot()
        self.good("assemble")
        self.good("refresh")
        self.assertEqual(before, self.snapshot())
        self.good("round-trip")

    def change(self, path, old, new):
        """Replace text in a file of the repository."""
        text = self.read(path)
        self.assertIn(old, text)
        self.put(path, text.replace(old, new))

    def add_patch(self, name, text):
        """Put another patch at the end of the first topic."""
        self.put(f"patches/page-owner/{name}.patch", text)
        self.change("patches/series", "page-owner/mm-use-alpha.patch\n",
                    f"page-owner/mm-use-alpha.patch\npage-owner/{name}.patch\n")

    def commit(self, path, text, message):
        """Commit a change in build/linux."""
        (self.linux / path).parent.mkdir(parents=True, exist_ok=True)
        (self.linux / path).write_text(text, encoding="utf-8")
        self.git("add", "-f", path)
        self.git("commit", "-q", "-m", message)


class Assemble(Toy):
    """Rules 2, 4 and 5, and how build/linux is moved."""

    def test_good_series(self):
        self.good("check")
        self.good("assemble")
        self.assertEqual(self.git("symbolic-ref", "--short", "HEAD"), "series")
        self.assertEqual(self.git("log", "--format=%s", "--reverse", "base..series").split("\n"),
                         ["mm: add alpha", "mm: use alpha", "mm: private nodes"])
        self.assertEqual(self.git("show", "--format=", "--name-status", "series~2"), "M\tmm/Makefile\nA\tmm/alpha.c")
        self.assertEqual(self.git("show", "-s", "--format=%B", "series~1"),
                         "mm: use alpha\n\nBecause.\n\nIt is so.\n---\nSeen to fail first.")
        self.assertEqual(self.git("show", "-s", "--format=%an <%ae> %aI %cn %cI", "series"),
                         "A U Thor <author@example.org> 2026-02-02T10:00:00+01:00 A U Thor 2026-02-02T10:00:00+01:00")
        self.assertEqual(self.git("status", "--porcelain"), "")

    def test_same_tree_and_commits_twice(self):
        self.good("assemble")
        first = self.git("rev-parse", "series", "series^{tree}")
        self.git("checkout", "-q", "--detach", "base")
        self.git("branch", "-q", "-D", "series")
        self.git("update-ref", "-d", "refs/workbench/assembled")
        self.good("assemble", env={"TZ": "Asia/Tokyo", "GIT_AUTHOR_NAME": "Other", "GIT_COMMITTER_DATE": "1 +0000"})
        self.assertEqual(first, self.git("rev-parse", "series", "series^{tree}"))
        self.assertEqual(self.good("assemble", "--no-checkout").strip().split("\n")[-1], first.split("\n")[1])

    def test_nothing_changed_says_so(self):
        self.good("assemble")
        self.assertIn("Nothing changed", self.good("assemble"))

    def test_round_trip(self):
        self.round_trip()

    def test_round_trip_does_not_depend_on_user_configuration(self):
        settings = {"core.autocrlf": "true", "core.quotePath": "true", "core.abbrev": "7", "diff.noprefix": "true",
                    "diff.mnemonicPrefix": "true", "diff.context": "9", "diff.algorithm": "patience",
                    "diff.renames": "copies", "diff.suppressBlankEmpty": "true", "log.showSignature": "true",
                    "format.signOff": "true", "apply.ignoreWhitespace": "change", "apply.whitespace": "error",
                    "core.hooksPath": str(self.home / "hooks"), "i18n.logOutputEncoding": "latin1"}
        self.put("lib/new.txt", "a  \r\nb\r\n")
        self.change("patches/page-owner/mm-add-alpha.patch", "Adds: mm/alpha.c", "Adds: lib/new.txt\nAdds: mm/alpha.c")
        self.put("patches/page-owner/mm-use-alpha.patch", mail("mm: use alpha", diff=self.edit_diff(
            "lib/dos.txt", "one\r\ntwo\r\nthree\r\n", "one\r\n2  \r\nthree\r\n") + self.edit_diff(
            "mm/page_alloc.c", numbered(40), numbered(40).replace("line 20\n", "alpha\n"))))
        (self.home / "hooks").mkdir()
        (self.home / "hooks/post-checkout").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        (self.home / "hooks/post-checkout").chmod(0o755)
        before = self.snapshot()
        for place in ("--global", "--local"):
            self.git("checkout", "-q", "--detach", "base")
            self.git("update-ref", "-d", "refs/heads/series")
            only_global = {"diff.default.xfuncname": "^(line 2)$"} if place == "--global" else {}
            for name, value in {**settings, **only_global}.items():
                self.git("config", place, name, value, env={**os.environ, "HOME": str(self.home)})
            for command in ("assemble", "refresh", "round-trip"):
                with self.subTest(place=place, command=command):
                    self.good(command, env={"HOME": str(self.home), "GIT_DIFF_OPTS": "-u9"})
            self.assertEqual(before, self.snapshot())

    def test_roundtrip_tells_what_refresh_would_change(self):
        self.change("patches/page-owner/mm-use-alpha.patch", "@@ -17,7 +17,7 @@", "@@ -15,7 +15,7 @@")
        text = self.bad("round-trip", says="patches/page-owner/mm-use-alpha.patch: not as 'make refresh' would write")
        self.assertIn("note: patches/page-owner/mm-use-alpha.patch: mm/page_alloc.c: Hunk #1 succeeded at 17 (offset 2",
                      text)

    def test_never_overwrites_a_base_file(self):
        self.put("mm/page_alloc.c", "ours\n")
        self.change("patches/page-owner/mm-add-alpha.patch", "Adds: mm/alpha.c\n",
                    "Adds: mm/alpha.c\nAdds: mm/page_alloc.c\n")
        self.put("patches/page-owner/mm-use-alpha.patch", mail("mm: use alpha",
                 diff=self.edit_diff("README", "toy\n", "toys\n")))
        self.bad("assemble", says="patches/page-owner/mm-add-alpha.patch: mm/page_alloc.c: the base kernel already has")

    def test_never_overwrites_a_base_directory_or_file_above(self):
        self.put("README/x.c", "ours\n")
        self.change("patches/page-owner/mm-add-alpha.patch", "Adds: mm/alpha.c\n",
                    "Adds: README/x.c\nAdds: mm/alpha.c\n")
        self.bad("assemble", says="README/x.c: README is a file in the base kernel")

    def test_never_overwrites_a_base_entry(self):
        self.put("MAINTAINERS", "ALPHA DRIVER\nF:\tmm/\n\n" + OUR_MAINTAINERS)
        self.change("patches/private-nodes/mm-private-nodes.patch", "Entry: PRIVATE",
                    "Entry: ALPHA DRIVER\nEntry: PRIVATE")
        self.bad("assemble", says=["private-nodes/mm-private-nodes.patch: Entry: ALPHA DRIVER",
                                   "already has this entry"])

    def test_no_fuzz(self):
        # The hunk's first context line is wrong: patch(1) would take it with fuzz 1.
        self.change("patches/page-owner/mm-use-alpha.patch", " line 17\n", " line XX\n")
        self.bad("assemble", "--no-checkout",
                 says="patches/page-owner/mm-use-alpha.patch: mm/page_alloc.c: line 17: hunk does not apply")

    def test_diff_of_a_missing_file(self):
        self.change("patches/page-owner/mm-use-alpha.patch", "mm/page_alloc.c", "mm/gone.c")
        self.bad("assemble", "--no-checkout", says="patches/page-owner/mm-use-alpha.patch: mm/gone.c: does not exist")

    def test_diff_that_creates_a_file(self):
        diff = self.edit_diff("README", "toy\n", "toys\n") + ("diff --git a/mm/new.c b/mm/new.c\nnew file mode 100644\n"
               "index 000000000000..e965047ad7c5\n--- /dev/null\n+++ b/mm/new.c\n@@ -0,0 +1 @@\n+Hello\n")
        self.put("patches/page-owner/mm-use-alpha.patch", mail("mm: use alpha", diff=diff))
        for command in ("check", "assemble"):
            self.bad(command, says="patches/page-owner/mm-use-alpha.patch: mm/new.c: the diff creates this file")

    def test_delete_and_rename_of_upstream_files(self):
        self.good("assemble")
        self.git("mv", "mm/old_name.c", "mm/new_name.c")
        (self.linux / "mm/new_name.c").write_text(numbered(30, "old").replace("old 9\n", "new 9\n"), encoding="utf-8")
        self.git("rm", "-q", "mm/doomed.c")
        self.git("commit", "-q", "-a", "-m", "mm: clean up\n\nBody.")
        text = self.good("refresh")
        self.assertIn("new      patches/private-nodes/mm-clean-up.patch", text)
        patch = self.read("patches/private-nodes/mm-clean-up.patch")
        self.assertIn("rename from mm/old_name.c\nrename to mm/new_name.c", patch)
        self.assertIn("deleted file mode 100644", patch)
        self.assertFalse((self.top / "mm/new_name.c").exists())
        tree = self.git("rev-parse", "series^{tree}")
        self.round_trip()
        self.assertEqual(tree, self.git("rev-parse", "series^{tree}"))

    def test_unchanged_files_keep_their_time(self):
        self.good("assemble")
        for path in self.linux.rglob("*"):
            if path.is_file() and ".git" not in path.parts:
                os.utime(path, (1000000000, 1000000000))
        self.git("update-index", "-q", "--refresh")
        self.put("mm/alpha.c", "int alpha = 2;\n")
        self.good("assemble")
        changed = [str(path.relative_to(self.linux)) for path in self.linux.rglob("*")
                   if path.is_file() and ".git" not in path.parts and path.stat().st_mtime != 1000000000]
        self.assertEqual(changed, ["mm/alpha.c"])

    def test_unusual_overlay_files(self):
        self.put("tools/run.sh", "#!/bin/sh\n")
        (self.top / "tools/run.sh").chmod(0o755)
        self.put("tools/blob.bin", bytes(range(256)))
        self.put("tools/empty", b"")
        self.put("tools/no-newline", b"x")
        self.put("tools/.gitignore", "/made\n")
        self.put("tools/dos.txt", b"a\r\nb\r\n")
        self.change("patches/page-owner/mm-add-alpha.patch", "Adds: mm/alpha.c\n",
                    "Adds: mm/alpha.c\nAdds: tools/.gitignore\nAdds: tools/blob.bin\nAdds: tools/dos.txt\n"
                    "Adds: tools/empty\nAdds: tools/no-newline\nAdds: tools/run.sh\n")
        self.round_trip()
        self.assertTrue(os.access(self.linux / "tools/run.sh", os.X_OK))
        self.assertEqual((self.linux / "tools/blob.bin").read_bytes(), bytes(range(256)))
        self.assertEqual((self.linux / "tools/dos.txt").read_bytes(), b"a\r\nb\r\n")
        self.good("assemble")
        (self.top / "tools/run.sh").chmod(0o644)
        self.good("assemble")
        self.assertFalse(os.access(self.linux / "tools/run.sh", os.X_OK))

    def test_carriage_returns_in_upstream_files(self):
        self.put("patches/page-owner/mm-use-alpha.patch", mail("mm: use alpha", diff=self.edit_diff(
            "lib/dos.txt", "one\r\ntwo\r\nthree\r\n", "one\r\n2\r\nthree\r\n")))
        self.round_trip()
        self.assertEqual((self.linux / "lib/dos.txt").read_bytes(), b"one\r\n2\r\nthree\r\n")

    def test_non_ascii_mail(self):
        self.good("assemble")
        self.git("-c", "user.name=Jörg Müller", "commit", "-q", "--amend", "--reset-author",
                 "-m", "mm: größere Knoten für alle, die mehr als ein paar Gigabyte haben ☺\n\nÄußerst nützlich.")
        self.good("refresh")
        name = slug("mm: größere Knoten für alle, die mehr als ein paar Gigabyte haben ☺")
        self.assertEqual(name, "mm-gr-ere-knoten-f-r-alle-die-mehr-als-ein-paar-gigabyte-hab"[:60].rstrip("-"))
        patch = self.read(f"patches/private-nodes/{name}.patch")
        self.assertIn("Subject: [PATCH] =?UTF-8?q?mm:=20gr=C3=B6=C3=9Fere=20", patch)
        self.assertIn("From: =?UTF-8?q?J=C3=B6rg=20M=C3=BCller?= <user@example.org>", patch)
        self.assertIn("Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\nÄußerst", patch)
        self.round_trip()
        self.assertEqual(self.git("show", "-s", "--format=%an: %s", "series"),
                         "Jörg Müller: mm: größere Knoten für alle, die mehr als ein paar Gigabyte haben ☺")

    def test_author_with_special_characters(self):
        self.change("patches/page-owner/mm-add-alpha.patch", "From: A U Thor <", 'From: "Thor, A. \\"U\\"" <')
        self.round_trip()
        self.assertEqual(self.git("show", "-s", "--format=%an", "series~2"), 'Thor, A. "U"')

    def test_message_with_lines_like_a_diff(self):
        body = "diff of two lists:\n\n---|---\n-----\n--x\n  diff -u a b\n  --- a/x\n\n@@ -1 +1 @@\n-- \n>From here"
        self.change("patches/page-owner/mm-use-alpha.patch", "It is so.", body)
        self.round_trip()
        self.assertIn(body, self.git("show", "-s", "--format=%B", "series~1"))

    def test_into_a_ref(self):
        self.good("assemble", "--into", "refs/workbench/try")
        self.assertEqual(self.git("log", "-1", "--format=%s", "refs/workbench/try"), "mm: private nodes")
        self.assertEqual(self.git("branch", "--list", "series"), "")

    def test_empty_series(self):
        shutil.rmtree(self.top / "patches")
        shutil.rmtree(self.top / "mm")
        (self.top / "MAINTAINERS").unlink()
        self.good("check")
        self.good("assemble")
        self.assertEqual(self.git("rev-parse", "series"), self.git("rev-parse", "base"))
        self.assertEqual(self.good("prefixes"), "")

    def test_refuses_to_drop_commits(self):
        self.good("assemble")
        self.commit("mm/page_alloc.c", "mine\n", "mm: mine\n\nMine.")
        mine = self.git("rev-parse", "series")
        self.bad("assemble", says=["holds 1 commits", "'make refresh' keeps them, FORCE=1 drops them"])
        self.assertEqual(mine, self.git("rev-parse", "series"))
        self.good("assemble", env={"FORCE": "1"})
        self.assertNotEqual(mine, self.git("rev-parse", "series"))
        self.assertIn(mine, self.git("reflog", "--format=%H", "series"))

    def test_refuses_when_commits_were_dropped_by_the_user(self):
        self.good("assemble")
        self.git("reset", "-q", "--hard", "series~1")
        self.bad("assemble", says="another history than patches/ gave it")

    def test_refuses_a_dirty_tree(self):
        self.good("assemble")
        (self.linux / "mm/page_alloc.c").write_text("mine\n", encoding="utf-8")
        for command in ("assemble", "refresh"):
            self.bad(command, says="uncommitted changes (mm/page_alloc.c)")
        self.good("assemble", env={"FORCE": "1"})
        self.assertEqual(self.git("status", "--porcelain"), "")

    def test_an_experiment_undone_on_both_sides(self):
        """W11"""
        self.good("assemble")
        self.commit("mm/alpha.c", "int alpha = 3;\n", "fixup! mm: add alpha")
        self.git("rebase", "-q", "-i", "--autosquash", "base", env={**os.environ, "GIT_SEQUENCE_EDITOR": ":"})
        before = self.snapshot()
        self.good("refresh")
        self.git("reset", "-q", "--hard", "series@{1}")
        for path, (data, _) in before.items():
            self.put(path, data)
        first = self.git("rev-parse", "series@{0}")
        self.git("checkout", "-q", "--detach", "base")
        self.git("branch", "-q", "-D", "series")
        self.good("assemble", "--into", "refs/heads/series")
        self.git("checkout", "-q", "series")
        self.assertNotEqual(first, self.git("rev-parse", "refs/workbench/assembled"))
        self.assertIn("Nothing changed", self.good("assemble"))

    def checkout_fails(self):
        """assemble, while nothing can be written to a new mm/beta.c; returns what it printed."""
        self.put("mm/beta.c", "int beta;\n")
        self.change("patches/page-owner/mm-add-alpha.patch", "Adds: mm/alpha.c\n", "Adds: mm/alpha.c\nAdds: mm/beta.c\n")
        self.put("mm/alpha.c", "int other;\n")
        self.git("config", "filter.full.smudge", "kill -9 $PPID")
        (self.linux / ".git/info").mkdir(exist_ok=True)
        (self.linux / ".git/info/attributes").write_text("mm/beta.c filter=full\n")
        text = self.bad("assemble", says="is half-way; the next 'make tree' finishes it")
        (self.linux / ".git/info/attributes").unlink()
        self.assertIn("mm/alpha.c", self.git("status", "--porcelain"))
        return text

    def test_a_move_that_was_killed_is_finished(self):
        """W8: git is killed while it writes the second file."""
        self.good("assemble")
        self.checkout_fails()
        self.bad("refresh", says="a 'make tree' was interrupted in")
        self.assertIn("finishing the move", self.good("assemble"))
        self.assertEqual(self.git("status", "--porcelain"), "")
        self.assertEqual((self.linux / "mm/beta.c").read_text(), "int beta;\n")
        self.assertIn("Nothing changed", self.good("assemble"))
        self.round_trip()

    def test_a_killed_move_does_not_hide_what_is_the_user_s(self):
        self.good("assemble")
        self.checkout_fails()
        (self.linux / "README").write_text("mine\n")
        self.bad("assemble", says="has uncommitted changes (README) beside those of a 'make tree' that was interrupted")
        self.assertEqual((self.linux / "README").read_text(), "mine\n")

    def test_a_git_that_outlived_its_command_is_not_disturbed(self):
        self.good("assemble")
        self.checkout_fails()
        with subprocess.Popen(["git", "cat-file", "--batch"], cwd=self.linux, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as alive:
            (self.linux / ".git/index.lock").touch()
            self.bad("assemble", says=f"git still runs in {self.linux} (process {alive.pid}): wait for it, or end it")
            self.assertTrue((self.linux / ".git/index.lock").exists())
        self.assertIn("finishing the move", self.good("assemble"))

    @unittest.skipIf(os.geteuid(), "a small file system can be mounted by root alone")
    def test_a_full_disk(self):
        """W8: no space in the middle of a move."""
        self.put("mm/alpha.c", "x\n" * 600000)
        small = self.home / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2500k", "none", small], check=True)
        self.addCleanup(subprocess.run, ["umount", small], check=True)
        shutil.move(self.linux, small / "linux")
        self.linux.symlink_to(small / "linux")
        self.put("mm/private.c", "int private;\n" * 200000)
        self.bad("assemble", says="half-way; the next 'make tree' finishes it")
        subprocess.run(["mount", "-o", "remount,size=10m", small], check=True)
        self.assertIn("finishing the move", self.good("assemble"))
        self.assertEqual(self.git("status", "--porcelain"), "")
        self.assertIn("Nothing changed", self.good("assemble"))

    def test_a_repository_of_somebody_else(self):
        """W5: git refuses to work in a folder of another user, as in a container."""
        subprocess.run(["git", "init", "-q"], cwd=self.top, check=True)
        self.put(".gitignore", "/build/\n")
        if os.geteuid():
            self.skipTest("only root can give files away")
        for path in [self.top, *self.top.rglob("*")]:
            os.chown(path, 4711, 4711, follow_symlinks=False)
        for command in ("check", "assemble", "refresh", "round-trip", "export"):
            self.good(command)
        self.assertIn("patches/series", listed(self.top))

    def test_a_release_without_git(self):
        self.put("build/x.c", "not ours\n")
        self.assertIn("mm/alpha.c", listed(self.top))
        self.assertFalse([name for name in listed(self.top) if name.startswith("build")])
        for command in ("check", "assemble", "refresh", "round-trip"):
            self.good(command)

    def test_variables_of_a_hook(self):
        """W12: GIT_DIR and its like point at another repository."""
        other = self.home / "other"
        subprocess.run(["git", "init", "-q", other], check=True)
        self.put("build/user", "x\n")
        leaked = {"GIT_DIR": str(other / ".git"), "GIT_INDEX_FILE": str(other / "index"), "GIT_WORK_TREE": str(other),
                  "GIT_OBJECT_DIRECTORY": str(other / ".git/objects"), "GIT_CONFIG_PARAMETERS": "'core.bare=true'"}
        with mock.patch.dict(os.environ, leaked):
            for command in ("assemble", "refresh", "round-trip", "export"):
                self.good(command, env=leaked)
            self.assertEqual([name for name in leaked if name in process.environment()], [])
            self.assertEqual(Git(self.linux).text("log", "-1", "--format=%s"), "mm: private nodes", "without wb's own care")
        self.assertFalse((other / "index").exists())
        self.assertEqual(self.git("log", "-1", "--format=%s", "series"), "mm: private nodes")

    def test_untracked_file_in_the_way(self):
        (self.linux / "mm/alpha.c").write_text("mine\n", encoding="utf-8")
        self.bad("assemble", says="mm/alpha.c")
        self.assertEqual((self.linux / "mm/alpha.c").read_text(encoding="utf-8"), "mine\n")

    def test_no_kernel_yet(self):
        shutil.rmtree(self.linux)
        self.bad("assemble", says="run workbench/wb base")


class MaintainersFile(Toy):
    """Rule 5."""

    def test_merged_in_order(self):
        self.good("assemble")
        titles = Maintainers((self.linux / "MAINTAINERS").read_bytes()).titles
        self.assertEqual(titles, ["ALPHA DRIVER", "MEMORY MANAGEMENT", "AARDVARK MISPLACED", "PRIVATE NODES",
                                  "UNMAPPED PAGES", "ZETA DRIVER", "THE REST"])
        self.assertEqual(self.git("diff", "base", "series", "--stat", "--", "MAINTAINERS").count("-"), 0)

    def test_insert_and_remove_are_inverse(self):
        for text in (KERNEL_MAINTAINERS, OUR_MAINTAINERS, "", "ONE\nF:\tx\n", "ONE\nF:\tx\n\n"):
            for title in ("AAA", "QQQ", "ZZZZ", "ZZZZZZZ"):
                merged = Maintainers(text.encode())
                merged.insert(title, f"{title}\nF:\ty\n".encode())
                self.assertEqual(Maintainers(merged.data()).titles, merged.titles)
                again = Maintainers(merged.data())
                again.remove(title)
                self.assertEqual(again.data(), text.encode(), (text, title))

    def test_the_rest_stays_last(self):
        merged = Maintainers(KERNEL_MAINTAINERS.encode())
        merged.insert("ZZTOP", b"ZZTOP\nF:\tx\n")
        self.assertEqual(merged.titles[-2:], ["ZZTOP", "THE REST"])

    def test_claims(self):
        self.change("patches/private-nodes/mm-private-nodes.patch", "Entry: UNMAPPED PAGES\n", "Entry: XYLOPHONE\n")
        self.change("patches/page-owner/mm-add-alpha.patch", "Adds: mm/alpha.c\n",
                    "Adds: mm/alpha.c\nEntry: PRIVATE NODES\n")
        self.bad("check", says=[
            "private-nodes/mm-private-nodes.patch: Entry: PRIVATE NODES: already merged by patches/page-owner/mm-add",
            "private-nodes/mm-private-nodes.patch: Entry: XYLOPHONE: no such entry",
            "MAINTAINERS: UNMAPPED PAGES: no patch claims this entry"])

    def test_our_order_and_duplicates(self):
        entries = OUR_MAINTAINERS.split("\n\n")
        self.put("MAINTAINERS", entries[1] + "\n" + entries[0] + "\n\n" + entries[0] + "\n")
        self.bad("check", says=["PRIVATE NODES: entry is not in alphabetical order",
                                "PRIVATE NODES: entry occurs twice"])

    def test_edited_entry_comes_back(self):
        self.good("assemble")
        path = self.linux / "MAINTAINERS"
        path.write_text(path.read_text(encoding="utf-8").replace("F:\tmm/private.c\n", "F:\tmm/priv*.c\nN:\tprivate\n"),
                        encoding="utf-8")
        self.git("commit", "-q", "-a", "--amend", "--no-edit")
        before = self.snapshot()
        self.assertIn("changed  MAINTAINERS", self.good("refresh"))
        after = self.snapshot()
        self.assertEqual([path for path in after if after[path] != before.get(path)], ["MAINTAINERS"])
        self.assertEqual(self.read("MAINTAINERS"), OUR_MAINTAINERS.replace("F:\tmm/private.c\n",
                                                                           "F:\tmm/priv*.c\nN:\tprivate\n"))
        self.round_trip()

    def test_upstream_entry_edited_with_ours(self):
        self.good("assemble")
        path = self.linux / "MAINTAINERS"
        path.write_text(path.read_text(encoding="utf-8").replace("F:\tmm/\n", "F:\tmm/\nF:\tlib/mm/\n"),
                        encoding="utf-8")
        self.git("commit", "-q", "-a", "--amend", "--no-edit")
        self.good("refresh")
        patch = self.read("patches/private-nodes/mm-private-nodes.patch")
        self.assertIn("+F:\tlib/mm/\n", patch)
        self.assertNotIn("+PRIVATE NODES", patch)
        self.round_trip()

    def test_later_commit_edits_our_entry(self):
        self.good("assemble")
        path = self.linux / "MAINTAINERS"
        self.commit("MAINTAINERS", path.read_text(encoding="utf-8").replace("mm/private.c", "mm/p.c"), "mm: x\n\nBody.")
        self.bad("refresh", says=["('mm: x'): MAINTAINERS: changes entry PRIVATE NODES that commit", "fold it"])

    def test_entry_alone(self):
        self.change("patches/private-nodes/mm-private-nodes.patch", "Entry: UNMAPPED PAGES\n", "")
        self.add_patch("mm-entry", mail("mm: entry", notes="Entry: UNMAPPED PAGES\n"))
        self.round_trip()


class Check(Toy):
    """Rules 1 and 6 and the format."""

    def patch_with(self, says, **options):
        """A patch with something wrong in it."""
        self.put("patches/page-owner/mm-use-alpha.patch", mail(**{"subject": "mm: use alpha", "diff": self.edit_diff(
            "README", "toy\n", "toys\n"), **options}))
        self.bad("check", says=["patches/page-owner/mm-use-alpha.patch: ", says])
        self.bad("assemble", "--no-checkout", says=says)

    def test_claims(self):
        self.put("mm/orphan.c", "x\n")
        self.change("patches/page-owner/mm-use-alpha.patch", "Seen to fail", "Adds: mm/alpha.c\nAdds: mm/gone.c\nSeen")
        text = self.bad("check", says=[
            "mm/orphan.c: no patch claims this file",
            "patches/page-owner/mm-use-alpha.patch: mm/alpha.c: already added by patches/page-owner/mm-add-alpha.patch",
            "patches/page-owner/mm-use-alpha.patch: Adds: mm/gone.c: no such file"])
        self.assertEqual(text.count("error:"), 3, text)

    def test_touching_a_file_of_the_series(self):
        self.put("patches/page-owner/mm-use-alpha.patch", mail("mm: use alpha", diff=self.edit_diff(
            "mm/alpha.c", "int alpha;\n", "int beta;\n")))
        self.bad("check", says="patches/page-owner/mm-use-alpha.patch: mm/alpha.c: the diff touches a file that "
                 "patches/page-owner/mm-add-alpha.patch adds; fold it")

    def test_escaping_paths(self):
        wrong = {"../x": "leaves", "/etc/passwd": "absolute", "mm/.git/config": "inside .git", "mm//x.c": "leaves",
                 "mm/../../x": "leaves", "workbench/series": "belongs to the repository", "patches/series": "belongs",
                 ".ci/run": "belongs", "build/x": "belongs", "MAINTAINERS": "belongs", "mm/a b.c": "unusual",
                 "mm/.GIT/x": "inside .git", "mm/./x.c": "leaves"}
        for path, reason in wrong.items():
            self.put("patches/page-owner/mm-use-alpha.patch", mail("mm: use alpha", notes=f"Adds: {path}\n"))
            with self.subTest(path):
                text = self.bad("check", says=f"patches/page-owner/mm-use-alpha.patch: Adds: {path}: ")
                self.assertIn(reason, text)
                self.bad("assemble", "--no-checkout", says=f"Adds: {path}: ")

    def test_diff_that_leaves_the_tree(self):
        diff = self.edit_diff("README", "toy\n", "toys\n").replace("README", "../README")
        self.patch_with("../README: path leaves the tree", diff=diff)

    def test_signed_off(self):
        self.patch_with("carries a Signed-off-by", body="Why.\n\nsigned-off-by: A <a@b>")

    def test_unfinished(self):
        for word in ("fixup!", "squash!", "amend!"):
            with self.subTest(word):
                self.patch_with("unfinished commit", subject=f"{word} mm: add alpha")

    def test_long_subject(self):
        self.patch_with("subject has 76 characters, 75 are allowed", subject="mm: " + "x" * 72)

    def test_no_body(self):
        self.patch_with("the message has no body", body="")

    def test_no_separator(self):
        self.put("patches/page-owner/mm-use-alpha.patch", mail("mm: use alpha").replace("\n---\n", "\n"))
        self.bad("check", says="mm-use-alpha.patch: no line '---'")

    def test_no_content(self):
        self.patch_with("neither a diff nor an Adds: line", diff="")

    def test_unsorted(self):
        self.put("mm/aaa.c", "x\n")
        self.change("patches/page-owner/mm-add-alpha.patch", "Adds: mm/alpha.c\n", "Adds: mm/alpha.c\nAdds: mm/aaa.c\n")
        self.bad("check", says="patches/page-owner/mm-add-alpha.patch: Adds: lines are not sorted")

    def test_headers(self):
        self.patch_with("no From: name <address>", author="nobody")
        self.patch_with("no valid Date:", date="yesterday")
        self.put("patches/page-owner/mm-use-alpha.patch", mail("mm: use alpha").replace("[PATCH] ", "").replace(
            "From 0", "From 1"))
        self.bad("check", says=["no Subject: [PATCH]", "does not start with 'From <40 zeros>"])

    def test_message_that_git_am_would_cut(self):
        for line in ("diff --git a/x b/x", "diff -u", "Index: x", "--- a/x", "---  "):
            with self.subTest(line):
                self.assertTrue(breaks_message(line))
                if line.strip() != "---":
                    self.patch_with("git am would end the message", body=f"Why.\n\n{line}\n\nMore.")
        self.patch_with("b4 would split the mailbox", body="Why.\n\nFrom me.")

    def test_series_and_files(self):
        self.put("patches/page-owner/stray.patch", "x")
        self.put("patches/page-owner/notes.txt", "x")
        self.put("patches/page-owner/cover.txt", "fine\n\nbody\n")
        self.put("patches/series", self.read("patches/series") + "private-nodes/gone.patch\nnonsense\n"
                 "page-owner/mm-use-alpha.patch\nunmapped/x.patch\n# topic: page-owner — again\n# topic unmapped\n")
        text = self.bad("check", says=[
            "patches/page-owner/stray.patch: not in patches/series", "patches/page-owner/notes.txt: not in",
            "private-nodes/gone.patch is listed but does not exist", "not <topic>/<slug>.patch: nonsense",
            "page-owner/mm-use-alpha.patch is listed twice", "unmapped/x.patch is not below its heading",
            "topic page-owner is opened twice", "cannot read this heading: # topic unmapped"])
        self.assertNotIn("cover.txt", text)

    def test_ignored_files_are_no_orphans(self):
        subprocess.run(["git", "init", "-q"], cwd=self.top, check=True)
        self.put(".gitignore", "/build/\n*~\n")
        self.put("mm/alpha.c~", "old\n")
        self.put("README.md", "ours\n")
        self.put("workbench/x", "ours\n")
        self.good("check")
        self.put("mm/alpha.orig", "old\n")
        self.bad("check", says="mm/alpha.orig: no patch claims this file")

    def test_symbolic_link(self):
        (self.top / "mm/link.c").symlink_to("alpha.c")
        self.bad("check", says="mm/link.c: not a regular file")

    def test_notes_like_a_diff(self):
        patch = parse_patch(mail("x: y", notes="diff -u is what I used").encode(), "t/x-y.patch")
        self.assertIn("would be taken for a diff", "".join(patch.problems))

    def test_no_patch_file_crashes_the_parser(self):
        whole = self.read("patches/page-owner/mm-use-alpha.patch")
        for end in range(len(whole)):
            parse_patch(whole[:end].encode(), "t/x.patch")
        for line in ("From: <>", "diff --git", "diff --git a b", "diff --git a/x b/y", "Subject:", " x", "\xff"):
            parse_patch(line.encode("latin-1"), "t/x.patch")
            self.assertTrue(parse_patch((line + "\n" + whole).encode("latin-1"), "t/x.patch").problems)

    def test_slug(self):
        self.assertEqual(slug("mm/page_alloc: Fix `foo()` now"), "mm-page_alloc-fix-foo-now")
        self.assertLessEqual(len(slug("x y" * 60)), 60)
        self.assertEqual(slug("☺"), "patch")


class Refresh(Toy):
    """From commits back to files."""

    def test_work_cycle(self):
        self.good("assemble")
        self.commit("mm/alpha.c", "int alpha = 3;\n", "fixup! mm: add alpha")
        self.bad("refresh", says=["unfinished commit 'fixup! mm: add alpha'", "mm/alpha.c: changes a file that commit"])
        self.git("rebase", "-q", "-i", "--autosquash", "base", env={**os.environ, "GIT_SEQUENCE_EDITOR": ":"})
        before = self.snapshot()
        self.assertIn("changed  mm/alpha.c", self.good("refresh"))
        after = self.snapshot()
        self.assertEqual([path for path in after if after[path] != before.get(path)], ["mm/alpha.c"])
        self.assertIn("Seen to fail first.", self.read("patches/page-owner/mm-use-alpha.patch"))
        tree = self.git("rev-parse", "series^{tree}")
        self.good("assemble")
        self.assertEqual(tree, self.git("rev-parse", "series^{tree}"))
        self.round_trip()

    def test_new_commit_joins_the_topic_before_it(self):
        self.good("assemble")
        self.git("checkout", "-q", "-b", "work", "series~1")
        self.commit("mm/beta.c", "int beta;\n", "mm: add beta\n\nWhy.\n---\nA note.")
        self.git("cherry-pick", "series")
        self.git("checkout", "-q", "-B", "series", "work")
        self.good("refresh")
        self.assertIn("# a remark\npage-owner/mm-use-alpha.patch\npage-owner/mm-add-beta.patch\n\n# topic: private",
                      self.read("patches/series"))
        patch = self.read("patches/page-owner/mm-add-beta.patch")
        self.assertTrue(patch.endswith("\n\nWhy.\n---\nAdds: mm/beta.c\n\nA note.\n\n-- \n"), patch)
        self.assertEqual(self.read("mm/beta.c"), "int beta;\n")
        self.round_trip()

    def test_topic_line(self):
        self.good("assemble")
        self.commit("mm/beta.c", "int beta;\n", "mm: add beta\n\nWhy.\n---\nTopic: page-owner")
        self.bad("refresh", says="comes after a commit of topic private-nodes")
        self.git("commit", "-q", "--amend", "-m", "mm: add beta\n\nWhy.\n---\nTopic: unmapped")
        self.bad("refresh", says="topic unmapped has no heading")
        self.put("patches/series", self.read("patches/series") + "\n# topic: unmapped — third\n")
        self.good("refresh")
        self.assertIn("# topic: unmapped — third\nunmapped/mm-add-beta.patch\n", self.read("patches/series"))
        self.assertNotIn("Topic:", self.read("patches/unmapped/mm-add-beta.patch"))
        self.round_trip()

    def test_removed_commit(self):
        self.put("mm/orphan.txt", "kept\n")
        self.put("mm/orphan.txt", "kept\n")
        (self.top / "mm/orphan.txt").unlink()
        self.good("assemble")
        self.git("reset", "-q", "--hard", "series~1")
        text = self.good("refresh")
        for path in ("mm/private.c", "mm/unmapped.c", "patches/private-nodes/mm-private-nodes.patch"):
            self.assertIn(f"removed  {path}", text)
            self.assertFalse((self.top / path).exists())
        self.assertTrue((self.top / "mm/alpha.c").exists())
        self.assertEqual(self.read("MAINTAINERS"), "")
        self.assertIn("# topic: private-nodes", self.read("patches/series"))
        self.round_trip()

    def test_renamed_commit(self):
        self.good("assemble")
        self.git("commit", "-q", "--amend", "-m", "mm: other nodes\n\nWhy.")
        text = self.good("refresh")
        self.assertIn("removed  patches/private-nodes/mm-private-nodes.patch", text)
        self.assertIn("new      patches/private-nodes/mm-other-nodes.patch", text)

    def test_same_subject_twice(self):
        self.good("assemble")
        self.commit("README", "toys\n", "mm: private nodes\n\nAgain.")
        self.good("refresh")
        self.assertTrue((self.top / "patches/private-nodes/mm-private-nodes-2.patch").exists())
        self.round_trip()

    def test_deleting_or_renaming_a_file_of_the_series(self):
        self.good("assemble")
        self.git("mv", "mm/alpha.c", "mm/beta.c")
        self.git("commit", "-q", "-m", "mm: rename alpha\n\nWhy.")
        self.bad("refresh", says=["('mm: rename alpha'): mm/alpha.c: changes a file that commit",
                                  "('mm: add alpha') adds"])
        self.git("reset", "-q", "--hard", "HEAD~1")
        self.git("rm", "-q", "mm/alpha.c")
        self.git("commit", "-q", "-m", "mm: drop alpha\n\nWhy.")
        self.bad("refresh", says="('mm: drop alpha'): mm/alpha.c: changes a file that commit")

    def test_merge_and_other_base(self):
        self.good("assemble")
        self.git("checkout", "-q", "-b", "side", "base")
        self.commit("README", "toys\n", "side")
        self.git("checkout", "-q", "series")
        self.git("merge", "-q", "--no-edit", "side")
        self.bad("refresh", says="is a merge")
        self.git("tag", "-f", "base", "side~0")
        self.git("reset", "-q", "--hard", "series^1")
        self.bad("refresh", says="does not start at the base")

    def test_never_loses_an_edit_in_the_repository(self):
        self.good("assemble")
        self.put("mm/alpha.c", "int edited_here;\n")
        self.assertIn("mm/alpha.c was edited here after the last 'make tree' and is kept", self.good("refresh"))
        self.assertEqual(self.read("mm/alpha.c"), "int edited_here;\n")
        self.good("assemble")
        self.good("refresh")
        self.assertEqual(self.read("mm/alpha.c"), "int edited_here;\n")

    def test_commit_adds_what_cannot_be_stored(self):
        self.good("assemble")
        before = self.snapshot()
        self.commit("workbench/x", "x\n", "mm: x\n\nWhy.")
        self.bad("refresh", says="('mm: x'): workbench/x: path belongs to the repository itself")
        self.git("reset", "-q", "--hard", "HEAD~1")
        (self.linux / "mm/link").symlink_to("alpha.c")
        self.git("add", "-f", "mm/link")
        self.git("commit", "-q", "-m", "mm: link\n\nWhy.")
        self.bad("refresh", says="('mm: link'): mm/link: only regular files can be added")
        self.git("reset", "-q", "--hard", "HEAD~1")
        self.commit("README", "toys\n", "mm: signed\n\nWhy.\n\nSigned-off-by: A <a@b>")
        self.bad("refresh", says="('mm: signed'): carries a Signed-off-by")
        self.assertEqual(before, self.snapshot())

    def test_never_empties_the_repository(self):
        before = self.snapshot()
        self.git("branch", "series", "base")
        self.bad("refresh", says="was not made from patches/; run 'make tree' first")
        self.good("assemble")
        self.git("reset", "-q", "--hard", "base")
        self.bad("refresh", says="FORCE=1 to replace all 3 patches")
        self.assertEqual(before, self.snapshot())

    def test_a_file_that_git_does_not_have_is_refused(self):
        """F2: what is in the folder of a commit, or named by one."""
        self.good("assemble")
        self.commit("mm/Makefile", "obj-y += page_alloc.o alpha.o forgotten.o more/\n", "fixup! mm: add alpha")
        self.git("rebase", "-q", "-i", "--autosquash", "base", env={**os.environ, "GIT_SEQUENCE_EDITOR": ":"})
        before = self.snapshot()
        for path in ("mm/forgotten.c", "mm/more/x.c", "mm/notes", "lib/elsewhere.c"):
            (self.linux / path).parent.mkdir(exist_ok=True)
            (self.linux / path).write_text("x\n", encoding="utf-8")
        text = self.bad("refresh", says=["mm/forgotten.c: is not in git, though mm/Makefile names it; git add -f it",
                                         "mm/more/: is not in git, though mm/Makefile names it",
                                         "2 files of", "would not be part of the series; FORCE=1 goes on without"])
        self.assertNotIn("elsewhere", text)
        self.assertEqual(before, self.snapshot())
        self.assertIn("note: mm/forgotten.c: is not in git", self.good("refresh", env={"FORCE": "1"}))
        self.assertNotEqual(before, self.snapshot())

    def in_both(self, here, there):
        """Edit mm/alpha.c in the repository and in its commit."""
        self.put("mm/alpha.c", numbered(20))
        self.good("assemble")
        self.put("mm/alpha.c", numbered(20).replace(*here))
        self.commit("mm/alpha.c", numbered(20).replace(*there), "fixup! mm: add alpha")
        self.git("rebase", "-q", "-i", "--autosquash", "base", env={**os.environ, "GIT_SEQUENCE_EDITOR": ":"})

    def test_edits_in_both_places_are_merged(self):
        """W26"""
        self.in_both(("line 2\n", "here\n"), ("line 18\n", "there\n"))
        text = self.good("refresh")
        self.assertIn("mm/alpha.c: was edited here after the last 'make tree' and in build/linux: merged", text)
        both = numbered(20).replace("line 2\n", "here\n").replace("line 18\n", "there\n")
        self.assertEqual(self.read("mm/alpha.c"), both)
        self.good("assemble")
        self.assertEqual((self.linux / "mm/alpha.c").read_text(), both)
        self.round_trip()

    def test_edits_of_one_line_in_both_places_are_marked(self):
        self.in_both(("line 2\n", "here\n"), ("line 2\n", "there\n"))
        self.bad("refresh", says="mm/alpha.c: was edited here after the last 'make tree' and in build/linux: resolve")
        self.assertIn("line 1\n<<<<<<< edited here\nhere\n=======\nthere\n>>>>>>> build/linux\nline 3\n",
                      self.read("mm/alpha.c"))
        for command in ("check", "assemble"):
            self.bad(command, says="mm/alpha.c: holds conflict markers (<<<<<<<): resolve them")
        self.assertIn("is kept", self.good("refresh"))
        self.put("mm/alpha.c", numbered(20).replace("line 2\n", "both\n"))
        self.round_trip()

    def test_force_takes_what_build_linux_has(self):
        self.in_both(("line 2\n", "here\n"), ("line 18\n", "there\n"))
        self.good("refresh", env={"FORCE": "1"})
        self.assertEqual(self.read("mm/alpha.c"), numbered(20).replace("line 18\n", "there\n"))

    def test_removed_here_and_edited_there(self):
        self.in_both(("line 2\n", "here\n"), ("line 18\n", "there\n"))
        (self.top / "mm/alpha.c").unlink()
        before = self.snapshot()
        self.bad("refresh", says="mm/alpha.c: removed here after the last 'make tree' and edited in build/linux; undo one")
        self.assertEqual(before, self.snapshot())

    def test_a_patch_that_was_put_here_by_hand_stays(self):
        self.good("assemble")
        self.put("mm/beta.c", "int beta;\n")
        self.add_patch("mm-add-beta", mail("mm: add beta", notes="Adds: mm/beta.c\n"))
        self.commit("mm/alpha.c", "int alpha = 3;\n", "fixup! mm: add alpha")
        self.git("rebase", "-q", "-i", "--autosquash", "base", env={**os.environ, "GIT_SEQUENCE_EDITOR": ":"})
        self.good("refresh")
        self.assertEqual(self.read("mm/alpha.c"), "int alpha = 3;\n")
        self.assertEqual(self.read("mm/beta.c"), "int beta;\n")
        self.round_trip()

    def test_commits_of_nobody(self):
        """W25"""
        self.good("assemble")
        for mail_address in ("workbench@localhost", "root@host", "me@(none)"):
            self.git("config", "user.email", mail_address)
            self.commit("README", f"{mail_address}\n", "mm: mine\n\nWhy.")
            with self.subTest(mail_address):
                self.bad("refresh", says=[f"<{mail_address}> is nobody's address: set user.name and user.email (git config)",
                                          "git commit --amend --reset-author"])
            self.git("reset", "-q", "--hard", "HEAD~1")
        self.patch_of("A <workbench@localhost>")
        self.bad("check", says="patches/page-owner/mm-use-alpha.patch: From: A <workbench@localhost> is nobody's address")
        self.patch_of("A <a@sub.example.org>")
        self.good("check")

    def patch_of(self, author):
        """A patch of another author."""
        self.put("patches/page-owner/mm-use-alpha.patch", mail("mm: use alpha", author=author, diff=self.edit_diff(
            "mm/page_alloc.c", numbered(40), numbered(40).replace("line 20\n", "alpha\n"))))

    def test_executable_bit(self):
        self.good("assemble")
        (self.linux / "mm/alpha.c").chmod(0o755)
        self.git("commit", "-q", "-a", "--fixup", "series~2")
        self.git("rebase", "-q", "-i", "--autosquash", "base", env={**os.environ, "GIT_SEQUENCE_EDITOR": ":"})
        self.good("refresh")
        self.assertTrue(os.access(self.top / "mm/alpha.c", os.X_OK))
        self.round_trip()

    def test_in_the_middle_of_a_rebase(self):
        self.good("assemble")
        subprocess.run(["git", "rebase", "-q", "-i", "base"], cwd=self.linux, check=False,
                       env={**os.environ, "GIT_SEQUENCE_EDITOR": "sed -i 1s/pick/edit/"}, stderr=subprocess.DEVNULL)
        for command in ("refresh", "assemble"):
            self.bad(command, says="in the middle of git rebase")
        self.good("assemble", "--force")
        self.assertEqual(self.git("log", "-1", "--format=%s"), "mm: private nodes")

    def test_series_file_keeps_its_comments(self):
        text = ("# head\n\n# topic: a — one\n# about x\na/x.patch\na/y.patch\n# end of a\n\n"
                "# topic: b\nb/z.patch\n# last\n")
        self.assertEqual(SeriesFile(text).rewritten(["a/x.patch", "a/y.patch", "b/z.patch"]), text)
        self.assertEqual(SeriesFile(text).rewritten(["a/y.patch", "b/z.patch", "b/n.patch"]),
                         "# head\n\n# topic: a — one\na/y.patch\n# about x\n# end of a\n\n# topic: b\nb/z.patch\n"
                         "b/n.patch\n# last\n")

    def test_series_file_keeps_its_parts(self):
        """Headings stay in place with what is said below them, whichever patches come, go or are put elsewhere."""
        text = ("# topic: a — one\n# part: x — first\n# needs: nothing\na/x.patch\n# about y\na/y.patch\n\n"
                "# part: z — second\n# needs: x\n# long: why\na/z.patch\n# end\n")
        series = SeriesFile(text)
        self.assertEqual(series.problems, [])
        self.assertEqual(series.rewritten(["a/x.patch", "a/y.patch", "a/z.patch"]), text)
        self.assertEqual(series.rewritten(["a/n.patch", "a/y.patch", "a/m.patch"], {"a/n.patch": "x", "a/y.patch": "z",
                                                                                  "a/m.patch": "z"}),
                         "# topic: a — one\n# part: x — first\n# needs: nothing\na/n.patch\n\n"
                         "# part: z — second\n# needs: x\n# long: why\n# about y\na/y.patch\na/m.patch\n# end\n")
        self.assertEqual(series.rewritten([]), "# topic: a — one\n# part: x — first\n# needs: nothing\n# about y\n\n"
                         "# part: z — second\n# needs: x\n# long: why\n# end\n")


class Parts(Toy):
    """What is posted at once: headings in patches/series, a cover letter each, one mailbox each."""

    cover = "mm: {}\n\nWhat it is.\n\nCost: nothing.\n\nTested by nobody.\n"

    def setUp(self):
        super().setUp()
        self.put("build/base.env", "BASE_VERSION='7.3.4-1~bpo13+1'\nBASE_KERNEL=7.3.4\nBASE_SOURCE=debian\n")
        self.cut({"fixes": ["mm-add-alpha"], "use": ["mm-use-alpha"]})

    def cut(self, parts, more=None):
        """Cut the first topic into parts; more: what is below a heading."""
        lines = ["# topic: page-owner — first topic"]
        for name, patches in parts.items():
            lines += [f"# part: {name} — about {name}", *(more or {}).get(name, [])]
            lines += [f"page-owner/{patch}.patch" for patch in patches]
            self.put(f"patches/page-owner/cover-{name}.txt", self.cover.format(name))
        self.put("patches/series", "\n".join([*lines, "", "# topic: private-nodes — second topic",
                                              "private-nodes/mm-private-nodes.patch", ""]))

    def independent(self):
        """The second part stands on the base alone: it edits a file that the first does not know."""
        self.cut({"fixes": ["mm-add-alpha"], "use": ["mm-use-alpha"]}, {"use": ["# needs: nothing"]})

    def mailbox(self, name):
        """The mails of a mailbox."""
        return re.split("^From 0{40} .*\n", self.read(f"build/mbox/{name}.mbx"), flags=re.MULTILINE)[1:]

    def test_good(self):
        self.good("check")
        self.assertEqual(self.good("parts").splitlines(), [
            "01-page-owner-fixes.mbx: 1 patches, needs all before: about fixes",
            "02-page-owner-use.mbx: 1 patches, needs all before: about use",
            "03-private-nodes.mbx: 1 patches, needs all before: second topic"])
        self.assertEqual(len(self.good("parts", "--topic", "page-owner/use").splitlines()), 1)
        self.round_trip()

    def test_prefixes_tell_the_part(self):
        lines = self.good("prefixes").splitlines()
        self.assertEqual([line.split()[1] for line in lines], ["page-owner/fixes", "page-owner/use", "private-nodes"])
        self.assertEqual(self.good("prefixes", "--topic", "page-owner/use").splitlines(), lines[1:2])
        self.assertEqual(self.good("prefixes", "--topic", "page-owner").splitlines(), lines[:2])

    def test_headings(self):
        self.change("patches/series", "# part: use — about use", "# part: use")
        self.bad("check", says="cannot read this heading: # part: use")
        self.change("patches/series", "# part: use\n", "# part: fixes — again\n# needs: nothing\n# needs: later\n")
        self.bad("check", says=["part fixes of page-owner is opened twice", "needs page-owner/later, which is no part before"])
        self.change("patches/series", "# part: fixes — again", "# part: Use — it")
        self.bad("check", says="part name Use is not [a-z0-9_-]")
        self.cut({"fixes": ["mm-add-alpha"], "use": ["mm-use-alpha"]})
        self.change("patches/series", "mm-use-alpha.patch\n", "mm-use-alpha.patch\n# long: too late\n# part: empty — x\n")
        self.put("patches/page-owner/cover-empty.txt", self.cover.format("x"))
        self.bad("check", says=["belongs right below the heading of a part: # long: too late",
                                "part page-owner/empty has no patches"])
        self.change("patches/series", "# part: fixes — about fixes\n", "")
        self.bad("check", says="patches of page-owner stand above its first part")

    def test_needs_come_before(self):
        self.cut({"fixes": ["mm-add-alpha"], "use": ["mm-use-alpha"]}, {"fixes": ["# needs: use"]})
        self.bad("check", says="part page-owner/fixes needs page-owner/use, which is no part before it")

    def test_too_many(self):
        """15 are allowed, and more with a reason."""
        names = [f"mm-more-{number}" for number in range(LIMIT)]
        for number, name in enumerate(names):
            self.put(f"mm/more{number}.c", "int more;\n")
            self.put(f"patches/page-owner/{name}.patch", mail(f"mm: more {number}", notes=f"Adds: mm/more{number}.c\n"))
        (self.top / "patches/page-owner/cover-use.txt").unlink()
        self.cut({"fixes": ["mm-add-alpha", "mm-use-alpha"], "more": names})
        self.good("check")
        self.cut({"fixes": ["mm-add-alpha"], "more": ["mm-use-alpha", *names]})
        self.bad("check", says=f"part page-owner/more has {LIMIT + 1} patches, {LIMIT} are allowed")
        self.change("patches/series", "about more\n", "about more\n# long: one file, moved piece by piece\n")
        self.good("check")

    def test_covers(self):
        """Each part has one, which tells what it costs and what was tested; a topic that is cut has none of its own."""
        (self.top / "patches/page-owner/cover-use.txt").unlink()
        self.put("patches/page-owner/cover-fixes.txt", "mm: x\n\nWhat.\n\nNo Cost: at all.\nTested not as a paragraph.\n")
        self.put("patches/page-owner/cover.txt", self.cover.format("x"))
        text = self.bad("check", says=["patches/page-owner/cover-use.txt: does not exist; each part has a cover letter",
                                       "cover-fixes.txt: no paragraph begins with 'Cost:'",
                                       "cover-fixes.txt: no paragraph begins with 'Tested'",
                                       "patches/page-owner/cover.txt: not in patches/series"])
        self.assertEqual(text.count("error:"), 4, text)

    def test_mailboxes(self):
        self.independent()
        self.put("build/mbox/page-owner.mbx", "of an earlier order")
        self.put("build/mbox/07-page-owner-use.to", "of an earlier order")
        self.put("build/mbox/notes.txt", "of the user")
        text = self.good("export")
        self.assertEqual(sorted(path.name for path in (self.top / "build/mbox").iterdir()),
                         ["01-page-owner-fixes.mbx", "02-page-owner-use.mbx", "03-private-nodes.mbx", "notes.txt"])
        self.assertIn("page-owner.mbx: removed", text)
        cover = self.mailbox("02-page-owner-use")[0]
        self.assertIn("Subject: [PATCH 0/1] mm: use\n", cover)
        self.assertIn("\nbase: Linux 7.3.4 (Debian linux-source-7.3 7.3.4-1~bpo13+1)\npart: 2 of 2 of topic page-owner\n"
                      "depends on: nothing else\n", cover)
        self.assertNotIn("stacked on", self.mailbox("01-page-owner-fixes")[0])
        self.assertIn("\nstacked on: page-owner/fixes, page-owner/use\n", self.mailbox("03-private-nodes")[0])
        self.cut({"fixes": ["mm-add-alpha"], "use": ["mm-use-alpha"]}, {"use": ["# needs: fixes"]})
        self.good("export", "--topic", "page-owner/use")
        self.assertIn("\ndepends on: page-owner/fixes (mm: fixes)\n", self.mailbox("02-page-owner-use")[0])
        self.assertTrue((self.top / "build/mbox/03-private-nodes.mbx").exists())

    @unittest.skipUnless(shutil.which("b4"), "b4 is not installed")
    def test_b4_on_what_is_needed_and_on_all_before(self):
        self.independent()
        self.good("export", "--signoff", "Jane Doe <jane@example.org>")
        text = self.good("prove-mbox")
        self.assertRegex(text, r"page-owner/use: b4 applied 1 patches on the base alone, tree [0-9a-f]{40}\n")
        self.assertEqual(text.count("as assembled"), 3)
        self.change("build/mbox/02-page-owner-use.mbx", "+alpha", "+beta")
        self.bad("prove-mbox", "--topic", "page-owner/use", says=["02-page-owner-use.mbx, on the base alone: b4 made tree",
                                                                 "02-page-owner-use.mbx: b4 made tree"])

    def test_a_part_that_needs_more(self):
        """What is said not to be needed, and is, is found when the mailbox is made."""
        self.put("patches/page-owner/mm-use-alpha.patch", mail("mm: use alpha", diff=self.edit_diff(
            "mm/Makefile", "obj-y += page_alloc.o alpha.o\n", "obj-y += page_alloc.o alpha.o use.o\n")))
        self.independent()
        self.bad("export", says=["part page-owner/use does not apply on the base alone; does it need more?",
                                 "mm/Makefile"])

    def test_what_is_needed_is_followed(self):
        series = SeriesFile("# topic: a\n# part: one — 1\n# needs: nothing\na/a.patch\n# part: two — 2\n# needs: nothing\n"
                            "a/b.patch\n# part: three — 3\n# needs: two\na/c.patch\n# topic: b\nb/d.patch\n"
                            "# topic: c\n# part: four — 4\n# needs: a/three\nc/e.patch\n"
                            "# part: five — 5\n# needs: b, four\nc/f.patch\n")
        self.assertEqual(series.problems, [])
        self.assertEqual({part.label: [other.label for other in series.needed(part)] for part in series.parts}, {
            "a/one": [], "a/two": [], "a/three": ["a/two"], "b": ["a/one", "a/two", "a/three"],
            "c/four": ["a/two", "a/three"], "c/five": ["a/one", "a/two", "a/three", "b", "c/four"]})

    def insert(self, *message):
        """Commit a new file behind the first commit."""
        self.good("assemble")
        self.git("checkout", "-q", "-b", "work", "series~2")
        self.commit("mm/beta.c", "int beta;\n", "\n".join(message))
        self.git("cherry-pick", "series~2..series")
        self.git("checkout", "-q", "-B", "series", "work")

    def test_new_commit_joins_the_part_before_it(self):
        self.insert("mm: add beta", "", "Why.")
        self.good("refresh")
        self.assertIn("mm-add-alpha.patch\npage-owner/mm-add-beta.patch\n# part: use", self.read("patches/series"))
        self.round_trip()

    def test_part_line(self):
        self.insert("mm: add beta", "", "Why.", "---", "Part: use")
        self.good("refresh")
        self.assertIn("# part: use — about use\npage-owner/mm-add-beta.patch\npage-owner/mm-use-alpha.patch\n",
                      self.read("patches/series"))
        self.assertNotIn("Part:", self.read("patches/page-owner/mm-add-beta.patch"))
        self.round_trip()
        self.commit("mm/gamma.c", "int gamma;\n", "mm: add gamma\n\nWhy.\n---\nTopic: page-owner\nPart: more")
        self.bad("refresh", says="topic page-owner has no part more in patches/series")
        self.put("patches/page-owner/mm-use-alpha.patch", mail("mm: use alpha", notes="Part: use\n", diff=self.edit_diff(
            "README", "toy\n", "toys\n")))
        self.bad("check", says="line 'Part:' belongs in a commit's notes")

    def test_commits_of_a_part_stand_together(self):
        """A commit that was moved among those of another part is told; its line in patches/series can be moved as well."""
        self.good("assemble")
        self.git("checkout", "-q", "-b", "work", "base")
        for commit in ("series~1", "series~2", "series"):
            self.git("cherry-pick", commit)
        self.git("checkout", "-q", "-B", "series", "work")
        self.bad("refresh", says="page-owner/mm-add-alpha.patch: comes after a commit of part use; reorder the commits, or "
                 "put a line 'Part: use'")
        self.cut({"fixes": ["mm-use-alpha"], "use": ["mm-add-alpha"]})
        self.good("refresh")
        self.assertIn("about fixes\npage-owner/mm-use-alpha.patch\n# part: use — about use\npage-owner/mm-add-alpha.patch\n",
                      self.read("patches/series"))
        self.round_trip()

    def test_recipients(self):
        self.assertIn("note: the base kernel has no scripts/get_maintainer.pl", self.good("recipients"))
        script = self.linux / "scripts/get_maintainer.pl"
        script.parent.mkdir()
        script.write_text("open(M, 'MAINTAINERS') or die; local $/; $m = <M>;\n"
                          "exit 1 if $m =~ /PRIVATE NODES/; die 'no patch' unless -s $ARGV[-1];\n"
                          "print \"\\\"A. Name\\\" <a\\@x.org> (maintainer:MM (CORE))\\n\";\n"
                          "print \"R <r\\@x.org> (reviewer:MM)\\nlist\\@x.org (open list:MM)\\n\";\n", encoding="ascii")
        self.git("checkout", "-q", "base")
        self.git("add", "-f", "scripts")
        self.git("commit", "-q", "-m", "script")
        self.git("tag", "-f", "base")
        self.bad("recipients", says="01-page-owner-fixes.mbx does not exist; run make mbox")
        self.good("export")
        self.assertIn("02-page-owner-use.to: 1 to, 2 in copy", self.good("recipients"))
        self.assertEqual(self.read("build/mbox/02-page-owner-use.to"),
                         'To: "A. Name" <a@x.org>\nCc: R <r@x.org>\nCc: list@x.org\n')


class Conflict(Toy):
    """A patch that does not apply."""

    def setUp(self):
        super().setUp()
        self.good("assemble")
        # Upstream changes the line that "mm: use alpha" changes; the old base stays known to git.
        self.git("checkout", "-q", "--detach", "base")
        (self.linux / "mm/page_alloc.c").write_text(numbered(40).replace("line 20\n", "upstream\n"), encoding="utf-8")
        self.git("commit", "-q", "-a", "-m", "new base")
        self.git("tag", "-f", "base")

    def test_resolve_and_refresh(self):
        text = self.bad("assemble", says=[
            "patches/page-owner/mm-use-alpha.patch: mm/page_alloc.c: line 17: hunk does not apply",
            "CONFLICT (content): Merge conflict in mm/page_alloc.c", "git am --continue"])
        self.assertNotIn("Traceback", text)
        self.assertEqual(self.git("log", "-1", "--format=%s", "series"), "mm: add alpha")
        self.bad("assemble", says="in the middle of git am")
        self.bad("refresh", says="in the middle of git am")
        (self.linux / "mm/page_alloc.c").write_text(numbered(40).replace("line 20\n", "upstream alpha\n"),
                                                   encoding="utf-8")
        self.git("add", "mm/page_alloc.c")
        self.git("am", "--continue")
        self.bad("assemble", says="'make refresh' keeps them")
        tree = self.git("rev-parse", "series^{tree}")
        text = self.good("refresh")
        self.assertIn("changed  patches/page-owner/mm-use-alpha.patch", text)
        self.assertNotIn("private", text)
        patch = self.read("patches/page-owner/mm-use-alpha.patch")
        self.assertIn("-upstream\n+upstream alpha\n", patch)
        self.assertIn("Seen to fail first.", patch)
        self.good("assemble")
        self.assertEqual(tree, self.git("rev-parse", "series^{tree}"))
        self.round_trip()

    def test_conflict_before_edited_maintainers(self):
        diff = self.edit_diff("MAINTAINERS", KERNEL_MAINTAINERS, KERNEL_MAINTAINERS.replace(
            "F:\tmm/\n", "F:\tmm/\nF:\tlib/mm/\n"))
        self.put("patches/private-nodes/mm-private-nodes.patch", mail(
            "mm: private nodes", notes="Adds: mm/private.c\nAdds: mm/unmapped.c\nEntry: PRIVATE NODES\n"
            "Entry: UNMAPPED PAGES\n", diff=diff))
        self.bad("assemble", says="CONFLICT")
        self.git("checkout", "--theirs", "mm/page_alloc.c")
        self.git("add", "mm/page_alloc.c")
        self.git("am", "--continue")
        before = self.read("patches/private-nodes/mm-private-nodes.patch")
        self.good("refresh")
        self.assertEqual(before, self.read("patches/private-nodes/mm-private-nodes.patch"))
        self.assertEqual(self.read("MAINTAINERS"), OUR_MAINTAINERS)
        self.round_trip()

    def test_abort_does_not_lose_patches(self):
        before = self.snapshot()
        self.bad("assemble")
        self.git("am", "--abort")
        self.bad("refresh", says="patches/page-owner/mm-use-alpha.patch: missing on branch series")
        self.assertEqual(before, self.snapshot())
        self.bad("assemble", says="hunk does not apply")

    def test_three_way_merge_is_told(self):
        (self.linux / "mm/page_alloc.c").write_text(numbered(40).replace("line 17\n", "line 17b\n"), encoding="utf-8")
        self.git("commit", "-q", "-a", "-m", "new base")
        self.git("tag", "-f", "base")
        self.bad("assemble", says=["line 17: hunk does not apply", "a three-way merge applied it"])
        self.good("refresh")
        self.round_trip()

    def test_three_way_merge_then_conflict(self):
        self.git("checkout", "-q", "-B", "series", "refs/workbench/assembled")
        self.git("tag", "-f", "base", "upstream")
        self.commit("mm/old_name.c", numbered(30, "old").replace("old 9\n", "ours\n"), "mm: last\n\nWhy.")
        self.good("refresh")
        self.git("checkout", "-q", "--detach", "base")
        (self.linux / "mm/page_alloc.c").write_text(numbered(40).replace("line 17\n", "line 17b\n"), encoding="utf-8")
        (self.linux / "mm/old_name.c").write_text(numbered(30, "old").replace("old 9\n", "x\n"), encoding="utf-8")
        self.git("commit", "-q", "-a", "-m", "new base")
        self.git("tag", "-f", "base")
        self.bad("assemble", says=[
            "mm-use-alpha.patch: mm/page_alloc.c: line 17: hunk does not apply",
            "a three-way merge applied it; git am stopped at patches/private-nodes/mm-last.patch",
            "Merge conflict in mm/old_name.c"])
        self.git("am", "--skip")
        self.bad("refresh", says="patches/private-nodes/mm-last.patch: missing on branch series")
        self.good("refresh", env={"FORCE": "1"})
        self.round_trip()

    def test_force_drops_an_am_under_way(self):
        """W1: git am --quit wants an identity, and the user has none but a global one."""
        for key in ("user.name", "user.email"):
            self.git("config", "--unset", key)
        (self.home / ".gitconfig").write_text("[user]\nname = U\nemail = u@example.org\n")
        env = {"HOME": str(self.home), "EMAIL": "", "GIT_CONFIG_NOSYSTEM": "1"}
        with mock.patch.dict(os.environ, env):
            self.bad("assemble", says="git am --continue")
            self.put("patches/page-owner/mm-use-alpha.patch", mail("mm: use alpha", diff=self.edit_diff(
                "mm/page_alloc.c", numbered(40).replace("line 20\n", "upstream\n"), numbered(40).replace("line 20\n", "a\n"))))
            self.assertIn("Branch series is", self.good("assemble", env={"FORCE": "1"}))
            self.assertNotIn("am", self.git("status").split())
            self.assertIn("Nothing changed", self.good("assemble"))

    def test_no_three_way_merge(self):
        """W9: the blob that a patch was made from is nowhere."""
        self.change("patches/page-owner/mm-use-alpha.patch", "index ", "index 123456789abc..123456789abd 100644\nx ")
        text = self.read("patches/page-owner/mm-use-alpha.patch")
        self.put("patches/page-owner/mm-use-alpha.patch", re.sub(r"\nx .*", "", text).replace(" line 17\n", " line XX\n"))
        text = self.bad("assemble", says=["git am stopped in", "sha1 information is lacking or useless (mm/page_alloc.c)",
                                          "the hunks that did not apply are in mm/page_alloc.c.rej"])
        self.assertIn("+alpha", (self.linux / "mm/page_alloc.c.rej").read_text())

    def test_no_checkout_only_tells(self):
        head = self.git("rev-parse", "HEAD")
        self.bad("assemble", "--no-checkout", says="hunk does not apply")
        self.assertEqual(head, self.git("rev-parse", "HEAD"))


class Export(Toy):
    """Mailboxes, and b4's view of them."""

    def setUp(self):
        super().setUp()
        self.put("build/base.env", "BASE_VERSION='7.3.4-1~bpo13+1'\nBASE_KERNEL=7.3.4\nBASE_SOURCE=debian\n")
        self.put("patches/private-nodes/cover.txt", "mm: größere Knoten\n\nWhat it is.\n\nWhy — it is.\n")

    def mails(self, topic):
        """The mails of a mailbox as (header, rest)."""
        parts = re.split("^From 0{40} .*\n", self.read(f"build/mbox/{NUMBERS[topic]}-{topic}.mbx"), flags=re.MULTILINE)[1:]
        return [part.split("\n\n", 1) for part in parts]

    def test_cover_letter(self):
        text = self.good("export")
        self.assertIn("note: patches/page-owner/cover.txt does not exist", text)
        header, body = self.mails("private-nodes")[0]
        self.assertIn("Subject: [PATCH 0/1] =?utf-8?", header)
        self.assertIn("Content-Type: text/plain; charset=UTF-8", header)
        self.assertTrue(body.startswith("What it is.\n\nWhy — it is.\n\nbase: Linux 7.3.4 (Debian linux-source-7.3 "
                                        "7.3.4-1~bpo13+1)\nstacked on: page-owner\n\nA U Thor (1):\n"), body)
        self.assertIn("mm/private.c", body)
        header, body = self.mails("page-owner")[0]
        self.assertIn("Subject: [PATCH 0/2] first topic", header)
        self.assertNotIn("stacked on", body)

    def test_threads_and_stable_ids(self):
        self.good("export")
        first = self.snapshot_of_mailboxes()
        cover, one, two = (header for header, _ in self.mails("page-owner"))
        root = re.search("^Message-Id: (<cover.*>)$", cover, re.MULTILINE | re.IGNORECASE).group(1)
        for header in (one, two):
            self.assertIn(f"In-Reply-To: {root}", header)
        self.good("export", env={"TZ": "Asia/Tokyo"})
        self.assertEqual(first, self.snapshot_of_mailboxes())
        self.put("patches/page-owner/cover.txt", "other\n\nbody\n")
        self.good("export", "--topic", "page-owner")
        self.assertEqual([name for name, data in self.snapshot_of_mailboxes().items() if data != first[name]],
                         ["01-page-owner.mbx"])

    def snapshot_of_mailboxes(self):
        """Name -> content."""
        return {path.name: path.read_bytes() for path in sorted((self.top / "build/mbox").iterdir())}

    def test_signoff(self):
        self.change("patches/page-owner/mm-use-alpha.patch", "It is so.", "It is so.\n\nLink: https://example.org/1")
        self.good("export", "--signoff", "Jane Doe <jane@example.org>")
        _, body = self.mails("page-owner")[2]
        self.assertTrue(body.startswith("Because.\n\nIt is so.\n\nLink: https://example.org/1\n"
                                        "Signed-off-by: Jane Doe <jane@example.org>\n---\nSeen to fail first.\n"), body)
        _, body = self.mails("private-nodes")[1]
        self.assertIn("It is so.\n\nSigned-off-by: Jane Doe <jane@example.org>\n---\n", body)
        self.assertIn("From: Jane Doe", self.mails("page-owner")[0][0])
        self.bad("export", "--signoff", "Jane", says="not 'Name <mail>': Jane")

    def test_git_base(self):
        self.put("build/base.env", "BASE_KERNEL=7.3.4\nBASE_SOURCE=git\n")
        self.good("export")
        base = self.git("rev-parse", "base")
        self.assertIn(f"base-commit: {base}", self.mails("page-owner")[0][1])
        _, body = self.mails("private-nodes")[0]
        self.assertNotIn("base: Linux", body)
        self.assertEqual(body.count("prerequisite-patch-id:"), 2)

    def test_cover_file_is_checked(self):
        self.put("patches/private-nodes/cover.txt", "x" * 76 + "\nno blank\nFrom here\n")
        self.bad("check", says=["private-nodes/cover.txt: the first line is the subject", "a blank line and the body",
                                "b4 would split the mailbox"])

    @unittest.skipUnless(shutil.which("b4"), "b4 is not installed")
    def test_b4_gets_the_same_trees(self):
        # Long and non-ASCII names are folded by git; b4 0.12 cannot read folded headers.
        self.change("patches/page-owner/mm-use-alpha.patch", "From: A U Thor <author@", "From: =?UTF-8?q?J=C3=B6rg=20"
                    "with=20a=20name=20that=20is=20much=20too=20long=20for=20one=20line?=\n <author@")
        self.good("export", "--signoff", "Jane Doe <jane@example.org>")
        text = self.good("prove-mbox")
        tree = self.good("assemble", "--no-checkout").strip().split("\n")[-1]
        self.assertIn("page-owner: b4 applied 2 patches, tree ", text)
        self.assertIn(f"private-nodes: b4 applied 1 patches, tree {tree} as assembled", text)
        self.assertFalse((self.linux / ".git/worktrees").exists())

    @unittest.skipUnless(shutil.which("b4"), "b4 is not installed")
    def test_a_wrong_mailbox_is_found(self):
        self.bad("prove-mbox", says="01-page-owner.mbx does not exist")
        self.good("export")
        self.change("build/mbox/02-private-nodes.mbx", "+int private;", "+int public;")
        self.change("build/mbox/01-page-owner.mbx", "-line 20", "-line XX")
        self.bad("prove-mbox", says=["private-nodes.mbx: b4 made tree", "page-owner.mbx: b4 could not apply it"])
        self.bad("prove-mbox", "--topic", "private-nodes", says="b4 made tree")


class Lists(Toy):
    """prefixes, files, touched."""

    def test_the_script_itself(self):
        done = subprocess.run([sys.executable, "-B", str(paths.WORKBENCH / "wb"), "series", "check"], check=False, text=True,
                              env={**os.environ, "WB_TOP": str(self.top)}, stdout=subprocess.PIPE)
        self.assertEqual(done.returncode, 0)
        self.assertIn("3 patches, 3 new files, 2 MAINTAINERS entries: no problem", done.stdout)

    def test_prefixes(self):
        lines = self.good("prefixes").strip().split("\n")
        self.assertEqual([line.split(" ", 1)[1] for line in lines],
                         ["page-owner mm: add alpha", "page-owner mm: use alpha", "private-nodes mm: private nodes"])
        self.assertEqual(self.good("prefixes", "--topic", "private-nodes").strip(), lines[2])
        self.bad("prefixes", "--topic", "nothing", says="no topic or part nothing")

    def ours(self, *words):
        """git in the toy repository."""
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=b", *words], cwd=self.top, check=True)

    def test_range_diff(self):
        self.ours("init", "-q")
        self.put(".gitignore", "/build/\n")
        self.put("workbench/any", "of that time\n")
        self.ours("add", ".")
        self.ours("commit", "-q", "-m", "v1")
        self.ours("tag", "v1")
        self.assertIn("since v1: 3 same, 0 changed, 0 new, 0 gone", self.good("range-diff", "v1"))
        self.put("mm/alpha.c", "int alpha = 3;\n")
        self.put("mm/beta.c", numbered(30))
        self.put("patches/private-nodes/mm-beta.patch", mail("mm: beta", notes="Adds: mm/beta.c\n"))
        self.put("patches/series", self.read("patches/series") + "private-nodes/mm-beta.patch\n")
        self.change("patches/series", "page-owner/mm-use-alpha.patch\n", "")
        (self.top / "patches/page-owner/mm-use-alpha.patch").unlink()
        text = self.good("range-diff", "v1")
        self.assertIn("since v1: 1 same, 1 changed, 1 new, 1 gone", text)
        self.assertIn("+int alpha = 3;", text)
        self.assertEqual(self.git("log", "-1", "--format=%s", "refs/workbench/earlier~1"), "mm: use alpha")
        self.assertEqual(self.git("status", "--porcelain"), "")
        self.bad("range-diff", "v2", says="FROM=v2: this repository has no such revision")

    def test_range_diff_that_cannot_be(self):
        self.bad("range-diff", "v1", says="is no git repository: it has no earlier revision")
        self.ours("init", "-q")
        self.change("patches/page-owner/mm-use-alpha.patch", " line 17\n", " line XX\n")
        self.ours("add", "patches", "mm", "MAINTAINERS")
        self.ours("commit", "-q", "-m", "v1")
        self.change("patches/page-owner/mm-use-alpha.patch", " line XX\n", " line 17\n")
        self.bad("range-diff", "HEAD", says=["hunk does not apply", "the series of HEAD does not apply to the base"])

    def test_files_and_touched(self):
        self.assertEqual(self.good("files").split(), ["mm/alpha.c", "mm/private.c", "mm/unmapped.c"])
        self.assertEqual(self.good("touched").split(), ["MAINTAINERS", "mm/Makefile", "mm/alpha.c", "mm/page_alloc.c",
                                                        "mm/private.c", "mm/unmapped.c"])


if __name__ == "__main__":
    unittest.main()
