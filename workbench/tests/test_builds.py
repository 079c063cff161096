# SPDX-License-Identifier: GPL-2.0
"""The checks that build: what they ask make for, and that nothing that is missing, on nevertheless or new passes."""

import contextlib
import fcntl
import io
import unittest
from unittest import mock

from check import builds, compilers, objects, static
from kernel import build, prefixes
from lib import console, paths
from lib.cases import Case
from shared import Folder

KCONFIG = {
    "CONFIG_LOW": "config LOW\n\tbool \"low\"\n",
    "CONFIG_MID": "config MID\n\tdef_bool y\n\tdepends on LOW && NUMA\n",
    "CONFIG_HIGH": "config HIGH\n\ttristate \"high\"\n\tdepends on MID\n",
    "CONFIG_LOWER": "config LOWER\n\tbool \"lower\" # LOW\n\tdepends on NUMA # not on LOW\n",
}


def statuses(cases):
    """Name -> status."""
    return {case.name: case.status for case in cases}


class Build(Folder):
    """Builds in a folder of their own; `asked` is what make was asked for."""

    def setUp(self):
        super().setUp()
        self.asked = []
        self.patch(paths, "BUILD", self.folder)
        self.patch(paths, "LOGS", self.folder / "logs")
        self.enterContext(contextlib.redirect_stderr(io.StringIO()))

    def tree(self, name, **files):
        """An object tree that is there already."""
        objects_ = self.folder / "kernel" / name
        (objects_ / "tools/objtool").mkdir(parents=True)
        (objects_ / ".config").write_text("CONFIG_A=y\n")
        (objects_ / "vmlinux").write_text(name)
        (objects_ / "tools/objtool/.check.o.cmd").write_text(f"cmd := gcc -o {objects_}/tools/objtool/check.o\n")
        (objects_ / ".workbench-config").write_text("key")
        (objects_ / build.SEED).write_text(build.Kernel("default", label=name, **files).made_of())
        return objects_


