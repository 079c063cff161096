# SPDX-License-Identifier: GPL-2.0
"""Copies of functions, a mutant in each: what is compiled does what its mutant says, and what cannot be copied is refused."""

import subprocess
import unittest

from check import copies
from shared import Folder

# What the kernel has, and a program with it: `program MUTANT WORDS` prints what test() says.
KERNEL = """\
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#define __init __attribute__((__section__(".init.text")))
#define __must_hold(x)
#define __printf(a, b) __attribute__((__format__(printf, a, b)))
#undef __always_inline
#define __always_inline inline __attribute__((__always_inline__))
#define __weak __attribute__((__weak__))
#define __maybe_unused __attribute__((__unused__))
"""
PROGRAM = """
unsigned int mutant_chosen = ~0U;
void mutant_was_early(const char *name)
{
	printf("early %s;", name);
}
int main(int argc, char **argv)
{
	if (argc > 1)
		mutant_chosen = strtoul(argv[1], NULL, 10);
	test();
	return 0;
}
"""


class Compiled(Folder):
    """Files with mutants, compiled and run."""

    def program(self, text, *mutants, more=()):
        """Compile a text with mutants 1, 2 and so on, each a tuple of (old, new)."""
        before, changes, added = copies.pieces(text), {}, ()
        for number, edits in enumerate(mutants, 1):
            changed = text
            for old, new in edits:
                self.assertEqual(changed.count(old), 1, old)
                changed = changed.replace(old, new)
            bodies, lines = copies.changed(before, changed)
            added += lines
            for piece, body in bodies.items():
                changes.setdefault(piece, {})[number] = body
        text, _ = copies.merged(before, changes, added)
        path = self.write("a.c", f"{KERNEL}{''.join(more)}{text}{PROGRAM}")
        done = subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-o", self.folder / "a", path], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.stderr, "")
        return text

    def says(self, *words):
        return subprocess.run([self.folder / "a", *map(str, words)], capture_output=True, text=True, check=True).stdout

    def all(self, *said):
        """What is said without a mutant, and with each."""
        self.assertEqual([self.says(number) for number in range(len(said))], list(said))


class Transformed(Compiled):
    def test_two_mutants_of_a_function_with_nested_braces(self):
        self.program("""
int sum(int n);
int sum(int n)
{
	int all = 0;

	for (int i = 0; i < n; i++) {
		if (i & 1) {
			all += i;
		}
	}
	return all;
}

static void test(void)
{
	printf("%d", sum(6));
}
""", [("i & 1", "1")], [("all += i", "all -= i")])
        self.all("9", "15", "-9")

    def test_two_functions_of_a_mutant(self):
        self.program("""
static int one(void)
{
	return 1;
}

static int two(void)
{
	return 2;
}

static void test(void)
{
	printf("%d %d", one(), two());
}
""", [("return 1", "return 5"), ("return 2", "return 6")], [("return 2", "return 7")])
        self.all("1 2", "5 6", "1 7")

    def test_no_value_a_struct_a_pointer_and_truth(self):
        self.program("""
struct pair { int a, b; };
static int left;
static struct pair pair_of(int a, int b)
{
	return (struct pair){ a, b };
}

static void set(int value)
{
	if (!value)
		return;
	left = value;
}

static struct pair *same(struct pair *pair)
{
	return pair;
}

static bool odd(unsigned long value)
{
	return value & 1;
}

static void test(void)
{
	struct pair pair = pair_of(1, 2);

	set(3);
	printf("%d %d %d %d %d", pair.a, pair.b, left, same(&pair) == &pair, odd(3));
}
""", [("{ a, b }", "{ b, a }")], [("left = value", "left = -value")], [("return pair;", "return NULL;")],
                     [("value & 1", "!(value & 1)")])
        self.all("1 2 3 1 1", "2 1 3 1 1", "1 2 -3 1 1", "1 2 3 0 1", "1 2 3 1 0")

    def test_signatures(self):
        text = self.program("""
static inline int a(int x)
{
	return x;
}

static __always_inline int b(int x, const char *const names[2], int (*fn)(int, int),
			     unsigned int __maybe_unused flags)
	__must_hold(x)
{
	return fn(x, names[0][0]);
}

int __init c(void);
int __init c(void)
{
	return 1;
}

int __weak d(void);
int __weak d(void)
{
	return 1;
}

static int plus(int x, int y)
{
	return x + y;
}

static void test(void)
{
	static const char *const names[2] = { "A", "B" };

	printf("%d %d %d %d", a(1), b(1, names, plus, 0), c(), d());
}
""", [("return x;", "return x + 1;")], [("names[0]", "names[1]")],
                            [("__init c(void)\n{\n\treturn 1", "__init c(void)\n{\n\treturn 2")],
                            [("__weak d(void)\n{\n\treturn 1", "__weak d(void)\n{\n\treturn 3")])
        self.all("1 66 1 1", "2 66 1 1", "1 67 1 1", "1 66 2 1", "1 66 1 3")
        self.assertIn("static __attribute__((__noinline__, __unused__)) int __init c__mutant_3(void)", text)
        self.assertIn("static __attribute__((__unused__)) inline int a__mutant_1(int x)", text)

    def test_who_calls_itself_has_the_mutant_each_time(self):
        self.program("""
static int down(int n)
{
	return n ? 1 + down(n - 1) : 0;
}

static void test(void)
{
	printf("%d", down(3));
}
""", [("1 + down", "2 + down")])
        self.all("3", "6")

    def test_static_variables_are_those_of_the_boot(self):
        self.program("""
static int next(void)
{
	static int number;

	return ++number;
}

static void test(void)
{
	next();
	printf("%d", next());
}
""", [("++number", "--number")])
        self.all("2", "-2")

    def test_what_runs_before_the_choice_is_told(self):
        text = "static int one(void)\n{\n\treturn 1;\n}\n\nstatic void test(void)\n{\n\tprintf(\"%d\", one());\n}\n"
        self.program(text, [("return 1", "return 2")])
        self.assertEqual(self.says(), "early one;1")

    def test_more_includes(self):
        self.write("more.h", "#define MORE 3\n")
        self.program("""#include <stddef.h>
static int one(void)
{
	return 1;
}

static void test(void)
{
	printf("%d", one());
}
""", [("#include <stddef.h>\n", '#include <stddef.h>\n#include "more.h"\n'), ("return 1", "return MORE")])
        self.all("1", "3")

    def test_spans_are_the_lines_of_the_copies(self):
        before = copies.pieces("int x;\nint one(void)\n{\n\treturn 1;\n}\n")
        piece = next(number for number, each in enumerate(before) if not isinstance(each, str))
        text, spans = copies.merged(before, {piece: {5: "{\n\treturn 5;\n}\n", 6: "{\n\treturn 6;\n}\n"}})
        lines = text.splitlines()
        self.assertEqual([span.numbers for span in spans if span.first <= lines.index("\treturn 5;") + 1 <= span.last], [{5}])
        self.assertEqual([span.numbers for span in spans if span.first <= lines.index("\treturn 1;") + 1 <= span.last], [{5, 6}])

    def test_what_is_not_changed_stays_to_the_letter(self):
        text = "int a[] =\n{\n\t1,\n};\n\n/* A. */\nint one(void)\n{\n\treturn 1;\n}\nEXPORT_SYMBOL(one);\n#define X \\\n{ \\\n}\n"
        self.assertEqual(copies.merged(copies.pieces(text), {}), (text, []))


