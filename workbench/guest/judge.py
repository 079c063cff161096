# SPDX-License-Identifier: GPL-2.0
"""What is wrong with a boot, by what it printed and left: one line each. Nothing that went wrong may pass."""

import re

PROBLEMS = re.compile(
    r"Kernel panic|kernel BUG at|BUG:|WARNING:|Oops|general protection fault|KASAN:|UBSAN:|KCSAN:|INFO: possible"
    r"|possible recursive locking|inconsistent lock state|suspicious RCU usage|blocked for more than|rcu: INFO:"
    r"|soft lockup|hard LOCKUP|Bad page state|unreferenced object|Unable to mount root|Out of memory: Killed"
    r"|Unknown symbol|VM_FAULT_OOM leaked out")

# What QEMU adds to the guest's last line when its time is up.
ENDED = re.compile(r"qemu-system-\S+: terminating on signal .*")


# Which program the OOM killer takes.
KILLED = re.compile(r"Out of memory: Killed process \d+ \((.*)\) total-vm:")


def is_problem(line, killed=()):
    """Whether a line of the console tells of a problem. To use up all memory is what programs of these names are for."""
    if (told := KILLED.search(line)) and told[1] in killed:
        return False
    return bool(PROBLEMS.search(line)) and "Command line:" not in line


def excerpt(lines, killed=()):
    """The lines around the first problem; the last ones when no line names a problem."""
    first = next((number for number, line in enumerate(lines) if is_problem(line, killed)), len(lines) - 20)
    return lines[max(0, first - 5):first + 40]


def judge(outcome, boot, in_time):
    """Fill in what is wrong with a boot: each entry is one line."""
    text = ENDED.sub("", outcome.console.read_text(errors="replace"))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else "nothing"
    if not in_time:
        outcome.problems.append(f"no end after {boot.timeout} s; the console's last line: {last}")
    seen = [line for line in lines if is_problem(line, boot.killed)]
    outcome.problems += [f"console: {line}" for line in dict.fromkeys(seen[:5])]
    finished = (outcome.results / "finished").exists()
    if seen or not finished:
        outcome.excerpt = excerpt(lines, boot.killed)
    if not finished and in_time and not seen:
        outcome.problems.append(f"the guest ended before its jobs did; the console's last line: {last}")
    taint = int(outcome.text("tainted") or -1) if finished else 0
    if taint & ~boot.taint:
        outcome.problems.append(f"the kernel is tainted: {taint}")
    outcome.problems += job_problems(outcome, finished)


def job_problems(outcome, finished):
    """What is wrong with the jobs, each by name: those before a crash may have ended well, and one was under way."""
    found, under_way = [], not finished
    for job in outcome.jobs:
        status = outcome.text(f"{job}.status").strip()
        if status == "0":
            continue
        if status:
            said = outcome.text(f"{job}.log").strip().splitlines() or ["it printed nothing"]
            found.append(f"job {job} ended with {status}: {said[-1]}")
        elif finished:
            found.append(f"job {job} left no status")
        else:
            found.append(f"job {job} {'did not end' if under_way else 'was not reached'}")
            under_way = False
    return found
