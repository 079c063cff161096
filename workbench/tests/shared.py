# SPDX-License-Identifier: GPL-2.0
"""What the tests share."""

import functools
import importlib.machinery
import importlib.util
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from lib.cases import Case

PATIENCE = 120      # seconds for what has to happen, on a machine that builds kernels meanwhile
GOOD = [Case("a", "passed"), Case("b", "skipped", "needs c")]


@functools.cache
def entry():
    """The entry command, as a module."""
    loader = importlib.machinery.SourceFileLoader("wb", str(Path(__file__).resolve().parent.parent / "wb"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("wb", loader))
    with mock.patch.object(sys, "dont_write_bytecode", True):
        loader.exec_module(module)
    return module


def alive(pid):
    """Does a process run?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(condition, seconds=PATIENCE):
    """Until it holds, or time is up."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


class Folder(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()

    def patch(self, *args, **kwargs):
        return self.enterContext(mock.patch.object(*args, **kwargs))

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path
