# SPDX-License-Identifier: GPL-2.0
"""The fast static checks: the series' rules, the round trip, checkpatch, kernel-doc, shellcheck, the fragments."""

import subprocess
import sys

import kernels
import static_checks
import wb
from ktap import Case


def command(name, words):
    """A case for a command that says what is wrong when it fails."""
    done = subprocess.run([str(word) for word in words], cwd=wb.TOP, capture_output=True, text=True, check=False)
    told = " ".join((done.stdout + done.stderr).split())[-600:]
    return Case(name, "failed" if done.returncode else "passed", told if done.returncode else "")


def off_lists_all():
    """off.config turns off every option that the series adds and that can be; what is not listed is not tested when off."""
    wanted = kernels.requested("off")
    new = kernels.settable_options(kernels.series_options())
    left = sorted(option for option in new if wanted.get(option) != "n")
    return Case("off.config lists every new option", "failed" if left else "passed", " ".join(left))


def everything():
    """All of it."""
    series = wb.TOP / "workbench" / "series"
    scripts = sorted(str(path) for path in (wb.TOP / "workbench").rglob("*.py"))
    return [
        command("series format, claims and orphans", [series, "check"]),
        command("round trip", [series, "round-trip"]),
        command("python compiles", [sys.executable, "-m", "py_compile", *scripts]),
        off_lists_all(),
        *static_checks.shellcheck(),
        *static_checks.checkpatch(),
        *static_checks.kernel_doc(),
    ]
