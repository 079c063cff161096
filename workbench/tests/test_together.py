# SPDX-License-Identifier: GPL-2.0
"""Many mutants in one guest: which tests a mutant needs, and what is made of what a guest leaves."""

import subprocess

from check import boots, mutants, onekernel, together, trials
from check.suite import Suite
from guest import qemu
from lib import paths
from lib.cases import Case
from shared import Folder

TABLE = {"kunit": ["k"], "kselftest": ["x:prog", "mm:ksft_p.sh", "x:other.sh"], "machine": "small"}


def mutant(name, *killed_by, tells=""):
    return mutants.Mutant(name, "a is b", "s:default", (("mm/f.c", "return 1", f"return {ord(name[0])}"),), killed_by, tells)


class Tests(Folder):
    def test_what_a_mutant_needs(self):
        for killed_by, wanted in ((("kunit/k/a",), "kunit k a"),
                                  (("kunit/k/a/one, two", "kunit/k/a/three", "kunit/k/b"), "kunit k a,b"),
                                  (("kselftest prog/f.t", "kunit/k/a"), "kselftest x:prog f.t;kunit k a"),
                                  (("kselftest ksft_p.sh/f.v.t",), "kselftest mm:ksft_p.sh f.v.t")):
            self.assertEqual(together.tests_of(TABLE, mutant("m", *killed_by)), wanted)

    def test_what_cannot_be_run_alone(self):
        for case in ("kunit/other/a", "kselftest other.sh/a", "kselftest prog/f.t #2", "kselftest gone/a", "job j/a", "boot b"):
            self.assertEqual(together.tests_of(TABLE, mutant("m", "kunit/k/a", case)), "", case)
        self.assertEqual(together.tests_of(TABLE, mutant("m", "kunit/k/a", tells="BUG")), "")


class Left:
    """What stands for the outcome of a boot."""

    def __init__(self, files):
        self.files = files

    def text(self, name):
        return self.files.get(name, "")


def ktap(*results):
    """What KUnit says of suite k."""
    lines = [f"    {word} {number} {name}" for number, (name, word) in enumerate(results, 1)]
    return "\n".join(["KTAP version 1", "1..1", "    KTAP version 1", "    # Subtest: k", f"    1..{len(lines)}", *lines,
                      f"{'not ok' if any(word != 'ok' for _, word in results) else 'ok'} 1 k", ""])


