# SPDX-License-Identifier: GPL-2.0
"""State that commands keep below build/: written beside and renamed, so that a file is the old or the new one, never a part."""

import json
import os
import tempfile
from pathlib import Path


def write(path, content, executable=False):
    """Replace a file's content, text or bytes, at once; folders are made as needed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as sink:
            sink.write(data)
            os.fchmod(sink.fileno(), 0o755 if executable else 0o644)
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def write_json(path, value):
    """Keep a value."""
    write(path, json.dumps(value, indent=1) + "\n")


def read_json(path, default):
    """The value kept in a file; the default if there is none, or if what is there cannot be read."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return default
