# SPDX-License-Identifier: GPL-2.0
"""Mutants: a change that does not apply, does not build, survives, or is killed by another case fails by name."""

import concurrent.futures
import contextlib
import dataclasses
import io
import os
import subprocess
import threading
import time

from check import boots, cache, changed, mutants, onekernel, plan, trials
from check.suite import Suite
from guest import qemu, root
from kernel import build
from lib import paths
from lib.cases import Case
from lib.errors import CommandError
from shared import Folder

EDIT = '[[mutant.edit]]\nfile = "mm/a.c"\nold = "one"\nnew = "two"\n'
MUTANT = f'[[mutant]]\nname = "m"\nbreaks = "a is b"\nboot = "s:default"\nkilled_by = ["k/a"]\n{EDIT}'
BOOT = Case("boot s-m", "passed")


def mutant(edits=(("mm/a.c", "one", "two"),), **more):
    """A mutant that is there."""
    return mutants.Mutant("m", "a is b", "s:default", edits, **{"killed_by": ("k/a",), **more})


class Source(Folder):
    def setUp(self):
        super().setUp()
        self.write("source/mm/a.c", "zero one three three\n")
        self.write("source/mm/b.c", "one\n")
        self.source = self.folder / "source"
        self.patch(paths, "SOURCE", self.source)
        self.patch(paths, "BUILD", self.folder)
        self.patch(paths, "TOPICS", self.folder / "topics")
        self.patch(paths, "LOGS", self.folder / "logs")
        out = contextlib.redirect_stdout(io.StringIO())
        out.__enter__()
        self.addCleanup(out.__exit__, None, None, None)


class Edits(Source):
    def refused(self, message, *edits):
        with self.assertRaisesRegex(CommandError, message):
            mutant(edits).texts(self.source)

    def test_text_takes_the_place_of_text(self):
        self.assertEqual(mutant().texts(self.source), {"mm/a.c": "zero two three three\n"})

    def test_the_second_edit_of_a_file_finds_what_the_first_left(self):
        edits = (("mm/a.c", "one", "two"), ("mm/a.c", "zero two", ""), ("mm/b.c", "one\n", ""))
        self.assertEqual(mutant(edits).texts(self.source), {"mm/a.c": " three three\n", "mm/b.c": ""})
        self.refused("is not there: one", ("mm/a.c", "one", ""), ("mm/a.c", "one", "x"))
        self.refused("is not there: zero", ("mm/a.c", "zero one three three\n", ""), ("mm/a.c", "zero", ""))

    def test_what_does_not_apply_is_refused(self):
        self.refused("does not apply: in mm/a.c is not there: four", ("mm/a.c", "four", "x"))
        self.refused("does not apply: in mm/a.c is there 2 times: three", ("mm/a.c", "three", "x"))
        self.refused("does not apply: there is no mm/c.c", ("mm/c.c", "one", "x"))
        self.refused("changes nothing in mm/a.c", ("mm/a.c", "one", "one"))


class Tables(Source):
    def read(self, text):
        self.write("topics/t/mutants/a.toml", text)
        return mutants.read("t")

    def test_a_table(self):
        self.assertEqual(self.read(MUTANT), [mutant()])

    def test_the_boot_of_a_file(self):
        self.assertEqual(self.read('boot = "s:default"\n' + MUTANT.replace('boot = "s:default"\n', "")), [mutant()])

    def test_what_is_missing_or_unknown_is_refused(self):
        for wrong, message in ((MUTANT.replace("killed_by", "kill"), "unknown key kill"), (MUTANT.replace(EDIT, ""), "no edit"),
                               (MUTANT.replace('killed_by = ["k/a"]\n', ""), "nothing has to notice it"),
                               (MUTANT.replace('breaks = "a is b"\n', ""), "no breaks"), (MUTANT.replace('"one"', '""'), "an edit"),
                               (MUTANT.replace("old", "from"), "an edit with file, from, new"), (MUTANT + MUTANT, "more than one"),
                               ('boots = "x"\n' + MUTANT, "not boots")):
            with self.assertRaisesRegex(CommandError, message):
                self.read(wrong)

    def fit(self, text=MUTANT, lines="s:default | k/a | pass\n"):
        self.write("topics/t/expected.txt", lines)
        self.write("topics/t/mutants/a.toml", text)
        return mutants.sound({"s:default": Suite("s", "t", config="default")})

    def test_what_fits(self):
        self.assertEqual(self.fit(), [Case("t: 1 mutants fit", "passed")])

    def test_what_does_not_fit_fails_by_name(self):
        for case in (self.fit(MUTANT.replace('"one"', '"four"')), self.fit(MUTANT.replace("s:default", "s:debug")),
                     self.fit(lines="s:default | k/a | skip: never\n"), self.fit(lines="s:default | k/b | pass\n")):
            self.assertEqual([(each.name, each.status) for each in case], [("t: mutant m", "failed")])


