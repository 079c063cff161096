# SPDX-License-Identifier: GPL-2.0
"""Tests of host/setup with a toy package table and a pretended apt: nothing is installed."""

import os
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

WORKBENCH = Path(__file__).resolve().parent.parent
SETUP = WORKBENCH / "host" / "setup"

# apt-cache knows `toy` and `tool` once the lists are there; apt-get install puts their commands in place.
APT_CACHE = """
[ -e {folder}/lists ] || exit 0
case $2 in
toy) echo "  Candidate: 1:1.5-1" ;;
tool) echo "  Candidate: $(cat {folder}/tool-version)" ;;
esac"""
APT_GET = """
echo "apt-get $*" >>{folder}/calls
case "$*" in
update) : >{folder}/lists ;;
*broken*) echo "E: Unable to fetch it"; exit 100 ;;
*install*) for name in toy tool; do
	case "$*" in *" $name"*)
		printf '#!/bin/sh\\necho "x86 tool, version 10.2.1 (toy 9.9)"\\n' >{bin}/$name
		chmod 755 {bin}/$name ;;
	esac
done ;;
esac"""


class SetupTests(unittest.TestCase):
    """Each case has commands of its own before those of the system."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="test-setup-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.env = {**os.environ, "WB_BUILD": str(self.folder / "build"), "PATH": f"{self.bin}:{os.environ['PATH']}",
                    "WB_PACKAGES": str(self.folder / "packages")}
        self.env.pop("WB_START", None)
        self.table("one toy toy-is-not-there", "two shell sh")
        self.command("id", "echo 1000")
        self.command("sudo", "exit 1")
        self.command("apt-cache", APT_CACHE)
        self.command("apt-get", APT_GET)
        (self.folder / "tool-version").write_text("10.2-1\n")

    def table(self, *lines):
        """Write the package table."""
        (self.folder / "packages").write_text("# a comment\n\n" + "".join(f"{line}\n" for line in lines))

    def command(self, name, script):
        """A command that stands before the system's."""
        text = script.replace("{folder}", str(self.folder)).replace("{bin}", str(self.bin))
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def setup_command(self, *words):
        """Run it; exit status and all that it printed."""
        done = subprocess.run([SETUP, *words], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False, timeout=30)
        return done.returncode, done.stdout

    def calls(self):
        """What apt-get was called with."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def become_root(self):
        """Pretend to be root."""
        self.command("id", "echo 0")

    def test_present(self):
        """A command, a file, a pattern and a version that are there: silent."""
        self.table("all shell sh", "all libc /usr/include/../../etc/passwd", "all some /etc/pass*",
                   "all tool tool>=10")
        self.command("tool", "echo 'TOOL emulator version 10.0.2 (Debian 1:10.0.2+ds)'")
        self.assertEqual(self.setup_command("all"), (0, ""))

    def test_other_groups_do_not_count(self):
        """Only the groups that were asked for."""
        self.assertEqual(self.setup_command("two"), (0, ""))
        self.assertEqual(self.setup_command("one", "two")[0], 1)

    def test_unknown_group(self):
        """A group with a wrong name is no empty group."""
        status, text = self.setup_command("thre")
        self.assertEqual(status, 1)
        self.assertIn("there is no group 'thre'", text)

    def test_ordinary_user_gets_the_line(self):
        """The exact command, each package once, and nothing is done."""
        self.table("one toy not-there-1", "one toy not-there-2", "one more /not/there*", "one shell sh")
        status, text = self.setup_command("one")
        self.assertEqual(status, 1)
        self.assertIn("\n    apt-get install --no-install-recommends toy more\n", text)
        self.assertEqual(self.calls(), [])

    def test_old_version_is_missing(self):
        """A command that is too old counts as missing; so does one that does not tell its version."""
        self.table("one tool tool>=10")
        (self.folder / "lists").write_text("")
        for answer in ("version 7.2.22", "version 9.10.0", "nothing"):
            self.command("tool", f"echo '{answer}'")
            status, text = self.setup_command("one")
            self.assertEqual(status, 1, answer)
            self.assertIn("\n    apt-get install --no-install-recommends tool\n", text)

    def test_backports_when_the_release_is_too_old(self):
        """What the release has only in an old version is asked of its backports."""
        self.table("one tool tool>=10", "one toy not-there")
        (self.folder / "lists").write_text("")
        (self.folder / "tool-version").write_text("1:7.2+dfsg-7\n")
        _, text = self.setup_command("one")
        self.assertIn("\n    apt-get install --no-install-recommends toy\n", text)
        self.assertRegex(text, r"\n    apt-get install --no-install-recommends -t \w+-backports tool\n")

    def test_root_installs(self):
        """Lists are fetched when apt knows nothing; afterwards it is there, and again nothing happens."""
        self.become_root()
        self.table("one toy toy", "one tool tool>=10")
        status, text = self.setup_command("one")
        self.assertEqual(status, 0, text)
        self.assertEqual([line.split()[1] for line in self.calls()], ["update", "install"])
        self.assertIn("--no-install-recommends", self.calls()[1])
        self.assertEqual(self.setup_command("one"), (0, ""))
        self.assertEqual(len(self.calls()), 2)

    def test_sudo_installs(self):
        """With sudo that asks nothing."""
        self.command("sudo", '[ "$1" = -n ] || exit 1; shift; exec "$@"')
        self.table("one toy toy")
        self.assertEqual(self.setup_command("one")[0], 0)
        self.assertEqual(len(self.calls()), 2)

    def test_failed_install(self):
        """New lists and one more try, then the line that matters and the log."""
        self.become_root()
        (self.folder / "lists").write_text("")
        self.command("apt-cache", 'echo "  Candidate: 1"')
        self.table("one broken not-there")
        status, text = self.setup_command("one")
        self.assertEqual(status, 1)
        self.assertIn("error: installing broken: E: Unable to fetch it", text)
        self.assertIn("full log: ", text)
        self.assertEqual([line.split()[1] for line in self.calls()], ["install", "update", "install"])

    def test_package_that_nobody_has(self):
        """A package that apt does not know, even with new lists."""
        self.become_root()
        self.table("one ghost not-there")
        status, text = self.setup_command("one")
        self.assertEqual(status, 1)
        self.assertIn("apt does not know all of: ghost", text)

    def test_wrong_proof(self):
        """A package that is installed but does not bring what the table promises is an error."""
        self.become_root()
        self.table("one toy never-there")
        status, text = self.setup_command("one")
        self.assertEqual(status, 1)
        self.assertIn("these still are not found: toy", text)

    def test_quick(self):
        """Every command calls it: the real table in less than 0.2 s, best of five."""
        del self.env["WB_PACKAGES"]
        times = []
        for _ in range(5):
            start = time.monotonic()
            self.setup_command("base", "kernel", "guest", "check", "lint", "mbox")
            times.append(time.monotonic() - start)
        self.assertLess(min(times), 0.2)


if __name__ == "__main__":
    unittest.main()
