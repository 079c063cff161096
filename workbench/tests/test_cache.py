# SPDX-License-Identifier: GPL-2.0
"""What a run remembers: only what passed, and only for the same state."""

import os
import unittest
from unittest import mock

from check import cache, compilers, kunit_py, reads, same
from guest import qemu
from kernel import source
from lib import paths
from lib.cases import Case
from lib.git import Git
from shared import GOOD, Folder


class State(Folder):
    """A toy repository, and a cache."""

    def setUp(self):
        super().setUp()
        self.patch(paths, "TOP", self.folder)
        self.patch(paths, "WORKBENCH", self.folder / "workbench")
        self.patch(paths, "BUILD", self.folder / "build")
        self.cache = cache.Cache(self.folder / "build" / "passed")

    def key(self, function):
        return cache.key_of(function)


class Remembered(State):
    """A cache, and the keys of what is in it."""

    def test_what_passed_is_known_in_that_state_alone(self):
        self.cache.note("x", "first", GOOD)
        self.assertEqual(self.cache.find("x", "first"), GOOD)
        self.assertEqual(self.cache.find("x", "second"), [])
        self.assertEqual(self.cache.find("y", "first"), [])

    def test_from_a_to_b_and_back_runs_nothing(self):
        self.cache.note("x", "a", GOOD)
        self.cache.note("x", "b", [Case("other", "passed")])
        self.assertEqual(self.cache.find("x", "a"), GOOD)

    def test_the_newest_states_are_kept(self):
        for number in range(cache.STATES):
            self.cache.note("x", str(number), GOOD)
        self.cache.note("x", "0", GOOD)
        self.cache.note("x", "last", GOOD)
        known = self.cache.states("x")
        self.assertEqual(len(known), cache.STATES)
        self.assertNotIn("1", known)
        self.assertLessEqual({"0", "last"}, set(known))

    def test_a_failure_is_not_kept(self):
        self.cache.note("x", "a", [*GOOD, Case("c", "failed", "why")])
        self.assertEqual(self.cache.find("x", "a"), [])

    def test_what_has_no_key_is_not_kept(self):
        self.cache.note("x", self.key(None), GOOD)
        self.assertFalse(self.cache.folder.exists())

    def test_again_and_names_look_up_nothing_but_record(self):
        cache.Cache(self.cache.folder, use=False).note("x", "a", GOOD)
        self.assertEqual(cache.Cache(self.cache.folder, use=False).find("x", "a"), [])
        self.assertEqual(self.cache.find("x", "a"), GOOD)

    def test_the_base_leaves_nothing(self):
        cache.Cache(self.cache.folder, keep=False).note("x", "a", GOOD)
        self.assertEqual(self.cache.find("x", "a"), [])

    def test_a_file_that_was_cut_short_is_as_good_as_none(self):
        self.cache.note("x", "a", GOOD)
        for text in (self.cache.path("x").read_text()[:30], "[]", '{"a": [1]}', '{"a": [["b"]]}', ""):
            self.cache.path("x").write_text(text)
            self.assertEqual(self.cache.find("x", "a"), [], text)
        self.cache.note("x", "a", GOOD)
        self.assertEqual(self.cache.find("x", "a"), GOOD)

    def test_content_mode_and_absence_count(self):
        path = self.write("workbench/job", "one")
        keys = [self.key(lambda found: found.files(path))]
        path.write_text("two")
        keys.append(self.key(lambda found: found.files(path)))
        path.chmod(0o755)
        keys.append(self.key(lambda found: found.files(path)))
        path.unlink()
        keys.append(self.key(lambda found: found.files(path)))
        self.assertEqual(len(set(keys)), 4)

    def test_the_same_content_is_the_same_state(self):
        path = self.write("workbench/job", "one")
        key = self.key(lambda found: found.files(path))
        path.write_text("two")
        path.write_text("one")
        self.assertEqual(self.key(lambda found: found.files(path)), key)

    def test_a_new_file_in_a_folder_counts_and_compiled_python_does_not(self):
        self.write("workbench/x/a", "")
        key = self.key(lambda found: found.code("x"))
        self.write("workbench/x/__pycache__/a.pyc", "")
        self.assertEqual(self.key(lambda found: found.code("x")), key)
        self.write("workbench/x/b", "")
        self.assertNotEqual(self.key(lambda found: found.code("x")), key)

    def test_what_reaches_make_counts(self):
        keys = set()
        for change in ({}, {"KCFLAGS": "-O3"}, {"LLVM": "1"}, {"KBUILD_VERBOSE": "1"}, {"CROSS_COMPILE": "x-"}):
            with mock.patch.dict(os.environ, change):
                keys.add(self.key(lambda found: found.compiler()))
        self.assertEqual(len(keys), 5)
        with mock.patch.dict(os.environ, {"LESS": "x"}):
            self.assertIn(self.key(lambda found: found.compiler()), keys)


