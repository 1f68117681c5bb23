"""Points become curves, tables and figures."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.specifications import parse, spec
from uepgpu.console import Table, plain
from uepgpu.figures import draw, to_png
from uepgpu.files import write_file
from uepgpu.results.curve import Curve, curve_of
from uepgpu.results.summary import blocks, choose_deadlines
from uepgpu.results.table import COLUMNS, to_csv
from uepgpu.sweep.run import run_points

if TYPE_CHECKING:
    from uepgpu.points.point import Point


@pytest.fixture(scope="module")
def curves() -> list[Curve]:
    data = spec(
        deadlines=[0, 0.5, 1, 2],
        workers={"count": 12, "omega": "fair", "work": ["unit", "true"]},
        series=[
            {"label": "EW", "code": "ew"},
            {"label": "nested", "code": {"name": "ew", "encoding": "factored", "window": "nested"}},
            {"label": "U", "code": "uncoded", "workers": {"count": 9}},
        ],
    )
    outcome = run_points(parse(data).points)
    assert not outcome.interrupted
    assert not outcome.missing
    return [curve_of(result) for result in outcome.results]


def test_ranges_add_up_to_what_was_asked_and_to_one_run(curves: list[Curve]) -> None:
    for curve in curves:
        point = curve.point
        count = curve.domain == "count"
        whole = uep.simulate(
            point.code, point.part, point.workers, deadlines=None if count else point.deadlines, realizations=2000, seed=3
        )
        options: dict[str, Any] = {"workers": point.workers, "deadlines": point.deadlines} if count else {}
        assert curve.realizations == 2000
        np.testing.assert_array_equal(curve.normalized, whole.loss(point.part, **options)["normalized_loss"].values)


def test_count_domain_is_used_where_it_applies(curves: list[Curve]) -> None:
    assert {(c.point.series, c.point.workers.work): c.domain for c in curves} == {
        ("EW", "unit"): "count",
        ("EW", "true"): "deadline",
        **{(series, work): "count" for series in ("nested", "U") for work in ("unit", "true")},
    }


def test_table_has_one_row_per_deadline_and_keeps_every_digit(curves: list[Curve]) -> None:
    table = list(csv.DictReader(io.StringIO(to_csv(curves))))
    assert tuple(table[0]) == COLUMNS
    assert len(table) == sum(len(c.point.deadlines) for c in curves) == 24
    flat = [(c, d) for c in curves for d in range(len(c.point.deadlines))]
    for row, (curve, d) in zip(table, flat, strict=True):
        assert float(row["deadline"]) == curve.point.deadlines[d]
        assert float(row["normalized_loss"]) == curve.normalized[d]
        assert float(row["normalized_loss_low"]) <= float(row["normalized_loss"]) <= float(row["normalized_loss_high"])
        if curve.exact is None:
            assert row["normalized_loss_exact"] == ""
        else:
            assert float(row["normalized_loss_exact"]) == curve.exact[d]
        law = [row[f"normalized_loss_{name}"] for name in ("sd", "q50", "q90", "q99")]
        if curve.point.series == "EW":
            assert curve.sd is not None
            assert curve.quantiles is not None
            assert [float(x) for x in law] == [curve.sd[d], *curve.quantiles[d]]
        else:
            assert law == [""] * 4
        assert (row["realizations"], row["seed"], row["paradigm"]) == ("2000", "3", "rxc")
    assert {(r["series"], r["encoding"], r["window"]) for r in table} == {
        ("EW", "free", ""),
        ("nested", "factored", "nested"),
        ("U", "copies", ""),
    }


def test_simulated_agrees_with_exact(curves: list[Curve]) -> None:
    for curve in curves:
        worst = curve.worst_deviation()
        assert (worst is None) == (curve.exact is None)
        assert worst is None or worst < 4 / 1.96


def fake(estimate: float, error: float, low: float, high: float, exact: float | None) -> Curve:
    """A curve of one deadline."""
    one = [np.array([v]) for v in (estimate, error, low, high)]
    point = parse(spec(deadlines=[1.0])).points[0]
    return Curve(point, 2000, "count", "numpy", *one, *one, None if exact is None else np.array([exact]))


def test_the_interval_judges_which_knows_of_failures_that_have_not_been_seen() -> None:
    assert fake(0.0, 0.0, 0.0, 1e-3, 1e-4).worst_deviation() == pytest.approx(0.1)
    assert fake(0.0, 0.0, 0.0, 1e-3, 1e-2).worst_deviation() == pytest.approx(10)
    # Eleven standard errors off, because the class that carries the loss has failed in few realizations.
    assert fake(5.2e-5, 9e-6, 2.5e-5, 1.0e-3, 1.5e-4).worst_deviation() == pytest.approx(0.1034, rel=1e-3)
    assert fake(0.5, 0.0, 0.5, 0.5, 0.6).worst_deviation() == math.inf
    assert fake(1.0, 0.0, 1.0, 1.0, 1.0).worst_deviation() == 0
    assert fake(0.5, 0.1, 0.3, 0.7, 0.8).worst_deviation() == pytest.approx(1.5)
    assert fake(0.5, 0.1, 0.3, 0.9, 0.4).worst_deviation() == pytest.approx(0.5)
    assert fake(0.5, 0.1, 0.3, 0.9, 0.7).worst_deviation() == pytest.approx(0.5)
    assert fake(0.5, 0.1, 0.3, 0.7, None).worst_deviation() is None


def test_summary_shows_bounds_instead_of_zeros() -> None:
    cases = {
        (0.0, 0.0, 0.0, 1e-3): "< 1.00e-03",
        (5.2e-5, 9e-6, 2.5e-5, 1e-3): "5.20e-05 [2.5e-05, 1.0e-03]",
        (0.5, 0.1, 0.3, 0.7): "0.5000 [0.3000, 0.7000]",
        (0.25, 0.0, 0.25, 0.25): "0.2500",
    }
    for values, cell in cases.items():
        (block,) = blocks([fake(*values, 1e-4)], (), 100)
        assert block.body[0][2] == cell


def test_summary_has_a_row_per_series_and_fits_the_width(curves: list[Curve]) -> None:
    for width in (60, 80, 120, 200):
        tables = blocks(curves, (0.5, 1, 2), width)
        assert [b.title for b in tables] == ["rxc, unit work", "rxc, true work"]
        assert all([row[0] for row in b.body] == ["EW", "nested", "U"] for b in tables)
        printed = "\n".join(plain(Table(b.body, b.header)) for b in tables)
        assert all(len(line) <= max(width, 60) for line in printed.splitlines())


def test_shown_deadlines_are_the_wanted_ones_or_spread_evenly() -> None:
    times = [0.1 * i for i in range(11)]
    assert choose_deadlines(times, (0.2, 0.5), 5) == [2, 5]
    assert choose_deadlines(times, (), 5)[-1] == 10
    assert len(choose_deadlines(times, (), 4)) == 4
    assert choose_deadlines([1.0], (), 4) == [0]


def test_figure_has_a_panel_per_partition_and_work_model(curves: list[Curve]) -> None:
    figure = draw(curves, "title")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 2
    for axes in panels:
        assert axes.get_yscale() == "log"
        assert "deadline" in axes.get_xlabel()
        assert "loss" in axes.get_ylabel()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:3] == ["EW", "nested", "U"]
    assert to_png(figure).startswith(b"\x89PNG")


def test_interruption_keeps_the_finished_ranges() -> None:
    # Three tallies: the seed is shared, so equal codes would share one.
    series = [{"label": name, "code": name} for name in ("ew", "now", "mds")]
    points = parse(spec(realizations=10**9, series=series)).points
    begun: set[str] = set()

    def stop_in_the_third_range(point: Point, count: int) -> None:
        begun.add(point.series)
        if len(begun) == 3:
            raise KeyboardInterrupt

    outcome = run_points(points, progress=stop_in_the_third_range)
    finished = sum(r.tally.realizations for r in outcome.results)
    assert outcome.interrupted
    assert [r.point.series for r in outcome.results] == ["ew", "now"]
    assert finished >= 2 * 4096
    assert [p.series for p in outcome.missing] == ["mds"]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "table.csv"
    write_file(path, b"old")

    def fail(self: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in path.parent.iterdir()] == ["table.csv"]
