# SPDX-License-Identifier: GPL-2.0
"""What the base is to be made from: Debian's package, or what KERNEL= names."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lib.errors import CommandError
from lib.git import Git


@dataclass(frozen=True)
class Request:
    """A source. `text` is the same as long as the base need not be made again; `said` is how the user named it."""
    kind: str               # debian, git, directory or tarball
    text: str
    place: Path = None      # None as well for a git tree that is only remembered
    commit: str = ""
    said: str = ""


def debian(lock):
    """Debian's package, at best in the version of base/lock."""
    return Request("debian", f"debian {lock['PACKAGE']} {lock['VERSION']} {lock['SHA256']}")


def own(kernel):
    """What KERNEL= names: DIRECTORY, TARBALL, GIT_TREE or GIT_TREE@REVISION. Not every shell replaces the ~ there."""
    said, path = f"KERNEL={kernel}", os.path.expanduser(kernel)
    place = Path(os.path.realpath(path))
    if os.path.isfile(path):
        stat = os.stat(path)
        return Request("tarball", f"tarball {place} {stat.st_size} {int(stat.st_mtime)}", place, said=said)
    if os.path.isdir(path):
        return git(place, "HEAD", said) if is_git(place) else Request("directory", f"directory {place}", place, said=said)
    tree, _, revision = path.rpartition("@")
    if tree and os.path.isdir(tree):
        if not is_git(Path(tree)):
            raise CommandError(f"{said}: {tree} is not a git tree, so it has no {revision}")
        return git(Path(os.path.realpath(tree)), revision, said)
    raise CommandError(f"{said}: there is no such file or directory")


def is_git(place):
    """Only the top of a git tree counts: a plain directory may well lie inside a tree of something else."""
    return (place / ".git").exists() or ((place / "HEAD").is_file() and (place / "objects").is_dir())


def git(place, revision, said):
    """A commit of the user's git tree."""
    found = Git(place).run("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}", check=False)
    if found.returncode:
        reason = found.stderr.decode(errors="replace").partition("\n")[0]
        raise CommandError(f"{said}: no commit {revision}: {reason}")
    commit = found.stdout.decode().strip()
    return Request("git", f"git {commit}", place, commit, said)


def remembered(text):
    """The request of an earlier KERNEL=, which stays in force; None if it was Debian's package, or none."""
    kind, _, rest = text.partition(" ")
    if kind == "git":
        return Request(kind, text, commit=rest, said=text)
    if kind == "directory":
        return Request(kind, text, Path(rest), said=text)
    if kind == "tarball":
        return Request(kind, text, Path(rest.rsplit(" ", 2)[0]), said=text)
    return None


def read(kernel, lock, record):
    """The request: what KERNEL= says (`debian` for Debian's package), else what it said last, else Debian's package."""
    if kernel == "debian":
        return debian(lock)
    if kernel:
        return own(kernel)
    return remembered(record.get("BASE_REQUEST", "")) or debian(lock)


def version(makefile):
    """The version that a kernel's Makefile has at its top: 7.3.4, 7.3.0-rc7; empty if it has none."""
    found = {}
    for line in makefile.decode(errors="replace").splitlines():
        words = line.split()
        if words[1:2] == ["="] and words[0] in ("VERSION", "PATCHLEVEL", "SUBLEVEL", "EXTRAVERSION"):
            found[words[0]] = words[2] if len(words) > 2 else ""
            if words[0] == "EXTRAVERSION":
                break
    if not found.get("VERSION") or not found.get("PATCHLEVEL"):
        return ""
    numbers = [found[name] for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL") if found.get(name)]
    return ".".join(numbers) + found.get("EXTRAVERSION", "")


def check_version(found, wanted, what):
    """Is it a version of the kernel that the series is for?"""
    if not found:
        raise CommandError(f"{what} is not a Linux source: it has no Makefile with VERSION and PATCHLEVEL at its top")
    if not re.match(rf"{re.escape(wanted)}($|[.-])", found):
        raise CommandError(f"{what} is Linux {found}: the series is for Linux {wanted}")
    return found


def makefile(folder):
    """The content of a source's Makefile, empty if there is none."""
    try:
        return (folder / "Makefile").read_bytes()
    except OSError:
        return b""


def check(request, wanted):
    """Before anything is fetched or unpacked; what a tarball has inside shows only when it is unpacked."""
    if request.kind == "git" and request.place:
        text = Git(request.place).run("show", f"{request.commit}:Makefile", check=False).stdout
        check_version(version(text), wanted, request.said)
    if request.kind == "directory":
        check_version(version(makefile(request.place)), wanted, request.said)
        check_not_built(request)


def check_not_built(request):
    """The kernel's own build refuses a source that has been built in place, and its products must not become the base."""
    for trace in (".config", "include/config", "include/generated", "vmlinux"):
        if (request.place / trace).exists():
            raise CommandError(f"{request.said} has been built in ({trace}): run 'make mrproper' there first")
