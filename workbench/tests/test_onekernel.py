# SPDX-License-Identifier: GPL-2.0
"""One kernel with all mutants: who is in it, who is not and why, and who is to blame if it does not build."""

import contextlib
import io
import re
import subprocess

from check import mutants, onekernel
from lib import files, paths
from lib.errors import CommandError
from shared import Folder

A = """\
#include <a.h>

int one(int x)
{
	if (x) {
		return 1;
	}
	return two(x);
}

static int three(void)
{
	return 3;
}
"""
HEADER = "static inline int two(int x)\n{\n\treturn 2;\n}\n"
MAIN = "int main(void)\n{\n\treturn 0;\n}\n"


class Source(Folder):
    def setUp(self):
        super().setUp()
        for name, text in (("mm/a.c", A), ("mm/b.c", A), ("include/a.h", HEADER), ("init/main.c", MAIN), ("tools/t.c", MAIN),
                           ("mm/Kconfig", "config A\n"), ("lib/a.S", "one:\n")):
            self.write(f"source/{name}", text)
        self.patch(paths, "SOURCE", self.folder / "source")
        self.patch(paths, "BUILD", self.folder)
        self.patch(paths, "LOGS", self.folder / "logs")
        self.out = io.StringIO()
        out = contextlib.redirect_stdout(self.out)
        out.__enter__()
        self.addCleanup(out.__exit__, None, None, None)

    def image(self, **edits):
        """A kernel of mutants: name=[(file, old, new), ...]"""
        return onekernel.OneKernel("default", {f"t/{name}": mutants.Mutant(name, "-", "s:default", tuple(each), ("k/a",))
                                               for name, each in edits.items()})


ONE = ("mm/a.c", "return 1", "return 5")
TWO = ("include/a.h", "return 2", "return 6")
THREE = ("mm/a.c", "return 3", "return 7")


class Inside(Source):
    def test_a_mutant_has_one_number_in_all_its_files_and_functions(self):
        image = self.image(m=[ONE, TWO, THREE], n=[ONE])
        texts, number = image.texts(), image.numbers["t/m"]
        self.assertEqual(set(texts), {"mm/a.c", "include/a.h", "init/main.c"})
        for file, name in (("mm/a.c", "one"), ("mm/a.c", "three"), ("include/a.h", "two")):
            self.assertIn(f"{name}__mutant_{number}(", texts[file])
        self.assertIn(f"one__mutant_{image.numbers['t/n']}(", texts["mm/a.c"])
        self.assertIn(f'{{ {number}U, "t/m" }},', texts["init/main.c"])
        self.assertEqual(image.inside(), ["t/m", "t/n"])

    def test_a_number_stays_whatever_the_others_are(self):
        self.assertEqual(self.image(m=[ONE]).numbers["t/m"], self.image(a=[ONE], m=[ONE], z=[TWO]).numbers["t/m"])
        self.patch(onekernel.zlib, "crc32", lambda name: 0xffffffff)
        found = onekernel.numbered(["b", "a", "c"])
        self.assertEqual((len(set(found.values())), found), (3, onekernel.numbered(["c", "b", "a"])))
        self.assertFalse({onekernel.NONE, 0xffffffff} & set(found.values()))

    def test_who_cannot_be_in_it_is_alone_and_the_reason_is_known(self):
        image = self.image(asm=[("lib/a.S", "one", "two")], config=[("mm/Kconfig", "A", "B")], user=[("tools/t.c", "0", "1")],
                           outside=[("mm/a.c", "<a.h>", "<b.h>\nint x;")], gone=[("mm/a.c", "nowhere", "x")],
                           half=[ONE, ("mm/b.c", "int one(int x)", "int one(long x)")], m=[ONE])
        self.assertEqual(image.inside(), ["t/m"])
        for name, why in (("asm", "no C code"), ("config", "no C code"), ("user", "no C code"), ("outside", "outside of functions"),
                          ("gone", "does not apply"), ("half", "a signature")):
            self.assertIn(why, image.alone[f"t/{name}"])
        self.assertEqual(set(image.texts()), {"mm/a.c", "init/main.c"})
        self.assertNotIn(str(image.numbers["t/half"]), image.texts()["mm/a.c"])

    def test_who_is_dropped_leaves_no_trace(self):
        image = self.image(m=[ONE, TWO], n=[THREE])
        image.drop(image.numbers["t/m"], "why")
        self.assertEqual(image.texts()["include/a.h"], HEADER)
        self.assertEqual([image.alone, image.inside()], [{"t/m": "why"}, ["t/n"]])
        self.assertNotIn("t/m", image.texts()["init/main.c"])

    def test_a_mutant_of_the_file_that_has_the_parameter(self):
        image = self.image(m=[("init/main.c", "return 0", "return 1")])
        text = image.texts()["init/main.c"]
        self.assertLess(text.index("main__mutant_"), text.index("early_param"))

    def test_which_functions_ran_too_early(self):
        image = self.image(m=[ONE, TWO], n=[THREE])
        self.assertEqual(image.too_early("mutant: 0 (none)\n"), set())
        self.assertEqual(image.too_early("[ 0.0] mutant: too early for two()\n"), {"t/m"})
        self.assertEqual(image.too_early("mutant: too early for two()\nmutant: too early for three()\n"), {"t/m", "t/n"})
        self.assertEqual(image.too_early("mutant: too early for *()\n"), {"t/m", "t/n"})

    def test_the_parameter_of_the_kernel(self):
        """The code that is added says what proof() looks for."""
        image = self.image(m=[ONE])
        shim = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define EXPORT_SYMBOL(x)
