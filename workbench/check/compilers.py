# SPDX-License-Identifier: GPL-2.0
"""Compilers that the machine's Debian does not have: in a folder with another Debian, entered for each make.

The repository is mounted in it at its own path, in a namespace that ends with the command; the objects are the same files.
"""

import hashlib
import os
import shutil
from dataclasses import dataclass

from lib import console, lock, paths, process


@dataclass(frozen=True)
class Compiler:
    """A compiler by its command's name; the Debian that has it, or none for a package of this one."""
    name: str
    suite: str = ""


# clang is what Debian 12 and 13 have beside their gcc; gcc 14 is Debian 13's, 15 that of the next one.
KNOWN = [Compiler("clang-19"), Compiler("gcc-14", "trixie"), Compiler("gcc-15", "forky")]
PACKAGES = ["make", "flex", "bison", "bc", "libelf-dev", "libssl-dev", "libc6-dev", "ccache", "perl", "python3", "cpio", "xz-utils",
            "zstd", "gcc"]
ENTER = 'root=$1 top=$2 build=$3; shift 3; mount --rbind "$top" "$root$top" && mount --rbind "$build" "$root$build" && ' \
        'mount --rbind /dev "$root/dev" && mount -t proc proc "$root/proc" && exec chroot "$root" "$@"'


def why_not(compiler):
    """Why a compiler cannot be had here; empty if it can."""
    if shutil.which(compiler.name):
        return ""
    if not compiler.suite:
        return f"there is no {compiler.name}: workbench/host/setup check-full installs it"
    return f"{compiler.name} is in Debian {compiler.suite}: chroot and mount need root" if os.geteuid() else ""


def way_to(compiler):
    """(what runs a command where the compiler is, why there is no way): one of both is empty."""
    if why := why_not(compiler):
        return [], why
    return ([] if shutil.which(compiler.name) else enter(debian(compiler))), ""


def version(compiler):
    """What a compiler and the linker beside it say of their versions, or why there is none."""
    way, why = way_to(compiler)
    return why or "".join(process.out([*way, tool, "--version"]) for tool in (compiler.name, "ld"))


def enter(root):
    """What runs a command in a folder with a Debian; its mounts are seen by nobody else."""
    for path in (paths.TOP, paths.BUILD):
        (root / str(path).lstrip("/")).mkdir(parents=True, exist_ok=True)
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh", root, paths.TOP, paths.BUILD]


def debian(compiler):
    """The folder with a compiler's Debian, made once."""
    packages = [*PACKAGES, compiler.name]
    key = hashlib.sha256(" ".join([compiler.suite, *packages]).encode()).hexdigest()[:12]
    root = paths.BUILD / "debian" / f"{compiler.suite}-{compiler.name}-{key}"
    with lock.held(f"{root}.lock", f"makes {root}"):
        if not root.exists():
            console.say(f"a Debian {compiler.suite} with {compiler.name}")
            part = root.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            mirror = process.out([paths.WORKBENCH / "host" / "apt-private", "mirror"]).strip()
            process.run(["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}", compiler.suite,
                         part, mirror], f"debian-{compiler.suite}.log", f"making a Debian {compiler.suite}")
            os.replace(part, root)
    return root
