# SPDX-License-Identifier: GPL-2.0
"""The virtual machines, read from machines.toml of the guest, of the benchmark and of each topic."""

import functools
import shlex
import tomllib
from dataclasses import dataclass

from lib import paths
from lib.errors import CommandError

KEYS = {"like", "type", "cpu", "arguments", "witness"}


@dataclass(frozen=True)
class Machine:
    """A machine: QEMU's type, features of its processors, further arguments, and what a guest has to see of it."""
    name: str
    type: str = "q35"
    cpu: str = ""
    arguments: tuple = ()
    witness: tuple = ()


def files():
    """Each machines.toml there is."""
    return [paths.WORKBENCH / "guest" / "machines.toml", paths.WORKBENCH / "bench" / "machines.toml",
            *sorted(paths.TOPICS.glob("*/machines.toml"))]


@functools.cache
def tables():
    """Name -> table, of all files; a name that is there twice is a mistake, and so is a key that nobody reads."""
    found = {}
    for path in files():
        for name, table in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if name in found:
                raise CommandError(f"{path}: there is a machine {name} in another machines.toml already")
            if unknown := set(table) - KEYS:
                raise CommandError(f"{path}: machine {name}: unknown key {', '.join(sorted(unknown))}; "
                                   "guest/machines.toml says which there are")
            found[name] = table
    return found


def get(name):
    """A machine by name."""
    table = tables().get(name)
    if table is None:
        raise CommandError(f"no machine {name}; there are: {' '.join(sorted(tables()))}")
    below = get(table["like"]) if "like" in table else Machine(name)
    return Machine(name, table.get("type", below.type), table.get("cpu", below.cpu),
                   (*below.arguments, *words(table.get("arguments", ""))),
                   replaced(below.witness, table.get("witness", [])))


def words(text):
    """The arguments in a text, without the lines that explain them."""
    return tuple(shlex.split("\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))))


def replaced(before, after):
    """Witnesses, of which the later ones take the place of what is there about the same thing (and the same range)."""
    told = {subject(line) for line in after}
    return (*(line for line in before if subject(line) not in told), *after)


def subject(line):
    """What a witness is about: its first word. Several can be about memory: then the range belongs to it."""
    first, *rest = line.split()
    return (first, rest[0]) if first == "memory" and rest else (first,)


def arguments(name):
    """The QEMU arguments of a machine, without kernel, console or accelerator."""
    machine = get(name)
    return ["-M", machine.type, *machine.arguments]


def features(name):
    """The features of a machine's processors. QEMU refuses to start when it cannot give them (enforce)."""
    return f"{get(name).cpu or 'la57=off'},enforce"