#define __init
#define __initconst
#define EINVAL 22
#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))
#define pr_notice printf
#define WRITE_ONCE(to, what) ((to) = (what))
#define early_param(name, fn) static int (*parameter)(char *) = fn
struct kernel_param;
struct kernel_param_ops { int (*set)(const char *text, const struct kernel_param *param); };
#define module_param_cb(name, ops, arg, mode) static const struct kernel_param_ops *of_sysfs = ops
static int kstrtouint(const char *text, int base, unsigned int *to)
{
	char *end;

	*to = strtoul(text, &end, base);
	return *end || end == text;
}
"""
        number = image.numbers["t/m"]
        text = image.texts()["init/main.c"].removeprefix(MAIN)
        path = self.write("p.c", shim + text + """
int main(int argc, char **argv)
{
	mutant_was_early("f");
	mutant_was_early("f");
	if (argc > 2)
		return of_sysfs->set(argv[2], NULL) ? 1 : mutant_chosen != strtoul(argv[2], NULL, 10);
	return parameter(argv[1]) ? 1 : mutant_chosen != strtoul(argv[1], NULL, 10);
}
""")
        done = subprocess.run(["gcc", "-Wall", "-Werror", "-o", self.folder / "p", path], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.stderr, "")

        def says(*words):
            done = subprocess.run([self.folder / "p", *words], capture_output=True, text=True, check=False)
            return done.returncode, done.stdout

        early = "mutant: too early for f()\n"
        self.assertEqual(says(str(number)), (0, f"{image.proof('t/m')}\n{early}"))
        self.assertEqual(says("0"), (0, f"{image.proof('')}\n{early}"))
        self.assertEqual(says("7"), (0, f"mutant: 7 (unknown)\n{early}"))
        self.assertEqual(says("", str(number)), (0, f"{image.proof('t/m')}\n"))
        self.assertEqual(says("", "x")[0], 1)
        self.assertEqual(says("x")[0], 1)
        self.assertEqual(image.too_early(early), set())


class Build(Source):
    """A build that fails for some lines of its files, as a compiler would tell it."""

    def setUp(self):
        super().setUp()
        self.rounds, self.log = [], lambda image: ""

    def build(self, image):
        def make(quiet, extra):
            self.rounds.append(image.inside())
            told = self.log(image)
            files.write(paths.LOGS / f"kernel-{image.kernel.label}.log", told)
            if told:
                raise SystemExit(1)

        self.patch(image.kernel, "build", make)
        return image.build()

    def line(self, image, file, text):
        """Where a text is in a changed file, as PATH:LINE."""
        lines = (image.kernel.changed.folder / file).read_text().splitlines()
        found = [number for number, line in enumerate(lines, 1) if text in line]
        return f"{file}:{found[0]}" if found else ""

    def blame(self, told, blamed, **edits):
        """A build that says `told` as long as a mutant is there: {AT} is the line of mutant m's own text."""
        image = self.image(**(edits or {"m": [ONE], "n": [THREE]}))

        def log(image):
            at = self.line(image, "mm/a.c", "return 5")
            return told.replace("{AT}", at).replace("{K}", str(image.numbers["t/m"])) if at else ""

        self.log = log
        problem = self.build(image)
        self.assertEqual(sorted(image.alone), blamed)
        return image, problem

    def test_all_are_in_it(self):
        image = self.image(m=[ONE], n=[THREE])
        self.assertEqual([self.build(image), self.rounds, image.alone], ["", [["t/m", "t/n"]], {}])
        self.assertEqual(image.build(), "")
        self.assertEqual(len(self.rounds), 1)
        self.assertTrue((image.kernel.changed.folder / "init/main.c").is_file())

    def test_an_error_in_a_copy(self):
        for told in ("../{AT}:3: error: x\n", f"{self.folder}/source/{{AT}}:3: error: x\n",
                     "In file included from ../include/b.h:3,\n                 from ../mm/x.c:4:\n../{AT}:3: error: x\n",
                     # The place is in a macro: its use is told before or after.
                     "../mm/a.c: In function ‘one__mutant_{K}’:\n../include/m.h:3:1: error: x\n",
                     "../include/m.h:3:1: error: x\n   3 | x\n     | ^\n../{AT}:3: note: in expansion of macro ‘x’\n",
                     "In function ‘fn’,\n    inlined from ‘one__mutant_{K}’ at ../{AT}:3:\n../include/m.h:3:1: error: x\n",
                     # The linker, and modpost.
                     "ld: mm/a.o: in function `one__mutant_{K}':\na.c:(.text+0x1): undefined reference to `x'\n",
                     "ERROR: modpost: vmlinux: section mismatch in reference: one__mutant_{K}+0x5 (section: .text) -> x\n"):
            self.rounds = []
            image, problem = self.blame(f"  CC  mm/a.o\n{told}make: *** [x] Error 1\n", ["t/m"])
            self.assertEqual((problem, self.rounds), ("", [["t/m", "t/n"], ["t/n"]]))
            self.assertRegex(image.alone["t/m"], "its copy does not build: .*(error|undefined|ERROR)")
            self.assertIn("t/m is tried alone: its copy does not build", self.out.getvalue())

    def test_a_warning_is_no_error_and_leads_to_none(self):
        told = "../{AT}:3: warning: y\n../mm/x.c:1:1: error: x\n"
        self.assertEqual(self.blame(told, [])[1], "does not build: ../mm/x.c:1:1: error: x")
        told = "../mm/x.c:1:1: error: x\n../mm/x.c:2:1: warning: y\n../{AT}:3: note: z\n"
        self.assertEqual(self.blame(told, [])[1], "does not build: ../mm/x.c:1:1: error: x")

    def test_an_error_of_what_mutants_share(self):
        for told in ("{AT}:1: error: x\n",
                     "ERROR: modpost: section mismatch in reference: one__mutant_0+0x5 (section: .text) -> x\n"):
            image = self.image(m=[ONE], l=[("mm/a.c", "return two(x)", "return 0")], n=[THREE])

            def log(image, told=told):
                at = self.line(image, "mm/a.c", "switch (mutant_chosen)")
                return told.replace("{AT}", at) if "t/m" in image.inside() else ""

            self.log = log
            self.assertEqual(self.build(image), "")
            self.assertEqual(image.inside(), ["t/n"])

    def test_an_object_that_does_not_come_is_all_that_is_known(self):
        for told in ("{standard input}: Assembler messages:\n{standard input}:12: Error: symbol `x' is already defined\n"
                     "make[3]: *** [../scripts/Makefile.build:289: mm/a.o] Error 1\n", "make[3]: *** [mm/a.o] Error 1\n"):
            image, problem = self.blame(told, ["t/l", "t/m"], l=[THREE], m=[ONE], n=[("mm/b.c", "return 1", "return 5")])
            self.assertEqual((problem, image.inside()), ("", ["t/n"]))

    def test_what_names_nobody_ends_it(self):
        self.assertEqual(self.blame("ld: out of memory\n", [])[1], "does not build: ld: out of memory")

    def test_if_all_are_dropped_there_is_no_kernel(self):
        self.assertEqual(self.blame("{AT}:3: error: x\n", ["t/m"], m=[ONE])[1], "no mutant can share it")
        self.assertEqual(len(self.rounds), 1)


