# SPDX-License-Identifier: GPL-2.0
"""Which cases a check must have, for those checks whose cases follow from the series' files and commits.

They are not listed in an expected.txt, which each commit and each new file would change: what has to be there is
computed here, from the series and not from the check. A check may have more cases than that; what it has to have, it
may not skip unless it says why.
"""

import re

from bench import run
from check import compilers
from kernel import prefixes, source
from kernel.build import requested, switches


def subjects():
    """The subject of each commit of the series."""
    return source.git().text("log", "--format=%s", f"{source.base()}..{source.commit()}").splitlines()


def touched(*suffixes):
    """The files of the series with one of these suffixes that are there."""
    names = source.git().text("diff-tree", "-r", "--name-only", "--no-renames", "--diff-filter=d", source.base(),
                              source.commit()).splitlines()
    return [name for name in names if name.endswith(suffixes)]


def lint():
    """checkpatch for each commit, kernel-doc for each file with code."""
    return ["round trip", *(f"checkpatch {subject}" for subject in subjects()),
            *(f"kernel-doc {name}" for name in touched(".c", ".h"))]


def static():
    """Each C file that goes into a kernel."""
    return [name for name in touched(".c") if not name.startswith(("tools/", "Documentation/"))]


def off():
    """What an allocation or a free runs through, at least."""
    return [f"object code mm/{name}.o" for name in ("page_alloc", "slub", "memory", "vmscan", "mempolicy")]


def modules():
    """Each tristate of the series."""
    return [f"{option}=m" for option, kind in switches().items() if kind == "tristate"]


def options():
    """Each option of the series that the default asks for."""
    asked = requested("default")
    return [f"links without {option}" for option in switches() if asked.get(option, "n") != "n"]


def bench():
    """The boots, and each short row and static figure that has a bound."""
    table, rows, bounds = run.plan((), True)
    return ["boots", *(name for name in bounds if name in {row["id"] for row in rows} | run.static_names(table))]


def other_compilers():
    """Each compiler's link, and what it says of the touched files where it can be had."""
    return [f"{compiler.name} {what}" for compiler in compilers.KNOWN
            for what in ("links", *(() if compilers.why_not(compiler) else ("W=1",)))]


def bisect():
    """Each prefix, with the options on and off."""
    commits = prefixes.prefixes()
    return [f"builds with {config}: {subject}" for _, _, subject in commits for config in ("default", "off")]


def arches():
    """The architectures."""
    return ["arm64"]


def missing(promised, names):
    """What of the promised no case is about: a case is about what stands in its name as whole words."""
    plain = [f" {name} " for name in names]
    return [text for text in promised if not any(re.search(rf"[ ,]{re.escape(text)}[ ,:]", name) for name in plain)]