class Guests(Folder):
    """What guests leave is made up here: `acts` says what each mutant does: killed, survives, ruins, dies, before, silent,
    leaves: its tests do not say after it that they passed."""

    def setUp(self):
        super().setUp()
        self.acts, self.booted, self.said, self.begins = {}, [], {}, True
        self.patch(boots, "guests_at_once", lambda: 1)
        self.patch(boots, "boot_of", lambda suite, kernel: qemu.Boot(kernel="", name="", append=suite.table["append"]))
        self.patch(qemu, "run", self.run_guest)
        self.patch(trials.SharedTrial, "console_of", lambda trial, name: self.said[name])
        self.write("source/mm/f.c", "int fn(void)\n{\n\treturn 1;\n}\n")
        self.patch(paths, "SOURCE", self.folder / "source")
        self.patch(together.ktap, "cases", lambda lines, prefix: [Case(f"{prefix}/k/{line.split()[-1]}", "failed" if "not" in line
                                                                        else "passed") for line in lines if line[:1] == " "
                                                                  and "ok" in line])

    def run_guest(self, boot):
        files, self.said[boot.name] = {}, "workbench: job trials\n" if self.begins else ""
        known = set()
        self.booted.append([self.names[int(line.split("\t")[1])] for line in boot.files["mutants"].splitlines()])
        for line in boot.files["mutants"].splitlines():
            place, number, tests = line.split("\t")
            name, case = self.names[int(number)], tests.split()[2]
            act = self.acts.get(name, "killed")
            if not self.begins:
                return Left({})
            if tests not in known:
                files[f"trial-{place}-before-0"] = ktap((case, "not ok" if act == "before" else "ok"))
                if act == "before":
                    return Left(files)
            if act == "dies":
                self.said[boot.name] += f"{self.image.proof(f't/{name}')}\n"
                return Left({name: text for name, text in files.items() if not name.startswith(f"trial-{place}-")})
            files[f"trial-{place}-with-0"] = ktap((case, "ok" if act == "survives" else "not ok"))
            self.said[boot.name] += "" if act == "silent" else f"{self.image.proof(f't/{name}')}\n"
            files[f"trial-{place}-after-0"] = ktap(("other" if act == "leaves" else case, "not ok" if act == "ruins" else "ok"))
            known.add(tests)
            if act == "ruins":
                return Left(files)
        return Left(files)

    def tried(self, *tried, **acts):
        self.acts, self.booted = acts, []
        self.image = onekernel.OneKernel("default", {f"t/{each.name}": each for each in tried}, self.folder / "source")
        self.names = {number: name.removeprefix("t/") for name, number in self.image.numbers.items()}
        trial = trials.SharedTrial("t", Suite("s", "t", config="default", table=TABLE), self.image)
        killed, reasons = together.tried(trial, list(tried), lambda trial, case: case)
        return [case.name.removeprefix("mutant ") for case in killed if case.status == "passed"], reasons

    def test_all_in_one_guest(self):
        found, reasons = self.tried(*(mutant(name, "kunit/k/a") for name in "abc"))
        self.assertEqual((found, reasons, self.booted), (["a", "b", "c"], {}, [["a", "b", "c"]]))

    def test_who_survives_and_who_cannot_be_tried_like_this_get_boots_of_their_own(self):
        found, reasons = self.tried(mutant("a", "kunit/k/a"), mutant("b", "kunit/k/a"), mutant("j", "job j/a"), a="survives")
        self.assertEqual((found, sorted(reasons)), (["b"], ["a", "j"]))
        self.assertIn("kunit/k/a did not fail", reasons["a"])

    def test_a_mutant_that_leaves_traces_is_the_last_one_of_its_guest(self):
        found, reasons = self.tried(*(mutant(name, "kunit/k/a") for name in "abc"), b="ruins")
        self.assertEqual((found, reasons, self.booted), (["a", "b", "c"], {}, [["a", "b", "c"], ["c"]]))

    def test_what_was_not_seen_to_pass_right_before_kills_nobody(self):
        found, reasons = self.tried(*(mutant(name, "kunit/k/a") for name in "abc"), a="leaves")
        self.assertEqual((found, reasons), (["a", "c", "b"], {}))
        self.assertEqual(self.booted, [["a", "b", "c"], ["b"]])

    def test_a_guest_that_ends(self):
        found, reasons = self.tried(*(mutant(name, "kunit/k/a") for name in "abc"), b="dies")
        self.assertEqual((found, reasons), (["a", "c"], {"b": "the guest ended with it"}))
        self.assertEqual(self.booted, [["a", "b", "c"], ["c"]])

    def test_tests_that_fail_without_a_mutant_kill_nobody(self):
        found, reasons = self.tried(mutant("a", "kunit/k/a"), mutant("b", "kunit/k/b"), mutant("c", "kunit/k/c"), b="before")
        self.assertEqual((found, list(reasons), self.booted), (["a", "c"], ["b"], [["a", "b", "c"], ["b", "c"], ["c"]]))
        self.assertIn("without a mutant: kunit/k/b did not pass", reasons["b"])

    def test_a_kernel_that_does_not_say_that_the_mutant_is_on_shows_nothing(self):
        found, reasons = self.tried(mutant("a", "kunit/k/a"), a="silent")
        self.assertEqual((found, reasons), ([], {"a": "the kernel did not say that it is on"}))

    def test_a_guest_that_does_not_begin(self):
        self.begins = False
        found, reasons = self.tried(mutant("a", "kunit/k/a"), mutant("b", "kunit/k/a"))
        self.assertEqual((found, sorted(reasons), len(self.booted)), ([], ["a", "b"], 1))


class SingleCases(Folder):
    """The cases of KUnit that are chosen: the code that is added is compiled, and run."""

    def test_names(self):
        text = onekernel.ONLY.replace("module_param_string(only, kunit_only, sizeof(kunit_only), 0600);", "")
        path = self.write("p.c", "#include <stdbool.h>\n#include <string.h>\n" + text + """
int main(int argc, char **argv)
{
	strcpy(kunit_only, argv[1]);
	return !kunit_wants(argv[2]);
}
""")
        subprocess.run(["gcc", "-Wall", "-Werror", "-o", self.folder / "p", path], check=True)
        for only, name, wanted in (("", "a", True), ("a", "a", True), ("ab", "a", False), ("b,a", "a", True), ("ab,ba", "a", False),
                                   ("aa,a", "a", True), ("a,b", "b", True), ("a", "ab", False)):
            done = subprocess.run([self.folder / "p", only, name], check=False)
            self.assertEqual(done.returncode == 0, wanted, (only, name))

    def test_the_kernel_that_it_is_for(self):
        each = f"x;\n{onekernel.KUNIT_RUN}{onekernel.KUNIT_EACH}}}\n"
        self.write("source/mm/f.c", "int fn(void)\n{\n\treturn 1;\n}\n")
        image = onekernel.OneKernel("default", {"t/m": mutant("m", "kunit/k/a")}, self.folder / "source")
        self.assertEqual(image.single_cases(None), {})
        self.assertEqual(image.single_cases("other"), {})
        text = image.single_cases(each)[onekernel.KUNIT]
        self.assertIn("kunit_wants(test_case->name)", text)
        self.assertEqual(text.count("kunit_run_one_test("), 1)
