# SPDX-License-Identifier: GPL-2.0
"""What can be run: anything that has a name, a topic and cases."""

from dataclasses import dataclass, field


@dataclass
class Suite:
    """A check of the host, or one boot of a guest suite under one of its configs."""
    name: str
    topic: str
    run: object = None              # () -> cases; a boot has none, check/boots.py knows how
    config: str = ""                # of the kernel that is booted
    full: bool = False              # in check-full only
    needs: tuple = ()               # groups of host/packages
    builds: bool = False            # it compiles kernels, with all CPUs: one such at a time
    reads: object = None            # (inputs): what its result depends on goes there; None: it is not kept
    promised: object = None         # () -> the names of its cases; None: they are listed in the topic's expected.txt
    table: dict = field(default_factory=dict)   # the entry in suites.toml; a boot's as it is under its config
    parts: tuple = ()               # what of it can be run alone, as NAME/PART
    some: object = None             # (set of parts) -> the suite with just these

    @property
    def label(self):
        """How it is named on the command line, and in every output."""
        return f"{self.name}:{self.config}" if self.config else self.name

    def called(self, word):
        """Whether a word means it: a topic with all its variants, a suite with all its configs, or one boot."""
        return word in (self.topic, self.name, self.label)

    def named_parts(self):
        """Its parts as they are named on the command line."""
        return [f"{self.name}/{part}" for part in self.parts]


@dataclass
class Result:
    """What became of a suite."""
    suite: Suite
    cases: list
    seconds: float = 0.0
    earlier: bool = False           # it is known from an earlier run

    @property
    def failed(self):
        """Its failed cases."""
        return [case for case in self.cases if case.status == "failed"]
