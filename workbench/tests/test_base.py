# SPDX-License-Identifier: GPL-2.0
"""Tests of `wb base`, offline: a signed toy archive on 127.0.0.1 with toy kernels, and sources of one's own."""

import functools
import gzip
import hashlib
import http.server
import os
import resource
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse
from pathlib import Path
from unittest import mock

WORKBENCH = Path(__file__).resolve().parent.parent
BASE = [WORKBENCH / "wb", "base"]
SUITES = ("sid", "experimental")
POOL = "pool/main/l/linux"
ARCHITECTURE = "amd64"
IDENTITY = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "test"), ("EMAIL", "test@localhost"))}

# The folder, packages and keys that all cases use.
SHARED = {}


def run(command, **options):
    """Run a command that has to succeed; its standard output."""
    return subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **options).stdout


def sha256(path):
    """The checksum of a file, as the archive's indexes have it."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def write_kernel(folder, version="7.3.4", extra="", text=""):
    """The least that counts as a kernel source; like the real one, it ignores files that belong to it."""
    parts = (version.split(".") + ["0"])[:3]
    folder.mkdir(parents=True)
    (folder / "Makefile").write_text(
        f"# SPDX-License-Identifier: GPL-2.0\nVERSION = {parts[0]}\nPATCHLEVEL = {parts[1]}\nSUBLEVEL = {parts[2]}\n"
        f"EXTRAVERSION ={' ' + extra if extra else ''}\nNAME = Test\n\nVERSION_LATER = 9\n")
    (folder / ".gitignore").write_text("/Kbuild\n*.hidden\n.*\n")
    (folder / "Kbuild").write_text("# toy\n")
    (folder / "mm").mkdir()
    (folder / "mm/page_alloc.c").write_text(f"/* {version}{extra} {text} */\r\nint x;\n")
    (folder / "mm/a.hidden").write_text("belongs to the source\n")
    (folder / "mm/empty").write_text("")
    script = folder / "mm/run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    (folder / "mm/link").symlink_to("page_alloc.c")
    return folder


def make_deb(folder, version, kernel="7.3.4", extra="", files=()):
    """A linux-source package as Debian builds it, with a toy source in it, and further files."""
    root = folder / "root"
    tree = write_kernel(folder / "linux-source-7.3", kernel, extra)
    for path, text in dict(files).items():
        (tree / path).write_text(text)
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        f"Package: linux-source-7.3\nVersion: {version}\nArchitecture: all\nMaintainer: Test <test@localhost>\n"
        "Description: toy\n")
    (root / "usr/src").mkdir(parents=True)
    run(["tar", "-C", folder, "-cJf", root / "usr/src/linux-source-7.3.tar.xz", tree.name])
    deb = folder / f"linux-source-7.3_{version}_all.deb"
    run(["dpkg-deb", "--root-owner-group", "-b", root, deb])
    return deb


class Key:
    """A throw-away signing key in a home of its own."""

    def __init__(self, folder):
        self.home = Path(tempfile.mkdtemp(prefix="gpg-", dir=folder))
        self.home.chmod(0o700)
        self.keyring = folder / f"{self.home.name}.gpg"
        self.gpg("--passphrase", "", "--quick-generate-key", "Test <test@localhost>", "ed25519", "sign", "never")
        self.gpg("--output", self.keyring, "--export")

    def gpg(self, *words):
        """Run gpg with this key."""
        return run(["gpg", "--homedir", self.home, "--batch", "--yes", "--quiet", *words])

    def close(self):
        """End the agent that gpg started for this home."""
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False)


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the archive and remembers what was asked for."""

    def do_GET(self):  # noqa: N802  (the name is given by the base class)
        """Count the request, then answer it."""
        self.server.requests.append(urllib.parse.unquote(self.path))
        super().do_GET()

    def log_message(self, *_):
        """Say nothing."""


class Archive:
    """A Debian mirror with a pool and signed indexes, under a folder served on 127.0.0.1."""

    def __init__(self, folder, key):
        self.folder = folder
        self.key = key
        (folder / POOL).mkdir(parents=True)
        self.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.server.requests = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.uri = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()

    def debs_requested(self):
        """The names of the packages that were asked for, in order."""
        return [path.rsplit("/", 1)[1] for path in self.server.requests if path.endswith(".deb")]

    def add(self, deb):
        """Put a package in the pool."""
        return shutil.copy(deb, self.folder / POOL / deb.name)

    def index(self, suite, debs):
        """Write a suite's signed index, which names these packages."""
        text = "".join(
            f"{run(['dpkg-deb', '-f', deb])}Filename: {POOL}/{deb.name}\nSize: {deb.stat().st_size}\n"
            f"SHA256: {sha256(deb)}\n\n" for deb in debs)
        folder = self.folder / "dists" / suite
        packages = folder / f"main/binary-{ARCHITECTURE}/Packages.gz"
        packages.parent.mkdir(parents=True, exist_ok=True)
        packages.write_bytes(gzip.compress(text.encode(), mtime=0))
        data = {"Packages": text.encode(), "Packages.gz": packages.read_bytes()}
        sums = "".join(f" {hashlib.sha256(content).hexdigest()} {len(content)} main/binary-{ARCHITECTURE}/{name}\n"
                       for name, content in data.items())
        release = folder / "Release"
        release.write_text(f"Origin: Debian\nLabel: Debian\nSuite: {suite}\nCodename: {suite}\n"
                           f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S UTC', time.gmtime())}\n"
                           f"Architectures: {ARCHITECTURE}\nComponents: main\nSHA256:\n{sums}")
        self.key.gpg("--output", folder / "InRelease", "--clearsign", release)
        release.unlink()


