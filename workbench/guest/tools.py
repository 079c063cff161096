# SPDX-License-Identifier: GPL-2.0
"""The series' own programs, for the demo's guest and the shell: each topic names their sources in its suites.toml.

A line `tools = ["tools/mm/page_owner_filter.c"]` there makes `page_owner_filter` a command in the guest.
"""

import tomllib

from lib import paths, process

OUT = paths.BUILD / "tools"


def sources():
    """The sources that the topics name, as they stand in the pinned tree."""
    for table in sorted(paths.TOPICS.glob("*/suites.toml")):
        for name in tomllib.loads(table.read_text()).get("tools", []):
            yield paths.SOURCE / name


def build():
    """Compile them, one static binary each, and return what a guest gets: its path below /job -> the binary."""
    OUT.mkdir(parents=True, exist_ok=True)
    found = {}
    for source in sources():
        program = OUT / source.stem
        process.run(["gcc", "-O2", "-static", "-o", program, source], f"tools-{source.stem}.log", f"building {source.stem}")
        found[f"bin/{source.stem}"] = program
    return found
