"""Figures along the axes of a grid, heat maps, and figures of more series than can be told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cases.command_line import call
from tests.cases.stores import make_store
from uepgpu import theory
from uepgpu.charts import Chart, Line, NothingToShow, Panel, build_chart
from uepgpu.charts.crowd import MOST_NAMED, emphasized
from uepgpu.charts.looks import MOST_LOOKS
from uepgpu.figures import draw_chart, to_bytes
from uepgpu.results.axes import axis
from uepgpu.store.sections import read_sections
from uepgpu.store.stored import StoredPoint

GRID = """
title = "grid"
realizations = 1000
seed = 3
deadlines = [0, 0.3, 0.6]
[workers]
omega = 1.0
work = "unit"
[partitions.rxc]
paradigm = "rxc"
left_variances = [10, 1, 0.1]
right_variances = [10, 1, 0.1]
classes = [3, 3, 3]
[grid]
workers = [10, 20, 30]
gamma = [[0.4, 0.35, 0.25], [0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]
[[series]]
label = "EW"
code = "ew"
[[series]]
label = "NOW"
code = "now"
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("axis"), GRID, "grid")


@pytest.fixture(scope="module")
def points(store: Path) -> tuple[StoredPoint, ...]:
    return read_sections(store)[0].points


def along(kind: str, points: Any, name: str, at: tuple[float, ...] = (0.6,), y: str | None = None) -> Chart:
    return build_chart(kind, points, "title", at, axis("--x", name), None if y is None else axis("--y", y))


# --- along one axis ---------------------------------------------------------------------------------------------------


def test_losses_along_gamma_are_those_of_the_tallies(points: tuple[StoredPoint, ...]) -> None:
    chart = along("loss", points, "gamma", (0.3, 0.6))
    assert [p.title for p in chart.panels] == [f"t = {t}: row-times-column (rxc), unit work" for t in (0.3, 0.6)]
    assert all(p.x_label == "Γ₁" for p in chart.panels)
    assert list(chart.looks) == [f"{code}, W = {w}" for code in ("EW", "NOW") for w in (10, 20, 30)]
    for panel, t in zip(chart.panels, (0.3, 0.6), strict=True):
        for line in panel.lines:
            assert line.x.tolist() == [0.2, 0.4, 0.9]
            for i, first in enumerate(line.x):
                code, w = line.label.split(", W = ")
                s = next(
                    p
                    for p in points
                    if p.point.code.gamma[0] == first
                    and p.point.series.startswith(code)
                    and p.point.workers.count == int(w.split(",")[0])
                )
                found = s.tally.loss(s.point.part, workers=s.point.workers, deadlines=[t])
                assert line.value[i] == found.normalized_loss.item()
                assert (line.low[i], line.high[i]) == (found.normalized_loss_low.item(), found.normalized_loss_high.item())
                exact = theory.loss(s.point.code, s.point.part, s.point.workers, deadlines=[t]).normalized_loss.item()
                assert line.exact is not None
                assert line.exact[i] == exact


def test_other_kinds_have_their_quantities_along_an_axis(points: tuple[StoredPoint, ...]) -> None:
    ew = next(p for p in points if p.point.series.startswith("EW") and p.point.workers.count == 20 and p.point.code.gamma[0] == 0.4)
    options: dict[str, Any] = {"workers": ew.point.workers, "deadlines": [0.6]}

    def value(chart: Chart, row: int) -> float:
        panel = chart.rows[row][0]
        assert panel is not None
        line = next(line for line in panel.lines if line.label == "EW, Γ = 0.4/0.35/0.25")
        assert line.x.tolist() == [10, 20, 30]
        return float(line.value[1])

    chart = along("probability", points, "workers")
    assert chart.probability
    assert chart.whole_x
    assert len(chart.rows) == 3
    for c in range(3):
        assert value(chart, c) == ew.tally.decoding_probability(**options).probability.values[0, c]
    chart = along("distribution", points, "workers")
    for i, q in enumerate((0.5, 0.9, 0.99)):
        assert value(chart, i) == ew.tally.loss_quantile(ew.point.part, q, **options).normalized_loss.item()
    chart = along("packets", points, "workers", (7.0,))
    assert value(chart, 0) == ew.tally.loss(ew.point.part).normalized_loss.values[7]
    assert chart.panels[0].title.startswith("N = 7: ")


