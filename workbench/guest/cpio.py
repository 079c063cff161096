# SPDX-License-Identifier: GPL-2.0
"""Archives of the kind that the kernel unpacks as its first root: cpio, newc.

Everything belongs to root, and what is packed twice is the same to the byte.
"""

import os
import stat
from pathlib import Path


class Writer:
    """Writes an archive to an open file; folders come before what they hold."""

    def __init__(self, out):
        self.out, self.number, self.known = out, 0, set()

    def add(self, name, mode, content=b"", mtime=0):
        """One entry, and the folders above it if they are not there yet. What is there twice would be there once."""
        if name in self.known:
            raise ValueError(f"two entries are called {name}")
        self.known.add(name)
        above = os.path.dirname(name)
        if above and above not in self.known:
            self.folder(above)
        self.entry(name, mode, content, mtime)

    def entry(self, name, mode, content, mtime=0):
        """The entry itself."""
        self.number += 1
        path = os.fsencode(name) + b"\0"
        fields = (self.number, mode, 0, 0, 1, int(mtime), len(content), 0, 0, 0, 0, len(path), 0)
        self.out.write(b"070701" + "".join(f"{field:08x}" for field in fields).encode() + path)
        self.out.write(b"\0" * (-(110 + len(path)) % 4) + content + b"\0" * (-len(content) % 4))

    def folder(self, name, mode=0o755):
        """A folder."""
        if name not in self.known:
            self.add(name, stat.S_IFDIR | mode)

    def file(self, name, content, mode=0o644, mtime=0):
        """A file, from text or bytes."""
        self.add(name, stat.S_IFREG | mode, content.encode() if isinstance(content, str) else content, mtime)

    def copy(self, name, path, mtime=0):
        """A file of the host, with its mode."""
        path = Path(path)
        self.file(name, path.read_bytes(), stat.S_IMODE(path.stat().st_mode), mtime)

    def link(self, name, target):
        """A symbolic link."""
        self.add(name, stat.S_IFLNK | 0o777, os.fsencode(target))

    def tree(self, folder, below="", times=False):
        """All that a folder of the host holds, below a name; sockets and devices are left out."""
        for path in sorted(Path(folder).rglob("*")):
            name = os.path.join(below, path.relative_to(folder))
            if path.is_symlink():
                self.link(name, os.readlink(path))
            elif path.is_dir():
                self.folder(name, stat.S_IMODE(path.stat().st_mode))
            elif path.is_file():
                self.copy(name, path, path.stat().st_mtime if times else 0)

    def end(self):
        """What comes last; another archive may follow it."""
        self.entry("TRAILER!!!", 0, b"")
        self.out.write(b"\0" * (-self.out.tell() % 4))
