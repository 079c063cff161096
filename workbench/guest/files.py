# SPDX-License-Identifier: GPL-2.0
"""The guest's files: wb root makes Debian's, wb root kselftest also the tests that belong to the kernel."""

from guest import qemu
from kernel import source
from lib import console


def main(words):
    """Make what is missing or old."""
    if words not in ([], ["kselftest"]):
        console.die("wb root [kselftest]")
    if words:
        source.pin(own=True)
    qemu.prepare(kselftests=bool(words))
    return 0
