"""Distance from the limit in figures, tables and reports, and Γ that a specification leaves to be found."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.command_line import call
from tests.cases.paper import GAMMA, PAPER, RXC
from tests.cases.reports import read_page, write_page
from tests.cases.stores import shared_store
from uepgpu.charts import build_chart
from uepgpu.charts.chart import NothingToShow
from uepgpu.charts.loss import BOUND
from uepgpu.points.point import Point
from uepgpu.points.stop import StopRule
from uepgpu.results import limits
from uepgpu.specification.fields import SpecError
from uepgpu.store.stored import read_points
from uepgpu.sweep.run import run_points
from uepgpu.sweep.spec import parse_spec


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_store(tmp_path_factory)


def bound_of(point: Point) -> np.ndarray:
    return uep.theory.lower_bound(point.part, point.workers, deadlines=point.deadlines).bound_exchangeable.values


def test_points_of_one_product_and_pool_share_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(limits.theory, "lower_bound", lambda *a, **o: calls.append(a) or uep.theory.bounds.lower_bound(*a, **o))
    code = uep.codes.ExpandingWindow(GAMMA)
    point = Point("EW", "rxc", code, RXC, PAPER, (0.3, 0.6), StopRule(100), 1)
    known = limits.Limits()
    first = known.bound(point)
    assert first == pytest.approx([0.015874, 4.1095e-4], rel=1e-4)
    other = replace(point, series="again", code=uep.codes.NonOverlappingWindow(GAMMA), seed=9)
    assert known.bound(other) is first
    assert known.bound(replace(point, workers=replace(PAPER, count=20))) is not first
    assert known.bound(replace(point, deadlines=(0.6,))) == pytest.approx(first[1:])
    assert len(calls) == 3


def test_long_samples_that_look_alike_have_bounds_of_their_own() -> None:
    # NumPy shows the ends of long arrays only: what tells laws apart must not rest on that.
    ends = np.full(10, 0.5)
    first, second = (
        replace(PAPER, latency=uep.latency.Empirical(np.concatenate([ends, np.full(2000, x), ends + 9]))) for x in (0.6, 5.0)
    )
    known = limits.Limits()
    points = [Point("EW", "rxc", uep.codes.ExpandingWindow(GAMMA), RXC, w, (1.0,), StopRule(100), 1) for w in (first, second)]
    assert known.bound(points[0]) < 1e-3 < known.bound(points[1])


def test_important_packets_of_fast_workers_keep_to_the_bound_that_holds_for_them() -> None:
    part = uep.Partition.model("rxc", left_variances=[10, 1], right_variances=[1, 1], classes=(2, 2))
    pool = uep.Workers(4, speeds=[5, 5, 0.2, 0.2], work="unit")
    uncoded = Point("uncoded", "p", uep.codes.Uncoded(), part, pool, (0.7, 1.5), StopRule(100), 1)
    drawn = replace(uncoded, series="EW", code=uep.codes.ExpandingWindow((0.5, 0.5)))
    found = uep.theory.lower_bound(part, pool, deadlines=uncoded.deadlines)
    loss = uep.theory.loss(uncoded.code, part, pool, deadlines=uncoded.deadlines).normalized_loss.values
    assert np.all(loss < found.bound_exchangeable.values)
    known = limits.Limits()
    assert known.bound(uncoded) == pytest.approx(found.bound_tail.values)
    assert np.all(known.bound(uncoded) <= loss)
    assert known.bound(drawn) == pytest.approx(found.bound_exchangeable.values)
    assert known.bound(drawn, [uncoded]) == pytest.approx(found.bound_tail.values)
    alike = replace(uncoded, workers=uep.Workers(4, work="unit"))
    assert limits.come_in_any_order(alike)
    assert not limits.come_in_any_order(replace(alike, workers=uep.Workers(2, work="unit", messages=2)))
    simulated = run_points([uncoded, drawn], backend="numpy").results
    (line,) = (one for one in build_chart("loss", simulated, "title", bound=True).lines if one.label == BOUND)
    assert line.exact == pytest.approx(found.bound_tail.values)


def test_export_has_the_distance_of_the_exact_loss_or_else_of_the_estimate(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.csv"
    assert call(monkeypatch, "export", str(store), "--csv", str(file), "--bound") == 0
    with file.open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    expected = np.concatenate([bound_of(p.point) for p in read_points(store)])
    assert [float(r["lower_bound"] or "0") for r in rows] == pytest.approx(expected)
    value = [float(r["normalized_loss_exact"] or r["normalized_loss"]) for r in rows]
    known = [i for i, r in enumerate(rows) if r["distance"]]
    assert known
    assert [float(rows[i]["distance"]) for i in known] == pytest.approx([value[i] / expected[i] for i in known])
    assert all(float(r["distance"]) >= 1 - 1e-9 for r in rows if r["distance"] and r["normalized_loss_exact"])
    assert {bool(r["normalized_loss_exact"]) for r in rows} == {True, False}
    assert call(monkeypatch, "export", str(store), "--netcdf", str(tmp_path / "x.nc"), "--bound") == 2
    assert capsys.readouterr().err == "uepgpu: --bound is for --csv and --parquet\n"


def test_parquet_has_the_same_columns(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert call(monkeypatch, "export", str(store), "--parquet", str(tmp_path / "x.parquet"), "--bound") == 0
    rows = parquet.read_table(tmp_path / "x.parquet").to_pylist()
    expected = np.concatenate([bound_of(p.point) for p in read_points(store)])
    assert [r["lower_bound"] or 0.0 for r in rows] == pytest.approx(expected)


def test_a_figure_of_losses_has_the_bound_where_a_panel_has_one(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = read_points(store)
    alike = [p for p in points if p.point.workers == points[0].point.workers and p.point.panel == points[0].point.panel]
    chart = build_chart("loss", alike, "title", bound=True)
    (line,) = [line for line in chart.lines if line.label == BOUND]
    assert line.exact is not None
    shown = ~np.isnan(line.exact)
    assert shown.any()
    longest = max(alike, key=lambda p: len(p.point.deadlines))
    assert line.exact[shown] == pytest.approx(bound_of(longest.point)[shown])
    assert np.isnan(line.value).all()
    assert len(set(chart.looks.values())) == len(chart.looks)
    assert "lower bound" in chart.notes[1]
    assert BOUND not in build_chart("loss", alike, "title").looks
    assert call(monkeypatch, "plot", str(store), "--series", alike[0].point.series, "--bound", "-o", str(tmp_path / "x.png")) == 0


def test_where_there_is_no_one_bound_a_line_says_so(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = read_points(store)[0]
    other = replace(one, point=replace(one.point, series="other", workers=replace(one.point.workers, omega=0.123)))
    with pytest.raises(NothingToShow, match="no panel has one lower bound"):
        build_chart("loss", [one, other], "title", bound=True)
    assert call(monkeypatch, "plot", str(store), "--kind", "packets", "--bound") == 2
    assert "--bound is for losses against the deadline" in capsys.readouterr().err


def test_a_report_shows_the_bound(tmp_path: Path) -> None:
    from tests.cases.sweeps import collect, sweep

    collect(tmp_path / "s.db", sweep())
    page = read_page(write_page(tmp_path / "s.db", tmp_path))
    assert any("lower bound" in text for text in page.text)


# --- Γ that is left to be found ------------------------------------------------------------------------------------------

MODEL = {"paradigm": "rxc", "left_variances": [10, 1, 0.1], "right_variances": [10, 1, 0.1], "classes": [3, 3, 3]}


def parse(**series: object) -> list[Point]:
    data = {
        "deadlines": [0.3, 0.6],
        "gamma": list(GAMMA),
        "workers": {"count": [20, 30], "omega": 1.0, "work": "unit"},
        "partitions": {"rxc": MODEL},
        "series": [{"code": "ew"} | series],
    }
    return list(parse_spec(data, name="mine", folder=Path()).points)


def test_every_point_has_the_best_gamma_for_its_workers() -> None:
    for wanted, deadlines, options in (
        ({"gamma": 0.6}, [0.6], {}),
        ({"gamma": [0.3, 0.6], "across": "minimax"}, [0.3, 0.6], {"across": "minimax"}),
        ({"gamma": 0.6, "objective": "exceedance", "x": 0.01}, [0.6], {"objective": "exceedance", "x": 0.01}),
    ):
        points = parse(optimize=wanted)
        assert [p.workers.count for p in points] == [20, 30]
        for point in points:
            best = uep.design.gamma(uep.codes.ExpandingWindow(GAMMA), point.part, point.workers, deadlines=deadlines, **options)
            assert point.code.gamma == pytest.approx(best.gamma, abs=2e-4)
            assert sum(point.code.gamma) == pytest.approx(1.0, abs=1e-12)
            assert all(round(x, 4) == x for x in point.code.gamma)
    given, found = (p[1].code.gamma for p in (parse(), parse(optimize={"gamma": 0.6})))
    assert (given, found) == (GAMMA, pytest.approx((0.3852, 0.6148, 0.0), abs=1e-3))


@pytest.mark.parametrize(
    "series, message",
    [
        ({"optimize": {"gamma": -1}}, r"series 'ew': optimize: gamma must be finite and >= 0, got -1"),
        ({"optimize": {}}, r"series 'ew': optimize: gamma is missing"),
        ({"optimize": {"gamma": 0.5, "to": 1}}, r"series 'ew': optimize: unknown key 'to'"),
        ({"optimize": 0.5}, r"series 'ew': optimize must be a table"),
        ({"optimize": {"gamma": 0.5, "objective": "quantile"}}, r"optimize: q must be given"),
        ({"optimize": {"gamma": 0.5}, "code": "mds"}, r"series 'mds' with partition 'rxc': code must be an ExpandingWindow"),
        ({"optimize": {"gamma": 0.5}, "code": {"name": "ew", "coefficients": "gf2"}}, r"designs assume generic coefficients"),
    ],
)
def test_what_cannot_be_optimized_is_one_line(series: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse(**series)
