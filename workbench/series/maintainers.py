# SPDX-License-Identifier: GPL-2.0
"""Entries of a MAINTAINERS file: read them, merge ours into the kernel's, take them out again."""

import re

PATTERN_LINE = re.compile(rb"^[A-Z]:\s")


def sort_key(title):
    """The order of scripts/parse-maintainers.pl: upper case, THE REST last."""
    return title.upper().replace("THE REST", "ZZZZZZ").encode(errors="surrogateescape")


class Maintainers:
    """A MAINTAINERS file cut into its preamble and its entries. The entries' text keeps every byte."""

    def __init__(self, data):
        lines = data.split(b"\n")
        starts = self._starts(lines)
        cuts = [0] + starts + [len(lines)]
        whole = [line + b"\n" for line in lines[:-1]] + lines[-1:]
        chunks = [b"".join(whole[start:end]) for start, end in zip(cuts, cuts[1:])]
        self.preamble = chunks[0]
        self.titles = [lines[start].decode(errors="surrogateescape").strip() for start in starts]
        self.chunks = chunks[1:]

    @staticmethod
    def _starts(lines):
        """The numbers of the title lines: after the list's heading, after a blank line, before a pattern line."""
        first = next((n + 2 for n, line in enumerate(lines) if line.strip() == b"Maintainers List"), 0)
        starts = []
        for number in range(first, len(lines) - 1):
            line = lines[number]
            if line.strip() and not PATTERN_LINE.match(line) and PATTERN_LINE.match(lines[number + 1]) \
                    and (number == 0 or not lines[number - 1].strip()):
                starts.append(number)
        return starts

    def data(self):
        """The file's content."""
        return self.preamble + b"".join(self.chunks)

    def entry(self, title):
        """The text of an entry, ending in one newline."""
        return self.chunks[self.titles.index(title)].rstrip(b"\n") + b"\n"

    def duplicates(self):
        """Titles that occur more than once."""
        return sorted({title for title in self.titles if self.titles.count(title) > 1})

    def place(self, title):
        """Where an entry belongs. The kernel's list is not quite sorted: take the place that the fewest others
        contradict."""
        key = sort_key(title)
        wrong = sum(sort_key(other) < key for other in self.titles)
        best, place = wrong, 0
        for number, other in enumerate(self.titles, 1):
            wrong += 1 if sort_key(other) > key else -1 if sort_key(other) < key else 0
            if wrong < best:
                best, place = wrong, number
        return place

    def insert(self, title, text):
        """Merge an entry at its place."""
        place = self.place(title)
        if place == len(self.chunks) and self.chunks:
            self.chunks[-1] += b"\n"
            self.chunks.append(text)
        elif place == len(self.chunks):
            self.chunks.append(text)
        else:
            self.chunks.insert(place, text + b"\n")
        self.titles.insert(place, title)

    def remove(self, title):
        """The inverse of insert."""
        place = self.titles.index(title)
        if place == len(self.chunks) - 1 and place and self.chunks[place - 1].endswith(b"\n\n"):
            self.chunks[place - 1] = self.chunks[place - 1][:-1]
        del self.chunks[place]
        del self.titles[place]

    def replace(self, title, text):
        """Change the text of an entry, keeping the blank line after it."""
        place = self.titles.index(title)
        old = self.chunks[place]
        self.chunks[place] = text + b"\n" * (len(old) - len(old.rstrip(b"\n")) - 1)
