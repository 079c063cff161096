# SPDX-License-Identifier: GPL-2.0
"""The benchmark's static figures: sizes of the image and of structures, and instructions of functions."""

import bisect
import difflib
import hashlib
import re

from lib import process

FUNCTION = re.compile(r"^([0-9a-f]+) <([^>]+)>:$")
INSTRUCTION = re.compile(r"^\s+[0-9a-f]+:\s+(\S.*)$")
RELOCATION = re.compile(r"^R_\w+\s+")
PADDING = re.compile(r"(data16 |cs )*(nop|xchg\s+%ax,%ax)|int3")


def functions(text):
    """Function -> its instructions, from `objdump -dr`; a compiler's parts and clones belong to their function.

    Relocations are indented. Addresses and the padding between functions are taken out, so that code that only moved is
    the same: a target within the function keeps its distance, one elsewhere is the function it is in and the distance
    from that one's start. What was split off as unlikely is a function NAME.cold.
    """
    chunks = re.split(r"\n(?=[0-9a-f]+ <)", text)
    starts = text_symbols(text)
    found = {}
    for chunk in chunks:
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
                code.append("    " + named(RELOCATION.sub("", instruction[1]), starts))
            else:
                code.append(relative(instruction[1], int(match[1], 16), match[2]))
        while code and PADDING.match(code[-1]):
            code.pop()
        found.setdefault(name, []).extend(code)
    return found


def text_symbols(text):
    """[(start, function)] of section .text, by start."""
    section = re.search(r"^Disassembly of section \.text:\n(.*?)(?=^Disassembly of section|\Z)", text, re.M | re.S)
    return [(int(start, 16), name) for start, name in re.findall(r"^([0-9a-f]+) <([^>]+)>:$", section[1], re.M)] if section else []


def named(target, starts):
    """A relocation against section .text as the function that it falls into and the distance from its start.

    Where an entry of the table of warnings stands depends on the warnings before it.
    """
    target = re.sub(r"^__bug_table\+0x[0-9a-f]+$", "__bug_table", target)
    match = re.fullmatch(r"\.text\+0x([0-9a-f]+)", target)
    place = int(match[1], 16) if match else 0
    number = bisect.bisect_right(starts, (place, "\x7f"))
    if not match or not number:
        return target
    start, name = starts[number - 1]
    return f"{name}+{place - start:#x}"


def relative(instruction, start, function):
    """An instruction without addresses and objdump's comments; see functions()."""
    instruction = re.sub(r"\s+#.*$", "", instruction)

    def target(match):
        inside = match[2].split("+")[0] == function
        return f"+{int(match[1], 16) - start:#x}" if inside else f"<{match[2]}>"
    return re.sub(r"\b([0-9a-f]+) <([^>]+)>$", target, instruction)


def count(lines):
    """How many instructions: relocations are none."""
    return sum(not line.startswith("    ") for line in lines)


def disassembled(kernel, name):
    """The functions of an object of a kernel."""
    return functions(process.out(["objdump", "-dr", "--no-show-raw-insn", kernel.objects / name]))


def code_figures(spec, kernel):
    """{function: {"count": instructions, "code": hash}} of a kernel, for the [[function]] tables of rows.toml."""
    found = {}
    for entry in spec:
        there = disassembled(kernel, entry["object"])
        found |= {name: {"count": count(there[name]), "code": code_hash(there[name])} for name in entry["names"] if name in there}
    return found


def code_hash(lines):
    """What the same code has in common, wherever it stands: see functions()."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:24]


def instruction_counts(spec, base, ours):
    """[(function, count in base or None, count in ours or None, same code)] from what code_figures() says of both."""
    rows = []
    for entry in spec:
        for name in entry["names"]:
            if name not in base and name not in ours:
                raise ValueError(f"{entry['object']} has no function {name} in either kernel: see rows.toml")
            before, now = base.get(name, {}), ours.get(name, {})
            rows.append((name, before.get("count"), now.get("count"), before.get("code") == now.get("code")))
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
    for line in process.out(["nm", "-S", objects / "sizes.o"]).splitlines():
        words = line.split()
        if len(words) == 4 and words[3].startswith(("size_", "number_")):
            kind, name = words[3].split("_", 1)
            found[f"struct {name}" if kind == "size" else name] = int(words[1], 16)
    return found


def image_sizes(kernel):
    """Section kind -> bytes of the kernel."""
    words = process.out(["size", kernel.objects / "vmlinux"]).splitlines()[1].split()
    return {"text": int(words[0]), "data": int(words[1]), "bss": int(words[2])}
