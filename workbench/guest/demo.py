# SPDX-License-Identifier: GPL-2.0
"""Boot the patched kernel with emulated CXL memory and walk through what the series does."""

import argparse
import sys
import tomllib

from guest import qemu, tools
from kernel import source
from kernel.build import Kernel
from lib import console, paths


def chapters():
    """The demo's chapters: that of the machine, then each topic's, by the number after `demo` in its suites.toml."""
    found = []
    for path in paths.TOPICS.glob("*/demo"):
        place = tomllib.loads((path.parent / "suites.toml").read_text()).get("demo")
        if place is None:
            console.die(f"{path}: {path.parent}/suites.toml has no line `demo = NUMBER`, which says when it is shown")
        found.append((place, path))
    files = [paths.WORKBENCH / "guest" / "chapter", *(path for _, path in sorted(found))]
    return {f"chapters/{number:02d}": path.read_text() for number, path in enumerate(files)}


def main(words):
    """Build what is missing, boot, print the guest's `demo:` lines as they come."""
    argparse.ArgumentParser(prog="wb demo", description=__doc__).parse_args(words)
    source.pin(own=True)
    qemu.prepare()
    kernel = Kernel("default")
    kernel.build()
    boot = qemu.Boot(kernel=kernel.image(), name="demo", machine="cxl", append="page_owner=on pti=on init_on_alloc=0", jobs=("demo",),
                     files=chapters(), binaries=tools.build(), timeout=600, config="default", witness=("pti on", "page_owner on"))
    console.say("two nodes with ordinary memory, two CXL memory devices, in QEMU")
    outcome = qemu.run(boot, echo="demo:")
    console.say(f"the guest ended after {outcome.seconds:.0f} s")
    for problem in outcome.problems:
        print(f"error: {problem}", file=sys.stderr)
    return int(bool(outcome.problems))
