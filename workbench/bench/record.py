# SPDX-License-Identifier: GPL-2.0
"""The base's figures, kept in base.toml so that `make check` needs no kernel of the base.

A figure is used only where it would be measured again to the instruction: its entry's key is made of all that it depends on.
Where one part differs, the base is built and measured. `wb bench --record` writes the entry of this machine's key.
"""

import hashlib
import json
import tomllib

from bench import figures
from guest import qemu
from kernel import source
from kernel.build import Kernel, requested, series_options
from lib import console, files, paths, process

FILE = figures.FILES / "base.toml"
HEADER = """\
# Figures of the base's kernel, by what they depend on; see record.py. Written by `wb bench --record`, not by hand.
# rows: as the table has them; static: sizes in bytes; functions: instructions, and a hash of the code without addresses.
"""


def digest(*parts):
    """A short hash of texts and bytes."""
    found = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode()
        found.update(f"{len(data)}:".encode() + data)
    return found.hexdigest()[:24]


def first_line(*command):
    """What a tool says of its version."""
    return process.out([*command, "--version"]).splitlines()[0]


def made_of(table, rows, boots, program):
    """What the base's figures depend on: part -> its version or hash; None if a part cannot be known.

    The base's .config is not made for this: it follows from what is asked for, the base's Kconfig files and the tools. `boots`
    are the base's, `program` is the binary that they run, which has the machine's C library in it.
    """
    packages = paths.BUILD / "rootfs" / "root.packages"
    if not packages.exists():
        return None
    ours = series_options()
    asked = {key: value for key, value in requested("default").items() if key not in ours}
    wanted = [(row["id"], row["boot"], row["run"], row["figure"]) for row in rows if row.get("only", "base") == "base"]
    module = sorted(path for path in (figures.FILES / "module").iterdir() if path.is_file())
    return {
        "base": source.git().tree(source.base()),
        "compiler": first_line(Kernel("default").compiler),
        "linker": first_line("ld"),
        "qemu": first_line("qemu-system-x86_64"),
        "config": digest(json.dumps(sorted(asked.items()))),
        "rows": digest(json.dumps([wanted, table["symbols"], table["function"]])),
        "modules": digest(*(path.name.encode() + b"\0" + path.read_bytes() for path in module)),
        "programs": digest(program.read_bytes()),
        "boots": digest(*(json.dumps([qemu.command(boot, "initrd", "folder"), boot.jobs, boot.files]) for boot in boots)),
        "guest": digest(packages.read_bytes(), *(path.read_bytes() for path in guest_files())),
    }


def guest_files():
    """What runs in the guest before and with the benchmark."""
    return [path for path in (*sorted(qemu.GUEST.iterdir()), *sorted(qemu.GUEST.glob("witness/*")), qemu.job_file("bench"))
            if path.is_file() and path.suffix in ("", ".sh")]


def key(parts):
    """An entry's key."""
    return digest(json.dumps(sorted(parts.items())))


def entries():
    """What is recorded."""
    return tomllib.loads(FILE.read_text(encoding="utf-8")).get("entry", []) if FILE.exists() else []


def find(parts):
    """The entry for these parts, or None, which is said with what differs from the nearest entry."""
    known = entries()
    if parts is None:
        console.say("bench: the guest's root has no list of its packages: the base is measured")
        return None
    for entry in known:
        if entry["key"] == key(parts) == key(entry["made_of"]):
            return entry
    near = min((differing(parts, entry) for entry in known), key=len, default=["nothing is recorded"])
    console.say(f"bench: no recorded figures of the base fit ({', '.join(near)}): it is built and measured; wb bench --record keeps them")
    return None


def differing(parts, entry):
    """The names of the parts in which an entry differs."""
    return [name for name, value in parts.items() if entry["made_of"].get(name) != value] or ["an edited entry"]


def keep(parts, rows, static, functions):
    """Write an entry. Others stay if they are of the same base, made by another compiler: Debian 12's and 13's."""
    others = [entry for entry in entries() if entry["made_of"]["base"] == parts["base"]
              and entry["made_of"]["compiler"] != parts["compiler"]]
    entry = {"key": key(parts), "made_of": parts, "rows": rows, "static": static, "functions": functions}
    ordered = sorted([*others, entry], key=lambda entry: entry["made_of"]["compiler"])
    files.write(FILE, HEADER + "".join(map(text_of, ordered)))


def text_of(entry):
    """An entry as TOML."""
    lines = ["", "[[entry]]", f'key = {json.dumps(entry["key"])}']
    for name in ("made_of", "rows", "static", "functions"):
        lines += ["", f"[entry.{name}]"]
        lines += [f"{json.dumps(key)} = {value_text(value)}" for key, value in entry[name].items()]
    return "\n".join(lines) + "\n"


def value_text(value):
    """A value as TOML: a string, a number, or what is known of a function."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {json.dumps(part)}" for name, part in value.items()) + "}"
    return json.dumps(value)
