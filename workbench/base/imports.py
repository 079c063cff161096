# SPDX-License-Identifier: GPL-2.0
"""A source becomes a commit: unpacked beside, put into git so that the commit depends on the source alone."""

import contextlib
import hashlib
import os
import shutil
from dataclasses import dataclass

from base import request as requests
from lib import console, files, paths, process
from lib.errors import CommandError
from lib.git import Git

IMPORT = paths.BUILD / "linux.import"                   # a tree that is not complete yet
GITDIR = paths.LINUX / ".git"
STAMP = GITDIR / "workbench-stamp"                      # as old as the directory that the base was copied from
IDENTITY = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in (
    ("NAME", "workbench"), ("EMAIL", "workbench@localhost"), ("DATE", "2026-01-01T00:00:00Z"))}

# A gc on its own would take minutes in the middle of something; the rest makes commits the same for everybody.
# Measured without gain in a tree of this size, so not set: core.untrackedCache, feature.manyFiles, index version 4.
SETTINGS = {"gc.auto": "0", "maintenance.auto": "false", "core.autocrlf": "false", "commit.gpgSign": "false",
            "tag.gpgSign": "false", "advice.detachedHead": "false"}

# With a threshold of one byte git writes one pack instead of 90000 files: half the size, and checking it out is twice as
# fast. Later imports have few files that are new, and with it git would write and drop all the others.
FIRST, LATER = "1", "512m"


@dataclass
class Base:
    """What the base is: the content of build/base.env."""
    source: str
    request: str
    version: str = ""
    sha256: str = ""
    kernel: str = ""
    commit: str = ""

    def settings(self):
        """As NAME -> value."""
        return {"BASE_VERSION": self.version, "BASE_KERNEL": self.kernel, "BASE_SOURCE": self.source,
                "BASE_SHA256": self.sha256, "BASE_COMMIT": self.commit, "BASE_REQUEST": self.request}

    def kept(self):
        """A base that was imported once is kept under a name made from what was asked for: coming back to it is quick.

        A directory may have changed meanwhile: none is kept.
        """
        name = hashlib.sha256((self.sha256 or self.request).encode()).hexdigest()[:16]
        return None if self.source == "directory" else f"refs/workbench/bases/{name}"


def clear():
    """Remove what an import left, also one that was killed."""
    shutil.rmtree(IMPORT, ignore_errors=True)
    if IMPORT.exists():
        raise CommandError(f"{IMPORT} cannot be removed: remove it by hand")


def logged(why, log, git, *words, env=None):
    """A git command that takes a while: its output goes to a log, and the line that matters is told."""
    done = git.run(*words, env=env, check=False)
    path = paths.LOGS / log
    with contextlib.suppress(OSError):      # a full disk takes the log as well; what it is about to say must not be lost
        files.write(path, f"$ git {' '.join(str(word) for word in words)}\n".encode() + done.stdout + done.stderr)
    if done.returncode:
        line = process.telling_of((done.stdout + done.stderr).decode(errors="replace"))
        raise CommandError(f"{why}: {line}; full log: {path}")


def unpack(request, wanted, package=None):
    """Unpack or copy the source to IMPORT/tree; returns the kernel's version."""
    tree = IMPORT / "tree"
    tree.mkdir(parents=True)
    (IMPORT / "stamp").touch()
    source = package.file if package else request.place
    console.say(f"unpacking {source}")
    if package:
        process.run(["dpkg-deb", "-x", source, IMPORT / "deb"], "base-unpack.log", f"unpacking {source}")
        [tarball] = (IMPORT / "deb/usr/src").glob("*.tar.xz")
        untar(tarball, f"unpacking {source}")
        shutil.rmtree(IMPORT / "deb")
    elif request.kind == "tarball":
        untar(source, f"{request.said} is no tarball, or a damaged one")
    else:
        process.run(["cp", "-R", "--preserve=mode,links", f"{source}/.", tree], "base-copy.log", f"copying {source}")
    enter_top_level()
    return requests.check_version(requests.version(requests.makefile(tree)), wanted, request.said or str(source))


def untar(tarball, why):
    """Unpack a tarball, whatever its compression; xz with all CPUs."""
    process.run(["tar", "--no-same-owner", "-xf", tarball, "-C", IMPORT / "tree"], "base-unpack.log", why,
                env={"XZ_OPT": "-T0"})


