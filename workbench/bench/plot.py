# SPDX-License-Identifier: GPL-2.0
"""The benchmark's plots by gnuplot, each as SVG and PNG: the ratios of what is counted, and latencies of secret memory."""

from bench import figures
from lib import process

TERMINALS = {"svg": "svg size 1000,{height} font 'sans,11' background 'white'", "png": "png size 1000,{height} font 'sans,10'"}

RATIOS = """
set title "Instructions, ours / base (1 = the same)"
set logscale x
set format x "%g"
set grid x
set xrange [{low}:{high}]
set yrange [{rows}.6:-0.6]
set ytics ({labels})
set key off
set style fill solid 0.8
set boxwidth 0.7
set arrow 1 from 1, graph 0 to 1, graph 1 nohead lw 2
plot '{data}' using (1):0:(1):2:($0-0.35):($0+0.35) with boxxyerror lc rgb '#4477aa'
"""

LATENCY = """
set title "Populating secret memory: time of a page's first touch, {boot}"
set logscale x 2
set format x "%g"
set xlabel "us, less than"
set ylabel "pages"
set grid
set style data steps
plot {plots}
"""


def gnuplot(text, path, height):
    """Draw one plot in each format; what gnuplot says of an error ends the command."""
    for kind, terminal in TERMINALS.items():
        script = (f"set terminal {terminal.format(height=height)}\nset output '{path}.{kind}'\nset encoding utf8\n"
                  f"set termoption noenhanced\n{text}")
        path.with_suffix(".gp").write_text(script)
        process.run(["gnuplot", path.with_suffix(".gp")], f"bench-plot-{path.name}.log", f"drawing {path.name}.{kind}")


def draw_ratios(rows, folder):
    """A bar for each counted row that both sides have."""
    both = [row for row in rows if row.counted and row.unit == "insn" and row.ratio() and row.id != "calibrate"
            and not row.id.startswith("insn ")]
    if not both:
        return
    data = folder / "ratios.dat"
    data.write_text("".join(f'"{row.text}" {row.ratio():.6f}\n' for row in both))
    labels = ", ".join(f'"{row.text}" {number}' for number, row in enumerate(both))
    ratios = [row.ratio() for row in both]
    gnuplot(RATIOS.format(low=min(min(ratios) / 2, 0.5), high=max(max(ratios) * 2, 2), rows=len(both) - 1, labels=labels,
                          data=data), folder / "ratios", 120 + 22 * len(both))


def draw_latency(results, folder):
    """The histogram of each side's first run with two CPUs."""
    plots = []
    for (boot, side, run), outputs in results.items():
        steps = figures.histogram(outputs.get("user populate secretmem 64", ""))
        if boot == "smp2" and run == 0 and steps:
            data = folder / f"latency-{side}.dat"
            data.write_text("".join(f"{limit} {number}\n" for limit, number in steps))
            plots.append(f"'{data}' using ($1/1000):2 with histeps title '{side}' lw 2")
    if plots:
        gnuplot(LATENCY.format(boot="2 CPUs", plots=", ".join(plots)), folder / "latency", 500)


def draw(rows, results, folder):
    """All plots."""
    draw_ratios(rows, folder)
    draw_latency(results, folder)
