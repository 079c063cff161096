# SPDX-License-Identifier: GPL-2.0
"""What stops a command."""


class CommandError(RuntimeError):
    """What stops a command; one line for each problem."""

    def __init__(self, problems):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("; ".join(self.problems))