class TheSource(Source):
    def setUp(self):
        super().setUp()
        self.changed = changed.Changed(self.folder / "changed")

    def times(self):
        return {name: (self.folder / "changed" / name).stat().st_mtime_ns for name in self.changed.names()}

    def test_only_what_differs_is_written(self):
        self.changed.become({"mm/a.c": "x"})
        before = self.times()
        self.changed.become({"mm/a.c": "x", "mm/b.c": "y"})
        self.assertEqual(self.times()["mm/a.c"], before["mm/a.c"])
        self.assertEqual(self.changed.names(), ["mm/a.c", "mm/b.c"])

    def test_what_was_changed_is_the_source_s_again_and_newer_than_its_objects(self):
        self.changed.become({"mm/a.c": "x"})
        made = self.write("a.o", "made of x")
        self.changed.become({"mm/b.c": "y"})
        self.assertEqual((self.folder / "changed/mm/a.c").read_text(), "zero one three three\n")
        self.assertGreaterEqual(self.times()["mm/a.c"], made.stat().st_mtime_ns)

    def test_the_source_itself_stays_and_a_file_that_left_it_goes(self):
        self.changed.become({"mm/a.c": "x"})
        self.assertEqual((self.source / "mm/a.c").read_text(), "zero one three three\n")
        (self.source / "mm/a.c").unlink()
        self.changed.become({})
        self.assertEqual((self.changed.names(), self.changed.way_in()), ([], []))

    def test_a_command_sees_the_changed_files_and_nobody_else_does(self):
        self.changed.become({"mm/a.c": "x"})
        seen = subprocess.run([*self.changed.way_in(), "cat", str(self.source / "mm/a.c"), str(self.source / "mm/b.c")],
                              capture_output=True, text=True, check=False)
        self.assertEqual((seen.stdout, seen.stderr), ("xone\n", ""))
        self.assertEqual((self.source / "mm/a.c").read_text(), "zero one three three\n")

    def test_a_command_does_not_run_where_a_file_cannot_be_changed(self):
        self.changed.become({"mm/a.c": "x"})
        (self.source / "mm/a.c").unlink()
        done = subprocess.run([*self.changed.way_in(), "echo", "run"], capture_output=True, text=True, check=False)
        self.assertEqual((done.stdout, bool(done.returncode)), ("", True))

    def test_objects_are_those_of_the_plain_kernel_and_never_the_other_way_round(self):
        def tree(kernel):
            kernel.objects.mkdir(parents=True)
            (kernel.objects / ".config").write_text(kernel.label)
            (kernel.objects / "vmlinux").write_text(kernel.label)
            (kernel.objects / build.SEED).write_text(kernel.made_of())

        tree(build.Kernel("default"))
        ours = changed.MutatedKernel("default")
        ours.objects.mkdir(parents=True)
        ours.seed()
        self.assertEqual((ours.objects / "vmlinux").read_text(), "default")
        (ours.objects / build.SEED).write_text(ours.made_of())
        for path in (self.folder / "kernel/default").iterdir():
            path.unlink()
        other = build.Kernel("default", label="other")
        other.objects.mkdir(parents=True)
        other.seed()
        self.assertEqual(list(other.objects.iterdir()), [])

    def test_make_runs_where_the_files_are_changed(self):
        ours = changed.MutatedKernel("default")
        self.assertEqual(ours.make("x"), build.Kernel("default", label="mutants-default").make("x"))
        ours.changed.become({"mm/a.c": "x"})
        words = ours.make("x")
        self.assertEqual(words[0], "unshare")
        self.assertLess(words.index("mm/a.c"), words.index("make"))
        self.assertEqual("--user" in words, bool(os.geteuid()))


