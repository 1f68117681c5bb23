"""What docs/stragglers.md shows of workers whose latencies have one law and come together in different ways.

``python tools/straggler_study.py`` prints the tables; with the name of a folder it draws the two figures there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import uepgpu as uep
from uepgpu import gradient_coding as gc
from uepgpu.charts.chart import LOSS, Chart, Line, Panel
from uepgpu.figures import draw_chart, to_png
from uepgpu.specification.load import SPECS

W = 30
TRACE = uep.latency.Trace.read(SPECS / "stragglers.csv", round="round", worker="worker", latency="latency")
LATENCIES = np.asarray(TRACE.latencies)
SLOW = np.median(LATENCIES, axis=1) > 5.2
"""Rounds of the slow kind: no median lies between 4.7 and 5.2 ms."""
VARIANCES = (10, 1, 0.1)
PART = uep.Partition.model("rxc", left_variances=VARIANCES, right_variances=VARIANCES, shape=(300, 900, 300), classes=(3, 3, 3))
CODES = {"EW": uep.codes.ExpandingWindow((0.40, 0.35, 0.25)), "MDS": uep.codes.MDS()}
TIMES = np.arange(2.5, 8.51, 0.05)
LEAST = 2e-5
"""Losses below are not drawn."""
SHOWN = (4.0, 5.0, 6.0, 7.0)
ITERATIONS, DESCENTS = 40, 2000


def pool(latency: object, racks: uep.Racks | None = None) -> uep.Workers:
    """Return 30 workers whose time is that of the latencies."""
    return uep.Workers(W, latency=latency, omega=1.0, work="unit", racks=racks)


def racks(size: int) -> uep.Workers:
    """Return racks of `size` workers that are slow as often as recorded rounds were, with the latencies of such rounds."""
    fast, slow = (uep.latency.Empirical(LATENCIES[rounds].ravel()) for rounds in (~SLOW, SLOW))
    return pool(fast, uep.Racks([w // size for w in range(W)], float(SLOW.mean()), slow))


POOLS = {
    "independent": pool(uep.latency.Empirical(LATENCIES.ravel())),
    "6 racks of 5": racks(5),
    "3 racks of 10": racks(10),
    "1 rack of 30": racks(30),
    "recorded rounds": pool(TRACE),
}
AGAIN = float(SLOW[1:][SLOW[:-1]].mean())
"""How often a slow round is followed by a slow one."""


def states() -> uep.Workers:
    """Return workers that turn slow and fast each on its own, as often and for as long as recorded rounds do."""
    fast, slow = (uep.latency.Empirical(LATENCIES[rounds].ravel()) for rounds in (~SLOW, SLOW))
    turn = (1 - AGAIN) * float(SLOW.mean()) / (1 - float(SLOW.mean()))
    return uep.Workers(W, omega=1.0, work="unit", states=uep.Markov([[1 - turn, turn], [1 - AGAIN, AGAIN]], [fast, slow]))


ROUNDS = {
    "independent": POOLS["independent"],
    "Markov states": states(),
    "rounds at random": POOLS["recorded rounds"],
    "rounds in order": pool(uep.latency.Trace(LATENCIES, replay="order")),
}


def print_losses() -> None:
    """Print losses of both codes, the deadline for a loss of 5 %, and the spread of the number of packets."""
    print("| workers | sd of N(5) | " + " | ".join(f"{c}, t = {t:g}" for c in CODES for t in SHOWN) + " | EW: t for 5 % | MDS |")
    print("| --- " * (4 + 2 * len(SHOWN)) + "|")
    share = (LATENCIES <= 5.0).mean()
    for name, workers in POOLS.items():
        losses = [uep.theory.loss(code, PART, workers, deadlines=SHOWN).normalized_loss.values for code in CODES.values()]
        due = [float(uep.theory.deadline_for(code, PART, workers, loss=0.05).deadline[0]) for code in CODES.values()]
        print(f"| {name} | {spread(name, share):.1f} | " + " | ".join(f"{x:.2g}" for x in np.concatenate(losses)), end=" | ")
        print(" | ".join(f"{t:.1f}" for t in due) + " |")


def spread(name: str, share: float) -> float:
    """Return the standard deviation of the number of packets by t = 5."""
    if name == "recorded rounds":
        return float((LATENCIES <= 5.0).sum(axis=1).std())
    if name == "independent":
        return float(np.sqrt(W * share * (1 - share)))
    size = int(name.split()[-1])
    fast, slow, chance = (LATENCIES[~SLOW] <= 5.0).mean(), (LATENCIES[SLOW] <= 5.0).mean(), SLOW.mean()
    within = (1 - chance) * fast * (1 - fast) + chance * slow * (1 - slow)
    between = chance * (1 - chance) * (fast - slow) ** 2
    return float(np.sqrt(W * within + W * size * between))


def print_rounds() -> None:
    """Print how losses of neighbouring rounds go together."""
    code = CODES["EW"]
    given = uep.theory.loss(code, PART, received=range(W + 1)).normalized_loss.values
    loss = given[(LATENCIES <= 6.5).sum(axis=1)]
    windows = np.array([np.take(loss, np.arange(i, i + 20), mode="wrap").mean() for i in range(loss.size)])
    next_one = np.corrcoef(loss, np.roll(loss, -1))[0, 1]
    print(f"\nEW by t = 6.5: mean {loss.mean():.3f}, correlation with the next round {next_one:.2f}, sd of the mean of 20 rounds")
    print(f"in order {windows.std():.3f}, of independent rounds {loss.std() / np.sqrt(20):.3f}\n")


def descents() -> dict[tuple[int, str], object]:
    """Return the law of the time of descents for two numbers of servers that are waited for."""
    table = gc.gaussian(rows=600, columns=10, seed=1)
    problem = gc.Problem(table.A, table.b, blocks=W)
    call = {"iterations": ITERATIONS, "realizations": DESCENTS, "seed": 1, "quantiles": [0.01, 0.5, 0.99]}
    times = np.arange(100.0, 301.0, 4.0)
    return {
        (q, name): gc.completion_time(problem, gc.ReplicatedSketch(q), workers, times=times, **call)
        for q in (9, 20)
        for name, workers in ROUNDS.items()
    }


def print_descents(found: dict) -> None:
    """Print means, spreads and quantiles of descents."""
    print("| wait for | workers | mean | sd | 1 % | 50 % | 99 % |\n| --- | --- | --- | --- | --- | --- | --- |")
    for (q, name), law in found.items():
        ends = " | ".join(f"{t:.0f}" for t in law.quantile_time.values)
        print(f"| {q} of {W} | {name} | {law['mean'].item():.1f} | {law.sd.item():.1f} | {ends} |")


def chart_of(kind: str, title: str, panels: tuple[Panel, ...], **options: bool) -> Chart:
    """Return a chart of panels side by side whose lines are alike."""
    return Chart(kind, title, (panels,), {line.label: number for number, line in enumerate(panels[0].lines)}, **options)


def loss_chart() -> Chart:
    """Return the losses of both codes for all workers."""
    nothing = np.full(TIMES.size, np.nan)
    panels = []
    for name, code in CODES.items():
        exact = {
            label: uep.theory.loss(code, PART, workers, deadlines=TIMES).normalized_loss.values for label, workers in POOLS.items()
        }
        lines = tuple(
            Line(label, TIMES, nothing, nothing, nothing, np.where(values >= LEAST, values, np.nan))
            for label, values in exact.items()
        )
        panels.append(Panel(name, "deadline t (ms)", LOSS, lines))
    return chart_of("loss", "One law of latency, five ways to come together: W = 30, rxc, unit work", tuple(panels))


def bounds(name: str, law: object) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds that are drawn: none where nothing is left to chance, and none of zero and one."""
    sure = (name == "rounds in order") | (law.cdf.values == 0) | (law.cdf.values == 1)
    return tuple(np.where(sure, law.cdf.values, side.values) for side in (law.cdf_low, law.cdf_high))


def descent_chart(found: dict) -> Chart:
    """Return the share of descents that are done by a time."""
    panels = []
    for q in (9, 20):
        laws = {name: found[q, name] for name in ROUNDS}
        lines = tuple(Line(name, law.time.values, law.cdf.values, *bounds(name, law), None) for name, law in laws.items())
        panels.append(
            Panel(f"waiting for {q} of {W} servers", "time of 40 iterations (ms)", "share of descents that are done", lines)
        )
    return chart_of(
        "probability",
        "Descents over recorded rounds, at random or in order, and over independent latencies",
        tuple(panels),
        probability=True,
        logarithmic=False,
    )


if __name__ == "__main__":
    print_losses()
    print_rounds()
    laws = descents()
    print_descents(laws)
    for folder in map(Path, sys.argv[1:]):
        (folder / "stragglers-marginals.png").write_bytes(to_png(draw_chart(loss_chart())))
        (folder / "stragglers-descents.png").write_bytes(to_png(draw_chart(descent_chart(laws))))
