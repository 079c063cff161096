# SPDX-License-Identifier: GPL-2.0
"""The result of a test, wherever it comes from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One test case and how it ended: passed, failed or skipped; detail says why it was not passed."""
    name: str
    status: str
    detail: str = ""