def setUpModule():  # noqa: N802  (the name is given by unittest)
    """Packages and keys are made once: they are what takes time."""
    global ARCHITECTURE  # pylint: disable=global-statement
    ARCHITECTURE = run(["dpkg", "--print-architecture"]).strip()
    folder = Path(tempfile.mkdtemp(prefix="test-base-"))
    SHARED["folder"] = folder
    debs = {}
    for version, kernel, extra in (("7.3.4-1~bpo13+1", "7.3.4", ""), ("7.3.2-1", "7.3.2", ""),
                                   ("7.3~rc7-1~exp1", "7.3.0", "-rc7"), ("7.3.9-1", "7.4.0", "")):
        (folder / version).mkdir()
        debs[version] = make_deb(folder / version, version, kernel, extra)
    SHARED["debs"] = debs
    if shutil.which("gpg"):
        SHARED["key"] = Key(folder)
        SHARED["stranger"] = Key(folder)


def tearDownModule():  # noqa: N802
    """Leave nothing behind."""
    for name in ("key", "stranger"):
        if name in SHARED:
            SHARED[name].close()
    shutil.rmtree(SHARED["folder"])


class BaseCase(unittest.TestCase):
    """A build folder of its own for each case, and `base` run in it."""

    PINNED = "7.3.4-1~bpo13+1"

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="case-", dir=SHARED["folder"]))
        self.addCleanup(shutil.rmtree, self.folder)
        self.build = self.folder / "build"
        self.linux = self.build / "linux"
        self.debs = SHARED["debs"]
        self.wrappers = self.folder / "bin"
        self.wrappers.mkdir()
        (self.folder / "apt.conf").write_text('Acquire::http::Proxy::127.0.0.1 "DIRECT";\nAcquire::Retries "0";\n')
        self.env = {**os.environ, "WB_BUILD": str(self.build), "WB_BASE_LOCK": str(self.folder / "lock"),
                    "APT_CONFIG": str(self.folder / "apt.conf"), "HOME": str(self.folder),
                    "DEBIAN_MIRROR": "http://127.0.0.1:1", "PATH": f"{self.wrappers}:{os.environ['PATH']}"}
        for name in ("KERNEL", "WB_START"):
            self.env.pop(name, None)
        self.pin(self.PINNED)

    def pin(self, version, checksum=None):
        """Write the lock file: the version that the series was last tested with."""
        checksum = checksum or sha256(self.debs[version])
        (self.folder / "lock").write_text(
            f"KERNEL_VERSION='7.3'\nPACKAGE='linux-source-7.3'\nSUITES='{' '.join(SUITES)}'\nVERSION='{version}'\n"
            f"POOL='{POOL}/linux-source-7.3_{version}_all.deb'\nSHA256='{checksum}'\n")

    def base(self, kernel=None):
        """Run it; exit status and all that it printed."""
        env = {**self.env, **({"KERNEL": str(kernel)} if kernel else {})}
        done = subprocess.run(BASE, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              cwd=self.folder, check=False, timeout=300)
        return done.returncode, done.stdout

    def good(self, kernel=None):
        """Run it; it has to succeed. Returns what it printed."""
        status, text = self.base(kernel)
        self.assertEqual(status, 0, text)
        return text

    def refused(self, words, kernel=None):
        """Run it; it has to fail with an error line that has these words, and leave the tree as it was."""
        before = self.state()
        status, text = self.base(kernel)
        self.assertEqual(status, 1, text)
        self.assertFalse((self.build / "linux.import").exists(), "an unpacked tree was left")
        errors = [line for line in text.splitlines() if " error: " in line]
        self.assertEqual(len(errors), 1, text)
        self.assertIn(words, errors[0])
        self.assertEqual(self.state(), before, "something changed")
        return text

    def git(self, *words, tree=None):
        """Git's output in build/linux or another tree."""
        return run(["git", "-C", tree or self.linux, *words], env={**self.env, **IDENTITY}).strip()

    def state(self):
        """What must not change when a source is refused."""
        if not self.linux.exists():
            return None
        record = self.build / "base.env"
        return (self.git("for-each-ref"), self.git("status", "--porcelain", "--branch"),
                record.read_text() if record.exists() else "")

    def settings(self):
        """What base.env says."""
        text = (self.build / "base.env").read_text()
        return dict(word.split("=", 1) for word in shlex.split(text, comments=True))

    def wrap(self, name, script):
        """Put a shell script before a command; it finds the real one as $REAL."""
        path = self.wrappers / name
        path.write_text(f"#!/bin/sh\nREAL={shlex.quote(shutil.which(name))}\n{script}\nexec \"$REAL\" \"$@\"\n")
        path.chmod(0o755)
        return path

    def kill_at(self, words, script="", kernel=None):
        """Run `base` and kill all of it with signal 9 when it calls git with these words (after a script)."""
        reached = self.folder / "reached"
        wrapper = self.wrap("git", f'case "$*" in *"{words}"*) {script or ":"}; : >{reached}; sleep 600; exit 1 ;; esac')
        env = {**self.env, **({"KERNEL": str(kernel)} if kernel else {})}
        with subprocess.Popen(BASE, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              start_new_session=True) as running:
            deadline = time.monotonic() + 120
            while not reached.exists() and time.monotonic() < deadline and running.poll() is None:
                time.sleep(0.02)
            os.killpg(running.pid, signal.SIGKILL)
        wrapper.unlink()
        self.assertTrue(reached.exists(), "git was never called like that")
        reached.unlink()

    def assert_base(self, version, kernel, source):
        """The tree, its refs and base.env agree, and nothing else is left."""
        settings = self.settings()
        self.assertEqual((settings["BASE_VERSION"], settings["BASE_KERNEL"], settings["BASE_SOURCE"]),
                         (version, kernel, source))
        commit = self.git("rev-parse", "refs/tags/base")
        self.assertEqual(settings["BASE_COMMIT"], commit)
        self.assertEqual(self.git("rev-parse", "HEAD"), commit)
        self.assertEqual(self.git("symbolic-ref", "HEAD"), "refs/heads/series")
        self.assertEqual(self.git("status", "--porcelain"), "")
        self.assertFalse((self.build / "linux.import").exists())
        self.assertIn(kernel.split("-")[0], (self.linux / "mm/page_alloc.c").read_text())


