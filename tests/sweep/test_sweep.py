"""Specifications become the points that they ask for, or one clear line."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.command_line import call
from tests.cases.specifications import GAMMA, parse, spec
from uepgpu.codes import CostWarning
from uepgpu.results.curve import curve_of
from uepgpu.specification.fields import SpecError, deadlines
from uepgpu.specification.load import bundled_specs
from uepgpu.sweep.run import identify_all, run_points
from uepgpu.sweep.spec import read_spec

if TYPE_CHECKING:
    from uepgpu.points.point import Point, Sweep

LEVELS = (10.0, 1.0, 0.1)


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

    assert (Path(module.__file__).parent.parent / "specification" / "specs" / "backprop.npz").stat().st_size < 300_000


def test_bundled_specifications_are_found_by_name() -> None:
    assert bundled_specs() == ("backprop", "fair", "gradient-coding", "paper", "paper-design", "stragglers")


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


def test_stacked_packets_at_a_cost_that_nobody_chose_are_warned_of_once() -> None:
    summands = {"paradigm": "cxr", "left_variances": [10, 1, 0.1], "right_variances": [1, 1, 1], "classes": [1, 1, 1]}
    data = spec(partitions={"cxr": summands}, workers={"count": 12})
    with pytest.warns(CostWarning, match=r"EW \(cxr, true work\): a stacked packet takes up to 3 of 3") as caught:
        sweep = parse(data)
    assert len(caught) == 1
    for said in ({"work": "true"}, {"work": "unit"}, {"work": ["unit", "true"]}):
        parse(data | {"workers": {"count": 12} | said})
    parse(data | {"grid": {"work": ["true"]}})
    parse(data | {"series": [s | {"workers": {"work": "true"}} for s in data["series"]]})
    parse(data | {"partitions": {"rxc": {"paradigm": "rxc", "left_variances": [10, 1, 0.1], "right_variances": [1, 1, 1]}}})
    parse(data | {"series": [{"code": "uncoded", "workers": {"count": 3}}]})
    assert {p.workers.work for p in sweep.points} == {"true"}


@pytest.mark.parametrize("name", ["paper", "fair", "backprop", "paper-design"])
def test_bundled_specifications_say_what_packets_cost(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_spec(name)


def test_a_series_without_a_label_is_called_by_its_code() -> None:
    series = [
        {"code": "ew"},
        {"code": {"name": "now"}},
        {"grid": {"code": ["mds", "lt"]}},
        {"label": "one", "grid": {"code": ["mds"]}},
        {"code": {"name": "ew", "encoding": "factored", "window": "nested"}},
        {"code": {"name": "windows", "supports": [[0], [*range(9)]], "probabilities": [0.5, 0.5]}},
        {"code": {"name": "generator", "matrix": [[1] * 9] * 12}},
    ]
    labels = ["ew", "now", "mds", "lt", "one", "ew (encoding = factored, window = nested)"]
    labels += ["windows (supports = 0|0/1/2/3/4/5/6/7/8, probabilities = 0.5/0.5)", "generator"]
    assert [p.series for p in parse(spec(series=series)).points] == labels
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
    ({"workers": {"count": 0}}, "[workers]: count (number of workers W) must be an integer from 1 to 1,000,000, got 0"),
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


@pytest.mark.parametrize("spec", ["paper", "gradient-coding"])
def test_a_quiet_sweep_writes_its_files_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], spec: str
) -> None:
    options = ("--quiet", "--realizations", "10", "--backend", "numpy", "--out", str(tmp_path / "out"))
    assert call(monkeypatch, "sweep", spec, *options) == 0
    assert capsys.readouterr() == ("", "")
    assert (tmp_path / "out" / "table.csv").stat().st_size > 0
    assert call(monkeypatch, "sweep", spec, "--quiet", "--seed", "-1") == 2
    assert capsys.readouterr().err.count("\n") == 1