class Seed(Build):
    def seeded(self, **how):
        kernel = build.Kernel("default", label="new", **how)
        kernel.objects.mkdir(parents=True)
        kernel.seed()
        return kernel.objects

    def test_a_new_tree_is_a_copy_with_its_own_path(self):
        self.tree("default")
        new = self.seeded()
        self.assertEqual((new / "vmlinux").read_text(), "default")
        self.assertIn(f"{new}/tools/objtool/check.o", (new / "tools/objtool/.check.o.cmd").read_text())
        self.assertFalse((new / ".workbench-config").exists())
        self.assertEqual(list(new.parent.glob(".*.seed")), [])

    def test_not_of_another_compiler_or_source(self):
        self.tree("default")
        self.assertEqual(list(self.seeded(compiler="clang-19").iterdir()), [])
        (self.folder / "kernel/new").rmdir()
        self.assertEqual(list(self.seeded(source=self.folder).iterdir()), [])

    def test_not_of_one_that_is_being_built(self):
        with open(self.tree("default") / ".workbench-lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertEqual(list(self.seeded().iterdir()), [])

    def test_an_interrupted_copy_has_no_configuration(self):
        self.tree("default")
        moved = []

        def stop(old, new, replace=build.os.replace):
            if len(moved) == 2:
                raise KeyboardInterrupt
            moved.append(new)
            replace(old, new)

        with mock.patch.object(build.os, "replace", stop), self.assertRaises(KeyboardInterrupt):
            self.seeded()
        new = self.folder / "kernel/new"
        self.assertFalse((new / ".config").exists())
        build.Kernel("default", label="new").seed()
        self.assertEqual((new / "vmlinux").read_text(), "default")


class Configured(Build):
    def test_what_is_kept_beside_the_configuration_is_whole_or_not_there(self):
        kernel, written = build.Kernel("default"), []
        self.patch(kernel, "options", lambda: {"CONFIG_A": "y"})
        self.patch(build, "Git")
        self.patch(build, "series_options", set)
        self.patch(build.Git.return_value, "text", lambda *_: "")

        def make(*_, **__):
            (kernel.objects / ".config").write_text("CONFIG_A=y\n")

        self.patch(build.process, "run", make)
        replace = build.os.replace
        self.patch(build.os, "replace", lambda beside, path: (written.append(path.name), replace(beside, path)))
        kernel.configure()
        self.assertEqual(written, ["requested.config", ".workbench-config", build.SEED])
        kernel.configure()
        self.assertEqual(len(written), 3)
        self.assertEqual((kernel.objects / "requested.config").read_text(), "CONFIG_A=y\n")


class Attempt(Build):
    """What kept a build from its end."""

    def attempt(self, kernel, *stops):
        for name, stop in zip(("configure", "run_counted"), stops):
            self.patch(kernel if name == "configure" else build, name, stop)
        return kernel.attempt("vmlinux", quiet=True)

    def test_it_is_told(self):
        kernel = build.Kernel("default")

        def make(words, log, *_):
            self.asked += words
            log.write_text("  CC a.o\na.c:1:2: error: x\n")
            raise SystemExit(1)

        self.assertEqual(self.attempt(kernel, mock.Mock(), make), "a.c:1:2: error: x")
        self.assertIn("vmlinux", self.asked)
        self.assertEqual(self.attempt(kernel, mock.Mock(), mock.Mock()), "")

    def test_an_earlier_build_s_log_tells_nothing(self):
        kernel = build.Kernel("default")
        self.write("logs/kernel-default.log", "a.c:1:2: error: x\n")
        self.assertEqual(self.attempt(kernel, lambda: console.die("asked for but not set: B")), "asked for but not set: B")
        self.assertEqual(self.attempt(kernel, mock.Mock(side_effect=SystemExit(1))), "it was not begun")


class Configurations(Build):
    """What a configuration's own lines make of it."""

    def setUp(self):
        super().setUp()
        self.patch(build, "CONFIGS", self.folder)

    def config(self, text):
        self.write("some.config", text)

    def test_tristates_that_are_asked_for_become_modules(self):
        self.config("# tristates: m\nCONFIG_A=y\nCONFIG_B=y\n")
        with mock.patch.object(build, "switches", lambda: {"CONFIG_A": "tristate", "CONFIG_B": "bool", "CONFIG_C": "tristate"}):
            self.assertEqual(build.requested("some"), {"CONFIG_A": "m", "CONFIG_B": "y"})

    def test_one_begins_with_debian_s_or_with_nothing(self):
        with mock.patch.object(build.debian, "configuration", lambda: "CONFIG_D=y\n"):
            self.config("# from: debian\n")
            self.assertEqual(build.Kernel("some").beginning(), "CONFIG_D=y\n")
            self.config("CONFIG_A=y\n")
            self.assertEqual(build.Kernel("some").beginning(), "")
            self.config("# from: suse\n")
            with self.assertRaises(SystemExit):
                build.Kernel("some").beginning()


class Builds(Build):
    def setUp(self):
        super().setUp()
        self.broken, self.dot_config = set(), {}

        def make(kernel, *goals):
            self.asked.append((kernel.label, kernel.changes, goals))
            if kernel.label in self.broken:
                raise SystemExit(1)

        self.patch(build.Kernel, "build", make)
        self.patch(builds, "present", lambda _: self.dot_config)
        self.patch(builds, "requested", lambda _: {"CONFIG_LOW": "y", "CONFIG_HIGH": "y", "CONFIG_OUT": "n"})
        self.patch(builds, "series_kconfig", lambda: KCONFIG)
        self.patch(builds, "switches", lambda: {"CONFIG_LOW": "bool", "CONFIG_HIGH": "tristate", "CONFIG_OUT": "bool"})

    def test_dependents_are_found_through_others(self):
        self.assertEqual(builds.dependents("CONFIG_LOW", KCONFIG), {"CONFIG_MID", "CONFIG_HIGH"})
        self.assertEqual(builds.dependents("CONFIG_HIGH", KCONFIG), set())

    def test_each_option_that_is_on_is_turned_off(self):
        cases = builds.each_off()
        self.assertEqual(self.asked, [("options", {"CONFIG_HIGH": "n"}, ("vmlinux",)),
                                      ("options", {"CONFIG_LOW": "n", "CONFIG_HIGH": "n"}, ("vmlinux",))])
        self.assertEqual(statuses(cases), {"links without CONFIG_HIGH": "passed",
                                           "links without CONFIG_LOW, and so without CONFIG_HIGH": "passed"})

    def test_one_that_is_on_nevertheless_fails(self):
        self.dot_config = {"CONFIG_LOW": "y"}
        self.assertIn(Case("without CONFIG_LOW", "failed", "it is on nevertheless"), builds.each_off())

    def test_what_does_not_link_fails_with_the_line_that_tells_why(self):
        self.broken.add("options")
        self.write("logs/kernel-options.log", "  CC a.o\nld: a.o: undefined reference to `f'\n")
        case = builds.each_off()[0]
        self.assertEqual(case.status, "failed")
        self.assertIn("undefined reference", case.detail)

    def test_no_option_is_a_failure(self):
        with mock.patch.object(builds, "switches", dict):
            self.assertEqual([case.status for case in builds.modules() + builds.each_off()], ["failed", "failed"])

    def modules(self, order, made):
        for name, text in (("modules.order", order), *((name, "") for name in made)):
            self.write(f"kernel/modules/{name}", text)
        with mock.patch.object(builds, "objects_of", lambda option: ["high"]):
            return statuses(builds.modules())

    def test_tristates_are_built_as_modules_against_vmlinux(self):
        self.assertEqual(self.modules("high.o\n", ["high.ko"]),
                         {"modules and modpost": "passed", "CONFIG_HIGH=m gives high.ko": "passed"})
        self.assertEqual(self.asked, [("modules", {"CONFIG_HIGH": "m"}, ("vmlinux_o", "modules"))])

    def test_an_old_module_is_none(self):
        self.assertEqual(self.modules("", ["high.ko"])["CONFIG_HIGH=m"], "failed")

    def test_a_missing_one_fails(self):
        self.assertEqual(self.modules("high.o\n", [])["CONFIG_HIGH=m"], "failed")

    def test_a_compiler_that_is_not_there_is_not_passed_over_in_silence(self):
        with mock.patch.object(compilers.shutil, "which", return_value=None), mock.patch.object(compilers.os, "geteuid", return_value=1):
            cases = builds.other_compilers()
        self.assertEqual(statuses(cases), {"clang-19 links": "failed", "gcc-14 links": "skipped", "gcc-15 links": "skipped"})
        self.assertTrue(all(case.detail for case in cases))

    def test_the_version_of_a_compiler_is_asked_where_it_is(self):
        gcc, asked = compilers.Compiler("gcc-14", "trixie"), []
        self.patch(compilers.process, "out", lambda words: asked.append(words) or f"{words[-2]} 1\n")
        self.patch(compilers, "debian", lambda _: "root")
        self.patch(compilers, "enter", lambda root: ["enter", root])
        for which, user, said, way in (("/usr/bin/gcc-14", 1, "gcc-14 1\nld 1\n", []), (None, 0, "gcc-14 1\nld 1\n", ["enter", "root"]),
                                       (None, 1, "gcc-14 is in Debian trixie: chroot and mount need root", None)):
            asked.clear()
            with mock.patch.object(compilers.shutil, "which", return_value=which), \
                    mock.patch.object(compilers.os, "geteuid", return_value=user):
                self.assertEqual(compilers.version(gcc), said)
            self.assertEqual(asked, [] if way is None else [[*way, tool, "--version"] for tool in ("gcc-14", "ld")])


class Off(Build):
    def test_a_file_that_was_not_compiled_fails(self):
        kernel = build.Kernel("off")
        self.write("kernel/off/mm/a.o", "")
        self.assertEqual(objects.built_files(kernel, ["mm/a.c"]).status, "passed")
        self.assertIn("mm/b.c", objects.built_files(kernel, ["mm/a.c", "mm/b.c"]).detail)
        self.assertEqual(objects.built_files(kernel, []).status, "failed")

    def test_other_code_fails(self):
        text = "\n".join(f"line {number}" for number in range(200))
        self.assertEqual(objects.code_case("mm/slub.o", text, text).status, "passed")
        self.assertEqual(objects.code_case("mm/slub.o", text, text + "\nmore").status, "failed")
        self.assertEqual(objects.code_case("mm/slub.o", "", "").status, "failed")


class Remarks(Build):
    """W=1 and sparse; `said` is what is said of ours and of the base's, `status` how make ends there."""

    def setUp(self):
        super().setUp()
        self.said, self.status = {"ours": "", "base": ""}, {"ours": 0, "base": 0}
        self.compiled, self.needing = [], []
        self.built = {"default": ["mm/a.c", "mm/b.c"], "debug": ["mm/a.c", "mm/b.c", "mm/debug.c"]}

        def remarks(kernel, names, _):
            side = "base" if kernel.label.endswith("-base") else "ours"
            self.compiled.append((kernel.label, names))
            return self.status[side], self.said[side], {name[:-1] + "c" for name in names}, self.folder / "log"

        self.write("log", "error: x\n")
        self.patch(static, "compiled_with_remarks", remarks)
        self.patch(static, "base_tree")
        self.patch(static, "in_base", lambda name: name != "mm/debug.c")
        self.patch(static, "known_noise", lambda _: False)
        self.patch(static, "sparse_sees", lambda: Case("sees", "passed"))
        self.patch(static, "built_sources", lambda kernel: (self.built[kernel.name], [
            (name, "CONFIG_X") for name in self.needing if name not in self.built[kernel.name]]))

    def test_what_default_does_not_build_is_seen_with_debug(self):
        self.needing = ["mm/debug.c"]
        cases = static.sparse_and_warnings()
        self.assertEqual(self.compiled, [("default-static", ["mm/a.o", "mm/b.o"]), ("debug-static", ["mm/debug.o"])])
        self.assertEqual(statuses(cases), {"sees": "passed", **{f"W=1 and sparse mm/{name}.c": "passed" for name in ("a", "b", "debug")}})

    def test_what_neither_builds_fails(self):
        """F9: else it is looked at nowhere, and that is one skip among many."""
        self.needing = ["mm/never.c"]
        self.assertIn(Case("W=1 and sparse mm/never.c", "failed", "needs CONFIG_X, which neither default nor debug sets"),
                      static.sparse_and_warnings())

    def test_the_base_compiles_what_has_remarks(self):
        self.said = {"ours": "mm/a.c:3:1: warning: old", "base": "mm/a.c:2:1: warning: old"}
        self.assertNotIn("failed", statuses(static.sparse_and_warnings(["default"])).values())
        self.assertEqual(self.compiled[1], ("default-static-base", ["mm/a.o"]))

    def test_and_all_if_a_header_has_one(self):
        self.said = {"ours": "include/a.h:3:1: warning: old", "base": "include/a.h:2:1: warning: old"}
        self.assertNotIn("failed", statuses(static.sparse_and_warnings(["default"])).values())
        self.assertEqual(self.compiled[1][1], ["mm/a.o", "mm/b.o"])

    def test_a_new_remark_fails(self):
        self.said["ours"] = "mm/b.c:3:1: warning: new"
        self.assertEqual(statuses(static.sparse_and_warnings())["W=1 and sparse mm/b.c"], "failed")

    def test_a_base_that_does_not_compile_is_not_ignored(self):
        self.said["ours"], self.status["base"] = "mm/b.c:3:1: warning: new", 2
        self.assertEqual(statuses(static.sparse_and_warnings(["default"]))["W=1 and sparse: build of the base"], "failed")

    def test_nothing_to_look_at_fails(self):
        self.built = {"default": [], "debug": []}
        self.assertIn("failed", statuses(static.sparse_and_warnings()).values())


class Prefixes(Build):
    """A prefix is built again unless all that its result depends on is the same."""

    def setUp(self):
        super().setUp()
        self.options, self.versions = {"CONFIG_A": "y"}, {"gcc": "gcc 12", "ld": "ld 2.40"}
        self.patch(prefixes, "TREE", self.folder / "tree")
        self.patch(prefixes, "KNOWN", self.folder / "bisect.json")
        self.patch(prefixes, "prefixes", lambda: [("c1", "topic", "one")])
        self.patch(prefixes, "directories", lambda: ["mm/"])
        self.patch(prefixes, "requested", lambda _: self.options)
        self.patch(prefixes.process, "out", lambda words: f"{self.versions[words[0]]}\n")
        self.patch(prefixes.source, "git").return_value.tree.return_value = "t1"
        self.patch(prefixes.source, "bring")
        self.patch(prefixes.console, "say")
        self.patch(build.Kernel, "build", lambda kernel, *goals: self.asked.append(kernel.label))

    def built(self):
        self.asked.clear()
        self.assertEqual({case.status for case in prefixes.every_prefix()}, {"passed"})
        return len(self.asked)

    def test_results_are_kept_until_something_changes(self):
        self.assertEqual(self.built(), 2)
        self.assertEqual(self.built(), 0)
        self.options = {"CONFIG_A": "y", "CONFIG_DOES_NOT_EXIST": "y"}
        self.assertEqual(self.built(), 2)
        for tool, version in (("gcc", "gcc 14"), ("ld", "ld 2.44")):
            self.versions[tool] = version
            self.assertEqual(self.built(), 2, tool)
        with mock.patch.dict(build.os.environ, {"KCFLAGS": "-O3"}):
            self.assertEqual(self.built(), 2)
        self.assertEqual(self.built(), 0)
        prefixes.forget()
        self.assertEqual(self.built(), 2)


if __name__ == "__main__":
    unittest.main()
