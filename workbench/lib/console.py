# SPDX-License-Identifier: GPL-2.0
"""What the user of a command sees while it runs: a line for each step, with the time since the command began."""

import os
import sys
import time

START = float(os.environ.setdefault("WB_START", str(time.time())))


def elapsed():
    """Time since the user's command began, as m:ss; it is shared by the scripts that one command runs."""
    seconds = int(time.time() - START)
    return f"{seconds // 60}:{seconds % 60:02d}"


def say(text):
    """One line of progress: the elapsed time and what happens next; one write, since several guests may run at once."""
    print(f"[{elapsed():>6}] {text}\n", end="", flush=True)


class Died(SystemExit):
    """What die() raises; its text is for those who report it elsewhere as well."""

    def __init__(self, text, log=None):
        super().__init__(1)
        self.text = f"{text} (log {log})" if log else text


def die(text, log=None):
    """Stop with the line that matters and the path of the full log."""
    print(f"[{elapsed():>6}] error: {text}", file=sys.stderr)
    if log:
        print(f"         full log: {log}", file=sys.stderr)
    raise Died(text, log)
