# SPDX-License-Identifier: GPL-2.0
"""patches/series: the order of the patches, headings of topics and of the parts they are posted in, and comments.

  # topic: NAME — what it is
  # part: NAME — what of it                a mail series of its own, with a cover letter in patches/TOPIC/cover-NAME.txt
  # needs: nothing | PART, TOPIC/PART      what this part stands on; without this line all that is before it
  # long: why it cannot be cut             a part of more than 15 patches has to say

A topic without parts is one, with the cover letter patches/TOPIC/cover.txt.
"""

import re
from dataclasses import dataclass, field

TOPIC = re.compile(r"^[a-z0-9][a-z0-9_-]*$")
LIMIT = 15


@dataclass(eq=False)
class Part:
    """What is posted at once. The name is empty for a topic that is not cut; needs is None for all that is before."""

    topic: str
    name: str
    title: str
    needs: list = None
    long: str = ""
    patches: list = field(default_factory=list)

    @property
    def label(self):
        """The name that commands know it by."""
        return f"{self.topic}/{self.name}" if self.name else self.topic

    @property
    def cover(self):
        """Its cover letter, in patches/."""
        return f"{self.topic}/cover-{self.name}.txt" if self.name else f"{self.topic}/cover.txt"


class SeriesFile:
    """The file as it is; rewritten() gives it another list of patches."""

    HEADING = re.compile(r"^# topic: (\S+)(?:\s+(?:—|–|-)\s+(.*))?$")
    PART = re.compile(r"^# part: (\S+)\s+(?:—|–|-)\s+(.*)$")
    ABOUT = re.compile(r"^# (needs|long): (.*)$")

    def __init__(self, text):
        self.lines = text.split("\n")
        if self.lines and self.lines[-1] == "":
            self.lines.pop()
        self.topics = {}
        self.parts = []
        self.patches = []
        self.places = {}
        self.problems = []
        current = None
        for number, line in enumerate(self.lines, 1):
            current = self._read(number, line.strip(), current)
        # A topic is a part as long as nothing cuts it.
        self.parts = [part for part in self.parts if part.name or part.patches or not self._cut(part.topic)]
        self._read_needs()

    def _cut(self, topic):
        return any(part.name for part in self.parts if part.topic == topic)

    def first(self, topic):
        """The name of a topic's first part."""
        return next((part.name for part in self.parts if part.topic == topic), "")

    def number(self, part):
        """(number of a part in its topic, how many there are)."""
        ours = [other.name for other in self.parts if other.topic == part.topic]
        return ours.index(part.name) + 1, len(ours)

    def needed(self, part):
        """All parts that have to be there before this one, in order."""
        before = self.parts[:self.parts.index(part)]
        if part.needs is None:
            return before
        direct = [other for other in before if other.label in part.needs]
        found = {other.label for one in direct for other in [*self.needed(one), one]}
        return [other for other in before if other.label in found]

    def _read(self, number, line, current):
        """Take one line; returns the part that the next line is in."""
        where = f"patches/series:{number}"
        match = self.HEADING.match(line)
        if match:
            topic, title = match.group(1), match.group(2) or ""
            if topic in self.topics:
                self.problems.append(f"{where}: topic {topic} is opened twice")
            elif not TOPIC.match(topic):
                self.problems.append(f"{where}: topic name {topic} is not [a-z0-9_-]")
            self.topics[topic] = title
            self.parts.append(Part(topic, "", title))
            return self.parts[-1]
        match = self.PART.match(line)
        if match and current:
            return self._read_part(where, current, match.group(1), match.group(2))
        if not line or line.startswith("#"):
            self._read_comment(where, line, current)
            return current
        self._read_patch(where, line, current)
        return current

    def _read_part(self, where, current, name, title):
        if not TOPIC.match(name):
            self.problems.append(f"{where}: part name {name} is not [a-z0-9_-]")
        if any((part.topic, part.name) == (current.topic, name) for part in self.parts):
            self.problems.append(f"{where}: part {name} of {current.topic} is opened twice")
        if not current.name and current.patches:
            self.problems.append(f"{where}: part {name}: patches of {current.topic} stand above its first part")
        self.parts.append(Part(current.topic, name, title))
        return self.parts[-1]

    def _read_comment(self, where, line, current):
        """Only what looks like one of ours is read."""
        match = self.ABOUT.match(line)
        if match and current and not current.patches:
            if match.group(1) == "long":
                current.long = match.group(2)
            else:
                current.needs = [] if match.group(2) == "nothing" else re.split(r",\s*", match.group(2))
        elif match:
            self.problems.append(f"{where}: this line belongs right below the heading of a part: {line}")
        elif re.match(r"# (topic|part)\b", line):
            self.problems.append(f"{where}: cannot read this heading: {line}")

    def _read_needs(self):
        """Names of the own topic stand for TOPIC/NAME; what is needed comes before."""
        for number, part in enumerate(self.parts):
            if part.needs is None:
                continue
            part.needs = [need if "/" in need or need in self.topics else f"{part.topic}/{need}" for need in part.needs]
            before = [other.label for other in self.parts[:number]]
            self.problems += [f"patches/series: part {part.label} needs {need}, which is no part before it"
                              for need in part.needs if need not in before]

    def _read_patch(self, where, line, current):
        if not re.match(r"^[a-z0-9_-]+/[a-z0-9_-]+\.patch$", line):
            self.problems.append(f"{where}: not <topic>/<slug>.patch: {line}")
            return
        if line in self.patches:
            self.problems.append(f"{where}: {line} is listed twice")
            return
        if line.split("/")[0] != (current and current.topic):
            self.problems.append(f"{where}: {line} is not below its heading '# topic: {line.split('/')[0]} — ...'")
        self.patches.append(line)
        if current:
            current.patches.append(line)
            self.places[line] = current.name

    def rewritten(self, order, places=None):
        """The text with another list of patches, and parts of them; comments stay before the patch or at the end they
        were at."""
        places = {**self.places, **(places or {})}
        leads, tails, preamble = self._comments()
        out = list(preamble)
        for place, heading in self._headings():
            out += heading
            for path in order:
                if (path.split("/")[0], places.get(path, "")) == place:
                    out += leads.pop(path, []) + [path]
            for path in [path for path in leads if path not in order
                         and (path.split("/")[0], self.places.get(path, "")) == place]:
                out += [line for line in leads.pop(path) if line]
            out += tails[place]
        return "\n".join(out) + "\n"

    def _sections(self):
        """(topic, part) -> (lines of the heading, other lines), in order; the first has no name and no heading."""
        found = {None: ([], [])}
        place = None
        for line in self.lines:
            text = line.strip()
            topic, part = self.HEADING.match(text), self.PART.match(text)
            if topic or part and place:
                place = (topic.group(1), "") if topic else (place[0], part.group(1))
                found[place] = ([line], [])
            elif place and self.ABOUT.match(text) and not found[place][1]:
                found[place][0].append(line)
            else:
                found[place][1].append(line)
        return found

    def _headings(self):
        return [(place, heading) for place, (heading, _) in self._sections().items() if place]

    def _comments(self):
        """Comment lines: before each patch, at the end of each section, and before the first topic."""
        leads, tails = {}, {}
        for place, (_, lines) in self._sections().items():
            pending = []
            for line in lines:
                text = line.strip()
                if text and not text.startswith("#"):
                    leads[text] = pending
                    pending = []
                else:
                    pending.append(line)
            tails[place] = pending
        return leads, tails, tails[None]