class Booted(State):
    """The key of a boot."""

    def setUp(self):
        super().setUp()
        self.patch(qemu, "job_file", lambda name, room="jobs": self.folder / "workbench" / room / name)
        self.patch(cache.machines, "get", cache.machines.Machine)
        for name in ("workbench/witness/parameters", "build/image", "build/rootfs/root.cpio.zst",
                     "build/rootfs/kselftest.cpio", "workbench/jobs/work", "workbench/jobs/other",
                     "workbench/guest/init", "workbench/guest/lib.sh", "workbench/guest/qemu.py", "workbench/check/ktap.py",
                     "workbench/topics/a/suites.toml", "COPYING"):
            self.write(name, name)
        self.boot = {"kernel": self.folder / "build" / "image", "name": "x", "machine": "cxl", "jobs": ("work",), "kselftests": True}

    def boot_key(self, table=(), **change):
        return self.key(lambda found: found.guest(qemu.Boot(**{**self.boot, **change}), table))

    def test_everything_that_is_booted_counts(self):
        first = self.boot_key()
        for name in ("workbench/witness/parameters", "build/image", "build/rootfs/root.cpio.zst",
                     "build/rootfs/kselftest.cpio", "workbench/jobs/work", "workbench/guest/init",
                     "workbench/guest/lib.sh", "workbench/guest/qemu.py", "workbench/check/ktap.py"):
            self.write(name, "changed")
            self.assertNotEqual(self.boot_key(), first, name)
            self.write(name, name)
            self.assertEqual(self.boot_key(), first, name)

    def test_how_it_is_booted_counts(self):
        keys = {self.boot_key(), self.boot_key(append="x"), self.boot_key(machine="small"), self.boot_key(jobs=()), self.boot_key(files={"suites": "x"}),
                self.boot_key(table={"timeout": 9}), self.boot_key(root="tools")}
        with mock.patch.dict(os.environ, {"ACCEL": "kvm"}):
            keys.add(self.boot_key())
        with mock.patch.object(cache, "version", return_value="11.0"):
            keys.add(self.boot_key())
        with mock.patch.object(cache.machines, "get", return_value=cache.machines.Machine("another")):
            keys.add(self.boot_key())
        self.assertEqual(len(keys), 10)

    def test_a_module_that_a_boot_loads_counts(self):
        """It is no part of the image: a change of it leaves that as it was."""
        keys = set()
        for text in ("one", "two"):
            keys.add(self.boot_key(binaries={"a.ko": self.write("build/kernel/default/a.ko", text)}))
        self.assertEqual(len(keys), 2)

    def test_what_is_not_booted_does_not(self):
        first = self.boot_key()
        for name in ("workbench/jobs/other", "workbench/topics/a/suites.toml", "COPYING"):
            self.write(name, "changed")
        self.assertEqual(self.boot_key(), first)
        plain = self.boot_key(kselftests=False)
        self.write("build/rootfs/kselftest.cpio", "changed")
        self.assertEqual(self.boot_key(kselftests=False), plain)


class Source(State):
    """The kernel tree, with a .gitignore as Debian's, whose last line hides everything."""

    def test_a_file_that_git_does_not_have_counts_unless_a_build_leaves_it(self):
        self.patch(paths, "SOURCE", self.folder / "source")
        self.write("source/.gitignore", "*.o\n/*\n")
        self.write("source/mm/a.c", "int a;\n")
        git = Git(paths.SOURCE)
        for words in (["init", "-q"], ["add", "-f", "."], ["commit", "-q", "-m", "x"]):
            git.out(*words)
        self.patch(source, "git", lambda: git)
        keys = [self.key(lambda found: found.source("mm"))]
        self.write("source/mm/a.o", "")
        self.write("source/lib/elsewhere.h", "")
        self.assertEqual(self.key(lambda found: found.source("mm")), keys[0])
        for text in ("int stray;\n", "int other;\n"):
            self.write("source/mm/stray.h", text)
            keys.append(self.key(lambda found: found.source("mm")))
        self.write("source/mm/a.c", "int b;\n")
        keys.append(self.key(lambda found: found.source("mm")))
        self.assertEqual(len(set(keys)), 4)


