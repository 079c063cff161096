# SPDX-License-Identifier: GPL-2.0
"""The benchmark's figures: what the guest printed, runs and their spread, bounds, and the table."""

import collections
import statistics
import tomllib
from dataclasses import dataclass, field

from lib import console, paths, process

FILES = paths.WORKBENCH / "bench"
REPEATABLE = 0.01       # instruction counts of one kernel may differ by this between boots
ROW_KEYS = {"id", "text", "group", "boot", "run", "figure", "unit", "short", "only", "spread", "beside"}
BOUND_KEYS = {"ratio", "max", "pending", "known"}


@dataclass
class Row:
    """A row of the table: what it is, and each side's value in every run."""
    id: str
    text: str
    group: str
    unit: str
    counted: bool = True                    # instructions, or a static figure: it has to repeat
    values: dict = field(default_factory=lambda: {"base": [], "ours": []})
    bound: dict = field(default_factory=dict)
    allowed: float = REPEATABLE             # how far the runs of one side may lie apart
    compared: bool = True                   # the base was run, so that a ratio is to be expected
    beside: str = "base"                    # what the column "base" has: the base, or a variant of ours

    def value(self, side):
        """The median of the runs, None if there are none."""
        return statistics.median(self.values[side]) if self.values[side] else None

    def ratio(self):
        """Ours over base; None if there is no such thing."""
        base, ours = self.value("base"), self.value("ours")
        if base is None or ours is None:
            return None
        if base == ours:
            return 1.0
        return ours / base if base else None

    def spread(self):
        """The larger of both sides' (highest - lowest) / median over the runs; None with less than two runs."""
        spreads = [(max(values) - min(values)) / statistics.median(values) if statistics.median(values) else 0.0
                   for values in self.values.values() if len(values) > 1]
        return max(spreads, default=None)

    def outside(self):
        """What is wrong with the row, in words; empty if nothing is."""
        ours, ratio = self.value("ours"), self.ratio()
        if ours is None:
            return "no figure"
        wrong = []
        if "ratio" in self.bound and self.compared and (ratio is None or round(ratio, 3) > self.bound["ratio"]):
            wrong.append(f"ratio {show_ratio(ratio)} > {self.bound['ratio']:.3f}")
        if "max" in self.bound and ours > self.bound["max"]:
            wrong.append(f"{show(ours)} > {show(self.bound['max'])}")
        return ", ".join(wrong)

    def mark(self):
        """The last column: ok within the bound, OUTSIDE, pending, or nothing without a bound."""
        spread = self.spread()
        unsteady = "UNSTEADY" if self.counted and spread is not None and spread > self.allowed else ""
        if not self.bound:
            return unsteady
        if self.outside():
            return "pending" if "pending" in self.bound else " ".join(filter(None, ["OUTSIDE", unsteady]))
        return unsteady or "ok"

    def verdict(self):
        """(status, detail) for `make check`: a pending bound skips, and one that is met but still pending fails."""
        wrong = self.outside()
        told = f"base {show(self.value('base'))}, ours {show(self.value('ours'))} {self.unit}, ratio {show_ratio(self.ratio())}"
        if "pending" in self.bound:
            if wrong:
                return "skipped", f"pending: {self.bound['pending']}"     # without figures: expected.txt knows the reason
            return "failed", f"the bound is met ({told}): take its `pending` out of bounds.toml"
        return ("failed", f"{wrong} ({told})") if wrong else ("passed", told)