class Judged(Source):
    def judge(self, *cases, **more):
        case = trials.judged(mutant(**more), {case.name: case for case in cases})
        self.assertEqual(case.name, "mutant m")
        return case.status, case.detail

    def test_killed(self):
        self.assertEqual(self.judge(BOOT, Case("k/a", "failed", "x != y")), ("passed", "killed by k/a (x != y)"))

    def test_survived(self):
        self.assertEqual(self.judge(BOOT, Case("k/a", "passed")), ("failed", "it survives (a is b): k/a passed; nothing else failed"))
        self.assertEqual(self.judge(BOOT, Case("k/a", "skipped", "no"))[0], "failed")

    def test_another_case_than_the_one_that_is_named_does_not_kill(self):
        status, detail = self.judge(BOOT, Case("k/a", "passed"), Case("k/b", "failed", "z"))
        self.assertEqual((status, detail), ("failed", "it survives (a is b): k/a passed; what failed: k/b (z)"))

    def test_each_that_is_named_has_to_fail(self):
        status, detail = self.judge(BOOT, Case("k/a", "failed"), Case("k/b", "passed"), killed_by=("k/a", "k/b"))
        self.assertEqual((status, "k/b passed" in detail), ("failed", True))

    def test_a_case_that_did_not_run_did_not_kill(self):
        status, detail = self.judge(Case("boot s-m", "failed", "console: Oops"))
        self.assertEqual((status, detail), ("failed", "it survives (a is b): k/a did not run; what failed: boot s-m (console: Oops)"))

    def test_what_the_boot_tells(self):
        told = {"killed_by": (), "boot_tells": "WARNING: mm/a.c"}
        self.assertEqual(self.judge(Case("boot s-m", "failed", "console: WARNING: mm/a.c:3"), **told)[0], "passed")
        self.assertEqual(self.judge(Case("boot s-m", "failed", "console: Oops"), **told)[0], "failed")
        self.assertEqual(self.judge(BOOT, Case("k/a", "failed"), **told)[0], "failed")


class Group(Source):
    def setUp(self):
        super().setUp()
        self.seen, self.answers, self.problems = [], {}, {}
        trial = self

        class Fake(trials.Trial):
            def built(self, texts):
                trial.seen.append(texts)
                return trial.problems.get(len(trial.seen), "")

            def cases(self, mutant, parameter=""):
                return {case.name: case for case in trial.answers[mutant.name]}

        self.patch(trials, "Trial", Fake)
        self.known = {"s:default": Suite("s", "t", config="default", table={"kunit": ["k", "l"]})}
        self.answers = {"none": [BOOT, Case("k/a", "passed")], "m": [BOOT, Case("k/a", "failed")]}

    def run_all(self, *found):
        return [(case.name, case.status) for case in trials.cases("t", found or [mutant()], self.known, None)]

    def test_without_and_with(self):
        self.assertEqual(self.run_all(), [("no mutant in s:default", "passed"), ("mutant m", "passed")])
        self.assertEqual(self.seen, [{}, {"mm/a.c": "zero two three three\n"}])

    def test_what_fails_without_a_mutant_kills_nobody(self):
        for known in ([BOOT, Case("k/a", "failed")], [BOOT, Case("k/a", "skipped")], [BOOT],
                      [Case("boot s-none", "failed", "late"), Case("k/a", "passed")]):
            self.answers["none"] = known
            self.assertEqual(self.run_all(), [("no mutant in s:default", "failed"), ("mutant m", "failed")])
        self.assertNotIn({"mm/a.c": "zero two three three\n"}, self.seen)

    def test_each_set_of_tests_is_booted_without_a_mutant(self):
        """A test that fails if another one did not run before it kills nobody."""
        both = [mutant(), mutants.Mutant("n", "-", "s:default", (("mm/a.c", "one", "x"),), ("kunit/l/b",))]
        self.answers |= {"none-2": [BOOT, Case("kunit/l/b", "passed")], "n": [BOOT, Case("kunit/l/b", "failed")]}
        self.assertEqual([status for _, status in self.run_all(*both)], ["passed"] * 3)
        self.answers["none-2"] = [BOOT, Case("kunit/l/b", "failed")]
        self.assertEqual([status for _, status in self.run_all(*both)], ["failed"] * 3)

    def test_what_does_not_apply_or_build_fails_and_the_next_one_is_tried(self):
        self.problems = {2: "does not build: error: x"}
        other = mutants.Mutant("n", "-", "s:default", (("mm/a.c", "four", "x"),), ("k/a",))
        found = trials.cases("t", [mutant(), other], self.known, None)
        self.assertEqual([(case.name, case.status) for case in found[1:]], [("mutant m", "failed"), ("mutant n", "failed")])
        self.assertIn("does not build", found[1].detail)
        self.assertIn("does not apply", found[2].detail)

    def test_a_boot_that_is_not_there(self):
        self.known = {}
        self.assertEqual(self.run_all(), [("mutant m", "failed")])


