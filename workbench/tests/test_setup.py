# SPDX-License-Identifier: GPL-2.0
"""Tests of host/setup with a toy package table and a pretended apt: nothing is installed."""

import os
import resource
import shutil
import signal
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


# What stands for a Debian: the folders that host/bare writes to.
MMDEBSTRAP = """
echo mmdebstrap >>{folder}/calls
for word; do case $word in *.part.tar) out=$word ;; esac; done
mkdir -p {folder}/debian/etc/apt/apt.conf.d {folder}/debian/home
tar -C {folder}/debian -cf "$out" ."""
UNSHARE = 'while case $1 in --*) ;; *) false ;; esac; do shift; done; exec "$@"'


class BareTests(unittest.TestCase):
    """host/bare without root: what would need it is pretended."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="test-bare-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.host, self.bin = self.folder / "repository/workbench/host", self.folder / "bin"
        for folder in (self.host, self.bin):
            folder.mkdir(parents=True)
        for name in ("bare", "lib.sh"):
            shutil.copy(WORKBENCH / "host" / name, self.host)
        for path, script in ((self.host / "setup", ":"), (self.host / "apt-private", "echo mirror"), (self.bin / "id", "echo 0"),
                             (self.bin / "mmdebstrap", MMDEBSTRAP), (self.bin / "unshare", UNSHARE),
                             (self.bin / "mount", ":"), (self.bin / "chown", ":"),
                             (self.bin / "chroot", 'shift; echo "$*" >>{folder}/calls')):
            path.write_text(f"#!/bin/sh\n{script.replace('{folder}', str(self.folder))}\n")
            path.chmod(0o755)

    def bare(self, *words, **env):
        """What was called in the Debian, by whom; and whether a Debian was made for it."""
        env = {"WB_BUILD": str(self.folder / "build"), "PATH": f"{self.bin}:{os.environ['PATH']}", **env}
        done = subprocess.run([self.host / "bare", *words], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        lines = (self.folder / "calls").read_text().splitlines()
        (self.folder / "calls").unlink()
        called = [(line.split("--reuid=")[1].split()[0], line.split("/sbin:/bin ")[1]) for line in lines if "--reuid=" in line]
        return called, "mmdebstrap" in lines

    def test_many_packages_are_no_name_of_a_file(self):
        """Each list has a Debian of its own, which is made once."""
        many = ",".join(f"a-package-{number}" for number in range(40))
        for include, made in ((many, True), (many, False), (f"{many},more", True), ("", True), (many, False)):
            self.assertEqual(self.bare("true", BARE_INCLUDE=include)[1], made, include)

    def test_root_prepares_it_for_a_user(self):
        called, _ = self.bare("--user", "--prepared", "base kernel", "make", "kernel")
        self.assertEqual(called, [("0", "LC_ALL=C.UTF-8 SUDO_UID=1000 SUDO_GID=1000 workbench/host/setup base kernel"),
                                  ("1000", "LC_ALL=C.UTF-8 make kernel")])
        self.assertEqual(self.bare("--user", "make")[0], [("1000", "LC_ALL=C.UTF-8 make")])


class SetupTests(unittest.TestCase):
    """Each case has commands of its own before those of the system."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="test-setup-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.env = {**os.environ, "WB_BUILD": str(self.folder / "build"), "PATH": f"{self.bin}:{os.environ['PATH']}",
                    "WB_PACKAGES": str(self.folder / "packages")}
        for name in ("WB_START", "SETUP", "LANGUAGE"):
            self.env.pop(name, None)
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
        done = subprocess.run([SETUP, *words], cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False, timeout=300)
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
        self.assertIn("missing: toy more\n", text)
        self.assertIn(f"{SETUP} one\n", text)
        self.assertEqual(self.calls(), [])

    def test_old_version_is_missing(self):
        """A command that is too old counts as missing; so does one that does not tell its version."""
        self.table("one tool tool>=10")
        (self.folder / "lists").write_text("")
        for answer in ("version 7.2.22", "version 9.10.0", "nothing"):
            self.command("tool", f"echo '{answer}'")
            status, text = self.setup_command("one")
            self.assertEqual(status, 1, answer)
            self.assertIn("missing: tool\n", text)

    def test_backports_when_the_release_is_too_old(self):
        """What the release has only in an old version is asked of its backports."""
        self.table("one tool tool>=10", "one toy not-there")
        (self.folder / "lists").write_text("")
        (self.folder / "tool-version").write_text("1:7.2+dfsg-7\n")
        _, text = self.setup_command("one")
        self.assertRegex(text, r"missing: tool toy\nfrom \w+-backports, as \w+ has an older version: tool\n")

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
        """Every command calls it: the real table in less than half a second of CPU time, best of five."""
        del self.env["WB_PACKAGES"]
        times = []
        for _ in range(5):
            start = resource.getrusage(resource.RUSAGE_CHILDREN)
            self.setup_command("base", "kernel", "guest", "check", "lint", "mbox")
            end = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime)
        self.assertLess(min(times), 0.5)

    def test_every_compiler_of_a_config_has_a_group(self):
        """`make kernel CONFIG=x` asks for the group that the config's `# cross:` line names."""
        groups = self.setup_command_real("--list")[1].split()
        for path in (WORKBENCH / "kernel/configs").glob("*.config"):
            for line in path.read_text().splitlines():
                if line.startswith("# cross:"):
                    self.assertIn(line.split(":")[1].strip().removesuffix("-"), groups)

    def setup_command_real(self, *words):
        """With the real table."""
        del self.env["WB_PACKAGES"]
        return self.setup_command(*words)

    def test_any_language(self):
        """apt's answers are read: they are asked for in English, also if LANGUAGE says otherwise."""
        self.become_root()
        self.command("apt-cache", """
[ -e {folder}/lists ] || exit 0
case ${LANGUAGE-}:$LC_ALL in
:C*) echo "  Candidate: 1:1.5-1" ;;
*) echo "  Installationskandidat: 1:1.5-1" ;;
esac""")
        self.table("one toy toy")
        self.env.update({"LC_ALL": "C.UTF-8", "LANGUAGE": "de", "LANG": "de_DE.UTF-8"})
        status, text = self.setup_command("one")
        self.assertEqual(status, 0, text)

    def test_the_command_for_an_ordinary_user_works(self):
        """What is printed is one command for all groups, and run as root it installs them, backports or not."""
        self.table("one tool tool>=10", "two toy toy")
        (self.folder / "tool-version").write_text("1:7.2+dfsg-7\n")
        (self.folder / "lists").write_text("")
        status, text = self.setup_command("one", "two")
        self.assertEqual(status, 1)
        [line] = [line.strip() for line in text.splitlines() if line.startswith("    ")]
        self.assertEqual(line.split()[0], "sudo")
        self.assertEqual(line.split()[-3:], [str(SETUP), "one", "two"])
        self.become_root()
        self.command("chown", ":")
        self.command("sudo", 'exec env SUDO_UID=1000 SUDO_GID=1000 "$@"')
        done = subprocess.run(["sh", "-c", line], env={**self.env, "DEBIAN_KEYRING": "/etc/passwd", "DEBIAN_MIRROR": "http://x"},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"installing tool from \w+-backports, in place of what this machine has")

    def test_what_root_made_is_given_back(self):
        """Through sudo, the folder that a user's next commands write to belongs to the user."""
        self.become_root()
        self.command("chown", 'echo "$*" >>{folder}/owners')
        self.table("one toy toy")
        self.env.update({"SUDO_UID": "1000", "SUDO_GID": "1001"})
        self.assertEqual(self.setup_command("one")[0], 0)
        owners = (self.folder / "owners").read_text().splitlines()
        self.assertIn(f"1000:1001 {self.folder}/build", owners)
        self.assertIn(f"-R 1000:1001 {self.folder}/build/logs", owners)

    def test_setup_no(self):
        """SETUP=no installs nothing, even as root, and says what is missing."""
        self.become_root()
        self.env["SETUP"] = "no"
        self.table("one toy toy")
        status, text = self.setup_command("one")
        self.assertEqual(status, 1)
        self.assertIn("missing: toy\n", text)
        self.assertIn(f"{SETUP} one\n", text)
        self.assertEqual(self.calls(), [])

    def test_another_architecture(self):
        """Told before anything is fetched."""
        self.command("uname", "echo aarch64")
        status, text = self.setup_command("two")
        self.assertEqual(status, 1)
        self.assertIn("this is a machine of type aarch64: the workbench runs on amd64", text)

    def test_paths_that_make_cannot_handle(self):
        """Refused at once."""
        for path, words in (("/a b", "a space or a colon"), ("/a:b", "a space or a colon"), ("a", "not an absolute path")):
            self.env["WB_BUILD"] = path
            status, text = self.setup_command("two")
            self.assertEqual((status, words in text), (1, True), text)

    def test_interrupt_is_one_line(self):
        """^C reaches setup and apt-get alike; a line of ours and none of theirs."""
        self.become_root()
        (self.folder / "lists").write_text("")
        self.command("apt-cache", 'echo "  Candidate: 1"')
        self.command("apt-get", ": >{folder}/reached; exec sleep 600")
        self.table("one toy toy")
        with subprocess.Popen([SETUP, "one"], cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              start_new_session=True) as running:
            deadline = time.monotonic() + 120
            while not (self.folder / "reached").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            os.killpg(running.pid, signal.SIGINT)
            text = running.communicate()[0]
        self.assertEqual(running.returncode, 130, text)
        self.assertEqual([line.split("] ")[1] for line in text.splitlines()[1:]], ["interrupted"])


if __name__ == "__main__":
    unittest.main()
