# SPDX-License-Identifier: GPL-2.0
"""Where things are: the repository, what is generated, and the rooms that others look into."""

import os
from pathlib import Path

TOP = Path(os.environ.get("WB_TOP", Path(__file__).resolve().parents[2]))
WORKBENCH = Path(__file__).resolve().parents[1]
TOPICS = WORKBENCH / "topics"
BUILD = Path(os.environ.get("WB_BUILD", TOP / "build"))
LINUX = BUILD / "linux"
SOURCE = LINUX
LOGS = BUILD / "logs"
