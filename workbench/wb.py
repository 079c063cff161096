# SPDX-License-Identifier: GPL-2.0
"""What the workbench commands share: paths, progress lines, running a command with a log."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(os.environ.get("WB_TOP", Path(__file__).resolve().parent.parent))
BUILD = Path(os.environ.get("WB_BUILD", TOP / "build"))
LINUX = BUILD / "linux"
LOGS = BUILD / "logs"
START = float(os.environ.setdefault("WB_START", str(time.time())))


def elapsed():
    """Time since the user's command began, as m:ss; it is shared by the scripts that one command runs."""
    seconds = int(time.time() - START)
    return f"{seconds // 60}:{seconds % 60:02d}"


def say(text):
    """One line of progress: the elapsed time and what happens next; one write, since several guests may run at once."""
    print(f"[{elapsed():>6}] {text}\n", end="", flush=True)


def die(text, log=None):
    """Stop with the line that matters and the path of the full log."""
    print(f"[{elapsed():>6}] error: {text}", file=sys.stderr)
    if log:
        print(f"         full log: {log}", file=sys.stderr)
    sys.exit(1)


def telling_line(log):
    """The line of a log that a reader wants to see first: the first error, else the last line."""
    lines = Path(log).read_text(errors="replace").splitlines()
    for line in lines:
        low = line.lower()
        if " error:" in low or low.startswith(("error:", "e: ", "fatal:")) or "***" in line:
            return line.strip()
    for line in reversed(lines):
        if line.strip():
            return line.strip()
    return "no output"


def run(command, log, why, cwd=None, env=None, stdin=None):
    """Run a command with its output in LOGS/log; on failure die with the line that matters."""
    path = LOGS / log
    path.parent.mkdir(parents=True, exist_ok=True)
    words = [str(word) for word in command]
    with open(path, "w", encoding="utf-8") as out:
        out.write("$ " + shlex.join(words) + "\n")
        out.flush()
        done = subprocess.run(words, cwd=cwd, env={**os.environ, **(env or {})}, stdout=out,
                              stderr=subprocess.STDOUT, input=stdin, check=False)
    if done.returncode:
        die(f"{why}: {telling_line(path)}", path)
    return path


def out(command, cwd=None, env=None, stdin=None):
    """The standard output of a command that has to succeed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, input=stdin, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
