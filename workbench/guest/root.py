# SPDX-License-Identifier: GPL-2.0
"""The guest's files in build/rootfs: wb root makes Debian's, wb root kselftest also the kernel's installed tests.

A suite with `root = "NAME"` is booted with a root of its own, root-NAME, which has more programs (MORE). Each is made again
when what it is made from has changed, beside the old one, which it then replaces. Which versions of Debian's packages are in
a root stands in its .packages beside it.
"""

import argparse
import ast
import contextlib
import hashlib
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from pathlib import Path

from guest import cpio
from kernel import source
from lib import console, files, lock, paths, process
from lib.errors import CommandError
from lib.git import Git

OUT = paths.BUILD / "rootfs"
ROOT = OUT / "root.cpio.zst"
KSELFTEST = OUT / "kselftest.cpio"

SUITE = "trixie"
PACKAGES = ("bash", "busybox", "coreutils", "cxl", "daxctl", "ndctl", "numactl", "grep", "sed", "util-linux", "mount",
            "kmod", "procps", "libnuma1", "libcap2", "gawk")
# What a root of its own has beside these, by its name, so that the others stay small.
MORE = {"tools": ("hwloc-nox", "stress-ng", "prometheus-node-exporter", "python3")}
# The extract variant runs no dpkg, so what is not needed is left out here. stress-ng links against GL's libraries, which load
# the last three when they find something to draw on.
UNWANTED = re.compile(r"dev/|usr/share/(doc|man|locale|i18n|zoneinfo|perl[^/]*)/"
                      r"|usr/lib/x86_64-linux-gnu/((gconv|perl[^/]*)/|lib(LLVM|gallium|z3)[-.])|var/cache/|var/lib/apt/")
# What maintainer scripts would have linked.
LINKS = {"usr/bin/sh": "bash", "usr/bin/awk": "gawk"}
FOLDERS = ("job", "proc", "sys", "dev")

# tools/mm has a program that selftests run, and build for themselves.
SOURCES = ("tools/testing/selftests", "tools/include", "tools/mm", "include/uapi")
# Of the x86 collection one test is wanted, for 64 bits; that one is usually built for both only.
TARGETS = ("FORCE_TARGETS=1", "CAN_BUILD_I386=0", "TARGETS_C_BOTHBITS=", "TARGETS_C_64BIT_ONLY=ldt_gdt",
           "TARGETS_C_32BIT_NEEDED=")

# Tests that the kernel's own Makefile does not install.
FORGOTTEN = ("cgroup:test_cpuset_v1_base.sh",)

# How apt says that the fault is not ours.
AWAY = re.compile(r"Failed to fetch|Could not (resolve|connect)|Temporary failure|Connection (failed|timed out|refused)"
                  r"|Unable to connect|no Debian mirror")


def recipe(*functions):
    """What functions do, without their comments and docstrings."""
    text = ""
    for function in functions:
        tree = ast.parse(inspect.getsource(function))
        tree.body[0].body = [part for part in tree.body[0].body
                             if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
        text += ast.unparse(tree)
    return text


def digest(*parts):
    """A key of what something is made from."""
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def archive(more=""):
    """The file of a root: the one of most boots, or one that has more."""
    return OUT / f"root-{more}.cpio.zst" if more else ROOT


def packages_of(more=""):
    """What is asked for in a root; its dependencies come with it."""
    return (*PACKAGES, *(MORE[more] if more else ()))


def root_key(more=""):
    """What a root depends on: the suite, the packages, and what is done with them."""
    return digest(SUITE, packages_of(more), UNWANTED.pattern, sorted(LINKS.items()), FOLDERS, recipe(fetch, make_root, pack_tar))


def collections():
    """The collections of kselftests that are installed: those of the tests that a suites.toml names, COLLECTION:TEST, and
    those in its `collections`, which jobs use."""
    found = set()
    for path in (paths.WORKBENCH / "guest" / "suites.toml", *paths.TOPICS.glob("*/suites.toml")):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        found |= set(table.get("collections", []))
        found |= {test.partition(":")[0] for entry in (*table.get("suite", []), *table.get("same", []))
                  for key, tests in entry.items() if key.partition("-")[0] == "kselftest" for test in tests}
    return sorted(found)


def kselftest_key(git):
    """What the installed kselftests depend on."""
    trees = [git.text("rev-parse", f"HEAD:{name}") for name in SOURCES]
    return digest(trees, git.text("diff", "HEAD", "--", *SOURCES), collections(), TARGETS, FORGOTTEN,
                  recipe(install_kselftest, make_kselftest, pack_kselftest))


def current(target, key):
    """Is a file there, made from what is asked for now?"""
    stamp = target.with_suffix(".stamp")
    return target.exists() and stamp.exists() and stamp.read_text().strip() == key


@contextlib.contextmanager
def replaced(target, key):
    """A new file to be written in a folder that goes, whatever happens; when all went well it is the target."""
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=OUT, prefix=".new-") as folder:
        new = Path(folder) / target.name
        yield new
        # In between, a file without stamp: it is made again.
        target.with_suffix(".stamp").unlink(missing_ok=True)
        os.replace(new, target)
        files.write(target.with_suffix(".stamp"), key + "\n")
    console.say(f"{target.name}: {target.stat().st_size / (1 << 20):.1f} MiB")


def fetch(folder, packages):
    """Debian's packages, unpacked as one tar archive, and the names of what came. Without root there may be no user
    namespaces; to unpack packages none is needed."""
    mirror = process.out([paths.WORKBENCH / "host" / "apt-private", "mirror"]).strip()
    names = folder / "names"
    mode = "root" if os.geteuid() == 0 else "chrootless"
    run("rootfs.log", "mmdebstrap", f"--mode={mode}", "--variant=extract", f"--include={','.join(packages)}",
        f"--extract-hook=ls \"$1\"/var/cache/apt/archives >{shlex.quote(str(names))}", "--skip=cleanup/apt/cache",
        SUITE, folder / "root.tar", f"deb {mirror} {SUITE} main")
    return folder / "root.tar", [name for name in names.read_text().split() if name.endswith(".deb")]


