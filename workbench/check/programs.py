# SPDX-License-Identifier: GPL-2.0
"""Programs of a topic that test something without booting a kernel, and print TAP."""

import re
import subprocess
import tempfile
from pathlib import Path

from check import ktap
from check.suite import Suite
from kernel import source
from lib import paths, process
from lib.cases import Case


def command(topic, entry, folder):
    """The program of the topic, and its words: {linux} is the kernel tree, {base:FILE} a file of its base."""
    program, *words = entry["run"]
    return [str(paths.TOPICS / topic / program), *(argument(word, folder) for word in words)]


def argument(word, folder):
    """One word; a file of the base is written into a folder."""
    if match := re.fullmatch(r"\{base:(.+)\}", word):
        path = Path(folder) / Path(match[1]).name
        path.write_bytes(source.git().out("show", f"{source.base()}:{match[1]}"))
        return str(path)
    return word.replace("{linux}", str(paths.SOURCE))


def cases(topic, entry, enter=()):
    """Run it and read what it prints; its exit status counts, too. `enter` is what runs it where the tree is another one."""
    name = entry["name"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*enter, *command(topic, entry, folder)], capture_output=True, text=True, check=False,
                              env=process.environment())
    found = ktap.cases(done.stdout.splitlines(), name)
    if done.returncode and all(case.status != "failed" for case in found):
        found.append(Case(name, "failed", f"exit status {done.returncode}: {' '.join(done.stderr.split())[-300:]}"))
    return found


def inputs(topic, entry, found):
    """What its result depends on."""
    found.files(paths.TOPICS / topic / entry["run"][0], paths.WORKBENCH / "check" / "ktap.py", __file__)
    found.add("table", entry)
    found.source(*entry.get("reads", ["."]))
    found.base(*entry.get("reads", ["."]))
    found.compiler()


def suite(topic, entry):
    """The suite of one [[program]] table."""
    return Suite(entry["name"], topic, lambda: cases(topic, entry), full=entry.get("full", False),
                 needs=tuple(entry.get("needs", ["kernel"])), reads=lambda found: inputs(topic, entry, found), table=entry)