def read_rows(path=FILES / "rows.toml"):
    """rows.toml, checked: unknown keys, unknown boots and ids that are used twice are errors."""
    table = tomllib.loads(path.read_text())
    seen = set()
    for row in table.get("row", []):
        if unknown := set(row) - ROW_KEYS:
            console.die(f"{path}: row {row.get('id')}: unknown {' '.join(sorted(unknown))}")
        if missing := {"id", "text", "group", "boot", "run"} - set(row):
            console.die(f"{path}: row {row.get('id')}: no {' '.join(sorted(missing))}")
        if row["boot"] not in table["boot"]:
            console.die(f"{path}: row {row['id']}: no boot {row['boot']}")
        if row["id"] in seen:
            console.die(f"{path}: two rows {row['id']}")
        if row.get("short") and not table["boot"][row["boot"]].get("icount"):
            console.die(f"{path}: row {row['id']}: short, but its boot counts no instructions")
        if "beside" in row and (row["beside"] not in table.get("variant", {}) or row.get("short") or "only" in row):
            console.die(f"{path}: row {row['id']}: beside a variant that there is not, or short, or only ours")
        seen.add(row["id"])
        row.setdefault("figure", row["run"].split()[-1])
        row.setdefault("unit", "insn")
        row.setdefault("spread", REPEATABLE)
    return table


def read_bounds(known, path=FILES / "bounds.toml", compiler=None):
    """bounds.toml, checked: each bound belongs to a row. With a compiler that a bound knows, its ratio is the one for that."""
    bounds = tomllib.loads(path.read_text())
    for name, bound in bounds.items():
        if name not in known:
            console.die(f"{path}: there is no row {name}")
        if set(bound) - BOUND_KEYS or not set(bound) & {"ratio", "max"}:
            console.die(f"{path}: {name}: a bound has ratio or max, and may have known and pending")
        ratios = bound.pop("known", {})
        if ratios and any(ratio > bound.get("ratio", 0) for ratio in ratios.values()):
            console.die(f"{path}: {name}: what is known of a compiler makes the ratio tighter, not wider")
        if compiler in ratios:
            bound["ratio"] = ratios[compiler]
    return bounds


def compiler_name():
    """The compiler as bounds.toml names it, such as "gcc 12"."""
    return f"gcc {process.out(['gcc', '-dumpversion']).split('.')[0].strip()}"


def figures(text):
    """What a command of the guest printed: name -> value. Of samples it is the median, which no timer tick moves."""
    samples, found = collections.defaultdict(list), {}
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["S"] and len(words) == 4:
            samples[words[1]].append(int(words[3]) / int(words[2]))
        elif words[:1] == ["F"] and len(words) == 3:
            found[words[1]] = float(words[2])
    return {**found, **{name: statistics.median(values) for name, values in samples.items()}}


def histogram(text):
    """The steps of a histogram that a command printed: (limit, count)."""
    lines = [line.split() for line in text.splitlines() if line.startswith("H ")]
    return [(int(limit), int(count)) for _, _, limit, count in lines]


def show(value):
    """A figure with as many digits as are of use."""
    if value is None:
        return "-"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def show_ratio(ratio):
    """A ratio to three decimals, which is what bounds are compared with; smaller ones keep two digits."""
    if ratio is None:
        return "-"
    return f"{ratio:.3f}" if ratio >= 0.01 else f"{ratio:.2g}"


def show_bound(bound):
    """A bound in the table's words."""
    parts = [f"<= {bound['ratio']:.3f}"] if "ratio" in bound else []
    return " and ".join(parts + ([f"<= {show(bound['max'])}"] if "max" in bound else []))


def table(rows):
    """The table as lines of text."""
    lines, group = [], None
    width = max(len(row.text) for row in rows)
    for row in rows:
        if row.group != group:
            group = row.group
            lines += ["", f"{group:{width}}  {row.beside:>12} {'ours':>12} {'unit':6} {'ratio':>7} {'spread':>7}  bound"]
        spread = row.spread()
        lines.append(f"{row.text:{width}}  {show(row.value('base')):>12} {show(row.value('ours')):>12} {row.unit:6} "
                     f"{show_ratio(row.ratio()):>7} {'' if spread is None else f'{spread:.2%}':>7}  "
                     f"{' '.join(filter(None, [show_bound(row.bound), row.mark()]))}".rstrip())
    return lines[1:]
