"""Descents of gradient coding and accuracies of trainings are drawn from what was run or written, like every other figure."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.command_line import call
from uepgpu import gradient_coding as gc
from uepgpu.charts.chart import NothingToShow
from uepgpu.charts.descent import HIGHEST, descent_chart
from uepgpu.charts.training import drawn_by_train, training_chart
from uepgpu.gradient_coding.study import Convergence
from uepgpu.results.courses import Course, read_courses
from uepgpu.results.descents import Descent, descents_of, read_descents, runs_of

SPEC: dict[str, Any] = {
    "kind": "gradient-coding",
    "title": "three schemes",
    "iterations": 12,
    "realizations": 5,
    "deadlines": [1.0, 2.0, 4.0],
    "blocks": 6,
    "workers": {"count": 12, "omega": "fair", "time_unit": "ms"},
    "data": {
        "one": {"source": "gaussian", "rows": 60, "columns": 3, "seed": 1},
        "two": {"source": "gaussian", "rows": 30, "columns": 2, "seed": 2},
    },
    "series": [
        {"label": "exact", "scheme": "exact-gradient", "data": ["one"]},
        {"label": "sketch", "scheme": {"name": "replicated-sketch", "fastest": 5}},
    ],
}
HEADER = "code,paradigm,work,deadline,replicas,step,time," + ",".join(
    f"{which}_accuracy{end}" for which in ("train", "test") for end in ("", "_low", "_high")
)
CURVES = f"""{HEADER}
centralized,any,any,inf,3,0,,,,,0.1,0.1,0.1
centralized,any,any,inf,3,10,,0.5,0.4,0.6,0.6,0.5,0.7
now,rxc,unit,0.5,3,0,0,,,,0.1,0.1,0.1
now,rxc,unit,0.5,3,10,5,0.4,0.3,0.5,0.5,0.4,0.6
now,rxc,true,0.5,3,10,5,0.3,0.2,0.4,0.4,0.3,0.5
"uncoded, wait for all",any,any,inf,3,10,40,0.5,0.4,0.6,0.6,0.5,0.7
"""


@pytest.fixture(scope="module")
def study() -> uep.StudyResults:
    return uep.run_study(SPEC, backend="numpy", progress=False)


@pytest.fixture(scope="module")
def table(study: uep.StudyResults, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from uepgpu.gradient_coding.table import to_csv

    file = tmp_path_factory.mktemp("study") / "table.csv"
    file.write_text(to_csv(study.curves), encoding="utf-8")
    return file


@pytest.fixture
def curves(tmp_path: Path) -> Path:
    (tmp_path / "curves.csv").write_text(CURVES, encoding="utf-8")
    return tmp_path / "curves.csv"


def same(one: Descent, other: Descent) -> bool:
    pairs = ((getattr(one, f.name), getattr(other, f.name), f.type == "Floats") for f in fields(Descent))
    return all(np.array_equal(a, b, equal_nan=numeric) for a, b, numeric in pairs)


# --- descents ---------------------------------------------------------------------------------------------------------


def test_a_study_runs_what_descend_does(study: uep.StudyResults) -> None:
    assert [(c.point.series, c.point.data) for c in study] == [("exact", "one"), ("sketch", "one"), ("sketch", "two")]
    point = study["exact"].point
    alone = gc.descend(
        point.problem,
        gc.ExactGradient(),
        point.workers,
        iterations=12,
        realizations=5,
        seed=1,
        deadlines=[1, 2, 4],
        backend="numpy",
    )
    assert alone.identical(study[0].run)
    found = study.dataset()
    assert found.error.dims == ("point", "iteration")
    assert found.series.values.tolist() == ["exact", "sketch", "sketch"]
    assert found.time.units == found.deadline.units == "ms"
    assert np.array_equal(found.error_at_deadline.sel(point=2), study[2].run.error_at_deadline)
    assert "exact (one)" in study._repr_html_()
    assert repr(study) == "StudyResults(3 curves of 'study': exact, sketch)"
    with pytest.raises(KeyError, match=r"2 curves are called 'sketch': sketch \(one\), sketch \(two\)"):
        study["sketch"]
    with pytest.raises(KeyError, match=r"no curve has the label 'exakt' .did you mean 'exact'"):
        study["exakt"]


@pytest.mark.parametrize("spec", ["paper", {"deadlines": [1]}])
def test_each_function_names_the_other_for_the_other_kind(spec: Any) -> None:
    with pytest.raises(ValueError, match="use run_sweep for sweeps of coded products"):
        uep.run_study(spec)
    with pytest.raises(ValueError, match="use run_study"):
        uep.run_sweep(SPEC)


def test_the_table_of_a_study_gives_the_curves_of_its_runs(study: uep.StudyResults, table: Path) -> None:
    ran, read = descents_of(study.curves), read_descents(table)
    assert all(same(one, other) for one, other in zip(ran, read, strict=True))
    assert ran[0].setting == "W = 12; latency Exponential(rate=1.0); Ω = 0.5; true work; times in ms."
    assert not same(ran[1], ran[2])


def test_a_descent_is_drawn_over_iterations_and_over_time(study: uep.StudyResults) -> None:
    chart = descent_chart(descents_of(study.curves), "title")
    assert [p.title for p in chart.panels] == [
        "one: A 60 × 3, over iterations",
        "two: A 30 × 2, over iterations",
        "one, over simulated time",
        "two, over simulated time",
    ]
    assert [p.x_label for p in chart.panels] == ["iteration t"] * 2 + ["time [ms]"] * 2
    run, line = study["exact"].run, chart.panels[0].lines[0]
    assert np.array_equal(line.value, run.error)
    assert np.array_equal(chart.panels[2].lines[0].x, run.deadline)
    # 95 % of a normal distribution are within 1.96 standard errors.
    drawn, line = study[1].run, chart.panels[0].lines[1]
    assert float(drawn.error_stderr[-1]) > 0
    assert np.allclose(line.high - line.value, 1.96 * drawn.error_stderr, rtol=1e-4)
    assert np.allclose(line.value - line.low, np.minimum(1.96 * drawn.error_stderr, drawn.error - 1e-7), rtol=1e-4)
    (band,) = uep.plot({"sketch": drawn}).axes[0].collections
    ends = band.get_paths()[0].vertices[:, 1]
    assert {float(line.low[-1]), float(line.high[-1])} <= set(ends.tolist())


def test_what_diverges_leaves_the_panel_once(study: uep.StudyResults) -> None:
    first = study[0]
    wild = first.run.copy(deep=True)
    wild["error"][:] = [1.0, 3.0, 15.0, 50.0, 0.5, *[np.nan] * 8]
    chart = descent_chart(descents_of([Convergence(first.point, wild)]), "")
    assert chart.panels[0].lines[0].value.tolist() == [1.0, 3.0, 15.0]
    assert chart.panels[0].y_range == (0.5 * min(0.5, float(np.nanmin(wild.error_at_deadline))), HIGHEST)


def test_runs_of_ones_own_are_drawn(study: uep.StudyResults) -> None:
    runs = {"mine": study[0].run, "other": study[1].run}
    figure = uep.plot(runs, title="both")
    assert [axes.get_title() for axes in figure.axes] == ["over iterations", "over simulated time"]
    assert figure.axes[1].get_xlabel() == "time [ms]"
    assert [line.get_label() for line in figure.axes[0].lines] == ["mine", "other"]
    plain = gc.descend(study[0].point.problem, gc.ExactGradient(), uep.Workers(6), iterations=3, realizations=2, seed=1)
    (alone,) = runs_of(plain)
    assert alone.series.startswith("ExactGradient(")
    over_time = descent_chart([alone], "").panels[1].lines[0]
    assert np.array_equal(over_time.x, plain.time)  # mean times of iterations, as it has no deadlines
    assert np.array_equal(over_time.value, plain.error)
    assert len(uep.plot(plain).axes) == 2
    for wrong in ({}, {"mine": 3}, {3: plain}):
        with pytest.raises(ValueError, match="results must"):
            uep.plot(wrong)  # type: ignore[arg-type]


def test_options_of_figures_apply_to_descents(study: uep.StudyResults, table: Path) -> None:
    figure = uep.plot(
        study,
        "descent",
        series=["sk*", "exact"],
        names={"exact": "all"},
        panels=[1],
        width="column",
        font=7,
        title="mine",
        x_limits=(0, 10),
        y_limits=(1e-2, 1),
        y_scale="linear",
    )
    (axes,) = figure.axes
    assert (axes.get_xlim(), axes.get_ylim(), axes.get_yscale()) == ((0, 10), (1e-2, 1), "linear")
    assert float(figure.get_figwidth()) == 3.5
    assert figure.get_suptitle() == "mine"
    assert [t.get_text() for t in figure.legends[0].texts] == ["sketch", "all", "band: 95 % interval of the mean"]
    assert {t.get_fontsize() for t in [axes.title, axes.xaxis.label, *figure.legends[0].texts]} == {7}
    only = uep.plot(table, "descent", series="sketch")
    assert [line.get_label() for line in only.axes[0].lines] == ["sketch"]
    assert only.get_suptitle() == "Error of gradient descent"


def test_options_of_stores_are_refused(study: uep.StudyResults, curves: Path) -> None:
    for options in ({"at": [1.0]}, {"bound": True}, {"sweep": "x"}, {"y": "gamma"}):
        with pytest.raises(ValueError, match=f"^{next(iter(options))} is for what was swept into a store, not for kind descent"):
            uep.plot(study, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x is not for kind descent"):
        uep.plot(study, x="gamma")
    with pytest.raises(ValueError, match="results of gradient coding have kind='descent', got kind='loss'"):
        uep.plot(study, "loss")
    with pytest.raises(ValueError, match="results must be those of gradient coding or training"):
        uep.plot(uep.run_sweep("paper", realizations=10, backend="numpy"), "descent")
    with pytest.raises(ValueError, match="x must be one of step, time, got 'gamma'"):
        uep.plot(curves, "training", x="gamma")
    with pytest.raises(ValueError, match=r"results must be the curves\.csv"):
        uep.plot(study.curves[0].run, "training")
    with pytest.raises(ValueError, match=r"series must fit a label, got 'eact' .did you mean 'exact'"):
        uep.plot(study, series="eact")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text.replace("error_stderr", "eror"), "has no column 'error_stderr'"),
        (lambda text: text.split("\n")[0] + "\n", "has no rows"),
        (lambda text: text.replace(",iteration,1,", ",iteration,7,"), "must have every iteration of 'exact' once"),
        (lambda text: text.replace(",iteration,1,", ",iteration,one,"), "must have numbers in column 'iteration', got 'one'"),
    ],
)
def test_a_table_that_is_none_is_refused(damage: Any, said: str, table: Path, tmp_path: Path) -> None:
    (tmp_path / "damaged.csv").write_text(damage(table.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        read_descents(tmp_path / "damaged.csv")


# --- trainings --------------------------------------------------------------------------------------------------------


def test_trainings_are_drawn_against_steps_and_time(curves: Path) -> None:
    courses = read_courses(curves)
    chart = training_chart(courses, "title")
    assert [(p.title, p.y_label) for p in chart.panels] == [
        ("row-times-column, deadline 0.5", "train accuracy"),
        ("row-times-column, deadline 0.5", "test accuracy"),
    ]
    assert list(chart.looks) == ["centralized", "now, unit cost", "now, true cost"]  # who waits trains exactly
    train, test = (panel.lines[0] for panel in chart.panels)
    assert (train.x.tolist(), train.value.tolist(), train.high.tolist()) == ([10], [0.5], [0.6])
    assert (test.x.tolist(), test.low.tolist()) == ([0, 10], [0.1, 0.5])
    timed = training_chart(courses, "title", "time", ["test"])
    assert list(timed.looks) == ["now, unit cost", "now, true cost", "uncoded, wait for all"]
    assert [line.x.tolist() for line in timed.panels[0].lines] == [[5], [5], [40]]
    assert timed.log_x
    with pytest.raises(NothingToShow, match="no training has a curve against time"):
        training_chart(courses[:1], "", "time")


def test_every_training_looks_different() -> None:
    nothing = np.zeros(1)
    codes = ["uncoded", "now", "ew", "mds", "now-factored", "ew-factored", "repetition", "ew-nested", "uncoded, wait for all"]
    courses = [
        Course(code, "rxc", work, 1.0, 1, nothing + 1, nothing + 1, {"train": np.zeros((3, 1)), "test": np.zeros((3, 1))})
        for code in codes
        for work in ("unit", "true")
    ]
    looks = training_chart(courses, "", "time").looks
    assert len(set(looks.values())) == len(looks) == 18


def test_the_command_draws_what_can_be_compared(curves: Path) -> None:
    drawn = drawn_by_train(read_courses(curves))
    chosen = {name: [c.label for c in read_courses(curves) if member(c)] for name, (_, member, _, _) in drawn.items()}
    assert chosen == {
        "steps": ["centralized", "now, unit cost"],
        "time": ["centralized", "now, unit cost", "uncoded, wait for all"],
        "cost": ["now, unit cost", "now, true cost"],
    }


def test_plot_draws_curves(
    table: Path, curves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "plot", str(table), "--kind", "descent", "--width", "column", "--series", "sketch") == 0
    assert call(monkeypatch, "plot", str(curves), "--kind", "training", "--x", "time", "-o", "time.svg", "--no-title") == 0
    capsys.readouterr()
    assert (tmp_path / "descent.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "time.svg").read_text(encoding="utf-8").startswith("<?xml")
    for words, said in (
        (("descent", "--at", "1"), "--at is for what was swept into a store, not for --kind descent"),
        (("descnt",), "did you mean 'descent'"),
        (("training",), "has no column 'code'"),
        (("loss",), "is a table: --kind descent draws one of descents"),
    ):
        assert call(monkeypatch, "plot", str(table), "--kind", *words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    assert call(monkeypatch, "plot", "missing.csv", "--kind", "descent") == 2