def run(log, *command):
    """Run a command with its output in a log; raises with the line that matters."""
    path = paths.LOGS / log
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as sink:
        done = subprocess.run([str(word) for word in command], stdout=sink, stderr=subprocess.STDOUT, check=False,
                              stdin=subprocess.DEVNULL, env=process.environment())
    if done.returncode:
        raise CommandError(f"{process.telling_line(path)} (log {path})")


def pack_tar(packed, out):
    """The archive for the kernel, from a tar archive."""
    writer = cpio.Writer(out)
    with tarfile.open(packed) as archive:
        for member in sorted(archive, key=lambda member: member.name.removeprefix("./")):
            name = member.name.removeprefix("./").rstrip("/")
            if name in ("", ".", *LINKS) or UNWANTED.match(f"{name}/"):
                continue
            if member.isdir():
                writer.folder(name, member.mode)
            elif member.issym():
                writer.link(name, member.linkname)
            elif member.isfile() or member.islnk():
                writer.file(name, archive.extractfile(member).read(), member.mode)
    for name, target in LINKS.items():
        writer.link(name, target)
    for name in FOLDERS:
        writer.folder(name)
    writer.end()


def make_root(new, wanted):
    """Debian's part of the guest's root, compressed; returns the packages that are in it."""
    packed, packages = fetch(new.parent, wanted)
    with open(new.with_suffix(""), "wb") as out:
        pack_tar(packed, out)
    run("rootfs-zstd.log", "zstd", "-q", "-T0", "-10", "-f", new.with_suffix(""), "-o", new)
    return packages


def install_kselftest(tree, objects, folder, wanted, way_in=()):
    """Build collections of the kernel's tests, and install them."""
    run("kselftest-headers.log", *way_in, "make", "-s", "-C", tree, f"O={objects}", "ARCH=x86_64", "headers")
    run("kselftest.log", *way_in, "make", "-s", "-C", tree / "tools/testing/selftests", f"-j{os.cpu_count()}", f"O={objects}",
        "ARCH=x86_64", f"TARGETS={' '.join(wanted)}", *TARGETS, f"INSTALL_PATH={folder}", "install")


def make_kselftest(tree, new):
    """The kernel's tests as they are installed."""
    install_kselftest(tree, paths.BUILD / "kselftest", new.parent / "kselftest", collections())
    with open(new.parent / "kselftest" / "kselftest-list.txt", "a", encoding="utf-8") as known:
        for test in FORGOTTEN:
            name = test.replace(":", "/")
            shutil.copy2(tree / "tools/testing/selftests" / name, new.parent / "kselftest" / name)
            print(test, file=known)
    pack_kselftest(new.parent / "kselftest", new)


def pack_kselftest(folder, new):
    """An archive of what is installed in a folder."""
    with open(new, "wb") as out:
        writer = cpio.Writer(out)
        writer.tree(folder, "kselftest")
        writer.end()


def changed_kselftest(wanted, way_in):
    """An archive with collections that are built where files of the source are changed, to be unpacked over the others.
    Nothing of it is left for the next one: what is newer than its source need not be made of it."""
    target = paths.BUILD / "mutants" / "kselftest.cpio"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as folder:
        tests = Path(folder) / "kselftest"
        install_kselftest(paths.SOURCE, Path(folder) / "objects", tests, wanted, way_in)
        (tests / "kselftest-list.txt").unlink()     # the other one has all of them
        pack_kselftest(tests, target)
    return target


def prepare_root(more=""):
    """Debian's part, if what is there is not what is asked for. Without a mirror, what is there has to do."""
    key, target = root_key(more), archive(more)
    if current(target, key):
        return
    console.say(f"guest root: Debian {SUITE} with {', '.join(packages_of(more))}")
    try:
        with replaced(target, key) as new:
            packages = make_root(new, packages_of(more))
        name = target.name.removesuffix(".cpio.zst")
        files.write(OUT / f"{name}.packages", "".join(f"{package}\n" for package in sorted(packages)))
    except (RuntimeError, CommandError) as error:
        without_mirror(error, target)


def without_mirror(error, target):
    """Go on with the old root if there is one and the mirror is away; else that is the end."""
    if not (target.exists() and AWAY.search(str(error))):
        raise CommandError(f"making the guest's root: {error}") from None
    console.say(f"guest root: the mirror is away ({error}); going on with the one there is, made of an older recipe")


def prepare_kselftest():
    """The kselftests of the source that this run works on."""
    key = kselftest_key(Git(paths.SOURCE))
    if current(KSELFTEST, key):
        return
    console.say(f"kselftests: building and installing the collections {', '.join(collections())}")
    try:
        with replaced(KSELFTEST, key) as new:
            make_kselftest(paths.SOURCE, new)
    except CommandError as error:
        raise CommandError(f"building the kselftests: {error}") from None


def prepare(kselftests=False, more=()):
    """Make what is missing or old, and roots that have more; one command at a time."""
    with lock.held(paths.BUILD / "rootfs.lock", "makes the guest's files"):
        for name in ("", *more):
            prepare_root(name)
        if kselftests:
            prepare_kselftest()


def main(words):
    """wb root [kselftest]"""
    parser = argparse.ArgumentParser(prog="wb root", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["kselftest"])
    kselftests = parser.parse_args(words).what == "kselftest"
    if kselftests:
        source.pin(own=True)
    prepare(kselftests=kselftests)
    return 0
