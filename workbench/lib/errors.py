# SPDX-License-Identifier: GPL-2.0
"""What stops a command, and how the user is told."""

import errno

from lib import paths

# What a traceback would not help with: a full disk, a quota, a folder that cannot be written.
NO_FAULT_OF_OURS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


class CommandError(RuntimeError):
    """What stops a command; one line for each problem."""

    def __init__(self, problems):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("; ".join(self.problems))


def told(error):
    """The lines with which a command ends because of an error; none if it is a mistake of ours, which wants a traceback."""
    if isinstance(error, CommandError):
        return error.problems
    if isinstance(error, OSError) and error.errno in NO_FAULT_OF_OURS:
        return [f"{error.filename or paths.BUILD}: {error.strerror}"]
    return []
