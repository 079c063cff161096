# SPDX-License-Identifier: GPL-2.0
"""Run the benchmark: base and patched kernel with one config and compiler, the same programs in the same guest.

wb bench [NAME ...]             all rows, or some: by id, group or boot, or `static`; table, raw data and plots: build/bench/
wb bench --short                what `make check` runs: one boot of each kind, the short rows
wb bench --ours                 without the base, while something is being written: no ratios, absolute bounds alone
wb bench --record               the base's figures for --short, to base.toml: `make check` then needs no kernel of the base
wb bench --diff FUNCTION        a function's disassembly in both kernels; rows.toml names the objects
"""

import argparse
import concurrent.futures
import os
import re
import shlex
import shutil
import sys

from bench import figures, objects, plot, record
from bench.figures import Row
from check.boots import guests_at_once, room
from check.changed import MutatedKernel, edited
from guest import qemu
from kernel import source
from kernel.build import Kernel, base_tree
from lib import console, files, lock, paths, process
from lib.cases import Case

OUT = paths.BUILD / "bench"
SIDES = ("base", "ours")
COUNTED_RUNS = 2        # boots of a kind and side where instructions are counted: they repeat
TIMED_RUNS = 3          # and where time is taken


def variant(name, edits):
    """A kernel of ours with some edits, as mutants are."""
    kernel = MutatedKernel("default", f"bench-{name}")
    kernel.changed.become(edited(kernel.source, [(edit["file"], edit["old"], edit["new"]) for edit in edits]))
    return kernel


def built_kernels(sides, variants=None):
    """The kernels to compare, built; and the modules for each. `variants` are the tables of those that are no kernel of the two."""
    if "base" in sides:
        base_tree()
    found = {side: Kernel("default", base=side == "base") for side in sides}
    found |= {name: variant(name, table["edit"]) for name, table in (variants or {}).items()}
    for side, kernel in found.items():
        kernel.build()
        build_modules(side, kernel)
    return found


def build_modules(side, kernel):
    """The benchmark's modules and sizes.o for one kernel, in build/bench/SIDE."""
    folder = OUT / side
    folder.mkdir(parents=True, exist_ok=True)
    source = figures.FILES / "module"
    if not (kernel.objects / "Module.symvers").exists() or \
            (kernel.objects / "Module.symvers").stat().st_mtime < (kernel.objects / "vmlinux").stat().st_mtime:
        kernel.build("modules", quiet=True)
        (kernel.objects / "Module.symvers").touch()
    with kernel.locked():
        process.run(kernel.make(f"-j{os.cpu_count()}", f"M={source}", f"MO={folder}", "modules"), f"bench-modules-{side}.log",
               f"building the benchmark's modules for {side}", env=kernel.environment())


def build_programs():
    """The user-space programs, one static binary for both sides."""
    OUT.mkdir(parents=True, exist_ok=True)
    program = OUT / "bench-user"
    sources = sorted((figures.FILES / "user").glob("*.c"))
    flags = ["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-static", "-pthread"]
    process.run(["gcc", *flags, "-o", program, *sources], "bench-user.log", "building the benchmark's programs")
    return program


def boot_of(name, spec, image, commands, symbols, binaries=None):
    """A boot that runs commands."""
    return qemu.Boot(kernel=image, name=name, machine=spec["machine"], append=spec.get("append", ""),
                     jobs=("bench", "witness"), config="default",
                     files={"commands": "\n".join(commands) + "\n", "symbols": "\n".join(symbols) + "\n"},
                     binaries=binaries or {}, icount=spec.get("icount", False),
                     taint=qemu.TAINT_TEST | qemu.TAINT_MODULE, killed=("bench-hog",), timeout=900)


