# SPDX-License-Identifier: GPL-2.0
"""Where things are: the repository, what is generated, and the rooms that others look into."""

import os
import re
from pathlib import Path

TOP = Path(os.environ.get("WB_TOP", Path(__file__).resolve().parents[2]))
WORKBENCH = Path(__file__).resolve().parents[1]
TOPICS = WORKBENCH / "topics"
BUILD = Path(os.environ.get("WB_BUILD") or TOP / "build")
LINUX = BUILD / "linux"                 # the user's: edited, rebased, assembled
SOURCE = BUILD / "source"               # what a run builds and reads, see kernel/source.py
BASE_SOURCE = BUILD / "linux-base"      # the base, likewise
LOGS = BUILD / "logs"


def problem():
    """What is wrong with these paths or this machine for everything that follows, or None."""
    if not BUILD.is_absolute():
        return f"WB_BUILD={BUILD} is not an absolute path"
    for path in (TOP, BUILD):
        if re.search(r"[\s:]", str(path)):
            return f"'{path}' has a space or a colon, which make cannot handle: use a path without"
    return None
