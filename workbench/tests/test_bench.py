# SPDX-License-Identifier: GPL-2.0
"""The benchmark: figures, bounds, the table, and the code of functions. What is outside must not look fine."""

import contextlib
import io
import json
import tempfile
import threading
import time
import tomllib
import unittest
from pathlib import Path
from unittest import mock

from bench import figures, objects, record, run
from bench.figures import Row
from shared import Folder

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
                (('text = ', 'txt = '), "unknown txt"), (('boot = "plain"', 'boot = "smp2"'), "counts no instructions"), \
                (('text = ', 'beside = "other"\ntext = '), "beside a variant"):
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

    def test_what_is_compared_with_a_variant_is_not_run_on_the_base(self):
        rows = [*self.TABLE["row"], {"id": "d", "group": "one", "boot": "plain", "run": "user y", "beside": "other"}]
        self.assertEqual(run.commands_for(rows, "plain", "base"), ["loop calibrate", "user x"])
        self.assertEqual(run.commands_for(rows, "plain", "ours"), ["loop calibrate", "user x", "user y"])
        self.assertEqual(run.commands_for(rows, "plain", "other"), ["user y"])

    def test_a_variant_takes_the_place_of_the_base(self):
        rows = [{"id": name, "text": "t", "group": "g", "unit": "insn", "boot": "plain", "run": "user y", "figure": "y", "spread": 0.01,
                 **more} for name, more in (("a", {}), ("b", {"beside": "other"}))]
        results = {("plain", side, 0): {"user y": f"F y {value}\n"} for side, value in (("base", 9), ("ours", 6), ("other", 5))}
        bounds = {"a": {"ratio": 1.0}, "b": {"ratio": 1.02}}
        base, other = run.measured_rows(self.TABLE, rows, results, bounds)
        self.assertEqual((base.values, base.verdict()[0]), ({"base": [9], "ours": [6]}, "passed"))
        self.assertEqual((other.values, other.verdict()[0]), ({"base": [5], "ours": [6]}, "failed"))
        self.assertIn("other", figures.table([other])[0])
        without = {key: value for key, value in results.items() if key[1] != "other"}
        self.assertEqual(run.measured_rows(self.TABLE, rows, without, bounds)[1].mark(), "ok")      # no ratio is to be expected

    def test_ticks_that_are_no_instructions_stop_everything(self):
        for values in ([], [2.1], [2.0, 1.9]):
            calibration = row(values, [])
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                run.proven(calibration)
        run.proven(row([2.0], [2.00002]))


