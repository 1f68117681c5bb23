"""Specifications become the points that they ask for, or one clear line; points become tables and figures."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import uepgpu as uep
from uepgpu.console import Table, plain
from uepgpu.figures import draw, to_png
from uepgpu.files import write_file
from uepgpu.results.curve import Curve, curve_of
from uepgpu.results.summary import blocks, choose_deadlines
from uepgpu.results.table import COLUMNS, to_csv
from uepgpu.specification.fields import SpecError, deadlines
from uepgpu.specification.load import bundled_specs
from uepgpu.sweep.run import identify_all, run_points
from uepgpu.sweep.spec import parse_spec, read_spec

if TYPE_CHECKING:
    from uepgpu.points.point import Point, Sweep

GAMMA = (0.40, 0.35, 0.25)
LEVELS = (10.0, 1.0, 0.1)


def spec(**changes: Any) -> dict[str, Any]:
    """A small valid specification; a change to None leaves the key out."""
    data = {
        "realizations": 2000,
        "seed": 3,
        "deadlines": [0.5, 1.0],
        "gamma": list(GAMMA),
        "workers": {"count": 12, "omega": "fair", "work": "unit"},
        "partitions": {
            "rxc": {"paradigm": "rxc", "left_variances": [10, 1, 0.1], "right_variances": [10, 1, 0.1], "classes": [3, 3, 3]}
        },
        "series": [{"label": "EW", "code": "ew"}],
    } | changes
    return {key: value for key, value in data.items() if value is not None}


def parse(data: dict[str, Any], folder: Path = Path()) -> Sweep:
    return parse_spec(data, name="mine", folder=folder)


def find(sweep: Sweep, **wanted: Any) -> Point:
    found = [p for p in sweep.points if all(getattr(p, k) == v for k, v in wanted.items() if k != "work")]
    found = [p for p in found if p.workers.work == wanted.get("work", p.workers.work)]
    assert len(found) == 1, f"{len(found)} points for {wanted}"
    return found[0]


# --- bundled specifications ---------------------------------------------------------------------------------------


def test_paper_is_the_setting_of_the_paper() -> None:
    sweep = read_spec("paper")
    assert {(p.code_name, p.partition) for p in sweep.points} == {(c, p) for c in ("now", "ew", "mds") for p in ("rxc", "cxr")}
    for point in sweep.points:
        assert point.workers == uep.Workers(30, uep.latency.Exponential(1.0), 1.0, "unit")
        assert point.deadlines == tuple(round(0.05 * i, 2) for i in range(22))
        assert point.realizations == 100_000
        assert point.part.class_sizes == (3, 3, 3)
        if point.code_name != "mds":
            assert point.code.gamma == GAMMA  # type: ignore[attr-defined]
    rxc, cxr = (find(sweep, code_name="ew", partition=name).part for name in ("rxc", "cxr"))
    np.testing.assert_allclose(rxc.energy, 300 * 300 * 900 * np.outer(LEVELS, LEVELS).ravel())
    np.testing.assert_allclose(cxr.energy, 900 * 900 * 100 * np.repeat(np.square(LEVELS), 3))
    assert (find(sweep, series="EW", partition="rxc").encoding, find(sweep, series="EW", partition="cxr").encoding) == (
        "free",
        "stacked",
    )


def test_fair_compares_all_codes_under_the_same_total_work() -> None:
    sweep = read_spec("fair")
    for point in sweep.points:
        assert point.workers.resolved_omega(9) * point.workers.count == 9
        assert (point.deadlines[0], point.deadlines[-1]) == (0.0, 3.0)
        assert point.workers.count == {"uncoded": 9, "repetition": 18}.get(point.code_name, 30)
    for work in ("unit", "true"):
        rxc = {(p.code_name, p.encoding, p.window) for p in sweep.points if p.panel == ("rxc", work)}
        assert rxc == {
            *(("now", "free", ""), ("ew", "free", ""), ("mds", "free", ""), ("mds", "factored", "")),
            ("now", "factored", "level-pair"),
            *(("ew", "factored", window) for window in ("nested", "max-rectangle", "bounding-box")),
            *(("uncoded", "copies", ""), ("repetition", "copies", "")),
        }
        cxr = {(p.code_name, p.encoding) for p in sweep.points if p.panel == ("cxr", work)}
        assert cxr == {("now", "stacked"), ("ew", "stacked"), ("mds", "stacked"), ("uncoded", "copies"), ("repetition", "copies")}


@pytest.mark.parametrize(
    "series, work, expected",
    [
        ("EW", "unit", (0.7511, 0.2841, 0.0099)),
        ("EW", "true", (0.9462, 0.7674, 0.3575)),
        ("MDS", "unit", (0.9822, 0.6300, 0.0303)),
        ("uncoded, W = 9", "true", (0.6065, 0.3679, 0.1353)),
        ("2-fold repetition, W = 18", "true", (0.6065, 0.3679, 0.1353)),
    ],
)
def test_fair_has_the_exact_losses_of_the_literature(series: str, work: str, expected: tuple[float, ...]) -> None:
    point = find(read_spec("fair"), series=series, partition="rxc", work=work)
    exact = uep.theory.loss(point.code, point.part, point.workers, deadlines=[0.5, 1, 2])["normalized_loss"].values
    assert [round(float(x), 4) for x in exact] == list(expected)


def test_backprop_is_the_comparison_of_fair_on_a_real_gradient() -> None:
    fair, real = read_spec("fair"), read_spec("backprop")
    assert [(p.series, p.panel, p.workers, p.deadlines) for p in real.points] == [
        (p.series, p.panel, p.workers, p.deadlines) for p in fair.points
    ]
    rxc, cxr = (find(real, series="EW", partition=name, work="true").part for name in ("rxc", "cxr"))
    assert rxc.matrices is not None
    assert cxr.matrices is not None
    assert rxc.matrices.left.shape == (96, 64)
    assert rxc.matrices.right.shape == (64, 48)
    # Both cut the same product, and summands of a real gradient are correlated: the cross terms matter.
    assert rxc.norm2 == pytest.approx(cxr.norm2)
    assert abs(1 - cxr.energy.sum() / cxr.norm2) > 0.05


def test_shipped_gradient_is_small() -> None:
    import uepgpu.sweep.spec as module

    assert (Path(module.__file__).parent.parent / "data" / "backprop.npz").stat().st_size < 300_000


def test_bundled_specifications_are_found_by_name() -> None:
    assert bundled_specs() == ("backprop", "fair", "gradient-coding", "paper")


# --- the grid -----------------------------------------------------------------------------------------------------


def test_deadlines_by_step_include_the_last_and_are_what_was_meant() -> None:
    assert deadlines("deadlines", {"start": 0, "stop": 1.05, "step": 0.05})[3] == 0.15
    assert len(deadlines("deadlines", {"start": 0, "stop": 1.05, "step": 0.05})) == 22
    assert deadlines("deadlines", {"stop": 1, "step": 0.4}) == (0.0, 0.4, 0.8)


def test_lists_in_workers_make_a_grid_with_distinct_labels() -> None:
    data = spec(workers={"count": [12, 15], "omega": ["fair", 1], "work": ["unit", "true"]})
    sweep = parse(data)
    assert len(sweep.points) == 8
    assert len({(*p.panel, p.series) for p in sweep.points}) == 8
    assert {p.series for p in sweep.points} == {f"EW, W = {w}, Ω = {o}" for w in (12, 15) for o in ("fair", 1)}


def test_a_series_overrides_the_shared_workers_key_by_key() -> None:
    sweep = parse(spec(series=[{"label": "U", "code": "uncoded", "workers": {"count": 9}}, {"label": "EW", "code": "ew"}]))
    assert [(p.workers.count, p.workers.work) for p in sweep.points] == [(9, "unit"), (12, "unit")]


def test_every_latency_law_and_code_can_be_written() -> None:
    laws = [
        {"law": "exponential", "rate": 2.0},
        {"law": "shifted-exponential", "rate": 1.0, "shift": 0.1},
        {"law": "weibull", "shape": 0.7},
        {"law": "pareto", "shape": 2.0},
        {"law": "log-normal", "mu": 0.0, "sigma": 1.0},
        {"law": "deterministic", "time": 1.0},
        {"law": "empirical", "samples": [1.0, 2.0]},
    ]
    sweep = parse(spec(workers={"count": 12, "latency": laws}))
    assert [type(p.workers.latency).__name__ for p in sweep.points] == [
        *("Exponential", "ShiftedExponential", "Weibull", "Pareto", "LogNormal", "Deterministic", "Empirical")
    ]
    codes: list[Any] = [
        {"name": "now", "windows": "fixed"},
        {"name": "ew", "encoding": "factored", "window": "nested", "gamma_b": [0.5, 0.3, 0.2]},
        {"name": "mds", "coefficients": "gf256"},
        {"name": "lt", "c": 0.1, "delta": 0.5},
        {"name": "windows", "supports": [[0], [0, 1, 2]], "probabilities": [0.5, 0.5], "work": [1, 2]},
        {"name": "generator", "matrix": [[1] * 9] * 12},
    ]
    sweep = parse(spec(series=[{"label": c["name"], "code": c} for c in codes]))
    assert [p.code_name for p in sweep.points] == [c["name"] for c in codes]


def test_a_series_without_a_label_is_called_by_its_code() -> None:
    series = [
        {"code": "ew"},
        {"code": {"name": "now"}},
        {"grid": {"code": ["mds", "lt"]}},
        {"label": "one", "grid": {"code": ["mds"]}},
    ]
    assert [p.series for p in parse(spec(series=series)).points] == ["ew", "now", "mds", "lt", "one"]
    assert [p.series for p in parse(spec(series=[{"grid": {"code": ["mds"]}}])).points] == ["mds"]


def test_deadlines_follow_one_rule_in_a_specification_and_in_the_api() -> None:
    data = spec(deadlines=[0.5, 0.5, 1.0])
    point = parse(data).points[0]
    assert point.deadlines == (0.5, 0.5, 1.0)
    with pytest.raises(ValueError, match=r"deadlines must not decrease: sort them first \(got 0.5 after 1.0\)"):
        uep.simulate(point.code, point.part, point.workers, deadlines=[1.0, 0.5], realizations=10, seed=1)
    (result,) = run_points([point], backend="numpy").results
    curve = curve_of(result)
    assert curve.normalized[0] == curve.normalized[1] > curve.normalized[2]


def test_the_law_of_a_code_is_asked_for_once_per_point(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    law = uep.codes.ExpandingWindow.law

    def counted(code: uep.codes.ExpandingWindow, part: uep.Partition, count: int) -> Any:
        asked.append(count)
        return law(code, part, count)

    monkeypatch.setattr(uep.codes.ExpandingWindow, "law", counted)
    sweep = parse(spec(workers={"count": [12, 15], "work": ["unit", "true"]}))
    identify_all(sweep.points)
    assert [p.encoding for p in sweep.points] == ["free"] * 4
    assert len(asked) == 4


def test_paths_are_relative_to_the_specification(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    A, B = rng.normal(size=(7, 9)), rng.normal(size=(9, 8))
    np.save(tmp_path / "left.npy", A)
    np.savez(tmp_path / "both.npz", other=A, right=B)
    table = {"paradigm": "rxc", "a": "left.npy", "b": "both.npz:right", "classes": [3, 3, 3], "order": "none"}
    part = parse(spec(partitions={"mine": table}), tmp_path).points[0].part
    assert part.norm2 == pytest.approx(np.linalg.norm(A @ B) ** 2)


# --- what is refused ----------------------------------------------------------------------------------------------

MODEL = spec()["partitions"]["rxc"]
WRONG = [
    ({"sede": 1}, "unknown key 'sede' (did you mean 'seed'?)"),
    ({"deadlines": None}, "deadlines is missing"),
    ({"deadlines": [1, 0.5]}, "deadlines must not decrease: sort them first (got 0.5 after 1.0)"),
    ({"deadlines": [-1, 0.5]}, "deadlines must be finite and >= 0, got -1.0"),
    ({"deadlines": [0.5, math.nan]}, "deadlines must be a finite number, got nan"),
    ({"deadlines": []}, "deadlines must be a non-empty list"),
    ({"deadlines": "all"}, "deadlines must be a list of times or {start, stop, step}, got 'all'"),
    ({"deadlines": {"stop": 1, "step": 0}}, "deadlines: step must be > 0, got 0"),
    ({"deadlines": {"stop": -1, "step": 0.1}}, "deadlines: stop must be at least start = 0.0, got -1"),
    ({"deadlines": {"stop": 1, "steep": 0.1}}, "deadlines: unknown key 'steep' (did you mean 'step'?)"),
    ({"deadlines": {"stop": 1, "step": 1e-9}}, "deadlines: step gives more than 10000 deadlines"),
    ({"show": [0.7]}, "show must name some of the deadlines, got 0.7"),
    ({"realizations": 0}, "realizations must be an integer from 1 to 2**63 - 1, got 0"),
    ({"realizations": 2**63}, "realizations must be an integer from 1 to 2**63 - 1, got 9223372036854775808"),
    ({"realizations": 1e30}, "realizations must be an integer from 1 to 2**63 - 1, got 1e+30"),
    ({"realizations": "many"}, "realizations must be an integer, got 'many'"),
    ({"realizations": 1.5}, "realizations must be an integer, got 1.5"),
    ({"realizations": math.inf}, "realizations must be an integer, got inf"),
    ({"seed": -1}, "seed must be an integer from 0 to 2**64 - 1, got -1"),
    ({"gamma": [0.4, 0.35, 0.2]}, "gamma sums to 0.95, it must sum to 1"),
    ({"gamma": [0.5, 0.5]}, "gamma must give one probability per class: 3 expected, got 2"),
    ({"gamma": "half"}, "gamma must be a non-empty list of numbers, got 'half'"),
    ({"gamma": None}, "series 'EW': code: gamma is missing"),
    ({"workers": None}, "[workers]: count is missing"),
    ({"workers": {"count": 0}}, "[workers]: count (number of workers W) must be an integer >= 1, got 0"),
    ({"workers": {"cuont": 3}}, "[workers]: unknown key 'cuont' (did you mean 'count'?)"),
    ({"workers": {"count": []}}, "[workers]: count must not be an empty list"),
    ({"workers": {"count": 12, "work": "hard"}}, "[workers]: work must be one of 'true', 'unit', got 'hard'"),
    ({"workers": {"count": 12, "omega": "unfair"}}, "[workers]: omega must be a number > 0 or 'fair', got 'unfair'"),
    ({"workers": {"count": 12, "latency": "weibul"}}, "(did you mean 'weibull'?)"),
    ({"workers": {"count": 12, "latency": {"law": "exponential", "rate": -1}}}, "rate must be a finite number > 0, got -1"),
    ({"workers": {"count": 12, "latency": {"law": "exponential", "shape": 1}}}, "unknown key 'shape'"),
    ({"workers": 30}, "[workers] must be a table of key = value, got 30"),
    ({"partitions": {}}, "partitions must be tables [partitions.NAME], at least one"),
    ({"partitions": {"p": {"paradigm": "cxx"}}}, "[partitions.p]: paradigm must be 'rxc' (row-times-column) or 'cxr'"),
    ({"partitions": {"p": {"paradigm": "rxc"}}}, "[partitions.p]: left_variances is missing; a partition needs files a and b"),
    ({"partitions": {"p": {"paradigm": "rxc", "a": "x.npy"}}}, "[partitions.p]: b is missing"),
    ({"partitions": {"p": {"paradigm": "rxc", "a": "x.npy", "b": "x.npy"}}}, "[partitions.p]: a: no file 'x.npy'"),
    ({"partitions": {"p": MODEL | {"blocks": 9}}}, "[partitions.p]: blocks is not for a rxc partition of a model"),
    ({"partitions": {"p": MODEL | {"classes": [3, 3]}}}, "classes must be sizes >= 1 that sum to K = 9 sub-products, got (3, 3)"),
    ({"partitions": {"p": MODEL | {"classes": [[1, 2], [1]]}}}, "classes must have rows of one length"),
    ({"partitions": {"p": MODEL | {"shape": [3, 3]}}}, "shape must be the three sizes [U, H, Q]"),
    ({"series": []}, "series must be tables [[series]], at least one"),
    ({"series": [{"label": "x"}]}, "series 'x': code is missing"),
    ({"series": [{"partitions": ["p"]}]}, "series 1: code is missing"),
    (
        {"series": [{"code": "ew"}, {"code": {"name": "ew"}}]},
        "series must differ in label, partition or workers, but two are called ew",
    ),
    ({"series": [{"label": "EW", "code": "ewe"}]}, "name must be one of now, ew, mds"),
    ({"series": [{"label": "EW", "code": {"name": "mds", "gamma": [1.0]}}]}, "unknown key 'gamma'"),
    ({"series": [{"label": "EW", "code": "ew", "partitions": ["rcx"]}]}, "that is rxc (did you mean 'rxc'?), got 'rcx'"),
    ({"series": [{"label": "EW", "code": "ew"}] * 2}, "two are called EW (rxc, unit work)"),
    ({"series": [{"label": "U", "code": "uncoded"}]}, "the uncoded scheme needs W = K = 9 workers, got W = 12"),
    ({"series": [{"label": "R", "code": "repetition"}]}, "needs W = copies·K = 18 workers for K = 9, got W = 12"),
]


@pytest.mark.parametrize("change, message", WRONG, ids=[message[:40] for _, message in WRONG])
def test_wrong_specifications_are_refused_in_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(spec(**change))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content, message",
    [(b"not an array", "a"), (b"", "a")],
)
def test_files_that_are_no_arrays_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    for name in ("x.npy", "x.npz"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SpecError, match=r"^\[partitions.p\]: "):
            parse(spec(partitions={"p": {"paradigm": "rxc", "a": name, "b": name}}), tmp_path)


# --- results ------------------------------------------------------------------------------------------------------


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
        assert worst is None or worst < 4


def fake(estimate: float, error: float, low: float, high: float, exact: float | None) -> Curve:
    """A curve of one deadline."""
    one = [np.array([v]) for v in (estimate, error, low, high)]
    point = parse(spec(deadlines=[1.0])).points[0]
    return Curve(point, 2000, "count", "numpy", *one, *one, None if exact is None else np.array([exact]))


def test_nothing_observed_counts_as_agreement_only_within_the_interval() -> None:
    assert fake(0.0, 0.0, 0.0, 1e-3, 1e-4).worst_deviation() == 0
    assert fake(0.0, 0.0, 0.0, 1e-3, 1e-2).worst_deviation() == math.inf
    assert fake(1.0, 0.0, 1.0, 1.0, 1.0).worst_deviation() == 0
    assert fake(0.5, 0.1, 0.3, 0.7, 0.8).worst_deviation() == pytest.approx(3)
    assert fake(0.5, 0.1, 0.3, 0.7, None).worst_deviation() is None


def test_summary_shows_bounds_instead_of_zeros() -> None:
    (block,) = blocks([fake(0.0, 0.0, 0.0, 1e-3, 1e-4)], (), 100)
    assert "< 1.00e-03" in block.body[0]


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
