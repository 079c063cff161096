# SPDX-License-Identifier: GPL-2.0
"""The benchmark's static figures: sizes of the image and of structures, and instructions of functions."""

import difflib
import re

import wb

FUNCTION = re.compile(r"^([0-9a-f]+) <([^>]+)>:$")
INSTRUCTION = re.compile(r"^\s+[0-9a-f]+:\s+(\S.*)$")
RELOCATION = re.compile(r"^R_\w+\s+")
PADDING = re.compile(r"(data16 |cs )*(nop|xchg\s+%ax,%ax)|int3")


def functions(text):
    """Function -> its instructions, from `objdump -dr`; a compiler's parts and clones belong to their function.

    Relocations are indented. Addresses and the padding between functions are taken out, so that code that only moved is
    the same; jumps within a function keep their distance. What was split off as unlikely is a function NAME.cold.
    """
    found = {}
    for chunk in re.split(r"\n(?=[0-9a-f]+ <)", text):
        lines = chunk.splitlines()
        match = FUNCTION.match(lines[0]) if lines else None
        if not match:
            continue
        name = re.sub(r"\.(constprop|isra|part)\b[.\d]*", "", match[2])
        code = []
        for line in lines[1:]:
            if not (instruction := INSTRUCTION.match(line)):
                continue
            if RELOCATION.match(instruction[1]):
                code.append("    " + RELOCATION.sub("", instruction[1]))
            else:
                code.append(relative(instruction[1], int(match[1], 16)))
        while code and PADDING.match(code[-1]):
            code.pop()
        found.setdefault(name, []).extend(code)
    return found


def relative(instruction, start):
    """An instruction with targets as distances from the function's start, and without objdump's comments."""
    instruction = re.sub(r"\s+#.*$", "", instruction)
    return re.sub(r"\b([0-9a-f]+) <[^>]+>$", lambda match: f"+{int(match[1], 16) - start:#x}", instruction)


def count(lines):
    """How many instructions: relocations are none."""
    return sum(not line.startswith("    ") for line in lines)


def disassembled(kernel, name):
    """The functions of an object of a kernel."""
    return functions(wb.out(["objdump", "-dr", "--no-show-raw-insn", kernel.objects / name]))


def instruction_counts(spec, base, ours):
    """[(function, count in base or None, count in ours or None, same code)] for the [[function]] tables of rows.toml."""
    rows = []
    for entry in spec:
        before, now = disassembled(base, entry["object"]), disassembled(ours, entry["object"])
        for name in entry["names"]:
            if name not in before and name not in now:
                raise ValueError(f"{entry['object']} has no function {name} in either kernel: see rows.toml")
            counts = [count(side[name]) if name in side else None for side in (before, now)]
            rows.append((name, *counts, before.get(name) == now.get(name)))
    return rows


def difference(name, base, ours, spec):
    """The disassembly of one function, base against ours, as a unified diff."""
    for entry in spec:
        before, now = disassembled(base, entry["object"]), disassembled(ours, entry["object"])
        if name in before or name in now:
            return list(difflib.unified_diff(before.get(name, []), now.get(name, []), f"base {entry['object']} {name}",
                                             f"ours {entry['object']} {name}", lineterm="", n=3))
    raise ValueError(f"no object of rows.toml has a function {name}")


def structure_sizes(objects):
    """Name -> bytes, from the arrays in the benchmark's sizes.o."""
    found = {}
    for line in wb.out(["nm", "-S", objects / "sizes.o"]).splitlines():
        words = line.split()
        if len(words) == 4 and words[3].startswith(("size_", "number_")):
            kind, name = words[3].split("_", 1)
            found[f"struct {name}" if kind == "size" else name] = int(words[1], 16)
    return found


def image_sizes(kernel):
    """Section kind -> bytes of the kernel."""
    words = wb.out(["size", kernel.objects / "vmlinux"]).splitlines()[1].split()
    return {"text": int(words[0]), "data": int(words[1]), "bss": int(words[2])}
