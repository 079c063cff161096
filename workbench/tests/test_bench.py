# SPDX-License-Identifier: GPL-2.0
"""The benchmark: figures, bounds, the table, and the code of functions. What is outside must not look fine."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from bench import figures, objects, run
from bench.figures import Row

ROWS = """
symbols = []
[boot.plain]
machine = "bench"
icount = true
[boot.smp2]
machine = "smp2"
[[row]]
id = "pair"
text = "allocate + free"
group = "page allocator"
boot = "plain"
run = "loop pair"
short = true
"""

OBJDUMP = """
mm/page_alloc.o:     file format elf64-x86-64

0000000000000{start}0 <free>:
 {start}0:	push   %rbx
 {start}1:	call   {start}6 <free+0x6>
			{start}2: R_X86_64_PLT32	prepare-0x4
 {start}6:	jmp    {start}8 <free+0x8>
 {start}8:	{body}
 {start}c:	ret
 {start}d:	nopw   0x0(%rax,%rax,1)
 {start}e:	xchg   %ax,%ax

0000000000000300 <free.part.0>:
 300:	ret
"""


def row(base, ours, **bound):
    """A row with these values in its runs."""
    made = Row("pair", "allocate + free", "page allocator", "insn", bound=bound)
    made.values = {"base": base, "ours": ours}
    return made


def written(text):
    """A file with a text, and the folder that has to be kept for it."""
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "file.toml"
    path.write_text(text)
    return path, folder


class Figures(unittest.TestCase):
    def test_samples_give_their_median(self):
        self.assertEqual(figures.figures("S pair 64 640\nS pair 64 9999\nS pair 64 640\n"), {"pair": 10})

    def test_plain_figures_and_histograms_stand_beside_samples(self):
        text = "F ns_mean 12.5\nH latency 1024 3\nH latency 2048 0\nS pair 2 8\n"
        self.assertEqual(figures.figures(text), {"ns_mean": 12.5, "pair": 4})
        self.assertEqual(figures.histogram(text), [(1024, 3), (2048, 0)])

    def test_what_is_no_figure_is_none(self):
        self.assertEqual(figures.figures("bench: error -12 after 3 samples\n"), {})


class Bounds(unittest.TestCase):
    def test_the_same_is_within(self):
        self.assertEqual(row([250], [250], ratio=1.000).verdict()[0], "passed")

    def test_one_instruction_in_250_is_outside(self):
        status, detail = row([250], [251], ratio=1.000).verdict()
        self.assertEqual(status, "failed")
        self.assertIn("1.004 > 1.000", detail)

    def test_fewer_is_within(self):
        self.assertEqual(row([250], [200], ratio=1.000).verdict()[0], "passed")

    def test_no_figure_is_outside(self):
        self.assertEqual(row([250], [], ratio=1.000).verdict()[0], "failed")
        self.assertEqual(row([], [250], ratio=1.000).verdict()[0], "failed")

    def test_something_where_the_base_has_nothing_is_outside(self):
        self.assertEqual(row([0], [3], ratio=1.000).verdict()[0], "failed")
        self.assertEqual(row([0], [0], ratio=1.000).verdict()[0], "passed")

    def test_an_absolute_bound_needs_no_base(self):
        self.assertEqual(row([], [150], max=150).verdict()[0], "passed")
        self.assertEqual(row([], [151], max=150).verdict()[0], "failed")

    def test_pending_skips_until_it_is_met(self):
        self.assertEqual(row([9], [151], max=150, pending="later").verdict(), ("skipped", "pending: later"))
        status, detail = row([9], [150], max=150, pending="later").verdict()
        self.assertEqual(status, "failed")
        self.assertIn("take its `pending` out", detail)

    def test_marks(self):
        self.assertEqual(row([250], [250], ratio=1.000).mark(), "ok")
        self.assertEqual(row([250], [251], ratio=1.000).mark(), "OUTSIDE")
        self.assertEqual(row([250], [251], ratio=1.000, pending="later").mark(), "pending")
        self.assertEqual(row([250], [251]).mark(), "")

    def test_what_does_not_repeat_is_marked(self):
        self.assertEqual(row([250, 254], [250, 250], ratio=1.000).mark(), "UNSTEADY")
        rough = row([250, 254], [250, 250], ratio=1.000)
        rough.allowed = 0.1
        self.assertEqual(rough.mark(), "ok")
        timed = row([250, 254], [250, 250])
        timed.counted = False
        self.assertEqual(timed.mark(), "")

    def test_spread_is_that_of_the_worse_side(self):
        self.assertAlmostEqual(row([100, 100], [100, 102]).spread(), 2 / 101)
        self.assertIsNone(row([100], [100]).spread())


class Files(unittest.TestCase):
    def dies(self, function, *args):
        told = io.StringIO()
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(told):
            function(*args)
        return told.getvalue()

    def test_the_repository_s_files_are_sound(self):
        table = figures.read_rows()
        bounds = figures.read_bounds({entry["id"] for entry in table["row"]} | run.static_names(table))
        self.assertEqual(bounds["order0-pcp"]["ratio"], 1.000)
        self.assertTrue(next(entry for entry in table["row"] if entry["id"] == "order0-pcp")["short"])

    def test_defaults(self):
        path, folder = written(ROWS)
        with folder:
            entry = figures.read_rows(path)["row"][0]
        self.assertEqual((entry["figure"], entry["unit"]), ("pair", "insn"))

    def test_bad_rows_are_refused(self):
        for change, told in (('boot = "plain"', 'boot = "other"'), "no boot other"), \
                (('text = ', 'txt = '), "unknown txt"), (('boot = "plain"', 'boot = "smp2"'), "counts no instructions"):
            path, folder = written(ROWS.replace(*change))
            with folder:
                self.assertIn(told, self.dies(figures.read_rows, path))

    def test_an_id_is_used_once(self):
        path, folder = written(ROWS + ROWS[ROWS.index("[[row]]"):])
        with folder:
            self.assertIn("two rows pair", self.dies(figures.read_rows, path))

    def test_bad_bounds_are_refused(self):
        for text, told in (("[other]\nratio = 1\n", "no row other"), ("[pair]\npending = 'x'\n", "ratio or max"),
                           ("[pair]\nmin = 1\n", "ratio or max"), ("[pair]\nknown = {x = 1.0}\n", "ratio or max"),
                           ("[pair]\nratio = 1.0\nknown = {x = 1.1}\n", "tighter")):
            path, folder = written(text)
            with folder:
                self.assertIn(told, self.dies(figures.read_bounds, {"pair"}, path))

    def test_a_known_compiler_has_a_tighter_bound(self):
        path, folder = written('[pair]\nratio = 1.0\nknown = {"gcc 12" = 0.996}\n')
        with folder:
            for compiler, ratio in (("gcc 12", 0.996), ("gcc 13", 1.0), (None, 1.0)):
                self.assertEqual(figures.read_bounds({"pair"}, path, compiler), {"pair": {"ratio": ratio}})

    def test_the_compiler_has_a_name(self):
        self.assertRegex(figures.compiler_name(), r"^gcc \d+$")


class Choice(unittest.TestCase):
    TABLE = {"boot": {"plain": {}, "owner": {}}, "row": [
        {"id": "calibrate", "group": "calibration", "boot": "plain", "run": "loop calibrate", "short": True},
        {"id": "a", "group": "one", "boot": "plain", "run": "user x", "short": True},
        {"id": "b", "group": "one", "boot": "plain", "run": "user x"},
        {"id": "c", "group": "two", "boot": "owner", "run": "loop new", "only": "ours"}]}

    def chosen(self, names, short=False):
        return [entry["id"] for entry in run.chosen(self.TABLE, names, short)]

    def test_by_id_group_and_boot(self):
        self.assertEqual(self.chosen([]), ["calibrate", "a", "b", "c"])
        self.assertEqual(self.chosen([], short=True), ["calibrate", "a"])
        self.assertEqual(self.chosen(["b"]), ["calibrate", "b"])
        self.assertEqual(self.chosen(["two"]), ["calibrate", "c"])
        self.assertEqual(self.chosen(["plain"]), ["calibrate", "a", "b"])
        self.assertEqual(self.chosen(["static"]), [])
        self.assertEqual(self.chosen(["static", "b"]), ["calibrate", "b"])

    def test_an_unknown_name_is_refused(self):
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
            self.chosen(["z"])

    def test_a_call_is_made_once_and_only_where_it_can(self):
        rows = self.TABLE["row"]
        self.assertEqual(run.commands_for(rows, "plain", "base"), ["loop calibrate", "user x"])
        self.assertEqual(run.commands_for(rows, "owner", "base"), [])
        self.assertEqual(run.commands_for(rows, "owner", "ours"), ["loop new"])

    def test_ticks_that_are_no_instructions_stop_everything(self):
        for values in ([], [2.1], [2.0, 1.9]):
            calibration = row(values, [])
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                run.proven(calibration)
        run.proven(row([2.0], [2.00002]))


class Table(unittest.TestCase):
    def test_a_line_has_everything(self):
        lines = figures.table([row([250, 250], [251, 251], ratio=1.000)])
        self.assertIn("page allocator", lines[0])
        for word in ("allocate + free", "250", "251", "1.004", "0.00%", "<= 1.000", "OUTSIDE"):
            self.assertIn(word, lines[1])

    def test_without_a_base_there_is_no_ratio(self):
        self.assertRegex(figures.table([row([], [251])])[1], r" - +251 insn +-$")


class Code(unittest.TestCase):
    def functions(self, start, body="pop    %rbx"):
        return objects.functions(OBJDUMP.format(start=start, body=body))

    def test_code_that_only_moved_is_the_same(self):
        self.assertEqual(self.functions(10), self.functions(20))

    def test_other_code_is_not(self):
        self.assertNotEqual(self.functions(10), self.functions(10, "pop    %rbp"))

    def test_another_callee_is_not_the_same(self):
        other = objects.functions(OBJDUMP.format(start=10, body="pop    %rbx").replace("prepare", "unprepare"))
        self.assertNotEqual(self.functions(10), other)

    def test_a_target_elsewhere_is_its_name(self):
        text = """x.o:     file format elf64-x86-64

Disassembly of section .text:

{first:016x} <local>:
  {first:x}:\tret

{second:016x} <caller>:
  {second:x}:\tcall   {first:x} <local>
  {jump:x}:\tjmp    {second:x} <caller>
\t\t\t{jump:x}: R_X86_64_32S\t.text+0x{first:x}
"""
        moved = [objects.functions(text.format(first=start, second=start + 16, jump=start + 21))["caller"]
                 for start in (0, 0x70)]
        self.assertEqual(moved[0], ["call   <local>", "jmp    +0x0", "    local+0x0"])
        self.assertEqual(moved[0], moved[1])
        other = text.format(first=0, second=16, jump=21).replace("local", "other")
        self.assertNotEqual(moved[0], objects.functions(other)["caller"])

    def test_count_has_parts_and_no_padding(self):
        text = OBJDUMP.format(start=10, body="pop    %rbx")
        self.assertEqual(objects.count(objects.functions(text[:text.index("0000000000000300")])["free"]), 5)
        self.assertEqual(objects.count(objects.functions(text)["free"]), 6)


if __name__ == "__main__":
    unittest.main()
