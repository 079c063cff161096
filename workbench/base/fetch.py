# SPDX-License-Identifier: GPL-2.0
"""Debian's kernel source package: the version of base/lock by its path in the pool, or another one by signed indexes."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lib import console, paths, process
from lib.errors import CommandError

APT = paths.WORKBENCH / "host" / "apt-private"
DOWNLOADS = paths.BUILD / "downloads"
LOG = paths.LOGS / "base-update.log"
MEGABYTES = 160


@dataclass(frozen=True)
class Package:
    """A version of the package: its path in the pool and its checksum."""
    version: str
    pool: str
    sha256: str

    @property
    def file(self):
        """Where it lies when it is downloaded."""
        return DOWNLOADS / Path(self.pool).name


def pinned(lock):
    """The version of base/lock."""
    return Package(lock["VERSION"], lock["POOL"], lock["SHA256"])


def has_checksum(path, wanted):
    """Is the file there, and the right one?"""
    try:
        with open(path, "rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest() == wanted
    except OSError:
        return False


def mirror():
    """The mirror that the machine uses."""
    done = subprocess.run([APT, "mirror"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise CommandError(done.stderr.strip().partition("error: ")[2] or "no Debian mirror: set DEBIAN_MIRROR=")
    return done.stdout.strip()


def download(package, source):
    """Fetch a package; false if it is not there or not right: the line says why, and the log has all."""
    if package.file.exists():
        if has_checksum(package.file, package.sha256):
            return True
        console.say(f"{package.file.name} is damaged: fetching it again")
    log = paths.LOGS / f"base-{package.file.name}.log"
    for folder in (DOWNLOADS, paths.LOGS):
        folder.mkdir(parents=True, exist_ok=True)
    part = package.file.with_name(f"{package.file.name}.part")
    for path in (package.file, part):
        path.unlink(missing_ok=True)
    console.say(f"downloading {package.file.name} ({MEGABYTES} MB)")
    try:
        with open(log, "w", encoding="utf-8") as sink:
            done = subprocess.run(["/usr/lib/apt/apt-helper", "-o", "APT::Sandbox::User=root", "download-file",
                                   f"{source}/{package.pool}", part, f"SHA256:{package.sha256}"], stdout=sink,
                                  stderr=subprocess.STDOUT, env=process.environment(), check=False)
        if done.returncode == 0 and has_checksum(part, package.sha256):
            part.replace(package.file)
            return True
    finally:
        part.unlink(missing_ok=True)
        part.with_name(f"{part.name}.FAILED").unlink(missing_ok=True)
    console.say(f"{package.file.name}: {process.telling_line(log)}; log: {log}")
    return False


def candidates(lock):
    """All versions in the indexes of the suites, newest first. A suite may be missing: the others still count."""
    paths.LOGS.mkdir(parents=True, exist_ok=True)
    with open(LOG, "w", encoding="utf-8") as sink:
        subprocess.run([APT, "base", "update", *lock["SUITES"].split()], stdout=sink, stderr=subprocess.STDOUT,
                       env=process.environment(), check=False)
        listed = ask_apt(["madison", lock["PACKAGE"]], sink)
        versions = dict.fromkeys(line.split("|")[1].strip() for line in listed.splitlines() if line.count("|") >= 2)
        shown = {version: ask_apt(["show", "--no-all-versions", f"{lock['PACKAGE']}={version}"], sink)
                 for version in versions}
    found = []
    for version, text in shown.items():
        fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        if "Filename" in fields and "SHA256" in fields:
            found.append(Package(version, fields["Filename"], fields["SHA256"]))
    return found


def ask_apt(words, sink):
    """What apt-cache says with our indexes."""
    done = subprocess.run([APT, "base", "apt-cache", *words], stdout=subprocess.PIPE, stderr=sink, text=True,
                          env=process.environment(), check=False)
    return done.stdout


def fetch(lock):
    """The package of base/lock; if the mirror has it no more, the newest one that it has."""
    package = pinned(lock)
    if has_checksum(package.file, package.sha256):
        return package
    source = mirror()
    if download(package, source):
        return package
    console.say(f"looking for another version of {lock['PACKAGE']} in {lock['SUITES']}")
    for other in candidates(lock):
        if (other.pool, other.sha256) != (package.pool, package.sha256) and download(other, source):
            return other
    raise CommandError(f"no version of {lock['PACKAGE']} could be downloaded from {source}; full log: {LOG}")
