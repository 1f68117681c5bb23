"""``uepgpu design``: what it prints and writes is what the library designs, and what it refuses."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.command_line import call
from uepgpu.charts.answers import answers_chart
from uepgpu.points.notation import read_code
from uepgpu.results.answers import answers_of
from uepgpu.specification.load import SPECS
from uepgpu.specification.wanted import Wanted
from uepgpu.sweep.spec import read_spec

SPEC = """
deadlines = [0.0, 0.4, 0.8]
show = [0.4, 0.8]
gamma = [0.5, 0.5]

[design]
find = ["gamma", "fixed", "repetition"]
across = "geometric"

[workers]
count = 8
omega = 1.0
work = ["unit", "true"]

[partitions.model]
paradigm = "rxc"
left_variances = [10, 1]
right_variances = [5, 1]
classes = [1, 3]

[[series]]
label = "mine"
code = "ew"

[[series]]
code = "mds"
"""
PART = uep.Partition.model("rxc", left_variances=(10, 1), right_variances=(5, 1), classes=(1, 3))
UNIT = uep.Workers(8, omega=1.0, work="unit")


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.toml"
    path.write_text(SPEC)
    return path


def test_it_prints_and_writes_what_the_library_finds(spec, monkeypatch, capsys):
    assert call(monkeypatch, "design", "mine.toml", "--out", "results") == 0
    out = capsys.readouterr().out
    assert (spec.parent / "results" / "design.png").read_bytes().startswith(b"\x89PNG")
    with (spec.parent / "results" / "design.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert {(r["partition"], r["work"]) for r in table} == {("model", "unit"), ("model", "true")}
    rows = {(r["what"], r["series"], float(r["deadline"])): r for r in table if r["work"] == "unit"}
    ew = uep.codes.ExpandingWindow((0.5, 0.5))
    bound = uep.theory.lower_bound(PART, UNIT, deadlines=[0.4, 0.8]).bound_exchangeable.values
    for t, least in zip((0.4, 0.8), bound.tolist(), strict=True):
        expected = {
            ("gamma", "mine, best Γ"): uep.design.gamma(ew, PART, UNIT, deadlines=t),
            ("fixed", "mine, best fixed windows"): uep.design.fixed_windows(ew, PART, UNIT, deadlines=t),
            ("repetition", "unequal repetition"): uep.design.repetition(PART, UNIT, deadlines=t, copies="fixed"),
        }
        for key, found in expected.items():
            row = rows[*key, t]
            assert float(row["value"]) == pytest.approx(found.objective)
            assert float(row["baseline"]) == pytest.approx(found.baseline)
            assert float(row["bound"]) == pytest.approx(least)
            assert float(row["distance"]) == pytest.approx(found.objective / least)
            code = read_code(row["code"])
            assert uep.theory.loss(code, PART, UNIT, deadlines=t).normalized_loss.item() == pytest.approx(found.objective)
            assert f"{found.objective:.3g} ({found.objective / least:.3g})" in out
        assert float(rows["bound", "lower bound", t]["value"]) == pytest.approx(least)
        one = uep.design.gamma(ew, PART, UNIT, deadlines=(0.4, 0.8), across="geometric")
        across = uep.theory.loss(one.code, PART, UNIT, deadlines=t).normalized_loss.item()
        assert float(rows["across", "mine, one Γ", t]["value"]) == pytest.approx(across)
        for label, code in (("mine", ew), ("mds", uep.codes.MDS())):
            given = uep.theory.loss(code, PART, UNIT, deadlines=t).normalized_loss.item()
            assert float(rows["given", label, t]["value"]) == pytest.approx(given)
    assert out.index("model, unit work") < out.index("model, true work")


def test_a_second_run_replaces_its_files_and_no_others(spec, monkeypatch, capsys):
    out = spec.parent / "results"
    for _ in range(2):
        assert call(monkeypatch, "design", "mine.toml", "--out", "results") == 0
    (out / "design.csv").write_text("my own table\n")
    assert call(monkeypatch, "design", "mine.toml", "--out", "results") == 2
    assert "no earlier output" in capsys.readouterr().err
    assert (out / "design.csv").read_text() == "my own table\n"


def test_what_has_no_design_is_left_out_with_the_reason(spec, monkeypatch, capsys):
    text = (
        SPEC.replace('code = "mds"', 'code = { name = "ew", encoding = "factored" }')
        .replace('across = "geometric"', "")
        .replace("[1, 3]", "[3, 1]")
    )
    spec.write_text(text)
    assert call(monkeypatch, "design", "mine.toml") == 0
    out = capsys.readouterr().out
    assert "Left out: ew (encoding = factored), best Γ (model, unit work)" in out
    assert "no closed form" in out


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('"fixed"', '"best"', "[design]: find must be one of 'gamma', 'fixed', 'repetition', 'windows', got 'best'"),
        ('across = "geometric"', 'across = "both"', "[design]: across must be one of"),
        ('across = "geometric"', 'objective = "exceedance"', "[design]: x must be given for objective='exceedance'"),
        ('across = "geometric"', 'objective = "quantile"\nq = 1.5', "[design]: q must be a probability"),
        ('across = "geometric"', 'objective = "exceedance"\nx = 0.1', "[design]: find = 'repetition' is for"),
        ("across =", "accross =", "[design]: unknown key 'accross' (did you mean 'across'?)"),
        ('across = "geometric"', "realizations = 5", "[design]: realizations must be an integer from 100 to 1,000,000,000, got 5"),
        ('code = "ew"', 'code = "uep"', "name must be one of"),
    ],
)
def test_wrong_specifications_are_refused_on_one_line(spec, monkeypatch, capsys, old, new, message):
    spec.write_text(SPEC.replace(old, new))
    assert call(monkeypatch, "design", "mine.toml") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert [p.name for p in spec.parent.iterdir()] == ["mine.toml"]


def test_a_sweep_passes_over_what_is_to_be_designed(spec):
    assert [p.series for p in read_spec("mine.toml").points] == ["mine", "mine", "mds", "mds"]
    assert (SPECS / "paper-design.toml").read_text().count("[design]") == 1


def test_other_objectives(spec):
    sweep = read_spec("mine.toml")
    for wanted in (
        Wanted(objective="exceedance", x=0.1),
        Wanted(objective="quantile", q=0.5),
        Wanted(("gamma", "repetition"), "debiased"),
    ):
        found = answers_of(sweep, wanted, seed=1, backend="auto", advance=lambda *_: None)
        given, best = (next(c for c in found.curves if c.what == what) for what in ("given", "gamma"))
        assert np.all(best.value <= given.value)
        assert not any(c.what == "bound" for c in found.curves)
        assert any("mds" in reason for reason in found.left_out)  # only the loss of other codes has a closed form here
        assert answers_chart(found.curves, "title", wanted.objective).value_range()[1] > 0


def test_tuned_windows_are_simulated_where_the_table_shows(spec, monkeypatch):
    monkeypatch.setattr("uepgpu.design.rectangles.ROUNDS", (2000, 2000))
    spec.write_text(SPEC.replace('"repetition"', '"windows"').replace('across = "geometric"', "realizations = 500"))
    sweep = read_spec("mine.toml")
    found = answers_of(sweep, Wanted(("windows",), realizations=500), seed=1, backend="auto", advance=lambda *_: None)
    unit, true = (c for c in found.curves if c.what == "windows")
    assert unit.deadlines.tolist() == [0.4, 0.8]
    np.testing.assert_array_equal(unit.value, true.value)  # one product costs the same in both work models
    assert not unit.exact
    chart = answers_chart(found.curves, "title", "loss")
    lines = {line.label: line for line in chart.panels[0].lines}
    assert lines["tuned windows, r = 1"].simulated
    assert not lines["mine"].simulated
    assert len(set(chart.looks.values())) == len(chart.looks)


@pytest.mark.parametrize("find, name", [(("gamma",), "bound_exchangeable"), (("gamma", "repetition"), "bound_tail")])
def test_the_bound_holds_for_designs_tied_to_workers_of_unequal_speed(spec, find, name):
    # Copies of what matters may go to the fast ones.
    speeds = "[4.0, 4.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5]"
    code = '[[series]]\nlabel = "mine"\ncode = "ew"\n'
    head = (
        SPEC[: SPEC.index("[[series]]")].replace("count = 8", f"count = 8\nspeeds = {speeds}").replace('["unit", "true"]', '"unit"')
    )
    spec.write_text(head + code)
    found = answers_of(read_spec("mine.toml"), Wanted(find), seed=1, backend="auto", advance=lambda *_: None)
    (bound,) = (curve.value for curve in found.curves if curve.what == "bound")
    workers = uep.Workers(8, omega=1.0, work="unit", speeds=(4.0, 4.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5))
    limits = uep.theory.lower_bound(PART, workers, deadlines=[0.0, 0.4, 0.8])
    np.testing.assert_array_equal(bound, limits[name].values)
    assert np.any(limits.bound_tail.values < limits.bound_exchangeable.values)