class Shared(Source):
    """Mutants m and n share a kernel, o does not. What boots show is made up here, and what each was for is kept."""

    def setUp(self):
        super().setUp()
        self.shown, self.said, self.problem = {}, {}, ""
        self.boots, self.alone = [], []
        self.patch(boots, "guests_at_once", lambda: 2)
        self.patch(boots, "boot_of", lambda suite, kernel: Booted(suite.table))
        self.patch(boots, "cases", self.cases)
        self.patch(trials.SharedTrial, "console", self.console)
        self.patch(trials, "alone", self.tried_alone)
        self.patch(trials.together, "tried", lambda trial, mutants, show: ([], {mutant.name: "" for mutant in mutants}))
        edits = {name: mutants.Mutant(name, "a is b", "s:default", (("mm/f.c", old, new),), ("k/a",))
                 for name, old, new in (("m", "return 1", "return 2"), ("n", "return 1", "return 3"), ("o", "int x", "long x"))}
        self.write("source/mm/f.c", "int x;\n\nint fn(void)\n{\n\treturn 1;\n}\n")
        self.mutants = list(edits.values())
        self.image = onekernel.OneKernel("default", {f"t/{name}": each for name, each in edits.items()})
        self.patch(self.image, "build", lambda: self.problem)

    def name_of(self, boot):
        return boot.name.removeprefix("mutants-t-").removesuffix("-shared")

    def console(self, mutant):
        name = "" if isinstance(mutant, trials.NoMutant) else f"t/{mutant.name}"
        return self.said.get(mutant.name, f"[    0.0] {self.image.proof(name)}\n")

    def cases(self, suite, boot, quiet):
        name = self.name_of(boot)
        self.boots.append((name, suite.table["append"]))
        passes = "passed" if name.startswith("none") else "failed"
        return self.shown.get(name, [Case(f"boot {boot.name}", "passed"), Case("k/a", passes)])

    def tried_alone(self, trial, left, reasons):
        self.alone = [(mutant.name, reasons.get(mutant.name, "")) for mutant in left]
        return [Case("no mutant in s:default", "passed"), *(Case(f"mutant {mutant.name}", "passed", "alone") for mutant in left)]

    def run_all(self, chosen=None):
        suite = Suite("s", "t", config="default", table={"append": "x=y", "kunit": ["k", "l"]})
        images = onekernel.Images(lambda: {})
        images.made["default"] = self.image
        self.patch(trials, "FEW", 2)
        return [(case.name, case.status) for case in trials.cases("t", chosen or self.mutants, {"s:default": suite}, images)]

    def test_one_kernel_for_all_that_can_share_it(self):
        self.assertEqual(self.run_all(), [("no mutant in s:default, in one kernel", "passed"), ("no mutant in s:default", "passed"),
                                          ("mutant m", "passed"), ("mutant n", "passed"), ("mutant o", "passed")])
        numbers = [self.image.numbers[name] for name in ("t/m", "t/n")]
        self.assertEqual(self.boots[0], ("none", "mutant=0 x=y"))
        self.assertEqual(sorted(self.boots[1:]), [("m", f"mutant={numbers[0]} x=y"), ("n", f"mutant={numbers[1]} x=y")])
        self.assertEqual(self.alone, [("o", "changes something outside of functions")])

    def test_none_is_alone_if_all_share(self):
        self.assertEqual(self.run_all(self.mutants[:2])[1:], [("mutant m", "passed"), ("mutant n", "passed")])
        self.assertEqual(self.alone, [])

    def test_for_a_few_the_kernel_is_not_made(self):
        self.run_all(self.mutants[:1])
        self.assertEqual((self.boots, self.alone), ([], [("m", "")]))

    def expect_alone(self, name, why):
        self.run_all(self.mutants[:2])
        self.assertEqual([each for each, _ in self.alone], [name])
        self.assertIn(why, self.alone[0][1])

    def test_a_kernel_that_does_not_say_that_the_mutant_is_on_shows_nothing(self):
        self.said["n"] = f"mutant: {self.image.numbers['t/n']} (unknown)\n"
        self.expect_alone("n", "the kernel did not say `mutant: ")

    def test_who_survives_in_one_kernel_is_tried_alone(self):
        self.shown["m"] = [BOOT, Case("k/a", "passed")]
        self.expect_alone("m", "in one kernel it survives (a is b): k/a passed")

    def test_whose_function_runs_too_early_is_tried_alone(self):
        self.said["none"] = f"{self.image.proof('')}\nmutant: too early for fn()\n"
        self.run_all(self.mutants[:2])
        self.assertEqual([name for name, _ in self.alone], ["m", "n"])
        self.assertEqual([name for name, _ in self.boots], ["none"])

    def test_if_the_kernel_fails_without_a_mutant_all_are_alone(self):
        for shown, said in ([[Case("boot s", "failed", "late"), Case("k/a", "passed")], None], [[BOOT, Case("k/a", "failed")], None],
                            [[BOOT, Case("k/a", "passed")], "mutant: 5 (x)"]):
            self.shown["none"], self.boots = shown, []
            self.said = {"none": said} if said else {}
            self.run_all(self.mutants[:2])
            self.assertEqual([name for name, _ in self.alone], ["m", "n"])
            self.assertEqual([name for name, _ in self.boots], ["none"])

    def test_each_set_of_tests_is_booted_without_a_mutant(self):
        """A test that fails in such a boot sends those alone that it had to kill, and nobody else."""
        both = [self.mutants[0], dataclasses.replace(self.mutants[1], killed_by=("kunit/l/b",))]
        self.shown = {"none-2": [BOOT, Case("kunit/l/b", "passed")], "n": [BOOT, Case("kunit/l/b", "failed")]}
        self.assertEqual([status for _, status in self.run_all(both)], ["passed"] * 3)
        self.assertEqual(sorted(name for name, _ in self.boots), ["m", "n", "none", "none-2"])
        for wrong in (Case("kunit/l/b", "failed"), Case("boot s", "failed", "late")):
            self.shown["none-2"] = [wrong]
            self.assertEqual(self.run_all(both)[-2:], [("mutant m", "passed"), ("mutant n", "passed")])
            self.assertEqual([name for name, _ in self.alone], ["n"])

    def test_if_it_does_not_build_all_are_alone(self):
        self.problem = "does not build: x"
        self.run_all(self.mutants[:2])
        self.assertEqual((self.alone, self.boots), ([("m", "does not build: x"), ("n", "does not build: x")], []))

    def test_boots_run_side_by_side_but_where_each_builds_a_module(self):
        both = threading.Barrier(2)

        def cases(suite, boot, quiet):
            if self.name_of(boot) != "none":
                both.wait(20)
            return Shared.cases(self, suite, boot, quiet)

        self.patch(boots, "cases", cases)
        self.assertEqual([status for _, status in self.run_all(self.mutants[:2])], ["passed"] * 3)
        self.assertEqual(self.alone, [])
        trial = trials.SharedTrial("t", Suite("s", "t", config="default", table={"driver-again": ["x"]}), self.image)
        self.assertEqual(trial.at_once(), 1)

    def test_functions_have_the_names_of_the_source(self):
        told = mutants.Mutant("m", "a is b", "s:default", (("mm/f.c", "return 1", "return 2"),), (), "at fn+0x")
        self.shown["m"] = [Case("boot s-m", "failed", "console: WARNING: mm/f.c:3 at fn__mutant_17+0x1/0x2")]
        self.assertEqual(self.run_all([told, self.mutants[1]])[1], ("mutant m", "passed"))
        self.assertEqual(self.alone, [])


