# SPDX-License-Identifier: GPL-2.0
"""Builds that no boot covers: the series' tristates as modules, each of its options off, and other compilers.

Each begins as a copy of the default's objects, if they are there (see Kernel.seed), so that it costs what it changes.
"""

import re

from check import compilers, static
from kernel import source
from kernel.build import Kernel, present, requested, series_options, switches
from lib.cases import Case


def built(what, kernel, *goals):
    """A case for a build; a failed one has the line that tells why."""
    wrong = kernel.attempt(*goals)
    return Case(what, "failed" if wrong else "passed", wrong and f"{wrong} (log {kernel.log})")


def modules():
    """Every tristate of the series as a module of the kernel that it belongs to: vmlinux.o is linked, and modpost looks up
    what each module needs among what that exports. The last link of vmlinux, which adds no symbol, is left out; vmlinux.o itself
    would be a goal that make takes for one file, and does not make again."""
    options = sorted(option for option, kind in switches().items() if kind == "tristate")
    if not options:
        return [Case("modules", "failed", "the series has no tristate option: the question was asked in the wrong way")]
    kernel = Kernel("default", label="modules", changes={option: "m" for option in options})
    cases = [built("modules and modpost", kernel, "vmlinux_o", "modules")]
    if cases[0].status == "passed":
        cases += [module_case(kernel, option) for option in options]
    return cases


def module_case(kernel, option):
    """Whether an option that is =m gave each of its objects as a module."""
    order = kernel.objects / "modules.order"
    listed = {line.rsplit(".", 1)[0] for line in order.read_text().splitlines()} if order.exists() else set()
    wanted = objects_of(option)
    missing = [name for name in wanted if name not in listed or not (kernel.objects / f"{name}.ko").exists()]
    if missing or not wanted:
        return Case(f"{option}=m", "failed", f"not a module: {' '.join(missing)}" if wanted else "no Makefile names it")
    return Case(f"{option}=m gives {' '.join(f'{name}.ko' for name in wanted)}", "passed")


def objects_of(option):
    """The objects that the Makefiles of the touched folders make of an option, without suffix."""
    found = []
    for name in static.touched("Makefile"):
        text = static.git("show", f"{source.commit()}:{name}").replace("\\\n", " ")
        for objects in re.findall(rf"^obj-\$\({option}\)\s*[+:]?=(.*)$", text, re.M):
            found += [f"{name.removesuffix('Makefile')}{word.removesuffix('.o')}" for word in objects.split()]
    return found


def each_off():
    """The default's kernel, linked, with each option of the series off in turn, and with it what depends on that."""
    asked, kconfig = requested("default"), series_kconfig()
    options = sorted(option for option in switches() if asked.get(option, "n") != "n")
    cases = []
    for option in options:
        others = dependents(option, kconfig) & {name for name, value in asked.items() if value != "n"}
        kernel = Kernel("default", label="options", changes={name: "n" for name in {option, *others}})
        also = f", and so without {' '.join(sorted(others))}" if others else ""
        cases.append(built(f"links without {option}{also}", kernel, "vmlinux"))
        if cases[-1].status == "passed" and option in present(kernel.objects / ".config"):
            cases.append(Case(f"without {option}", "failed", "it is on nevertheless"))
    return cases or [Case("each option off", "failed", "the default sets no option of the series")]


def series_kconfig():
    """Option -> the text of its entry in the Kconfig files that the series touches."""
    entries = {}
    for name in static.touched():
        if "Kconfig" in name.rsplit("/", 1)[-1]:
            for entry in re.split(r"^(?=(?:menu)?config )", static.git("show", f"{source.commit()}:{name}"), flags=re.M)[1:]:
                entries[f"CONFIG_{entry.split()[1]}"] = entry
    return {option: entries[option] for option in series_options() if option in entries}


def dependents(option, kconfig):
    """The options that cannot be there without one. Who is missed here is told by configure(): asked for but not set."""
    found, ahead = set(), {option}
    while ahead:
        name = ahead.pop().removeprefix("CONFIG_")
        ahead |= {other for other, entry in kconfig.items() if other not in found
                  and re.search(rf"^\s+depends on [^#\n]*\b{name}\b", entry, re.M)}
        found |= ahead
    return found - {option}


def other_compilers():
    """The default's kernel, linked, by other compilers than the machine's; W=1 says nothing new of the touched files."""
    cases = []
    for compiler in compilers.KNOWN:
        enter, why = compilers.way_to(compiler)
        if why:
            # What a package of this Debian gives has to be there; another Debian needs root.
            cases.append(Case(f"{compiler.name} links", "skipped" if compiler.suite else "failed", why))
            continue
        ours = Kernel("default", label=compiler.name, compiler=compiler.name, enter=enter)
        base = Kernel("default", base=True, label=f"{compiler.name}-base", compiler=compiler.name, enter=enter)
        cases.append(built(f"{compiler.name} links", ours, "vmlinux"))
        if cases[-1].status == "passed":
            cases += static.new_remarks(ours, base, static.built_sources(ours)[0], f"{compiler.name} W=1", [])
    return cases