class Boots(unittest.TestCase):
    """Guests that count instructions run side by side, as many as there is room for; those that take time run alone."""

    def most_at_once(self, icount):
        lock, going, most, room = threading.Lock(), [], [], threading.BoundedSemaphore(2)

        def guest(boot):
            with lock:
                going.append(boot.name)
                most.append(len(going) + 10 * room._value)
            time.sleep(0.05)
            with lock:
                going.remove(boot.name)
            return mock.Mock(text=lambda name: f"S pair 1 {len(boot.name)}\n", problems=[])

        table = {"boot": {"plain": {"machine": "bench", "icount": icount}}, "symbols": []}
        rows = [{"id": "pair", "boot": "plain", "run": "loop pair"}]
        with mock.patch.multiple(run, guests_at_once=lambda: 4, room=lambda: room), mock.patch.object(run.qemu, "run", guest), \
                mock.patch.object(run.console, "say"):
            results, problems = run.boot_all(table, rows, {"base": "b", "ours": "o"}, False)
        self.assertEqual((len(results), problems), (4 if icount else 6, []))
        return max(count % 10 for count in most), min(count // 10 for count in most)

    def test_so_many_at_once(self):
        self.assertEqual(self.most_at_once(True), (2, 0))
        self.assertEqual(self.most_at_once(False), (1, 1))


class Table(unittest.TestCase):
    def test_a_line_has_everything(self):
        lines = figures.table([row([250, 250], [251, 251], ratio=1.000)])
        self.assertIn("page allocator", lines[0])
        for word in ("allocate + free", "250", "251", "1.004", "0.00%", "<= 1.000", "OUTSIDE"):
            self.assertIn(word, lines[1])

    def test_without_a_base_there_is_no_ratio(self):
        self.assertRegex(figures.table([row([], [251])])[1], r" - +251 insn +-$")


class Kept(Folder):
    def test_an_interrupt_leaves_what_was_there(self):
        self.patch(run, "OUT", self.folder)
        self.patch(run, "Kernel")
        made, old = [], self.folder / "rows.json"
        self.patch(run.shlex, "join", lambda _: "make")
        run.keep([row([1], [2])], {}, ["table"])
        self.assertEqual([each["id"] for each in json.loads(old.read_text())], ["pair"])
        text = old.read_text()

        def stop(beside, path):
            made.append(Path(path).name)
            if path == old:
                raise KeyboardInterrupt
            Path(beside).rename(path)

        self.patch(run.files.os, "replace", stop)
        with self.assertRaises(KeyboardInterrupt):
            run.keep([row([3], [4])], {}, ["table"])
        self.assertEqual((old.read_text(), made), (text, ["commands.txt", "rows.json"]))


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

    def test_a_hash_stands_for_the_code(self):
        first, moved, other = (objects.code_hash(self.functions(*words)["free"]) for words in ((10,), (20,), (10, "pop    %rbp")))
        self.assertEqual(first, moved)
        self.assertNotEqual(first, other)


PARTS = {"base": "tree1", "compiler": "gcc (Debian) 12", "qemu": "QEMU 10", "config": "abc"}


class Recorded(Folder):
    """The base's figures are taken from the file only if everything they depend on is the same."""

    TABLE = {"boot": {"plain": {"machine": "bench", "icount": True}}, "symbols": [],
             "function": [{"object": "a.o", "names": ["f", "g"]}],
             "row": [{"id": "calibrate", "text": "t", "group": "g", "unit": "insn", "boot": "plain", "run": "loop c", "figure": "c",
                      "short": True, "spread": 0.01},
                     {"id": "pair", "text": "t", "group": "g", "unit": "insn", "boot": "plain", "run": "loop p", "figure": "p",
                      "short": True, "spread": 0.01}]}
    BASE = {"static": {"image text": 1000, "size struct page": 64}, "functions": {"f": {"count": 7, "code": "x"}}}

    def setUp(self):
        super().setUp()
        self.file, self.said = self.folder / "base.toml", []
        self.patch(record, "FILE", self.file)
        self.patch(record.console, "say", self.said.append)

    def kept(self, **changes):
        record.keep({**PARTS, **changes}, {"calibrate": 2.0, "pair": 759.5}, **self.BASE)
        return record.find({**PARTS, **changes})

    def test_what_was_kept_is_found(self):
        entry = self.kept()
        self.assertEqual((entry["rows"], entry["static"], entry["functions"]),
                         ({"calibrate": 2.0, "pair": 759.5}, self.BASE["static"], self.BASE["functions"]))
        self.assertEqual(self.said, [])

    def test_any_other_part_is_another_base(self):
        self.kept()
        for name in PARTS:
            self.assertIsNone(record.find({**PARTS, name: "other"}), name)
            self.assertIn(f"({name})", self.said[-1])
        self.assertIsNone(record.find(None))

    def test_an_edited_entry_is_not_used(self):
        self.kept()
        self.file.write_text(self.file.read_text().replace("QEMU 10", "QEMU 11"))
        self.assertIsNone(record.find(PARTS))
        self.assertIsNone(record.find({**PARTS, "qemu": "QEMU 11"}))
        self.assertIn("an edited entry", self.said[-1])

    def test_two_compilers_stand_side_by_side_and_old_bases_go(self):
        self.kept()
        self.kept(compiler="gcc (Debian) 14")
        self.assertEqual(len(record.entries()), 2)
        self.kept(config="new")
        self.assertEqual([entry["made_of"]["config"] for entry in record.entries()], ["new", "abc"])
        self.kept(base="tree2")
        self.assertEqual([entry["made_of"]["base"] for entry in record.entries()], ["tree2"])

    def test_strings_survive(self):
        self.assertIsNotNone(self.kept(compiler='gcc "12"\\x é'))
        tomllib.loads(self.file.read_text())

    def test_recorded_figures_are_compared(self):
        results = {("plain", "ours", 0): {"loop c": "F c 2\n", "loop p": "F p 760\n"}}
        bounds = {"pair": {"ratio": 1.0}}
        pair = run.measured_rows(self.TABLE, self.TABLE["row"], results, bounds, self.kept())[1]
        self.assertEqual(pair.values, {"base": [759.5], "ours": [760]})
        self.assertEqual(pair.verdict()[0], "failed")
        lost = {**self.kept(), "rows": {"calibrate": 2.0}}
        self.assertEqual(run.measured_rows(self.TABLE, self.TABLE["row"], results, bounds, lost)[1].verdict()[0], "failed")

    def test_static_figures_are_compared(self):
        ours = {"static": {"image text": 1001, "size struct page": 64},
                "functions": {"f": {"count": 7, "code": "y"}, "g": {"count": 3, "code": "z"}}}
        rows = {row.id: row for row in run.static_rows(self.TABLE, self.kept(), ours, {"image text": {"ratio": 1.0}})}
        self.assertEqual(rows["image text"].verdict()[0], "failed")
        self.assertEqual(rows["size struct page"].ratio(), 1.0)
        self.assertNotIn("same code", rows["insn f"].text)
        self.assertEqual(rows["insn g"].values, {"base": [], "ours": [3]})
        ours["functions"]["f"]["code"] = "x"
        self.assertIn("same code", {row.id: row for row in run.static_rows(self.TABLE, self.kept(), ours, {})}["insn f"].text)

    def measured(self, recorded):
        """The sides that are built and booted."""
        built, booted = [], []
        both = {**self.BASE, "functions": {name: {"count": 7, "code": "x"} for name in "fg"}}

        def kernels(sides, variants):
            self.assertEqual(variants, {})
            built.extend(sides)
            return {side: mock.Mock() for side in sides}

        def boots(table, rows, images, once):
            booted.extend(images)
            return {("plain", side, 0): {"loop c": "F c 2\n", "loop p": "F p 759.5\n"} for side in images}, []

        with mock.patch.multiple(run, plan=lambda *_: (self.TABLE, self.TABLE["row"], {}), built_kernels=kernels, boot_all=boots,
                                 build_programs=mock.Mock(), static_figures=lambda *_: both):
            rows, _, problems = run.measure(short=True, recorded=recorded)
        self.assertEqual(problems, [])
        self.assertEqual({row.id: row.ratio() for row in rows if row.id in ("pair", "image text")}, {"pair": 1.0, "image text": 1.0})
        return built, booted

    def test_with_a_record_the_base_is_neither_built_nor_booted(self):
        self.assertEqual(self.measured(self.kept()), (["ours"], ["ours"]))
        self.assertEqual(self.measured(None), (["base", "ours"], ["base", "ours"]))

    def recording(self, first, second, problems=()):
        results = {("plain", "base", run): {"loop c": "F c 2\n", "loop p": text} for run, text in enumerate((first, second))}
        with mock.patch.multiple(run, plan=lambda *_: (self.TABLE, self.TABLE["row"], {}), parts_of_key=lambda *_: PARTS,
                                 built_kernels=lambda sides, _=None: {"base": mock.Mock()}, static_figures=lambda *_: self.BASE,
                                 boot_all=lambda *_: (results, list(problems))), contextlib.redirect_stderr(io.StringIO()):
            run.record_base()

    def test_what_repeats_is_recorded(self):
        self.recording("F p 759\n", "F p 760\n")
        self.assertEqual(record.find(PARTS)["rows"], {"calibrate": 2.0, "pair": 759.5})

    def test_nothing_else_is(self):
        for first, second, problems in (("F p 759\n", "F p 790\n", ()), ("F p 759\n", "", ()), ("", "", ()),
                                        ("F p 759\n", "F p 759\n", ("panic",))):
            with self.assertRaises(SystemExit):
                self.recording(first, second, problems)
            self.assertFalse(self.file.exists())


if __name__ == "__main__":
    unittest.main()