def boot_once(name, spec, side, image, run, commands, symbols):
    """One boot of one kernel, when there is room for it: {command: its output} and what went wrong."""
    modules = {path.name: path for path in sorted((OUT / side).glob("bench_*.ko"))}
    boot = boot_of(f"bench-{name}-{side}-{run}", spec, image, commands, symbols, {**modules, "bench-user": OUT / "bench-user"})
    with room():
        outcome = qemu.run(boot)
    outputs = {command: outcome.text(f"bench/{number}") for number, command in enumerate(commands, 1)}
    return outputs, [f"{boot.name}: {problem} (log {outcome.console})" for problem in outcome.problems]


def commands_for(rows, boot, side):
    """The commands of a boot: each once, without those that a side does not have, or that are not compared with it."""
    wanted = [row["run"] for row in rows if row["boot"] == boot and row.get("only", side) == side
              and side in ("ours", row.get("beside", "base"))]
    return list(dict.fromkeys(wanted))


def boot_all(table, rows, images, once):
    """Every boot that the rows need: {(boot, side, run): {command: output}}, and the problems.

    Where instructions are counted both sides run at once: load does not move them. What is timed runs alone.
    """
    results, problems = {}, []
    for name, spec in table["boot"].items():
        runs = 1 if once else COUNTED_RUNS if spec.get("icount") else TIMED_RUNS
        jobs = [(side, run) for run in range(runs) for side in images if commands_for(rows, name, side)]
        if not jobs:
            continue
        at_once = guests_at_once() if spec.get("icount") else 1
        console.say(f"booting {name} ({len(jobs)} times, {at_once if at_once < len(jobs) else len(jobs)} at once)")
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            futures = {(side, run): pool.submit(boot_once, name, spec, side, images[side], run,
                                                commands_for(rows, name, side), table["symbols"]) for side, run in jobs}
            for (side, run), future in futures.items():
                results[(name, side, run)], wrong = future.result()
                problems += wrong
    return results, problems


def measured_rows(table, rows, results, bounds, recorded=None):
    """The rows of the table from what the guests printed, and from what is recorded of the base."""
    known = (recorded or {}).get("rows", {})
    found, there = [], {"base"} if known else {side for _, side, _ in results}
    for row in rows:
        beside = row.get("beside", "base")
        entry = Row(row["id"], row["text"], row["group"], row["unit"], bool(table["boot"][row["boot"]].get("icount")),
                    bound=bounds.get(row["id"], {}), allowed=row["spread"], compared=beside in there, beside=beside)
        if row["id"] in known:
            entry.values["base"].append(known[row["id"]])
        for (boot, side, _), outputs in results.items():
            if boot == row["boot"] and row["run"] in outputs:
                values = figures.figures(outputs[row["run"]])
                if row["figure"] in values and side in ("ours", beside):
                    entry.values["ours" if side == "ours" else "base"].append(values[row["figure"]])
        found.append(entry)
    return found


def static_figures(table, kernel, side):
    """What needs no boot of one kernel: {"static": {name: bytes}, "functions": {name: {count, code}}}."""
    sizes = {f"image {kind}": size for kind, size in objects.image_sizes(kernel).items()}
    sizes |= {f"size {name}": size for name, size in objects.structure_sizes(OUT / side).items()}
    return {"static": sizes, "functions": objects.code_figures(table["function"], kernel)}


def static_rows(table, base, ours, bounds):
    """The rows of the table that need no boot, from both sides' static_figures()."""
    found = []

    def add(name, text, group, unit, before, now):
        row = Row(name, text, group, unit, bound=bounds.get(name, {}))
        row.values = {"base": [] if before is None else [before], "ours": [] if now is None else [now]}
        found.append(row)

    for name, size in ours["static"].items():
        kind, what = name.split(" ", 1)
        text = f"{what} of the kernel" if kind == "image" else what
        add(name, text, "sizes", "bytes" if kind == "image" or what.startswith("struct") else "", base["static"].get(name), size)
    for name, before, now, same in objects.instruction_counts(table["function"], base["functions"], ours["functions"]):
        add(f"insn {name}", f"{name}(){', same code' if same else ''}", "instructions of functions", "insn", before, now)
    return found


