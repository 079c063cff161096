# SPDX-License-Identifier: GPL-2.0
"""patches/series: the order of the patches, topic headings and comments."""

import re

TOPIC = re.compile(r"^[a-z0-9][a-z0-9_-]*$")


class SeriesFile:
    """The file as it is; rewritten() gives it another list of patches."""

    HEADING = re.compile(r"^# topic: (\S+)(?:\s+(?:—|–|-)\s+(.*))?$")

    def __init__(self, text):
        self.lines = text.split("\n")
        if self.lines and self.lines[-1] == "":
            self.lines.pop()
        self.topics = {}
        self.patches = []
        self.problems = []
        current = None
        for number, line in enumerate(self.lines, 1):
            current = self._read(number, line.strip(), current)

    def _read(self, number, line, current):
        """Take one line; returns the topic that the next line is in."""
        match = self.HEADING.match(line)
        if match:
            if match.group(1) in self.topics:
                self.problems.append(f"patches/series:{number}: topic {match.group(1)} is opened twice")
            elif not TOPIC.match(match.group(1)):
                self.problems.append(f"patches/series:{number}: topic name {match.group(1)} is not [a-z0-9_-]")
            self.topics[match.group(1)] = match.group(2) or ""
            return match.group(1)
        if not line or line.startswith("#"):
            if line.startswith("# topic"):
                self.problems.append(f"patches/series:{number}: cannot read this topic line: {line}")
            return current
        self._read_patch(number, line, current)
        return current

    def _read_patch(self, number, line, current):
        if not re.match(r"^[a-z0-9_-]+/[a-z0-9_-]+\.patch$", line):
            self.problems.append(f"patches/series:{number}: not <topic>/<slug>.patch: {line}")
            return
        if line in self.patches:
            self.problems.append(f"patches/series:{number}: {line} is listed twice")
            return
        if line.split("/")[0] != current:
            self.problems.append(f"patches/series:{number}: {line} is not below its heading '# topic: "
                                 f"{line.split('/')[0]} — ...'")
        self.patches.append(line)

    def rewritten(self, order):
        """The text with another list of patches; comments stay before the patch or at the end they were at."""
        leads, tails, preamble = self._comments()
        out = list(preamble)
        for topic, heading in self._headings():
            out.append(heading)
            for path in order:
                if path.split("/")[0] == topic:
                    out += leads.pop(path, []) + [path]
            for path in [path for path in leads if path.split("/")[0] == topic]:
                out += [line for line in leads.pop(path) if line]
            out += tails[topic]
        return "\n".join(out) + "\n"

    def _headings(self):
        for line in self.lines:
            match = self.HEADING.match(line.strip())
            if match:
                yield match.group(1), line

    def _comments(self):
        """Comment lines: before each patch, at the end of each topic, and before the first topic."""
        leads, tails, preamble = {}, {}, []
        topic, pending = None, []
        for line in self.lines:
            text = line.strip()
            match = self.HEADING.match(text)
            if match:
                if topic:
                    tails[topic] = pending
                else:
                    preamble = pending
                topic, pending = match.group(1), []
            elif text and not text.startswith("#"):
                leads[text] = pending
                pending = []
            else:
                pending.append(line)
        if topic:
            tails[topic] = pending
        else:
            preamble = pending
        return leads, tails, preamble