class Room(Source):
    def test_there_are_no_more_guests_than_have_room(self):
        self.patch(boots, "room", lambda room=threading.BoundedSemaphore(2): room)
        there, most = [], []

        def run(boot):
            there.append(boot)
            most.append(len(there))
            time.sleep(0.02)
            there.remove(boot)
            return qemu.Outcome(boot.name, None, self.folder)

        self.patch(boots.qemu, "run", run)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda name: boots.cases(Suite("s", "t"), Booted({}, name)), "abcdef"))
        self.assertEqual((max(most), len(most)), (2, 6))


@dataclasses.dataclass
class Booted:
    """What stands for a boot."""
    table: dict
    name: str = ""
    changed: object = None


class Trimmed(Source):
    TABLE = {"jobs": ["j", "i"], "kunit": ["k", "kk"], "kselftest": ["mm:a.sh", "x:b"], "machine": "small"}
    SAME = {**TABLE, "installed": True}     # jobs run kselftests, too

    def trimmed(self, *killed_by, **more):
        return trials.trimmed(self.TABLE, [mutant(killed_by=killed_by, **more)])

    def test_no_more_tests_than_have_to_notice(self):
        self.assertEqual(self.trimmed("kunit/k/a"), {**self.SAME, "kunit": ["k"], "kselftest": []})
        self.assertEqual(self.trimmed("kselftest a.sh/x.y", "job j/z"), {**self.SAME, "kunit": [], "kselftest": ["mm:a.sh"]})

    def test_no_job_after_the_last_that_has_to_notice(self):
        self.assertEqual(self.trimmed("job j/z"), {**self.SAME, "jobs": ["j"], "kunit": [], "kselftest": []})
        self.assertEqual(self.trimmed("job i/z"), {**self.SAME, "kunit": [], "kselftest": []})
        self.assertEqual(self.trimmed("job witness/z"), {**self.SAME, "jobs": [], "kunit": [], "kselftest": []})

    def test_all_if_anything_can_end_the_boot(self):
        self.assertEqual(self.trimmed(boot_tells="BUG"), self.TABLE)

    def test_each_boot_has_what_can_kill_its_mutant(self):
        seen = []
        self.patch(boots, "boot_of", lambda suite, kernel: Booted(suite.table))
        self.patch(boots, "cases", lambda suite, boot, quiet: seen.append(boot) or [BOOT])
        both = [mutant(killed_by=("kunit/k/a",)), mutant(killed_by=("kselftest b/y",), timeout=7)]
        trial = trials.Trial("mutants-t", Suite("s", "t", config="default", table=self.TABLE))
        for each in (*trial.boots_without([*both, both[0]]), *both):
            trial.cases(each)
        self.assertEqual([(boot.table["kunit"], boot.table["kselftest"], boot.table.get("timeout")) for boot in seen],
                         [(["k"], [], None), ([], ["x:b"], None), (["k"], [], None), ([], ["x:b"], 7)])