@unittest.skipUnless(shutil.which("gpg"), "gpg is not installed: the toy archive cannot be signed")
class ArchiveCase(BaseCase):
    """With a signed archive."""

    def setUp(self):
        super().setUp()
        self.archive = Archive(self.folder / "mirror", SHARED["key"])
        self.addCleanup(self.archive.close)
        self.env["DEBIAN_MIRROR"] = self.archive.uri
        self.env["DEBIAN_KEYRING"] = str(SHARED["key"].keyring)

    def fill(self, *versions, sid=(), experimental=()):
        """Packages in the pool, and what the two indexes name."""
        for version in versions:
            self.archive.add(self.debs[version])
        self.archive.index("sid", [self.debs[version] for version in sid])
        self.archive.index("experimental", [self.debs[version] for version in experimental])

    def names(self, *versions):
        """File names of packages."""
        return [f"linux-source-7.3_{version}_all.deb" for version in versions]


class DebianTests(ArchiveCase):
    """Debian's package, from a signed archive."""

    def test_pinned_by_pool_path(self):
        """No index is read when the pinned version is there; again, nothing is asked for at all."""
        self.fill(self.PINNED)
        text = self.good()
        self.assertNotIn("last tested", text)
        self.assertEqual(self.archive.debs_requested(), self.names(self.PINNED))
        self.assertFalse([path for path in self.archive.server.requests if "dists" in path])
        self.assert_base(self.PINNED, "7.3.4", "debian")
        requests = len(self.archive.server.requests)
        self.assertEqual(self.good(), "")
        self.assertEqual(len(self.archive.server.requests), requests)

    def test_quick_when_current(self):
        """Every command calls it: half a second of CPU time at most, here the best of five."""
        self.fill(self.PINNED)
        self.good()
        times = []
        for _ in range(5):
            start = resource.getrusage(resource.RUSAGE_CHILDREN)
            self.good()
            end = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime)
        self.assertLess(min(times), 0.5)

    def test_ignored_files_are_imported(self):
        """The source's .gitignore must not decide what belongs to it; modes, links and line ends stay."""
        self.fill(self.PINNED)
        (self.folder / ".gitconfig").write_text(
            "[core]\nautocrlf = true\n[commit]\ngpgSign = true\n[user]\nuseConfigOnly = true\n")
        (self.folder / ".config/git").mkdir(parents=True)
        (self.folder / ".config/git/attributes").write_text("*.c text eol=crlf\n")
        self.good()
        files = self.git("ls-files", "-s").splitlines()
        modes = {line.split("\t")[1]: line.split()[0] for line in files}
        self.assertEqual(modes, {".gitignore": "100644", "Kbuild": "100644", "Makefile": "100644",
                                 "mm/a.hidden": "100644", "mm/empty": "100644", "mm/link": "120000",
                                 "mm/page_alloc.c": "100644", "mm/run.sh": "100755"})
        blob = subprocess.check_output(["git", "-C", self.linux, "cat-file", "blob", "base:mm/page_alloc.c"])
        self.assertIn(b"\r\n", blob)

    def test_same_commit_for_the_same_source(self):
        """Identity and date are fixed, so the commit id depends on the source alone."""
        self.fill(self.PINNED)
        self.good()
        first = self.git("rev-parse", "base")
        shutil.rmtree(self.linux)
        self.env.update({"GIT_AUTHOR_NAME": "Someone", "GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z",
                         "TZ": "Asia/Tokyo"})
        self.good()
        self.assertEqual(self.git("rev-parse", "base"), first)
        self.assertEqual(self.archive.debs_requested(), self.names(self.PINNED), "downloaded twice")

    def test_newest_when_pinned_is_gone(self):
        """Newest first, whatever the suite; one line says that it is another version."""
        self.fill("7.3.2-1", "7.3~rc7-1~exp1", sid=["7.3.2-1"], experimental=["7.3~rc7-1~exp1"])
        text = self.good()
        self.assertIn("the base is linux-source-7.3 7.3.2-1: the series was last tested with 7.3.4-1~bpo13+1", text)
        self.assertEqual(self.archive.debs_requested(), self.names(self.PINNED, "7.3.2-1"))
        self.assert_base("7.3.2-1", "7.3.2", "debian")
        requests = len(self.archive.server.requests)
        self.assertEqual(len(self.good().splitlines()), 1)
        self.assertEqual(len(self.archive.server.requests), requests)

    def test_index_names_a_missing_file(self):
        """The next version is taken; a release candidate is a 7.3, too."""
        self.fill("7.3~rc7-1~exp1", sid=["7.3.2-1"], experimental=["7.3~rc7-1~exp1", "7.3.2-1"])
        self.good()
        self.assertEqual(self.archive.debs_requested()[-1:], self.names("7.3~rc7-1~exp1"))
        self.assert_base("7.3~rc7-1~exp1", "7.3.0-rc7", "debian")

    def test_pinned_file_with_a_wrong_checksum(self):
        """A file that is not the recorded one is not used, nor kept."""
        self.fill("7.3.2-1", sid=["7.3.2-1"])
        (self.archive.folder / POOL / self.names(self.PINNED)[0]).write_bytes(self.debs["7.3.2-1"].read_bytes())
        self.good()
        self.assert_base("7.3.2-1", "7.3.2", "debian")
        self.assertEqual(sorted(os.listdir(self.build / "downloads")), self.names("7.3.2-1"))

    def test_indexed_file_with_a_wrong_checksum(self):
        """Same for a file that the index names; when nothing is left, an error says so."""
        self.fill("7.3.2-1", "7.3~rc7-1~exp1", sid=["7.3.2-1"], experimental=["7.3~rc7-1~exp1"])
        pool = self.archive.folder / POOL
        data = bytearray((pool / self.names("7.3.2-1")[0]).read_bytes())
        data[-1] ^= 1
        (pool / self.names("7.3.2-1")[0]).write_bytes(data)
        self.good()
        self.assert_base("7.3~rc7-1~exp1", "7.3.0-rc7", "debian")
        shutil.rmtree(self.build)
        (pool / self.names("7.3~rc7-1~exp1")[0]).unlink()
        self.refused("no version of linux-source-7.3 could be downloaded from http://127.0.0.1")
        self.assertEqual(os.listdir(self.build / "downloads"), [])

    def test_index_signed_by_a_stranger(self):
        """An index that Debian's keyring does not vouch for counts for nothing."""
        self.fill("7.3.2-1", sid=["7.3.2-1"])
        self.env["DEBIAN_KEYRING"] = str(SHARED["stranger"].keyring)
        self.refused("no version of linux-source-7.3")
        self.assertEqual(self.archive.debs_requested(), self.names(self.PINNED))

    def test_missing_suite(self):
        """A suite that the mirror does not have does not hide the others."""
        self.fill("7.3.2-1", sid=["7.3.2-1"])
        shutil.rmtree(self.archive.folder / "dists/experimental")
        self.good()
        self.assert_base("7.3.2-1", "7.3.2", "debian")

    def test_truncated_download_is_repaired(self):
        """A file that was cut short is fetched again, once."""
        self.fill(self.PINNED)
        self.good()
        deb = self.build / "downloads" / self.names(self.PINNED)[0]
        os.truncate(deb, 100)
        shutil.rmtree(self.linux)
        self.assertIn("is damaged: fetching it again", self.good())
        self.assertEqual(self.archive.debs_requested(), self.names(self.PINNED) * 2)
        self.assertEqual(sha256(deb), sha256(self.debs[self.PINNED]))
        self.assert_base(self.PINNED, "7.3.4", "debian")

    def test_package_with_another_kernel(self):
        """The package's name promises 7.3; what is in it counts."""
        self.fill("7.3.9-1")
        self.pin("7.3.9-1")
        self.refused("is Linux 7.4.0: the series is for Linux 7.3")
        self.assertFalse(self.linux.exists())

    def test_other_version_pinned_later(self):
        """The new base is another root commit; the old one is kept, and coming back imports nothing."""
        self.fill(self.PINNED, "7.3.2-1")
        self.good()
        first = self.git("rev-parse", "base")
        self.pin("7.3.2-1")
        self.good()
        self.assert_base("7.3.2-1", "7.3.2", "debian")
        self.assertEqual(self.git("rev-list", "--count", "base"), "1")
        self.pin(self.PINNED)
        self.assertNotIn("unpacking", self.good())
        self.assert_base(self.PINNED, "7.3.4", "debian")
        self.assertEqual(self.git("rev-parse", "base"), first)

    def test_interrupted_import_is_redone(self):
        """Killed while git imports: the half tree is no base, and the next run makes it whole."""
        self.fill(self.PINNED)
        self.kill_at("add --all")
        self.assertFalse(self.linux.exists())
        self.assertTrue((self.build / "linux.import").exists())
        self.good()
        self.assert_base(self.PINNED, "7.3.4", "debian")
        self.assertEqual(self.archive.debs_requested(), self.names(self.PINNED), "downloaded twice")

    def test_interrupted_change_is_redone(self):
        """Killed while the work tree changes: what is half there is known to be ours."""
        self.fill(self.PINNED, "7.3.2-1")
        self.good()
        self.pin("7.3.2-1")
        self.kill_at("checkout -q -f -B", f"cd {self.linux} && echo half >mm/page_alloc.c && echo half >mm/half"
                                          f" && : >.git/index.lock")
        self.good()
        self.assert_base("7.3.2-1", "7.3.2", "debian")

    def test_record_is_written_again(self):
        """base.env is remade from what the tree knows about itself, without a download."""
        self.fill(self.PINNED)
        self.good()
        (self.build / "base.env").unlink()
        self.assertEqual(self.good(), "")
        self.assert_base(self.PINNED, "7.3.4", "debian")

    def test_no_network(self):
        """No mirror at all: an error, and a second try later works."""
        self.env["DEBIAN_MIRROR"] = "http://127.0.0.1:1"   # nobody listens there
        self.refused("no version of linux-source-7.3")
        self.fill(self.PINNED)
        self.env["DEBIAN_MIRROR"] = self.archive.uri
        self.good()
        self.assert_base(self.PINNED, "7.3.4", "debian")


