# SPDX-License-Identifier: GPL-2.0
"""The base kernel: fetches the source of Linux 7.3 and makes the git tree build/linux from it.

  wb base             Debian's linux-source package, best the version in base/lock; nothing happens when it is there already
  wb base --update    the newest 7.3.y of the package: what the series has to say to it, and a new base/lock

  KERNEL=DIRECTORY | TARBALL | GIT_TREE | GIT_TREE@REVISION    a source of your own; HEAD of a tree if no revision is named.
It stays in force until KERNEL= names another one; KERNEL=debian goes back to Debian's package.

In build/linux: tag `base`, branch `series` (at `base` at first). What the base is: build/base.env, shell lines.
"""

import argparse
import os
import subprocess
import sys

from base import fetch, imports, request, settings, update
from lib import console, files, lock, paths
from lib.errors import CommandError
from lib.git import Git

RECORD = imports.GITDIR / "workbench-base"              # the content of base.env, moved together with its tree
SWITCHING = imports.GITDIR / "workbench-switching"      # there while the work tree is being changed to another base
TOLD = paths.BUILD / "base.env"


def main(words):
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="wb base", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="look for a newer version; FORCE=1 takes it in spite of conflicts")
    options = parser.parse_args(words)
    make_base()
    if options.update:
        if record()["BASE_SOURCE"] != "debian":
            raise CommandError("the base is a source of your own, which only you can update; KERNEL=debian goes back to Debian's")
        with lock.held(paths.BUILD / "base.running", f"works on {paths.LINUX}"):
            update.update(settings.read(settings.LOCK))
    return 0


def make_base():
    """See to it that build/linux is at the base that is asked for."""
    pinned = settings.read(settings.LOCK)
    kernel = os.environ.get("KERNEL", "")
    wanted = request.read(kernel, pinned, record())
    if is_current(wanted, pinned, not kernel):
        return
    if subprocess.run([paths.WORKBENCH / "host/setup", "base"], check=False).returncode:
        sys.exit(1)
    with lock.held(paths.BUILD / "base.running", f"works on {paths.LINUX}"):
        try:
            imports.clear()
            if not is_current(wanted, pinned, not kernel):
                import_base(wanted, pinned)
        finally:
            imports.clear()


def record():
    """What build/linux knows about itself."""
    return settings.read(RECORD)


def is_current(wanted, pinned, silently):
    """Is the base what is asked for? If so, what can be lost without harm is put right."""
    known = record()
    if not known or SWITCHING.exists() or imports.IMPORT.exists() or known["BASE_REQUEST"] != wanted.text:
        return False
    if wanted.kind == "directory" and directory_changed(wanted.place):
        return False
    git = Git(paths.LINUX)
    if git.commit("refs/tags/base") != known["BASE_COMMIT"]:
        git.out("update-ref", "refs/tags/base", known["BASE_COMMIT"])
    if settings.read(TOLD) != known:
        settings.write(TOLD, known)
    tell_if_not_pinned(known, pinned)
    if silently and wanted.kind != "debian":
        console.say(f"the base stays what KERNEL= said: Linux {known['BASE_KERNEL']} ({wanted.kind} {known['BASE_VERSION']}); "
                    "KERNEL=debian goes back to Debian's")
    return True


def directory_changed(place):
    """A directory has no version: any change in it, at whatever depth, makes it another source. If it is gone, what was
    taken from it is still there."""
    if not place.exists():
        return False
    found = subprocess.run(["find", place, "-cnewer", imports.STAMP, "-print", "-quit"], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, check=False)
    return bool(found.stdout)


def tell_if_not_pinned(known, pinned):
    """Another version of Debian's package than the one that the series was tested with is worth a line."""
    if known["BASE_SOURCE"] == "debian" and known["BASE_VERSION"] != pinned["VERSION"]:
        console.say(f"the base is {pinned['PACKAGE']} {known['BASE_VERSION']}: the series was last tested with "
                    f"{pinned['VERSION']}")


