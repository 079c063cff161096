# SPDX-License-Identifier: GPL-2.0
"""Running other programs: with a log, or for their output. Their messages are English, since some are read."""

import errno
import os
import shlex
import subprocess
from pathlib import Path

from lib import console, git, paths


def environment(more=None):
    """The environment of what we run: the user's, but for the language of messages."""
    return {**{name: value for name, value in os.environ.items() if name not in ("LANGUAGE", "LC_ALL", *git.ELSEWHERE)},
            "LC_ALL": "C.UTF-8", **(more or {})}


def speak_english():
    """The same for this process, and so for all that it runs."""
    os.environ.pop("LANGUAGE", None)
    os.environ["LC_ALL"] = "C.UTF-8"


def telling_line(log):
    """The line of a log that a reader wants to see first."""
    return telling_of(Path(log).read_text(errors="replace"))


def telling_of(text):
    """The line of an output that a reader wants to see first: a full disk, the first error, else the last line."""
    lines = text.splitlines()
    for line in lines:
        if os.strerror(errno.ENOSPC) in line:
            return line.strip()
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
    path = paths.LOGS / log
    path.parent.mkdir(parents=True, exist_ok=True)
    words = [str(word) for word in command]
    with open(path, "w", encoding="utf-8") as sink:
        sink.write("$ " + shlex.join(words) + "\n")
        sink.flush()
        done = subprocess.run(words, cwd=cwd, env=environment(env), stdout=sink, stderr=subprocess.STDOUT, input=stdin,
                              check=False)
    if done.returncode:
        console.die(f"{why}: {telling_line(path)}", path)
    return path


def out(command, cwd=None, env=None, stdin=None):
    """The standard output of a command that has to succeed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          input=stdin, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