LINES = "".join(f"line {number}\n" for number in range(1, 41))
EDIT = """From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A U Thor <author@example.org>
Date: Mon, 2 Feb 2026 10:00:00 +0100
Subject: [PATCH] mm: {subject}

Because.

It is so.
---
diff --git a/mm/lines.c b/mm/lines.c
--- a/mm/lines.c
+++ b/mm/lines.c
@@ -{at},7 +{at},7 @@
{body}-- 
"""


def edit(number, subject):
    """A patch that changes a line of mm/lines.c."""
    body = "".join(f"-line {n}\n+{subject} {n}\n" if n == number else f" line {n}\n" for n in range(number - 3, number + 4))
    return EDIT.format(subject=subject, at=number - 3, body=body)


class UpdateTests(ArchiveCase):
    """`base --update` with a toy series of two patches."""

    NEW = "7.3.5-1"

    def setUp(self):
        super().setUp()
        self.series = self.folder / "repository"
        (self.series / "patches/topic").mkdir(parents=True)
        (self.series / "patches/series").write_text("# topic: topic — a toy\ntopic/mm-ours.patch\ntopic/mm-mine.patch\n")
        (self.series / "patches/topic/mm-ours.patch").write_text(edit(20, "ours"))
        (self.series / "patches/topic/mm-mine.patch").write_text(edit(30, "mine"))
        self.env["WB_TOP"] = str(self.series)
        self.debs = {self.PINNED: self.deb(self.PINNED, "7.3.4", LINES)}
        self.pin(self.PINNED)

    def deb(self, version, kernel, lines):
        """A package with mm/lines.c."""
        folder = self.folder / f"deb-{version}"
        folder.mkdir()
        return make_deb(folder, version, kernel, files={"mm/lines.c": lines})

    def update(self, lines, force=""):
        """Run it with a newer version in the archive whose mm/lines.c is this; exit status and output."""
        if self.NEW not in self.debs:
            self.debs[self.NEW] = self.deb(self.NEW, "7.3.5", lines)
            self.fill(self.PINNED, self.NEW, sid=[self.PINNED, self.NEW])
        done = subprocess.run([*BASE, "--update"], env={**self.env, "FORCE": force}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, cwd=self.folder, check=False, timeout=300)
        return done.returncode, done.stdout

    def locked(self):
        """The version that base/lock has."""
        return dict(word.split("=", 1) for word in shlex.split((self.folder / "lock").read_text(), comments=True))["VERSION"]

    def test_nothing_newer(self):
        """The pinned one is the newest; nothing is downloaded."""
        self.fill(self.PINNED, sid=[self.PINNED])
        self.good()
        before = self.state()
        done = subprocess.run([*BASE, "--update"], env=self.env, stdout=subprocess.PIPE, text=True, check=True)
        self.assertIn("nothing newer is there", done.stdout)
        self.assertEqual((self.state(), self.locked()), (before, self.PINNED))

    def test_it_applies(self):
        """With offsets, which are told; the lock is written, build/linux is left alone until `make tree`."""
        status, text = self.update("new\n" * 3 + LINES)
        self.assertEqual(status, 0, text)
        self.assertRegex(text, r"patches/topic/mm-ours.patch: mm/lines.c: .*offset 3 lines")
        self.assertIn("2 of 2 patches are the same on both", text)
        self.assertEqual(self.locked(), self.NEW)
        self.assert_base(self.PINNED, "7.3.4", "debian")
        self.assertEqual(self.git("for-each-ref", "refs/workbench/base-update"), "")
        self.assertNotIn("unpacking", self.good())
        self.assert_base(self.NEW, "7.3.5", "debian")

    def test_a_merge_applies_it(self):
        """Context that changed: no conflict, but told, and seen in the range-diff."""
        status, text = self.update(LINES.replace("line 18\n", "changed\n"))
        self.assertEqual(status, 0, text)
        self.assertIn("patches/topic/mm-ours.patch: mm/lines.c: a three-way merge applies it", text)
        self.assertRegex(text, r"1: .* ! 1: .*mm: ours\n(.*\n)+.*-.* line 18\n.*\+.* changed")
        self.assertIn("1 of 2 patches are the same on both", text)
        self.assertEqual(self.locked(), self.NEW)

    def test_conflicts(self):
        """All of them are named, not just the first; the lock stays, unless FORCE=1."""
        lines = LINES.replace("line 20\n", "theirs\n").replace("line 30\n", "theirs\n")
        status, text = self.update(lines)
        self.assertEqual(status, 1, text)
        for name in ("ours", "mine"):
            self.assertIn(f"error: patches/topic/mm-{name}.patch: mm/lines.c: 1 hunk in conflict with the new base", text)
        self.assertIn(f"base/lock stays at {self.PINNED}", text)
        self.assertEqual(self.locked(), self.PINNED)
        self.assert_base(self.PINNED, "7.3.4", "debian")
        status, text = self.update(lines, force="1")
        self.assertEqual((status, self.locked()), (0, self.NEW), text)
        self.assertIn("conflict: patches/topic/mm-mine.patch", text)

    def test_an_own_source_is_no_package(self):
        """With KERNEL= there is nothing to look for."""
        self.fill(self.PINNED, sid=[self.PINNED])
        tree = write_kernel(self.folder / "own")
        self.good(tree)
        done = subprocess.run([*BASE, "--update"], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("KERNEL=debian", done.stdout)


class OwnSourceTests(BaseCase):
    """KERNEL=: no network is needed, and what does not fit is refused before anything changes."""

    def git_tree(self, name="tree", version="7.3.4"):
        """A git tree with a history of two commits; returns its path and the ids."""
        tree = write_kernel(self.folder / name, version)
        self.git("init", "-q", "-b", "main", tree=tree)
        ids = []
        for text in ("one", "two"):
            (tree / "mm/text").write_text(text)
            self.git("add", "-A", "-f", tree=tree)
            self.git("commit", "-q", "-m", text, tree=tree)
            ids.append(self.git("rev-parse", "HEAD", tree=tree))
        return tree, ids

    def tarball(self, name, options=(), inside=True, version="7.3.4"):
        """A tarball of a toy kernel, in a folder of its own or not."""
        tree = write_kernel(self.folder / f"linux-{version}-{name}", version)
        place = ["-C", self.folder, tree.name] if inside else ["-C", tree, "."]
        run(["tar", *options, "-cf", self.folder / name, *place])
        return self.folder / name

    def test_directory(self):
        """A directory is imported like Debian's source; a change in it is noticed."""
        tree = write_kernel(self.folder / "own")
        self.good(tree)
        self.assert_base("own", "7.3.4", "directory")
        self.assertIn("mm/a.hidden", self.git("ls-files"))
        modes = [line.split()[0] for line in self.git("ls-files", "-s", "mm/link", "mm/run.sh").splitlines()]
        self.assertEqual(modes, ["120000", "100755"])
        self.assertEqual(self.good(tree), "")
        time.sleep(0.02)
        (tree / "mm/page_alloc.c").write_text("/* 7.3.4 changed */\n")
        self.good(tree)
        self.assertIn("changed", (self.linux / "mm/page_alloc.c").read_text())
        self.assert_base("own", "7.3.4", "directory")

    def test_directory_inside_another_git_tree(self):
        """The git tree around a plain directory has nothing to do with it."""
        self.git("init", "-q", tree=self.folder)
        self.good(write_kernel(self.folder / "own"))
        self.assert_base("own", "7.3.4", "directory")

    def test_directory_that_was_built_in(self):
        """The kernel refuses to build out of such a source, and products are no source."""
        tree = write_kernel(self.folder / "own")
        (tree / ".config").write_text("CONFIG_64BIT=y\n")
        self.refused("has been built in (.config)", tree)

    def test_tarballs(self):
        """Four kinds, with and without a folder around: always the same tree."""
        trees = set()
        for name, options, inside in (("k.tar", [], True), ("k.tar.gz", ["-z"], False), ("k.tar.xz", ["-J"], True),
                                      ("k.tar.zst", ["--zstd"], False)):
            with self.subTest(name):
                path = self.tarball(name, options, inside)
                self.good(path)
                self.assert_base(name, "7.3.4", "tarball")
                trees.add(self.git("rev-parse", "base^{tree}"))
                self.assertEqual(self.good(path), "")
        self.assertEqual(len(trees), 1)

    def test_git_tree(self):
        """The user's commit itself becomes the base; of a revision, that one."""
        tree, ids = self.git_tree()
        self.good(tree)
        self.assertEqual(self.git("rev-parse", "base"), ids[1])
        self.assert_base(ids[1][:7], "7.3.4", "git")
        self.assertEqual(self.good(tree), "")
        self.git("tag", "v7.3.4", "HEAD~1", tree=tree)
        self.good(f"{tree}@HEAD~1")
        self.assertEqual(self.git("rev-parse", "base"), ids[0])
        self.assert_base("v7.3.4", "7.3.4", "git")
        self.assertEqual((self.linux / "mm/text").read_text(), "one")

    def test_bare_git_tree(self):
        """A bare clone, and a path with an @ in it."""
        tree, ids = self.git_tree()
        bare = self.folder / "a@b.git"
        run(["git", "clone", "-q", "--bare", tree, bare])
        self.good(bare)
        self.good(f"{bare}@{ids[0]}")
        self.assertEqual(self.git("rev-parse", "base"), ids[0])

    def test_uncommitted_changes_are_named(self):
        """What is not committed in the user's tree is not taken, and that is said."""
        tree, ids = self.git_tree()
        (tree / "mm/text").write_text("three")
        self.assertIn("changes that are not committed", self.good(tree))
        self.assertEqual(self.git("rev-parse", "base"), ids[1])

    def test_wrong_version(self):
        """Refused with what was found, whatever the kind of source; the base stays."""
        self.good(write_kernel(self.folder / "right"))
        self.refused("is Linux 6.12.3: the series is for Linux 7.3", write_kernel(self.folder / "old", "6.12.3"))
        self.refused("is Linux 7.30.0: the series", write_kernel(self.folder / "new", "7.30"))
        self.refused("is Linux 7.4.0: the series", self.git_tree("later", "7.4")[0])
        self.refused("is Linux 7.2.1: the series", self.tarball("w.tar.xz", ["-J"], version="7.2.1"))
        self.assertIn("7.3.4", (self.linux / "mm/page_alloc.c").read_text())
        self.good(self.folder / "right")

    def test_any_7_3(self):
        """Sub-level and extra version are free."""
        for number, (version, extra, kernel) in enumerate((("7.3.0", "-rc7", "7.3.0-rc7"), ("7.3.17", "", "7.3.17"))):
            self.good(write_kernel(self.folder / f"any{number}", version, extra))
            self.assert_base(f"any{number}", kernel, "directory")

    def test_not_a_kernel(self):
        """A message for each way to name something else."""
        (self.folder / "empty").mkdir()
        (self.folder / "other").mkdir()
        (self.folder / "other/Makefile").write_text("all:\n\techo VERSION\n")
        (self.folder / "file").write_text("no tarball\n")
        run(["tar", "-C", self.folder / "other", "-cf", self.folder / "other.tar", "."])
        git_tree = self.folder / "git"
        git_tree.mkdir()
        self.git("init", "-q", tree=git_tree)
        self.refused("no such file or directory", self.folder / "nothing")
        self.refused("no such file or directory", "nothing@v7.3")
        self.refused("is not a Linux source", self.folder / "empty")
        self.refused("is not a Linux source", self.folder / "other")
        self.refused("is not a Linux source", self.folder / "other.tar")
        self.refused("is not a git tree", f"{self.folder}/other@v7.3")
        self.refused("no commit HEAD", git_tree)
        self.refused(f"KERNEL={self.folder}/file is no tarball", self.folder / "file")
        tree, _ = self.git_tree()
        self.refused("no commit v9", f"{tree}@v9")

    def test_work_is_never_lost(self):
        """With a commit, a change or a rebase under way in the tree, the base cannot change."""
        first, second = write_kernel(self.folder / "first"), write_kernel(self.folder / "second", "7.3.5")
        self.good(first)
        (self.linux / "mm/page_alloc.c").write_text("my work\n")
        self.refused("uncommitted changes", second)
        self.assertEqual((self.linux / "mm/page_alloc.c").read_text(), "my work\n")
        self.git("commit", "-q", "-a", "-m", "mine")
        self.refused("commits that are not in patches/", second)
        self.git("update-ref", "refs/workbench/assembled", "HEAD")
        (self.linux / "mm/new.c").write_text("new\n")
        self.git("add", "-f", "mm/new.c")
        self.refused("uncommitted changes", second)
        self.git("rm", "-q", "-f", "mm/new.c")
        (self.linux / ".git/rebase-apply").mkdir()
        self.refused("is under way", second)
        (self.linux / ".git/rebase-apply").rmdir()
        self.git("checkout", "-q", "-b", "other")
        self.refused("is not checked out", second)
        self.git("checkout", "-q", "series")
        self.assertEqual(self.good(first), "", "the same base is no change")
        self.good(second)
        self.assert_base("second", "7.3.5", "directory")
        self.assertEqual(self.git("for-each-ref", "refs/workbench/assembled"), "")

    def test_tree_of_somebody_else(self):
        """A build/linux that was not made here is not touched."""
        write_kernel(self.linux)
        status, text = self.base(write_kernel(self.folder / "own"))
        self.assertEqual(status, 1)
        self.assertIn("was not made by this command", text)
        self.assertFalse((self.linux / ".git").exists())

    def test_interrupted_first_import(self):
        """Killed before the tree was complete, with a source of one's own."""
        tree, ids = self.git_tree()
        self.kill_at("fetch --no-tags", kernel=tree)
        self.assertFalse(self.linux.exists())
        self.good(tree)
        self.assertEqual(self.git("rev-parse", "base"), ids[1])

    def test_kernel_is_remembered(self):
        """A source of one's own stays in force until KERNEL= says otherwise, and that is told in one line."""
        tree, ids = self.git_tree()
        self.good(tree)
        self.git("commit", "-q", "--allow-empty", "-m", "three", tree=tree)
        text = self.good()
        self.assertRegex(text, r"^\[.*\] the base stays what KERNEL= said: Linux 7.3.4 \(git .*\); KERNEL=debian .*\n$")
        self.assertEqual(self.git("rev-parse", "base"), ids[1])
        own = write_kernel(self.folder / "own", "7.3.5")
        self.good(own)
        time.sleep(0.02)
        (own / "mm/page_alloc.c").write_text("/* 7.3.5 changed */\n")
        self.good()
        self.assertIn("changed", (self.linux / "mm/page_alloc.c").read_text())
        shutil.rmtree(own)
        self.good()
        self.assert_base("own", "7.3.5", "directory")
        self.refused("no version of linux-source-7.3", "debian")

    def test_home_is_replaced(self):
        """make hands on KERNEL=~/linux as it is when the shell was dash or zsh."""
        tree, ids = self.git_tree("linux")
        self.good("~/linux@HEAD~1")
        self.assertEqual(self.git("rev-parse", "base"), ids[0])
        self.good("~/linux")
        self.assertEqual(self.git("rev-parse", "base"), ids[1])
        shutil.rmtree(tree / ".git")
        self.good("~/linux")
        self.assert_base("linux", "7.3.4", "directory")

    def test_same_commit_is_no_change(self):
        """Another name for the same commit touches no file, which would be compiled again."""
        tree, _ = self.git_tree()
        self.good(write_kernel(self.folder / "plain"))
        self.good(tree)
        before = (self.linux / "mm/page_alloc.c").stat().st_mtime_ns
        self.git("tag", "v7.3.4", tree=tree)
        (self.linux / ".git/workbench-base").write_text((self.linux / ".git/workbench-base").read_text().replace(
            "BASE_REQUEST='git", "BASE_REQUEST='was git"))
        text = self.good(f"{tree}@v7.3.4")
        self.assertNotIn("changing", text)
        self.assertEqual((self.linux / "mm/page_alloc.c").stat().st_mtime_ns, before)
        self.assert_base("v7.3.4", "7.3.4", "git")

    def test_tree_of_another_owner(self):
        """git refuses what belongs to somebody else, as root sees a user's tree; that it was named by KERNEL= is enough."""
        tree, ids = self.git_tree()
        self.wrap("git", f"case $PWD/ in {tree}/*) export GIT_TEST_ASSUME_DIFFERENT_OWNER=1 ;; esac\n"
                         f"case \"$*\" in *upload-pack*{tree}*) export GIT_TEST_ASSUME_DIFFERENT_OWNER=1 ;; esac")
        self.good(tree)
        self.assertEqual(self.git("rev-parse", "base"), ids[1])

    def test_git_variables_do_not_count(self):
        """A hook of the user's git has them set: neither our trees nor the user's index are mixed up."""
        mine = self.folder / "mine"
        mine.mkdir()
        self.git("init", "-q", tree=mine)
        (mine / "file").write_text("x")
        self.git("add", "file", tree=mine)
        before = (mine / ".git/index").read_bytes()
        first, second = write_kernel(self.folder / "first"), write_kernel(self.folder / "second", "7.3.5")
        variables = {"GIT_DIR": str(mine / ".git"), "GIT_INDEX_FILE": str(mine / ".git/index"), "GIT_WORK_TREE": str(mine)}
        for source in (first, second):
            with mock.patch.dict(self.env, variables):
                self.good(source)
            self.assert_base(source.name, "7.3.4" if source is first else "7.3.5", "directory")
        self.assertEqual((mine / ".git/index").read_bytes(), before)

    def test_full_disk_is_named(self):
        """The line that matters is not the last one, and comes whole."""
        tree = self.tarball("k.tar")
        for name, words, says in (("tar", "-xf", "tar: linux/mm: Cannot mkdir: No space left on device"),
                                  ("git", "add --all", "error: unable to write file mm/x: No space left on device")):
            wrapper = self.wrap(name, f'case "$*" in *"{words}"*) echo "error: first" >&2; echo "{says}" >&2\n'
                                      'echo "fatal: Exiting with failure status due to previous errors" >&2; exit 2 ;; esac')
            status, text = self.base(tree)
            self.assertEqual(status, 1)
            self.assertIn(says, text)
            wrapper.unlink()

    def test_log_that_cannot_be_written(self):
        """A full disk takes the log as well; what was to be said is said all the same."""
        self.build.mkdir()
        (self.build / "logs").mkdir()
        (self.build / "logs/base-import.log").mkdir()
        tree = write_kernel(self.folder / "own")
        self.wrap("git", 'case "$*" in *"add --all"*) echo "fatal: No space left on device" >&2; exit 1 ;; esac')
        status, text = self.base(tree)
        self.assertEqual(status, 1)
        self.assertRegex(text, r"error: importing into git: fatal: No space left on device; full log: .*\n$")

    def test_language_does_not_count(self):
        """The programs that we read are run in English, also git."""
        self.env.update({"LANGUAGE": "de", "LC_ALL": "de_DE.UTF-8"})
        self.wrap("git", f'echo "${{LANGUAGE-}}:$LC_ALL" >>{self.folder}/languages')
        self.wrap("cp", f'echo "${{LANGUAGE-}}:$LC_ALL" >>{self.folder}/languages')
        self.good(write_kernel(self.folder / "own"))
        self.assertLessEqual(set((self.folder / "languages").read_text().split()), {":C", ":C.UTF-8"})

    def test_leftovers_do_not_get_in(self):
        """What an interrupted import left is not part of the next one, whatever that is made from."""
        other, own = write_kernel(self.folder / "other"), write_kernel(self.folder / "own", "7.3.5")
        (other / "mm/only_there.c").write_text("")
        tree, _ = self.git_tree()
        for source in (own, tree):
            self.kill_at("add --all", kernel=other)
            self.good(source)
            self.assertNotIn("mm/only_there.c", self.git("ls-files"))
            self.assertFalse((self.linux / "mm/only_there.c").exists())
            self.assertFalse((self.build / "linux.import").exists())

    def test_two_at_once(self):
        """The second one waits for the first and then has nothing to do."""
        tree = write_kernel(self.folder / "own")
        self.wrap("git", 'case "$*" in *"add --all"*) sleep 0.5 ;; esac')
        env = {**self.env, "KERNEL": str(tree)}
        running = [subprocess.Popen(BASE, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                   for _ in range(2)]
        texts = [process.communicate(timeout=300)[0] for process in running]
        self.assertEqual([process.returncode for process in running], [0, 0], texts)
        self.assertEqual(sum("importing" in text for text in texts), 1, texts)
        self.assert_base("own", "7.3.4", "directory")


if __name__ == "__main__":
    unittest.main()