def import_base(wanted, pinned):
    """Make build/linux, or change it to another base."""
    base = imports.Base(wanted.kind, wanted.text)
    request.check(wanted, pinned["KERNEL_VERSION"])
    if paths.LINUX.exists():
        if not RECORD.exists():
            raise CommandError(f"{paths.LINUX} was not made by this command: move it away")
        if not SWITCHING.exists():
            check_no_work()
    package = describe(base, wanted, pinned)
    if paths.LINUX.exists():
        change(base, wanted, pinned, package)
    else:
        tree = imports.create(base, wanted, pinned["KERNEL_VERSION"], package)
        settings.write(tree / ".git/workbench-base", base.settings())
        os.rename(tree, paths.LINUX)
    settings.write(TOLD, base.settings())
    tell_if_not_pinned(base.settings(), pinned)
    console.say(f"base: Linux {base.kernel} ({base.source} {base.version}) in {paths.LINUX}")


def describe(base, wanted, pinned):
    """Give the base its version; fetches Debian's package if it was never imported here, and returns it."""
    if wanted.kind == "debian":
        base.version, base.sha256 = pinned["VERSION"], pinned["SHA256"]
        if paths.LINUX.exists() and Git(paths.LINUX).commit(base.kept()):
            return None
        package = fetch.fetch(pinned)
        base.version, base.sha256 = package.version, package.sha256
        return package
    if wanted.kind == "git":
        base.version = Git(wanted.place or paths.LINUX).text("describe", "--tags", "--always", "--match", "v[0-9]*", wanted.commit)
    else:
        base.version = wanted.place.name
    return None


def change(base, wanted, pinned, package):
    """Another base than the one that is there: import it beside, then change the work tree."""
    imports.add(base, wanted, pinned["KERNEL_VERSION"], package)
    if base.commit == record()["BASE_COMMIT"] and not SWITCHING.exists():
        settings.write(RECORD, base.settings())
        return
    console.say(f"changing {paths.LINUX} to Linux {base.kernel} ({base.version})")
    switch_tree(base)


def switch_tree(base):
    """Move branch and work tree. Killed on the way, the marker tells the next run that what lies in the tree is ours and may
    be overwritten."""
    git = Git(paths.LINUX)
    if SWITCHING.exists():
        (imports.GITDIR / "index.lock").unlink(missing_ok=True)
        git.out("clean", "-qfd")
    files.write(SWITCHING, "")
    imports.logged("checking out", "base-checkout.log", git, "checkout", "-q", "-f", "-B", "series", base.commit)
    git.out("update-ref", "refs/tags/base", base.commit)
    for name in ("assembled", "partial"):
        git.out("update-ref", "-d", f"refs/workbench/{name}")
    settings.write(RECORD, base.settings())
    SWITCHING.unlink()


def check_no_work():
    """Nothing may be lost: the branch must be what `series assemble` made, or the bare base, and the tree clean."""
    git = Git(paths.LINUX)
    why = f"{paths.LINUX} has another base ({record()['BASE_VERSION']}), and"
    what = "run 'make refresh', or undo it, before you change the base"
    if git.busy():
        raise CommandError(f"{why} git {git.busy()} is under way there: finish or abort it first")
    if git.run("symbolic-ref", "-q", "--short", "HEAD", check=False).stdout.decode().strip() != "series":
        raise CommandError(f"{why} its branch 'series' is not checked out: {what}")
    if git.commit("refs/heads/series") not in (git.commit("refs/workbench/assembled"), git.commit("refs/tags/base")):
        raise CommandError(f"{why} its branch 'series' has commits that are not in patches/: {what}")
    dirty = git.text("status", "--porcelain").partition("\n")[0]
    if dirty:
        raise CommandError(f"{why} uncommitted changes ({dirty}): {what}")
