# SPDX-License-Identifier: GPL-2.0
"""What holds for the repository's own sources: they compile, their tables parse, and some things are done in one place.

A rule that finds nothing to look at has failed: it was asked in the wrong way.
"""

import ast
import json
import re
import shutil
import subprocess
import tomllib
import warnings

from lib import paths, process
from lib.cases import Case
from lib.git import listed

PYTHON = re.compile(rb"#!.*\bpython3?\b")
BIG = 1 << 20

# Hosts of package registries, in parts, so that this file names none. Where Debian's packages come from is the machine's
# business; host/apt-private asks it.
DOMAINS = {"org": ("pypi", "npmjs", "pythonhosted", "rubygems", "debian", "packagist", "maven", "cpan", "anaconda"),
           "io": ("crates", "quay", "docker", "ghcr"), "com": ("npmjs", "docker", "ubuntu", "yarnpkg"),
           "net": ("launchpad", "fedoraproject"), "golang": ("proxy", "sum")}
REGISTRY = re.compile(r"(?<![@\w.-])(?:[\w-]+\.)*(?:" + "|".join(
    rf"(?:{'|'.join(names)})\.{end}" for end, names in DOMAINS.items()) + r")\b", re.I)


def repository_files():
    """The files of the repository, also new ones, but for large ones, which are no source."""
    found = [paths.TOP / name for name in listed(paths.TOP)]
    return [path for path in found if path.is_file() and path.stat().st_size < BIG]


def named(path):
    """A file as the user knows it."""
    return str(path.relative_to(paths.TOP)) if path.is_relative_to(paths.TOP) else str(path)


def python_files(files):
    """Those that Python reads: by their suffix, or by what is to run them."""
    found = []
    for path in files:
        with open(path, "rb") as source:
            if path.suffix == ".py" or PYTHON.match(source.readline()):
                found.append(path)
    return found


def verdict(rule, files, problems):
    """A case for each file in which a rule found a problem, and one for the rule."""
    if not files:
        return [Case(rule, "failed", "no file found to look at")]
    told = {path: "; ".join(text for other, text in problems if other == path) for path, _ in problems}
    return [Case(f"{rule}: {named(path)}", "failed", text) for path, text in told.items()] or [Case(rule, "passed")]


def compiles(path):
    """What Python says of a file; nothing is written."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError, Warning) as error:
            return f"{type(error).__name__}: {error}"
    return ""


def python_compiles(files):
    """Every Python file, also those that are run and have no suffix."""
    found = python_files(files)
    return verdict("python compiles", found, [(path, told) for path in found if (told := compiles(path))])


def pyflakes(files):
    """Names that are not defined or not used, in every Python file."""
    found = python_files(files)
    if not shutil.which("pyflakes3"):
        return [Case("pyflakes", "failed", "there is no pyflakes3: workbench/host/setup lint installs it")]
    done = subprocess.run(["pyflakes3", *found], capture_output=True, text=True, check=False, env=process.environment())
    lines = (done.stdout + done.stderr).splitlines()
    if done.returncode and not lines:
        lines = [f"pyflakes3 ended with {done.returncode}"]
    cases = [Case(f"pyflakes: {line.removeprefix(f'{paths.TOP}/')}", "failed") for line in lines]
    return cases or verdict("pyflakes", found, [])


def yaml_error(path):
    """What Debian's YAML parser says of a file: the module is not Python's own, so Debian's Python is asked."""
    done = subprocess.run(["/usr/bin/python3", "-c", "import sys, yaml; yaml.safe_load(open(sys.argv[1]))", path],
                          capture_output=True, text=True, check=False, env=process.environment())
    return " ".join(done.stderr.split())[-300:] if done.returncode else ""


def table_error(path):
    """What is wrong with a table of settings; empty if nothing is."""
    try:
        if path.suffix == ".toml":
            tomllib.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        else:
            return yaml_error(path)
    except ValueError as error:
        return str(error)
    return ""


def tables_parse(files):
    """TOML, JSON and YAML files."""
    found = [path for path in files if path.suffix in (".toml", ".json", ".yml", ".yaml")]
    return verdict("tables parse", found, [(path, told) for path in found if (told := table_error(path))])


def names_no_registry(files):
    """Nothing names the host of a package registry."""
    found = [path for path in files if path.is_relative_to(paths.WORKBENCH)]
    problems = []
    for path in found:
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if match := REGISTRY.search(line):
                problems.append((path, f"line {number} names {match[0]}"))
    return verdict("no host of a package registry is named", found, problems)


def strings(tree):
    """(line, text) of each string in a program that is not a docstring."""
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [(node.lineno, node.value) for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts]


def commands(tree, name):
    """The lines of a program that have a command line beginning with a name."""
    return sorted(node.lineno for node in ast.walk(tree) if isinstance(node, (ast.List, ast.Tuple)) and len(node.elts) > 1
                  and isinstance(node.elts[0], ast.Constant) and node.elts[0].value == name)


def in_one_place(files):
    """git is called by lib/git.py, and the language of messages is chosen in lib/. What tests do to their toys is theirs."""
    found = [path for path in python_files(files) if path.is_relative_to(paths.WORKBENCH)
             and path.relative_to(paths.WORKBENCH).parts[0] != "tests"]
    problems = []
    for path in found:
        try:
            tree = ast.parse(path.read_bytes())
        except SyntaxError:
            continue        # python_compiles() tells it
        room = path.relative_to(paths.WORKBENCH)
        if str(room) != "lib/git.py":
            problems += [(path, f"line {line} calls git: lib/git.py does that") for line in commands(tree, "git")]
        if room.parts[0] != "lib":
            problems += [(path, f"line {line} sets {text}: lib/process.py does that") for line, text in strings(tree)
                         if text in ("LC_ALL", "LANG", "LANGUAGE", "LC_MESSAGES") and path.name != "rules.py"]
    return verdict("git and the language in one place", found, problems)


def everything():
    """All rules, on all files."""
    files = repository_files()
    return [*python_compiles(files), *pyflakes(files), *tables_parse(files), *names_no_registry(files), *in_one_place(files)]