def static_names(table):
    """The ids of static rows that bounds may name before anything is built."""
    sizes = re.findall(r"^(SIZE|NUMBER)\((\w+)\);", (figures.FILES / "module" / "sizes.c").read_text(), re.M)
    return {f"image {kind}" for kind in ("text", "data", "bss")} \
        | {f"size struct {name}" if kind == "SIZE" else f"size {name}" for kind, name in sizes} \
        | {f"insn {name}" for entry in table["function"] for name in entry["names"]}


def proven(row):
    """The calibration row shows what a tick is: without it no figure means anything."""
    values = row.values["base"] + row.values["ours"]
    if not values or any(abs(value - 2) > 0.002 for value in values):
        console.die(f"a loop of two instructions took {' '.join(map(str, values)) or 'no'} ticks: instructions are not counted")


def chosen(table, names, short):
    """The rows that are asked for by id, group or boot; the calibration is always among them."""
    wanted = set(names) - {"static"}
    known = {row[key] for row in table["row"] for key in ("id", "group", "boot")}
    if wanted - known:
        console.die(f"no row {' '.join(sorted(wanted - known))}; rows.toml has their ids, groups and boots")
    if names and not wanted:
        return []
    return [row for row in table["row"] if (row.get("short") or not short) and
            (not wanted or row["id"] == "calibrate" or {row["id"], row["group"], row["boot"]} & wanted)]


def plan(names, short):
    """rows.toml, the rows that are asked for, and the bounds."""
    table = figures.read_rows()
    bounds = figures.read_bounds({row["id"] for row in table["row"]} | static_names(table),
                                     compiler=figures.compiler_name())
    return table, chosen(table, names, short), bounds


def measure(names=(), short=False, sides=SIDES, recorded=None):
    """Build, boot, and return the rows, what the guests printed, and the problems. With figures of the base that are recorded
    only ours is built and booted."""
    table, rows, bounds = plan(names, short)
    sides = ("ours",) if recorded else sides
    beside = {row["beside"] for row in rows if "beside" in row} if sides == SIDES else ()
    built = built_kernels(sides, {name: table["variant"][name] for name in sorted(beside)})
    build_programs()
    results, problems = boot_all(table, rows, {side: kernel.image() for side, kernel in built.items()}, short)
    found = measured_rows(table, rows, results, bounds, recorded)
    if rows and not problems:
        proven(next(row for row in found if row.id == "calibrate"))
    if (recorded or sides == SIDES) and (not names or "static" in names):
        base = recorded or static_figures(table, built["base"], "base")
        found += static_rows(table, base, static_figures(table, built["ours"], "ours"), bounds)
    return found, results, problems


def parts_of_key(table, rows):
    """What the base's figures for these rows depend on; see record.py."""
    boots = [boot_of(name, spec, "kernel", commands, table["symbols"]) for name, spec in table["boot"].items()
             if (commands := commands_for(rows, name, "base"))]
    return record.made_of(table, rows, boots, build_programs())


def record_base():
    """Measure the base twice and keep its figures, if they are the same both times."""
    table, rows, _ = plan((), True)
    parts = parts_of_key(table, rows)
    if parts is None:
        console.die("the guest's root has no list of its packages, so nobody could tell what the figures depend on: wb root")
    kernel = built_kernels(("base",))["base"]
    results, problems = boot_all(table, rows, {"base": kernel.image()}, False)
    if problems:
        console.die(f"not recorded: {'; '.join(problems)}")
    found = [row for row in measured_rows(table, rows, results, {}) if row.values["base"]]
    proven(next(row for row in found if row.id == "calibrate"))
    unsteady = [row.id for row in found if len(row.values["base"]) < COUNTED_RUNS or (row.spread() or 0) > row.allowed]
    missing = {row["id"] for row in rows if row.get("only", "base") == "base"} - {row.id for row in found}
    if unsteady or missing:
        console.die(f"not recorded: no figure that repeats for {' '.join(sorted({*unsteady, *missing}))}")
    static = static_figures(table, kernel, "base")
    record.keep(parts, {row.id: row.value("base") for row in found}, static["static"], static["functions"])
    console.say(f"{len(found)} figures of the base: {record.FILE}")


