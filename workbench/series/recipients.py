# SPDX-License-Identifier: GPL-2.0
"""Whom a part goes to: what scripts/get_maintainer.pl of the kernel says about its mailbox.

It looks into the MAINTAINERS of the base. The entries that the series adds name those who post it.
"""

import re
import subprocess
import tempfile
from pathlib import Path

from lib import files
from lib.console import say
from lib.errors import CommandError
from series import assemble, export
from series.repo import read

SCRIPT = "scripts/get_maintainer.pl"
LINE = re.compile(r"^(.+?) \(([^:()]+)(?::.*)?\)$")


def sorted_out(text):
    """To: and Cc: lines of what the script printed: those who merge and look after code, then those who review, and lists."""
    lines = {"To": [], "Cc": []}
    for line in text.splitlines():
        match = LINE.match(line)
        if match:
            lines["To" if match.group(2).startswith(("maintainer", "supporter")) else "Cc"].append(match.group(1))
    return [f"{name}: {address}" for name, addresses in lines.items() for address in dict.fromkeys(addresses)]


def ask(folder, mailbox):
    """What the script says of a mailbox."""
    words = ["--no-tree", "--no-git", "--no-git-fallback", "--rolestats", f"--mpath={folder}/MAINTAINERS", str(mailbox)]
    done = subprocess.run(["perl", f"{folder}/get_maintainer.pl", *words], cwd=folder, capture_output=True, check=False)
    if done.returncode:
        raise CommandError(f"{SCRIPT}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace")


def recipients(git, repository, out, only=None):
    """The command: write NAME.to beside each mailbox. Nothing is ever sent from here."""
    base = git.commit(assemble.BASE)
    with tempfile.TemporaryDirectory(prefix="series-to-") as folder:
        for path in ("MAINTAINERS", SCRIPT):
            done = git.run("cat-file", "blob", f"{base}:{path}", check=False)
            if done.returncode:
                say(f"note: the base kernel has no {path}: nobody tells whom to send it to")
                return
            Path(folder, Path(path).name).write_bytes(done.stdout)
        for part in repository.series.parts:
            mailbox = out / export.file_name(repository, part)
            if not part.patches or not export.chosen(part, only):
                continue
            if read(mailbox) is None:
                raise CommandError(f"{mailbox} does not exist; run make mbox")
            lines = sorted_out(ask(folder, mailbox.resolve()))
            files.write(mailbox.with_suffix(".to"), "".join(f"{line}\n" for line in lines).encode())
            count = sum(line.startswith("To:") for line in lines)
            say(f"{mailbox.with_suffix('.to')}: {count} to, {len(lines) - count} in copy")