class ChangedTests(Source):
    """What is changed below tools/ is in the programs that the guest has."""

    def setUp(self):
        super().setUp()
        self.made, self.booted = [], []
        self.write("source/tools/t.c", "one\n")
        self.patch(changed.MutatedKernel, "attempt", lambda kernel, quiet: "")
        self.patch(root, "changed_kselftest", lambda *words: self.made.append(words) or "archive")
        self.patch(boots, "boot_of", lambda suite, kernel: Booted(suite.table))
        self.patch(boots, "cases", lambda suite, boot, quiet: self.booted.append(boot.changed) or [BOOT])
        self.trial = trials.Trial("mutants-t", Suite("s", "t", config="default", table=Trimmed.TABLE))

    def test_they_are_made_of_what_is_changed(self):
        for texts in ({"tools/t.c": "two\n"}, {"mm/a.c": "two\n"}, {}):
            self.assertEqual(self.trial.built(texts), "")
            self.trial.cases(mutant())
        self.assertEqual(self.booted, ["archive", None, None])
        (wanted, way_in), = self.made
        self.assertEqual(wanted, ["mm", "x"])
        self.assertIn("tools/t.c", way_in)

    def test_if_they_do_not_build_it_says_so(self):
        def fails(*_):
            raise CommandError("no header")
        self.patch(root, "changed_kselftest", fails)
        self.assertEqual(self.trial.built({"tools/t.c": "two\n"}), "does not build: no header")


class TheSuite(Source):
    def setUp(self):
        super().setUp()
        self.write("topics/t/mutants/a.toml", MUTANT + MUTANT.replace('"m"', '"n"'))
        self.suite = mutants.suite("t", {}, None)

    def test_one_by_name(self):
        chosen, = plan.chosen([self.suite], ["mutants-t/n"])
        self.assertEqual((chosen.label, chosen.promised()), ("mutants-t", ["mutant n"]))
        self.assertEqual([case.name for case in chosen.run()], ["mutant n"])
        both, = plan.chosen([self.suite], ["mutants-t/n", "mutants-t/m"])
        self.assertEqual(both.promised(), ["mutant m", "mutant n"])
        self.assertEqual([suite.promised() for suite in plan.chosen([self.suite], ["mutants"])], [["mutant m", "mutant n"]])

    def test_a_name_of_nothing_is_refused(self):
        with self.assertRaisesRegex(CommandError, "no topic or suite mutants-t/x"):
            plan.chosen([self.suite], ["mutants-t/x"])

    def test_the_result_of_one_is_not_that_of_all(self):
        self.patch(mutants.reads, "mutants")
        one, = plan.chosen([self.suite], ["mutants-t/n"])
        self.assertNotEqual(cache.key_of(one.reads), cache.key_of(self.suite.reads))