class OfAllTopics(Source):
    def test_by_config(self):
        self.patch(paths, "TOPICS", self.folder / "topics")
        for topic, boot in (("t", "s:default"), ("u", "s:debug"), ("v", "program"), ("w", "nowhere")):
            self.write(f"topics/{topic}/mutants/a.toml",
                       f'[[mutant]]\nname = "m"\nbreaks = "-"\nboot = "{boot}"\nkilled_by = ["k/a"]\n'
                       '[[mutant.edit]]\nfile = "mm/a.c"\nold = "return 1"\nnew = "return 5"\n')
        known = {label: mutants.Suite(label.partition(":")[0], "t", config=label.partition(":")[2])
                 for label in ("s:default", "s:debug", "program")}
        found = mutants.of_configs(known)
        self.assertEqual({config: list(those) for config, those in found.items()}, {"default": ["t/m"], "debug": ["u/m"]})
        images = onekernel.Images(lambda: found)
        self.assertIs(images.of("default"), images.of("default"))
        self.assertEqual(images.of("default").inside(), ["t/m"])
        self.assertEqual(images.of("off").inside(), [])
        with self.assertRaises(CommandError):
            found["default"]["t/m"].texts(self.folder)

    def test_names_fit_into_c(self):
        names = [mutant.name for topic in mutants.topics() for mutant in mutants.read(topic)]
        self.assertEqual([name for name in names if not re.fullmatch(r"[\w./-]+", name)], [])
