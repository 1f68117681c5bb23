"""Grids, zips and stop rules in specifications; what a dry run says of them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from uepgpu.cli import main
from uepgpu.points.point import Sweep
from uepgpu.points.stop import StopRule
from uepgpu.specification.fields import SpecError
from uepgpu.sweep.spec import parse_spec

GAMMA = [0.40, 0.35, 0.25]
OTHER = [0.5, 0.3, 0.2]
RXC = {"paradigm": "rxc", "left_variances": [10, 1, 0.1], "right_variances": [10, 1, 0.1], "classes": [3, 3, 3]}
CXR = {"paradigm": "cxr", "left_variances": [9] * 9, "right_variances": [1] * 9, "classes": [3, 3, 3]}


def parse(folder: Path = Path(), **changes: Any) -> Sweep:
    data = {
        "realizations": 2000,
        "deadlines": [0.5, 1.0],
        "gamma": GAMMA,
        "workers": {"count": 12, "omega": "fair", "work": "unit"},
        "partitions": {"rxc": RXC},
        "series": [{"label": "EW", "code": "ew"}],
    } | changes
    return parse_spec(data, name="mine", folder=folder)


def test_a_grid_is_every_combination_and_says_what_varies() -> None:
    sweep = parse(grid={"gamma": [GAMMA, OTHER], "workers": [12, 20], "work": ["unit", "true"]})
    assert {(p.code.gamma, p.workers.count, p.workers.work) for p in sweep.points} == {  # type: ignore[attr-defined]
        (tuple(g), w, m) for g in (GAMMA, OTHER) for w in (12, 20) for m in ("unit", "true")
    }
    assert len(sweep.points) == 8
    assert {p.series for p in sweep.points} == {f"EW, Γ = {g}, W = {w}" for g in ("0.4/0.35/0.25", "0.5/0.3/0.2") for w in (12, 20)}


def test_a_zip_takes_values_together() -> None:
    sweep = parse(zip={"workers": [12, 20], "omega": [0.5, "fair"]})
    assert [(p.workers.count, p.workers.omega) for p in sweep.points] == [(12, 0.5), (20, "fair")]
    sweep = parse(zip={"workers": [12, 20], "omega": [0.5, "fair"], "labels": ["few", "many"]}, grid={"seed": [1, 2]})
    assert [p.series for p in sweep.points] == [f"EW, seed = {s}, {n}" for s in (1, 2) for n in ("few", "many")]


def test_every_axis_reaches_its_place() -> None:
    axes: dict[str, tuple[list[Any], Any]] = {
        "code": (["now", {"name": "ew", "encoding": "factored"}], lambda p: p.code_name),
        "gamma": ([GAMMA, OTHER], lambda p: p.code.gamma),
        "encoding": (["free", "stacked"], lambda p: p.encoding),
        "windows": (["drawn", "fixed"], lambda p: p.code.windows),
        "coefficients": (["generic", "gf2"], lambda p: p.code.coefficients),
        "workers": ([12, 15], lambda p: p.workers.count),
        "latency": (["exponential", {"law": "weibull", "shape": 0.7}], lambda p: type(p.workers.latency)),
        "omega": ([0.3, "fair"], lambda p: p.workers.omega),
        "work": (["unit", "true"], lambda p: p.workers.work),
        "loss_probability": ([0.0, 0.1], lambda p: p.workers.loss_probability),
        "partitions": (["rxc", "cxr"], lambda p: p.part.paradigm),
        "classes": ([[3, 3, 3], [1, 2, 6]], lambda p: p.part.class_sizes),
        "row_levels": ([[1, 1, 1], [1, 2]], lambda p: p.part.row_level.max()),
        "deadlines": ([[0.5, 1.0], {"start": 0, "stop": 2, "step": 0.5}], lambda p: p.deadlines),
        "seed": ([1, 2], lambda p: p.seed),
    }
    for axis, (values, read) in axes.items():
        points = parse(partitions={"rxc": RXC} | ({"cxr": CXR} if axis == "partitions" else {}), grid={axis: values}).points
        assert len(points) == 2, axis
        assert read(points[0]) != read(points[1]), axis
        assert len({(*p.panel, p.series) for p in points}) == 2, axis
    windows = [{"name": "ew", "encoding": "factored", "window": w} for w in ("nested", "max-rectangle")]
    assert [p.window for p in parse(grid={"code": windows}).points] == ["nested", "max-rectangle"]
    nested = parse(series=[{"label": "EW", "code": windows[0], "grid": {"gamma_b": [GAMMA, OTHER]}}]).points
    assert [p.code.gamma_b for p in nested] == [tuple(GAMMA), tuple(OTHER)]  # type: ignore[attr-defined]


def test_a_series_varies_in_its_own_way() -> None:
    series = [{"label": "EW", "code": "ew"}, {"label": "NOW", "code": "now", "grid": {"gamma": [OTHER]}, "deadlines": [0.25]}]
    sweep = parse(series=series, grid={"gamma": [GAMMA, OTHER], "omega": [0.5, 1.0]})
    assert [p.series for p in sweep.points if p.code_name == "now"] == ["NOW, Ω = 0.5", "NOW, Ω = 1.0"]
    assert len([p for p in sweep.points if p.code_name == "ew"]) == 4
    assert {p.deadlines for p in sweep.points if p.code_name == "now"} == {(0.25,)}


def test_the_seed_of_the_command_line_wins() -> None:
    data = {"deadlines": [1.0], "gamma": GAMMA, "workers": {"count": 12, "omega": "fair"}, "partitions": {"rxc": RXC}}
    data |= {"series": [{"label": "EW", "code": "ew"}], "seed": 5}
    assert parse_spec(data, name="mine", folder=Path(), seed=9).points[0].seed == 9


def test_stop_rules_of_the_whole_and_of_a_series() -> None:
    series = [{"label": "EW", "code": "ew"}, {"label": "NOW", "code": "now", "stop": {"failures": 50, "relative_error": 0.5}}]
    sweep = parse(stop={"relative_error": 0.01, "deadlines": [0.5], "first": 100, "growth": 2}, series=series)
    assert sweep.points[0].stop == StopRule(2000, relative_error=0.01, deadlines=(0.5,), first=100, growth=2)
    assert sweep.points[1].stop == StopRule(2000, relative_error=0.5, failures=50, deadlines=(0.5,), first=100, growth=2)
    data = {
        "deadlines": [1.0],
        "gamma": GAMMA,
        "workers": {"count": 12, "omega": "fair"},
        "partitions": {"rxc": RXC},
        "series": series,
    }
    stop = {"stop": {"realizations": 50, "seconds": 3}}
    assert parse_spec(data | stop, name="m", folder=Path()).points[0].stop == StopRule(50, seconds=3)
    assert parse_spec(data | stop, name="m", folder=Path(), realizations=7).points[0].stop == StopRule(7, seconds=3)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"grid": {"gama": [GAMMA]}}, "grid: unknown key 'gama' (did you mean 'gamma'?)"),
    ({"grid": {"omega": 1.0}}, "grid: omega must be a non-empty list of the values that it takes in turn, got 1.0"),
    ({"grid": {"omega": []}}, "grid: omega must be a non-empty list"),
    ({"grid": [1]}, "grid and zip must be tables of key = list of values, got [1]"),
    (
        {"zip": {"omega": [1.0], "workers": [9, 12]}},
        "zip: lists are taken together, so they must be of one length, but omega has 1",
    ),
    ({"zip": {"omega": [1.0]}, "grid": {"omega": [2.0]}}, "zip: omega is in grid too; leave it in one of them"),
    ({"zip": {"labels": ["a"]}}, "zip: labels name the values that are taken together, but there are none"),
    ({"zip": {"omega": [1.0, 2.0], "labels": ["a"]}}, "but omega has 2, labels has 1"),
    ({"grid": {"gamma": [[0.5, 0.3, 0.1]]}}, "series 'EW' (gamma = [0.5, 0.3, 0.1]): code: gamma sums to 0.9, it must sum to 1"),
    (
        {"grid": {"workers": [0]}},
        "series 'EW' (workers = 0): workers: count (number of workers W) must be an integer from 1 to 1,000,000, got 0",
    ),
    ({"grid": {"partitions": ["rcx"]}}, "that is rxc (did you mean 'rxc'?), got 'rcx'"),
    ({"grid": {"classes": [[3, 3]]}}, "[partitions.rxc]: classes must be sizes >= 1 that sum to K = 9 sub-products, got (3, 3)"),
    ({"grid": {"deadlines": [[1.0, 0.5]]}}, "deadlines must not decrease: sort them first (got 0.5 after 1.0)"),
    ({"grid": {"seed": [-1]}}, "seed must be an integer from 0 to 2**64 - 1, got -1"),
    ({"grid": {"copies": [2, 3]}}, "unknown key 'copies'"),
    ({"grid": {"seed": list(range(400)), "omega": [1 + i / 400 for i in range(400)]}}, "grid asks for more than 100,000 points"),
    ({"stop": {"relative_eror": 0.1}}, "[stop]: unknown key 'relative_eror' (did you mean 'relative_error'?)"),
    ({"stop": {"relative_error": 0}}, "[stop]: relative_error must be a finite number > 0, got 0"),
    ({"stop": {"relative_error": "small"}}, "[stop]: relative_error must be a finite number, got 'small'"),
    ({"stop": {"failures": 1.5}}, "[stop]: failures must be an integer, got 1.5"),
    ({"stop": {"deadlines": [0.7]}}, "series 'EW': stop: deadlines must name some of the deadlines, got 0.7"),
    ({"stop": {"realizations": 5}}, "realizations is given twice, at the top and in [stop]"),
    ({"series": [{"label": "E", "code": "ew", "stop": {"growth": 1}}]}, "series 'E': stop: growth must be at least 1.01, got 1"),
    ({"title": "a\0b"}, "title must be one line without control characters, got 'a\\x00b'"),
    ({"series": [{"label": "a\0b", "code": "ew"}]}, "label must be one line without control characters, got 'a\\x00b'"),
    ({"zip": {"omega": [1.0], "labels": ["a\x1bb"]}}, "labels must be one line without control characters, got 'a\\x1bb'"),
    (
        {"partitions": {"a\0b": RXC}},
        "the name of a [partitions.NAME] table must be one line without control characters, got 'a\\x00b'",
    ),
    ({"stop": 5}, "[stop] must be a table of key = value, got 5"),
]


@pytest.mark.parametrize("change, message", WRONG, ids=[message[:40] for _, message in WRONG])
def test_wrong_grids_and_rules_are_refused_in_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(**change)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# --- dry run ------------------------------------------------------------------------------------------------------

SPEC = """
deadlines = [0.5, 1]
gamma = [0.40, 0.35, 0.25]
[stop]
realizations = 20_000
relative_error = 0.02
deadlines = [0.5]
first = 1000
[workers]
count = 12
omega = "fair"
work = "unit"
[grid]
latency = ["exponential", { law = "weibull", shape = 0.7 }]
[partitions.rxc]
paradigm = "rxc"
left_variances = [10, 1, 0.1]
right_variances = [10, 1, 0.1]
classes = [3, 3, 3]
[[series]]
label = "EW"
code = "ew"
[[series]]
label = "MDS"
code = "mds"
"""


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["uepgpu", "sweep", "mine.toml", "--backend", "numpy", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    out, err = capsys.readouterr()
    assert (stop.value.code, err) == (0, "")
    return out


def test_a_dry_run_shows_points_and_what_is_stored_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(SPEC)
    out = call(monkeypatch, capsys, "--dry-run")
    rows = [re.split(r"  +", line) for line in out.splitlines()[1:5]]
    assert {row[0] for row in rows} == {
        f"{code}, latency = {law} (rxc, unit work)" for code in ("EW", "MDS") for law in ("exponential", "weibull (shape = 0.7)")
    }
    assert len({row[1] for row in rows}) == 4
    assert len({row[2] for row in rows}) == 2
    assert {(row[3], row[4]) for row in rows} == {("0", "20,000")}
    assert all(float(row[5]) > 0 for row in rows)
    assert "4 points, 2 tallies (points of one tally share its realizations), 0 done" in out
    assert "share random numbers" in out
    assert sorted(f.name for f in tmp_path.iterdir()) == ["mine.toml"]
    call(monkeypatch, capsys)
    before = (tmp_path / "uepgpu-mine" / "store.db").read_bytes()
    out = call(monkeypatch, capsys, "--dry-run")
    assert "4 done; at most 0 s" in out
    assert [re.split(r"  +", line)[-1] for line in out.splitlines()[1:5]] == ["done"] * 4
    assert (tmp_path / "uepgpu-mine" / "store.db").read_bytes() == before