def test_places_without_numbers_are_named(points: tuple[StoredPoint, ...]) -> None:
    chart = along("loss", points, "code")
    assert chart.panels[0].ticks == ("ew", "now")
    assert {line.x.tolist() == [0.0, 1.0] for line in chart.lines} == {True}
    assert "<!-- now -->" in to_bytes(draw_chart(chart), "svg").decode()


def test_what_an_axis_cannot_show_is_refused(points: tuple[StoredPoint, ...]) -> None:
    with pytest.raises(ValueError, match="--x needs --kind loss, packets, probability, distribution, got 'workers'"):
        along("workers", points, "gamma")
    with pytest.raises(NothingToShow, match="all points have one place along omega, 1: a grid that varies it has more"):
        along("loss", points, "omega")
    with pytest.raises(ValueError, match=r"no point has the deadline 0\.7"):
        along("loss", points, "gamma", (0.7,))
    with pytest.raises(ValueError, match=r"--at must be numbers of received packets from 0 to 30, got 0\.5"):
        along("packets", points, "gamma", (0.5,))
    with pytest.raises(ValueError, match="--x and --y must be two axes, got 'gamma' twice"):
        along("loss", points, "gamma", y="gamma")
    with pytest.raises(ValueError, match="--y makes a heat map of losses, which needs --x and --kind loss, got --kind packets"):
        along("packets", points, "gamma", y="workers")
    with pytest.raises(NothingToShow, match="all points have one place along --y omega, 1"):
        along("loss", points, "gamma", y="omega")


# --- heat maps --------------------------------------------------------------------------------------------------------


def test_a_heat_map_has_the_loss_of_each_place_and_frames_what_may_be_best(points: tuple[StoredPoint, ...]) -> None:
    chart = along("loss", points, "workers", y="gamma")
    assert [p.title.split(",")[0] for p in chart.panels] == ["EW", "NOW"]
    cells = chart.panels[0].cells
    assert cells is not None
    assert (cells.columns, cells.rows) == (("10", "20", "30"), ("0.2/0.8/0", "0.4/0.35/0.25", "0.9/0.1/0"))
    best = np.unravel_index(np.argmin(cells.value), cells.value.shape)
    assert cells.uncertain[best]
    for s in points:
        if s.point.series.startswith("EW"):
            i, j = cells.rows.index("/".join(f"{g:g}" for g in s.point.code.gamma)), cells.columns.index(str(s.point.workers.count))
            assert cells.value[i, j] == s.tally.loss(s.point.part, workers=s.point.workers, deadlines=[0.6]).normalized_loss.item()
    assert not cells.uncertain[:, 0].any()  # ten workers are far behind
    figure = draw_chart(chart)
    written = to_bytes(figure, "svg").decode()
    assert f"<!-- {cells.value[best]:.2g} -->" in written
    assert written.count("stroke: #d55e00") == sum(int(p.cells.uncertain.sum()) for p in chart.panels if p.cells is not None)


def test_places_within_error_of_the_best_are_framed(points: tuple[StoredPoint, ...]) -> None:
    some = [p for p in points if p.point.series.startswith("EW") and p.point.code.gamma[0] == 0.2]
    # The same tallies as those of another Γ: nothing tells the two apart.
    twins = [replace(p, point=replace(p.point, code=replace(p.point.code, gamma=(0.3, 0.7, 0.0)))) for p in some]
    cells = along("loss", [*some, *twins], "workers", y="gamma").panels[0].cells
    assert cells is not None
    assert cells.uncertain.tolist() == [[False, False, True], [False, False, True]]


def test_missing_places_stay_empty(points: tuple[StoredPoint, ...]) -> None:
    some = [
        p for p in points if p.point.series.startswith("EW") and not (p.point.workers.count == 10 and p.point.code.gamma[0] == 0.9)
    ]
    cells = along("loss", some, "workers", y="gamma_1").panels[0].cells
    assert cells is not None
    assert cells.rows == ("0.2", "0.4", "0.9")
    assert np.isnan(cells.value).sum() == 1
    assert np.isnan(cells.value[2, 0])


