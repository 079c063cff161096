# SPDX-License-Identifier: GPL-2.0
"""The result of a test, wherever it comes from."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """One test case and how it ended: passed, failed or skipped; detail says why it was not passed. How long it took is known of
    what tells it: KUnit on a guest's console, and the unit tests."""
    name: str
    status: str
    detail: str = ""
    seconds: float | None = field(default=None, compare=False)
