# SPDX-License-Identifier: GPL-2.0
"""The rules for the repository's own sources: each is broken on purpose, in a repository of a few files."""

import subprocess
import unittest
from unittest import mock

from check import rules
from lib import paths
from shared import Folder


class Repository(Folder):
    """A toy repository in which every rule holds."""

    def setUp(self):
        super().setUp()
        self.top = self.folder
        self.patch(paths, "TOP", self.top)
        self.patch(paths, "WORKBENCH", self.top / "workbench")
        self.write("workbench/wb", "#!/usr/bin/env python3\nprint(1)\n")
        self.write("workbench/lib/git.py", 'COMMAND = ["git", "log"]\n')
        self.write("workbench/rows.toml", "a = 1\n")

    def failed(self, rule):
        return {case.name: case.detail for case in rule(rules.repository_files()) if case.status != "passed"}

    def test_a_good_repository_passes(self):
        for rule in (rules.python_compiles, rules.tables_parse, rules.names_no_registry, rules.in_one_place, rules.pyflakes):
            self.assertEqual(self.failed(rule), {}, rule)

    def test_a_broken_file_without_suffix_is_found(self):
        self.write("workbench/wb", "#!/usr/bin/env python3\ndef (\n")
        self.assertIn("SyntaxError", self.failed(rules.python_compiles)["python compiles: workbench/wb"])

    def test_compiling_leaves_nothing(self):
        rules.python_compiles(rules.repository_files())
        self.assertEqual(list(self.top.rglob("*.pyc")), [])

    def test_a_name_that_is_not_there_is_found(self):
        self.write("workbench/wb", "#!/usr/bin/python3\nprint(missing)\n")
        self.assertIn("undefined name 'missing'", " ".join(self.failed(rules.pyflakes)))

    def test_without_pyflakes_the_check_fails(self):
        with mock.patch.object(rules.shutil, "which", return_value=None):
            self.assertIn("pyflakes", self.failed(rules.pyflakes))

    def test_tables_have_to_parse(self):
        for name, text in (("a.toml", "a = \n"), ("b.json", "{"), (".ci.yml", "a: [\n")):
            path = self.write(name, text)
            self.assertIn(f"tables parse: {name}", self.failed(rules.tables_parse))
            path.unlink()
        self.write("good.yml", "a: [1]\n")
        self.assertEqual(self.failed(rules.tables_parse), {})

    def test_a_registry_is_not_named(self):
        for host in ("files.pythonhosted", "deb.debian", "registry.npmjs"):
            self.write("workbench/README", f"fetch from {host}.{'org'}/x\n")
            self.assertIn(f"names {host}.org", " ".join(self.failed(rules.names_no_registry).values()))
        self.write("workbench/README", "mail to someone@lists.debian.org" + ", see git.kernel.org\n")
        self.assertEqual(self.failed(rules.names_no_registry), {})

    def test_git_and_the_language_have_one_place(self):
        self.write("workbench/check/new.py", '"""It calls ["git", "x"]."""\nA = ["git", "-C", "x"]\nB = {"LC_ALL": "C"}\n')
        self.write("workbench/tests/test_new.py", 'A = ["git", "init"]\n')
        self.assertEqual(list(self.failed(rules.in_one_place).values()),
                         ["line 2 calls git: lib/git.py does that; line 3 sets LC_ALL: lib/process.py does that"])

    def test_a_rule_without_files_fails(self):
        for rule in (rules.python_compiles, rules.pyflakes, rules.tables_parse, rules.names_no_registry, rules.in_one_place):
            self.assertEqual([case.status for case in rule([])], ["failed"], rule)

    def test_files_are_those_that_git_knows_or_could(self):
        subprocess.run(["git", "init", "-q", self.top], check=True)
        self.write(".gitignore", "/build/\n")
        self.write("build/x.py", "def (\n")
        self.assertEqual(self.failed(rules.python_compiles), {})
        self.assertIn(self.top / "workbench/wb", rules.repository_files())


if __name__ == "__main__":
    unittest.main()