# --- the command ------------------------------------------------------------------------------------------------------


def test_plot_draws_along_axes(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "plot", str(store), "--x", "gamma", "--at", "0.6") == 0
    assert call(monkeypatch, "plot", str(store), "--x", "workers", "--y", "gamma") == 0
    assert call(monkeypatch, "plot", str(store), "--kind", "packets", "--x", "workers", "-o", "p.pdf") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"Figure  {name}" for name in ("grid-loss-gamma.png", "grid-loss-workers-gamma.png", "p.pdf")
    ]
    for options, message in (
        (("--x", "gama"), "--x must be one of series, code, gamma"),
        (("--y", "gamma"), "--y makes a heat map of losses, which needs --x"),
        (("--x", "omega"), "all points have one place along omega"),
    ):
        assert call(monkeypatch, "plot", str(store), *options) == 2
        assert message in capsys.readouterr().err


# --- many series ------------------------------------------------------------------------------------------------------


def crowd(points: tuple[StoredPoint, ...], count: int) -> list[StoredPoint]:
    """Return `count` points of different labels."""
    return [
        replace(p, point=replace(p.point, series=f"series number {i} with a long label, {p.point.series}"))
        for i, p in enumerate([points[i % len(points)] for i in range(count)])
    ]


@pytest.mark.parametrize("count", [3, MOST_LOOKS, 50])
def test_no_legend_is_cut(points: tuple[StoredPoint, ...], count: int) -> None:
    figure = draw_chart(build_chart("loss", crowd(points, count), "title"))
    figure.canvas.draw()
    legend, page = figure.legends[0].get_window_extent(), figure.bbox
    assert page.x0 <= legend.x0
    assert legend.x1 <= page.x1
    assert page.y0 <= legend.y0
    assert legend.y1 <= page.y1
    axes = figure.axes[0].get_window_extent()
    assert axes.x1 <= legend.x0  # beside the panel, which keeps its place
    assert axes.width > 0.4 * 4.4 * figure.dpi


def test_a_series_that_is_best_at_one_place_only_is_named() -> None:
    x = np.arange(5.0)
    lines = [Line(f"S{i}", x, y := np.full(5, 0.01 * (1 + 0.01 * i)), y, y, None) for i in range(30)]
    y = np.array([0.5, 0.5, 0.5, 0.5, 1e-4])
    chart = Chart(
        "loss",
        "",
        ((Panel("", "", "", (*lines, Line("late", x, y, y, y, None))),),),
        {f"S{i}": i for i in range(30)} | {"late": 30},
    )
    shown = emphasized(chart)
    assert list(shown.looks) == [*(f"S{i}" for i in range(MOST_NAMED - 1)), "late"]


def test_the_best_of_many_series_are_named_and_the_others_grey(points: tuple[StoredPoint, ...]) -> None:
    chart = build_chart("loss", crowd(points, 50), "title")
    shown = emphasized(chart)
    assert len(shown.looks) == MOST_NAMED
    assert shown.muted == {line.label for line in chart.lines} - shown.looks.keys()
    assert sorted(shown.looks.values()) == list(range(MOST_NAMED))
    losses = {line.label: line.exact for line in chart.lines}
    for at in (1, 2):  # the best at each deadline is among the named; at t = 0 all are alike
        best = min(float(x[at]) for x in losses.values() if x is not None)
        assert any(float(losses[label][at]) == best for label in shown.looks)  # type: ignore[index]
    worst = max((label for label in losses), key=lambda label: float(losses[label][2]))  # type: ignore[index]
    assert worst in shown.muted
    assert "Named are 12 of 50 series" in shown.notes[-1]
    few = build_chart("loss", points, "title")
    assert emphasized(few) is few
    probability = emphasized(build_chart("probability", crowd(points, 50), "title"))
    assert any("EW" in label for label in probability.looks)
    written = to_bytes(draw_chart(chart), "svg").decode()
    assert "<!-- 38 others, without marks -->" in written
