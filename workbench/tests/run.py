# SPDX-License-Identifier: GPL-2.0
"""Run one module of tests and print each test as a JSON line: [name, status, detail, seconds]."""

import importlib
import io
import json
import os
import signal
import sys
import time
import unittest
from pathlib import Path

# What a command is told through the environment is not meant for the toys of its tests.
SETTINGS = ("KERNEL", "ACCEL", "GUESTS", "DEBIAN_MIRROR", "FORCE", "SETUP")


class Collected(unittest.TextTestResult):
    """Remembers each test of a run, also those that passed."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.passed, self.began, self.took = [], 0.0, {}

    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        self.took[test.id()] = round(time.monotonic() - self.began, 3)
        super().stopTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed.append(test)


def main():
    """The module is named on the command line."""
    folder = Path(__file__).resolve().parent
    sys.path[:0] = [str(folder.parent), str(folder)]
    importlib.import_module("lib.git").forget_elsewhere()
    for name in SETTINGS:
        os.environ.pop(name, None)
    # In the background of a script ^C is ignored, and by all that is started from there. The tests interrupt commands.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    suite = unittest.defaultTestLoader.loadTestsFromName(sys.argv[1])
    outcome = unittest.TextTestRunner(stream=io.StringIO(), resultclass=Collected, buffer=True).run(suite)
    rows = [(test, "passed", "") for test in outcome.passed]
    rows += [(test, "skipped", why) for test, why in outcome.skipped]
    rows += [(test, "failed", " ".join(trace.split())[-500:]) for test, trace in outcome.failures + outcome.errors]
    rows += [(test, "failed", "passed, but is marked as failing") for test in outcome.unexpectedSuccesses]
    for test, status, detail in rows:
        print(json.dumps([test.id(), status, detail, outcome.took.get(test.id())]))


if __name__ == "__main__":
    main()
