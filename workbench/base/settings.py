# SPDX-License-Identifier: GPL-2.0
"""Files of settings that shell scripts and people read, too: lines NAME='value', as in base/lock and build/base.env."""

import os
import shlex
from pathlib import Path

from lib import files, paths

LOCK = Path(os.environ.get("WB_BASE_LOCK", paths.WORKBENCH / "base" / "lock"))
LOCK_COMMENT = "# The kernel source that the series was last tested with: written by `wb base --update`.\n"


def read(path):
    """Name -> value; empty if there is no such file."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return {}
    return dict(word.split("=", 1) for word in shlex.split(text, comments=True) if "=" in word)


def write(path, values, comment=""):
    """Replace the file by these values."""
    files.write(path, comment + "".join(f"{name}={quoted(value)}\n" for name, value in values.items()))


def quoted(value):
    """A value as one word of the shell."""
    return "'" + value.replace("'", "'\\''") + "'"
