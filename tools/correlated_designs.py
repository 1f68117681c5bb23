"""What docs/design.md shows of correlated stragglers: Γ designed as if workers were independent, and under the law itself.

``python tools/correlated_designs.py`` prints the table; with the name of a .png file it draws the figure too.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.stats import binom

import uepgpu as uep
from uepgpu.charts.chart import LOSS, Chart, Line, Panel
from uepgpu.figures import draw_chart, to_png

WORKERS = 30
NUMBERS = np.arange(WORKERS + 1)
VARIANCES = (10, 1, 0.1)
PART = uep.Partition.model("rxc", left_variances=VARIANCES, right_variances=VARIANCES, shape=(300, 900, 300), classes=(3, 3, 3))
CODE = uep.codes.ExpandingWindow((0.40, 0.35, 0.25))


def racks(arrived: float, size: int, dark: float) -> np.ndarray:
    """Return the law of the number of packets, of racks of `size` workers that fail together with probability `dark`."""
    rack = (1 - dark) * binom.pmf(np.arange(size + 1), size, arrived)
    rack[0] += dark
    law = np.ones(1)
    for _ in range(WORKERS // size):
        law = np.convolve(law, rack)
    return law


def slow_rounds(t: float, speeds: tuple[float, ...]) -> np.ndarray:
    """Return the law of rounds in which all workers have one of several speeds, equally often."""
    return np.mean([binom.pmf(NUMBERS, WORKERS, -np.expm1(-t * s)) for s in speeds], axis=0)


def laws(t: float) -> dict[str, np.ndarray]:
    """Return laws of the number of packets by deadline t."""
    arrived = -np.expm1(-t)
    return {
        "independent": racks(arrived, 1, 0.0),
        "6 racks of 5, dark 10 %": racks(arrived, 5, 0.1),
        "3 racks of 10, dark 10 %": racks(arrived, 10, 0.1),
        "rounds at speed ½ or 2": slow_rounds(t, (0.5, 2.0)),
        "rounds at speed ¼ or 4": slow_rounds(t, (0.25, 4.0)),
    }


def designs(law: np.ndarray) -> tuple[uep.design.Design, uep.design.Design, float]:
    """Return the best Γ as if workers were independent, that under the law, and the loss of the first one under the law."""
    mean = float(law @ NUMBERS)
    naive = uep.design.gamma(CODE, PART, received=binom.pmf(NUMBERS, WORKERS, mean / WORKERS))
    given = float(uep.theory.loss(naive.code, PART, received=range(WORKERS + 1)).normalized_loss.values @ law)
    return naive, uep.design.gamma(CODE, PART, received=law), given


def print_table() -> None:
    """Print a row per law and deadline."""
    print("| t | law of N(t) | mean, sd of N | Γ₀ | Γ as if independent | its loss | best Γ | its loss | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for t in (0.3, 0.6):
        for name, law in laws(t).items():
            naive, best, given = designs(law)
            mean = float(law @ NUMBERS)
            spread = float(np.sqrt(law @ (NUMBERS - mean) ** 2))
            shown = [" ".join(f"{x:.2f}" for x in design.gamma) for design in (naive, best)]
            print(
                f"| {t} | {name} | {mean:.1f}, {spread:.1f} | {best.baseline:.4g} | {shown[0]} | {given:.4g} | {shown[1]} "
                f"| {best.objective:.4g} | {given / best.objective:.2f} |"
            )


def panel(title: str, x_label: str, x: np.ndarray, members: list[np.ndarray]) -> Panel:
    """Return the losses of three choices of Γ under a family of laws."""
    found = [designs(law) for law in members]
    nothing = np.full(x.size, np.nan)
    values = {
        "Γ = (.40, .35, .25)": [best.baseline for _, best, _ in found],
        "best Γ as if independent": [given for *_, given in found],
        "best Γ under the law": [best.objective for _, best, _ in found],
    }
    lines = tuple(Line(name, x, nothing, nothing, nothing, np.array(value)) for name, value in values.items())
    return Panel(title, x_label, LOSS, lines)


def chart() -> Chart:
    """Return the figure: racks that fail together, and rounds in which all workers are slow."""
    t = 0.6
    dark, spread = np.linspace(0.0, 0.5, 11), np.linspace(1.0, 4.0, 13)
    row = (
        panel("3 racks of 10 workers", "probability that a rack is dark", dark, [racks(-np.expm1(-t), 10, p) for p in dark]),
        panel(
            "all workers at speed 1/s or s", "spread s of the rounds' speeds", spread, [slow_rounds(t, (1 / s, s)) for s in spread]
        ),
    )
    looks = {line.label: number for number, line in enumerate(row[0].lines)}
    return Chart("design", "EW at t = 0.6, rxc, unit work, W = 30: what correlated stragglers change", (row,), looks)


if __name__ == "__main__":
    print_table()
    for name in sys.argv[1:]:
        Path(name).write_bytes(to_png(draw_chart(chart())))
