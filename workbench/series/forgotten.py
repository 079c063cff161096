# SPDX-License-Identifier: GPL-2.0
"""Source files in build/linux that were never added to git, so that the series would build there and nowhere else.

`git status` does not show them: Debian's kernel has a .gitignore that hides the whole tree.
"""

import os
import re
from pathlib import Path

from lib.console import say
from lib.errors import CommandError
from lib.git import UNTRACKED

SOURCES = (".c", ".h", ".S", ".rs", ".rst", ".sh", ".py", ".dts", ".dtsi", ".lds")
SPECIAL = ("Makefile", "Kconfig", "Kbuild")


def untracked(git):
    """Files, and folders without a tracked file (they end in /), that git does not have and that no build leaves."""
    found = b"\0".join(git.out(*UNTRACKED, *how) for how in ([], ["--directory"])).split(b"\0")
    return sorted({os.fsdecode(name) for name in found if name})


def forgotten(git, base, tip):
    """path -> why it belongs to the series: it lies where the series works, or a file of the series names it."""
    touched = [os.fsdecode(name) for name in git.out("diff-tree", "-r", "-z", "--name-only", "--no-renames",
                                                     "--diff-filter=d", base, tip).split(b"\0") if name]
    folders = {os.path.dirname(name) for name in touched}
    texts = {name: (Path(git.work_tree) / name).read_text(errors="replace") for name in touched
             if (Path(git.work_tree) / name).is_file()}
    found = {}
    for path in untracked(git):
        namer = next((name for name, text in texts.items() if names(path, text)), None)
        if namer:
            found[path] = f"{namer} names it"
        elif is_source(path) and os.path.dirname(path) in folders:
            found[path] = f"the series works in {os.path.dirname(path) or 'this folder'}"
    # Of a folder the files say more.
    return {path: why for path, why in found.items()
            if not path.endswith("/") or not any(other != path and other.startswith(path) for other in found)}


def is_source(path):
    """Does a name look like that of a source file?"""
    name = os.path.basename(path)
    return name.endswith(SOURCES) or name.startswith(SPECIAL)


def names(path, text):
    """Does a text name a file, its object or its folder?"""
    name = os.path.basename(path.rstrip("/"))
    stem = name.rsplit(".", 1)[0]
    forms = [name + "/"] if path.endswith("/") else [name]
    forms += [stem + ".o"] if name.endswith((".c", ".S", ".rs")) else []
    return any(form in text and re.search(rf"(?<![\w.+-]){re.escape(form)}(?![\w.-])", text) for form in forms)


def refuse(git, base, tip, force, what):
    """Stop because of forgotten files; with force say so and go on."""
    found = forgotten(git, base, tip)
    problems = [f"{path}: is not in git, though {why}; git add -f it and commit, or move it away"
                for path, why in found.items()]
    if problems and not force:
        raise CommandError(problems[:10] + [f"{len(problems)} files of {git.work_tree} would not be part of {what}; "
                                            "FORCE=1 goes on without"])
    for problem in problems[:10]:
        say(f"note: {problem}")