class Reads(State):
    """A host check is run again for what it reads, and for nothing else."""

    NAMES = ("COPYING", "README.md", "Makefile", "MAINTAINERS", "patches/series", "patches/a/cover.txt", "mm/new.c", "workbench/README",
             "workbench/check/static.py", "workbench/series/patch.py", "workbench/bench/rows.toml", "workbench/kernel/build.py",
             "workbench/topics/a/options.config", "workbench/topics/a/suites.toml")

    def setUp(self):
        super().setUp()
        self.patch(paths, "TOPICS", self.folder / "workbench" / "topics")
        self.patch(source, "commit", lambda: "c")
        self.patch(source, "base", lambda: "b")
        git = self.patch(source, "git").return_value
        git.run.return_value.stdout, git.out.return_value = b"tree", b""
        for name in self.NAMES:
            self.write(name, name)

    def costs(self, name):
        """The checks that a change of a file makes run again."""
        def keys():
            return {check: self.key(getattr(reads, check)) for check in ("tools", "lint", "mbox", "static", "off", "bench", "bisect", "arches")}
        before = keys()
        self.write(name, "changed")
        return {check for check, key in keys().items() if key != before[check]}

    def test_a_line_in_copying_costs_lint_alone(self):
        self.assertEqual(self.costs("COPYING"), {"lint"})

    def test_what_the_tools_tests_read_costs_them_as_well(self):
        for name in ("README.md", "Makefile", ".gitattributes", ".gitlab-ci.yml", ".github/workflows/ci.yml", ".ci/run"):
            self.assertEqual(self.costs(name), {"lint", "tools"}, name)

    def test_a_word_in_a_cover_costs_what_reads_covers(self):
        self.assertEqual(self.costs("patches/a/cover.txt"), {"lint", "mbox"})

    def test_suites_cost_nothing_that_builds(self):
        self.assertEqual(self.costs("workbench/topics/a/suites.toml"), {"lint", "tools"})

    def test_an_option_costs_what_builds(self):
        self.assertEqual(self.costs("workbench/topics/a/options.config"), {"lint", "tools", "static", "off", "bench", "bisect", "arches"})

    def test_the_bench_s_rows_cost_the_bench(self):
        self.assertEqual(self.costs("workbench/bench/rows.toml"), {"lint", "tools", "bench"})

    def test_another_tree_costs_all_but_the_tools(self):
        before = {check: self.key(getattr(reads, check)) for check in ("tools", "lint", "static", "off", "bench")}
        source.git.return_value.run.return_value.stdout = b"other"
        self.assertEqual({check for check, key in before.items() if self.key(getattr(reads, check)) == key}, {"tools"})

    def test_another_version_of_a_tool_that_is_used_counts(self):
        for check, tool in ((reads.lint, "pyflakes3"), (reads.lint, "shellcheck"), (reads.static, "sparse")):
            before = self.key(check)
            with mock.patch.object(cache, "version", lambda name, tool=tool: "2" if name == tool else "1"):
                first = self.key(check)
            with mock.patch.object(cache, "version", lambda name: "1"):
                self.assertNotEqual(self.key(check), first, tool)
            self.assertEqual(self.key(check), before)

    def test_another_version_of_any_compiler_counts_and_so_does_that_it_can_be_had(self):
        keys = set()
        for said in ("gcc 14.1", "gcc 14.2", "needs root"):
            with mock.patch.object(compilers, "version", lambda compiler, said=said: said if compiler.name == "gcc-14" else "1"):
                keys.add(self.key(reads.compilers))
        self.assertEqual(len(keys), 3)

    def test_the_accelerator_counts_where_something_is_booted(self):
        for check in (reads.mutants, lambda found: same.inputs({}, found), lambda found: kunit_py.inputs({"args": []}, found)):
            keys = set()
            for wanted in ("", "kvm"):
                with mock.patch.dict(os.environ, {"ACCEL": wanted}):
                    keys.add(self.key(check))
            self.assertEqual(len(keys), 2)

    def test_a_change_that_is_not_committed_costs_as_well(self):
        before = self.key(reads.static)
        source.git.return_value.out.return_value = b"x"
        self.assertNotEqual(self.key(reads.static), before)


if __name__ == "__main__":
    unittest.main()
