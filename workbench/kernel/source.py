# SPDX-License-Identifier: GPL-2.0
"""The source that a run works on. (Stands here until the pinned tree of the run takes its place.)"""

from lib import console, paths, process
from lib.git import Git


def pin(own=False):
    """Assemble the series."""
    del own
    process.run([paths.WORKBENCH / "wb", "series", "assemble"], "assemble.log", "assembling the series")
    console.say(f"the series is {commit()[:12]}")
    return commit()


def git():
    """The repository, in the tree of this run."""
    return Git(paths.SOURCE)


def commit():
    """The commit that this run works on."""
    return git().text("rev-parse", "series^{commit}")


def base():
    """The commit that the series of this run stands on."""
    return git().text("rev-parse", "base^{commit}")