def enter_top_level():
    """A tarball has its content in one directory, as a rule."""
    tree = IMPORT / "tree"
    inside = list(tree.iterdir())
    if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink():
        inside[0].rename(IMPORT / "inner")
        tree.rmdir()
        (IMPORT / "inner").rename(tree)


def commit_tree(base, gitdir, threshold):
    """The root commit of what lies in IMPORT/tree; its index is left at gitdir/index.import.

    Forced, because the kernel's .gitignore hides files that belong to it.
    """
    console.say("importing it into git")
    index = gitdir / "index.import"
    for path in (index, gitdir / "index.import.lock"):
        path.unlink(missing_ok=True)
    git = Git(IMPORT / "tree")
    env = {"GIT_DIR": str(gitdir), "GIT_WORK_TREE": str(IMPORT / "tree"), "GIT_INDEX_FILE": str(index)}
    logged("importing into git", "base-import.log", git, "-c", f"core.bigFileThreshold={threshold}",
           "-c", "core.compression=1", "add", "--all", "--force", ".", env=env)
    message = f"Linux {base.kernel} ({base.source} {base.version})\n"
    tree = git.text("write-tree", env=env)
    return git.text("commit-tree", tree, stdin=message.encode(), env={**env, **IDENTITY})


def fetch_commit(request, git):
    """The user's commit itself, without its history."""
    theirs = Git(request.place)
    if theirs.run("status", "--porcelain", "--untracked-files=no", env={"GIT_OPTIONAL_LOCKS": "0"}, check=False).stdout:
        console.say(f"{request.place} has changes that are not committed: not taken")
    console.say(f"fetching {theirs.text('log', '-1', '--format=%h %s', request.commit)} from {request.place}")
    # The other side is a git of its own, which would refuse a tree of another owner.
    logged(f"fetching from {request.place}", "base-fetch.log", git, "fetch", "--no-tags", "--depth=1",
           "--upload-pack=git -c safe.directory='*' upload-pack", request.place, request.commit)
    return request.commit


def configure(git):
    """Settings of a tree in which the user works as well."""
    for name, value in SETTINGS.items():
        git.out("config", name, value)
    if not git.user_has_identity():
        git.out("config", "user.name", "workbench")
        git.out("config", "user.email", "workbench@localhost")


def create(base, request, wanted, package):
    """The first base: the unpacked tree becomes the work tree, complete with its .git, by one rename."""
    tree = IMPORT / "tree"
    if request.kind == "git":
        tree.mkdir(parents=True)
        git = Git(tree)
        git.out("init", "-q", "--template=", "-b", "series")
        configure(git)
        base.commit = fetch_commit(request, git)
        base.kernel = kernel_of(git, base.commit)
        logged("checking out", "base-checkout.log", git, "reset", "-q", "--hard", base.commit)
    else:
        base.kernel = unpack(request, wanted, package)
        Git(IMPORT).out("init", "-q", "--template=", "-b", "series", IMPORT / "git")
        (IMPORT / "git/.git").rename(IMPORT / "dotgit")
        base.commit = commit_tree(base, IMPORT / "dotgit", FIRST)
        (IMPORT / "dotgit/index.import").rename(IMPORT / "dotgit/index")
        (IMPORT / "stamp").rename(IMPORT / "dotgit/workbench-stamp")
        (IMPORT / "dotgit").rename(tree / ".git")
        git = Git(tree)
        configure(git)
        git.out("update-ref", "refs/heads/series", base.commit)
    git.out("update-ref", "refs/tags/base", base.commit)
    git.out("status", "--short")
    keep(base, git)
    return tree


def keep(base, git):
    """Remember the commit of what was asked for."""
    if base.kept():
        git.out("update-ref", base.kept(), base.commit)


def kernel_of(git, commit):
    """The version of the kernel that a commit is."""
    return requests.version(git.out("show", f"{commit}:Makefile"))


def add(base, request, wanted, package):
    """Another base than the one that is there, as a commit beside it; nothing else changes in build/linux."""
    git = Git(paths.LINUX)
    known = git.commit(base.kept()) if base.kept() else None
    if known:
        base.commit, base.kernel = known, kernel_of(git, known)
    elif request.kind == "git":
        base.commit = fetch_commit(request, git)
        base.kernel = kernel_of(git, base.commit)
    else:
        base.kernel = unpack(request, wanted, package)
        base.commit = commit_tree(base, GITDIR, LATER)
        os.replace(IMPORT / "stamp", STAMP)
        clear()
        (GITDIR / "index.import").unlink()
    keep(base, git)