class Refused(unittest.TestCase):
    def refused(self, why, text, old, new):
        self.assertEqual(text.count(old), 1)
        with self.assertRaisesRegex(copies.Alone, why):
            copies.changed(copies.pieces(text), text.replace(old, new))

    def body(self, why, signature, body="\treturn 1;\n"):
        self.refused(why, f"int x;\n\n{signature}\n{{\n{body}\tend();\n}}\n", "end();", "stop();")

    def test_what_is_not_in_a_body(self):
        text = "#define A 1\n\nint one(int x)\n{\n\treturn A;\n}\n\nint a[] = { 1 };\n"
        self.refused("outside of functions", text, "A 1", "A 2")
        self.refused("outside of functions", text, "{ 1 }", "{ 2 }")
        self.refused("changes a signature", text, "int x", "long x")
        self.refused("more than bodies", text, "int a[]", "int two(void)\n{\n\treturn 2;\n}\n\nint a[]")
        self.refused("more than bodies", text, "\nint one(int x)\n{\n\treturn A;\n}\n", "")

    def test_signatures(self):
        self.body("a macro: SYSCALL_DEFINE2", "SYSCALL_DEFINE2(a, int, x, int, y)")
        self.body("a macro: DEFINE_X", "static DEFINE_X(a)")
        self.body("any number of arguments", "static __printf(1, 2) int a(const char *fmt, ...)")
        self.body("does not return", "void __noreturn a(void)")
        self.body("has no name", "int a(MACRO)")
        self.body("not understood", "#endif")
        self.body("not understood|a macro", "void (*a(int x))(int)")

    def test_bodies(self):
        self.body("asks who called", "int a(void)", "\tb(_RET_IP_);\n")
        self.body("asks who called", "int a(void)", "\tb(__builtin_return_address(0));\n")
        self.body("label in assembly", "int a(void)", '\tasm volatile("nop\\n"\n\t\t "here: nop");\n')
        self.body("defines a macro", "int a(void)", "#define B 1\n\treturn B;\n")
        self.body("preprocessor cuts", "int a(void)", "#ifdef B\n")

    def test_what_only_looks_so(self):
        for signature, body in (("int a(void)", '\tasm volatile("1: nop" : : "r" (x));\n'),
                                ("static void __acquires(x) a(int x)", ""),
                                ("__u32 a(int x)", ""), ("struct a *__init a(struct b *b)", "#ifdef B\n\treturn 1;\n#endif\n")):
            text = f"{signature}\n{{\n{body}\tend();\n}}\n"
            bodies, _ = copies.changed(copies.pieces(text), text.replace("end()", "stop()"))
            self.assertEqual(len(bodies), 1, signature)
