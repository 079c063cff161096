# SPDX-License-Identifier: GPL-2.0
"""Locks between commands that run at the same time: flock() on files below build/, which end with their holder."""

import contextlib
import fcntl
from pathlib import Path

from lib import console
from lib.errors import CommandError


def take(path, what, shared=False, wait=True):
    """Take the lock of a file and return the open file, which keeps it until it is closed, or its process ends.

    If somebody else holds it, say so in one line with `what` it is about, and wait or stop. Only a shared lock may be
    held by several at once.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    file = open(path, "a", encoding="utf-8")    # pylint: disable=consider-using-with
    try:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise CommandError(f"another command {what}") from None
            console.say(f"another command {what}: waiting for it")
            fcntl.flock(file, kind)
    except BaseException:
        file.close()
        raise
    return file


@contextlib.contextmanager
def held(path, what, shared=False, wait=True):
    """Hold the lock of a file for the length of a block; see take()."""
    with take(path, what, shared, wait):
        yield
