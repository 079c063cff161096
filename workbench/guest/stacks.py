# SPDX-License-Identifier: GPL-2.0
"""Where the functions of a trace are: what the kernel prints has their names, what was built knows their files.

Of a kernel with debug information (a configuration may ask for it) the lines are known, too.
"""

import re
import subprocess
from pathlib import Path

from lib import paths, process

FRAME = re.compile(r"\b([A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+")


def decoded(lines, image):
    """The lines of a trace with the source file behind each function, or with file and line if the kernel knows."""
    names = {match[1] for line in lines for match in FRAME.finditer(line)}
    objects = Path(image).absolute().parents[3] if len(Path(image).absolute().parents) > 3 else None
    if not names or not objects or not (objects / "vmlinux").is_file():
        return lines
    if has_lines(objects / "vmlinux"):
        return script(lines, objects / "vmlinux") or lines
    where = sources(names, objects / "vmlinux.a", objects)
    return [FRAME.sub(lambda match: f"{match[0]} ({where[match[1]]})" if match[1] in where else match[0], line)
            for line in lines]


def has_lines(vmlinux):
    """Was it built with debug information?"""
    done = subprocess.run(["readelf", "-SW", vmlinux], capture_output=True, text=True, check=False,
                          env=process.environment())
    return ".debug_line" in done.stdout


def script(lines, vmlinux):
    """The kernel's own decoder."""
    done = subprocess.run([paths.SOURCE / "scripts" / "decode_stacktrace.sh", vmlinux, paths.SOURCE],
                          input="\n".join(lines) + "\n", capture_output=True, text=True, check=False,
                          env=process.environment())
    return done.stdout.splitlines() if done.returncode == 0 else []


def source_of(name, objects):
    """The source of an object file, from where the kernel is."""
    path = Path(name)
    path = path.relative_to(objects) if path.is_relative_to(objects) else path
    return str(path.with_suffix(".c"))


def sources(names, archive, objects):
    """Function -> its source file; a static function of several files has all of them."""
    if not archive.is_file():
        return {}
    done = subprocess.run(["nm", "-A", archive], capture_output=True, text=True, check=False, cwd=objects,
                          env=process.environment())
    found = {}
    for line in done.stdout.splitlines():
        where, _, rest = line.rpartition(":")
        words = rest.split()
        if len(words) == 3 and words[1] in "tTwW" and words[2] in names:
            found.setdefault(words[2], []).append(source_of(where.rpartition(":")[2], objects))
    return {name: " or ".join(dict.fromkeys(files)) for name, files in found.items()}