def keep(rows, results, lines):
    """The raw data, the commands and the table, in build/bench."""
    raw = OUT / "raw"
    shutil.rmtree(raw, ignore_errors=True)
    raw.mkdir(parents=True)
    commands = [shlex.join(Kernel("default", base=side == "base").make("bzImage")) + "\n" for side in SIDES]
    for (boot, side, run), outputs in results.items():
        folder = raw / f"{boot}-{side}-{run}"
        folder.mkdir()
        for command, text in outputs.items():
            (folder / command.replace(" ", "_")).write_text(text)
        commands.append((paths.BUILD / "run" / f"bench-{folder.name}" / "command").read_text())
    files.write(OUT / "commands.txt", f"# Files below {raw} are named after the boot and the guest's command.\n"
                + "".join(commands))
    files.write_json(OUT / "rows.json", [vars(row) for row in rows])
    files.write(OUT / "table.txt", "\n".join(lines) + "\n")


def heading():
    """What was compared, with what, in three lines."""
    compiler = process.out(["gcc", "--version"]).splitlines()[0]
    qemu = process.out(["qemu-system-x86_64", "--version"]).splitlines()[0]
    base, series = (source.git().text("log", "-1", "--format=%h %s", name) for name in (source.base(), source.commit()))
    return [f"base: {base}", f"ours: {series}", f"config default, {compiler}, {qemu}", ""]


def short_cases():
    """What `make check` has of the benchmark: each short row and static figure that has a bound, one boot of each kind."""
    table, wanted, _ = plan((), True)
    with alone():
        rows, results, problems = measure(short=True, recorded=record.find(parts_of_key(table, wanted)))
        keep(rows, results, figures.table(rows))
    cases = [Case("boots", "failed" if problems else "passed", "; ".join(problems))]
    for row in rows:
        if row.bound:
            status, detail = row.verdict()
            cases.append(Case(row.id, status, "" if status == "passed" else detail))
    return cases


def show_difference(name):
    """A function's disassembly in both kernels, and how many instructions each has."""
    table = figures.read_rows()
    base_tree()
    both = {"base": Kernel("default", base=True), "ours": Kernel("default")}
    for kernel in both.values():
        kernel.build(*[entry["object"] for entry in table["function"]])
    lines = objects.difference(name, both["base"], both["ours"], table["function"])
    print("\n".join(lines) or f"{name}: the same code in both kernels")


def main(words):
    """Parse the command line, run, print the table."""
    parser = argparse.ArgumentParser(prog="wb bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--ours", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--diff", metavar="FUNCTION")
    args = parser.parse_args(words)
    source.pin(own=True)
    if args.diff:
        show_difference(args.diff)
        return 0
    qemu.prepare()
    with alone():
        return record_base() if args.record else measure_and_show(args)


def alone():
    """One benchmark at a time: its files and the names of its boots are always the same."""
    return lock.held(f"{OUT}.lock", f"measures and writes {OUT}")


def measure_and_show(args):
    """The benchmark, its table and plots."""
    rows, results, problems = measure(args.names, args.short, ("ours",) if args.ours else SIDES)
    lines = heading() + figures.table(rows)
    keep(rows, results, lines)
    print("\n".join(lines))
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    plot.draw(rows, results, OUT)
    console.say(f"table, raw data, commands and plots: {OUT}")
    outside = [row.id for row in rows if re.match("OUTSIDE|UNSTEADY", row.mark())]
    if outside:
        print(f"outside of their bounds: {', '.join(outside)}")
    return int(bool(problems or outside))
