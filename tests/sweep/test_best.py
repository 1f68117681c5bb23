"""Which point is best: rankings from tallies, ties within error, axes read back from points, and the command that prints them."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.cases.command_line import call
from tests.cases.stores import EW, SPEC, make_store, shared_store
from uepgpu import Racks, theory
from uepgpu.results.axes import axis, group_along
from uepgpu.results.best import Answer, Question, rank
from uepgpu.store.stored import read_points

GRID = """
realizations = 2000
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
workers = [20, 30]
gamma = [[0.4, 0.35, 0.25], [0.4, 0.6, 0.0], [0.9, 0.1, 0.0], [0.9, 0.05, 0.05]]
[[series]]
label = "EW"
code = "ew"
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_store(tmp_path_factory)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("grid"), GRID, "grid")


def test_rankings_follow_the_simulated_answers(store: Path) -> None:
    points = read_points(store)
    for question in (Question("loss", 1.0), Question("deadline", 0.3)):
        rankings = rank(points, question)
        assert [r.panel for r in rankings] == [("rxc", "unit"), ("rxc", "true")]
        for r in rankings:
            assert [a.value for a in r.answers] == sorted(a.value for a in r.answers)
            assert sum(len(r.answers) for r in rankings) == 8
    losses = {a.point.describe(): a for r in rank(points, Question("loss", 1.0)) for a in r.answers}
    for p in points:
        answer = losses[p.point.describe()]
        if p.tally.domain == "deadline":
            assert answer.value == p.tally.loss(p.point.part).normalized_loss.values[2]
        if answer.exact is not None:
            exact = theory.loss(p.point.code, p.point.part, p.point.workers, deadlines=[1.0]).normalized_loss.item()
            assert answer.exact == exact
    assert losses["nested (rxc, unit work)"].exact is None


def test_points_of_other_deadlines_are_left_out_and_none_is_refused(store: Path) -> None:
    points = read_points(store)
    timed = [p for p in points if p.tally.domain == "deadline"]
    assert 0 < len(timed) < len(points)
    assert sum(len(r.answers) for r in rank(points, Question("loss", 0.77))) == len(points) - len(timed)
    with pytest.raises(ValueError, match=r"no point was simulated at the deadline 0\.77; there are 0, 0\.3, 1, 3, 9"):
        rank(timed, Question("loss", 0.77))


def test_a_loss_that_is_never_reached_comes_last(store: Path) -> None:
    answers = rank(read_points(store), Question("deadline", 1e-9))[0].answers
    never = [math.isinf(a.value) for a in answers]
    assert any(never)
    assert never == sorted(never)


def answer(value: float, low: float, high: float, point: Any = None) -> Answer:
    return Answer(point, value, low, high, None)


def test_within_error_is_said_of_differences() -> None:
    best = answer(1.0, 0.9, 1.1)
    assert answer(1.14, 1.04, 1.24).within_error(best)  # .14 < √(.1² + .1²) = .1414
    assert not answer(1.15, 1.05, 1.25).within_error(best)
    assert not answer(1.12, 1.115, 2.0).within_error(best)  # the half-interval that faces the best counts
    assert answer(math.inf, 1.05, math.inf).within_error(best)
    assert not answer(math.inf, 1.2, math.inf).within_error(best)
    assert answer(2.0, 2.0, 2.0).within_error(answer(2.0, 2.0, 2.0))


# --- axes -------------------------------------------------------------------------------------------------------------


def test_axes_are_read_back_from_points(grid: Path) -> None:
    point = read_points(grid)[0].point
    places = {name: axis("--x", name).of(point) for name in ("gamma", "gamma_2", "workers", "omega", "code", "classes", "rows")}
    assert {name: p.text for name, p in places.items()} == {
        "gamma": "0.4/0.35/0.25",
        "gamma_2": "0.35",
        "workers": "20",
        "omega": "1",
        "code": "ew",
        "classes": "3/3/3",
        "rows": "3",
    }
    assert {name: p.number for name, p in places.items() if p.number is not None} == {
        "gamma": 0.4,
        "gamma_2": 0.35,
        "workers": 20.0,
        "omega": 1.0,
        "rows": 3.0,
    }
    for name in ("copies", "blocks", "gamma_b", "gamma_4"):
        assert axis("--x", name).of(point).text == "–"
    with pytest.raises(ValueError, match=r"--x must be one of series, code, .*, got 'gama' \(did you mean 'gamma'\?\)"):
        axis("--x", "gama")


def test_points_are_grouped_by_what_they_share(grid: Path, store: Path) -> None:
    points = read_points(grid)
    by_workers = group_along(points, [axis("--x", "workers")])
    assert [label for _, label in by_workers] == [
        "EW, Γ = 0.4/0.35/0.25",
        "EW, Γ = 0.4/0.6/0.0",
        "EW, Γ = 0.9/0.1/0.0",
        "EW, Γ = 0.9/0.05/0.05",
    ]
    assert all([m.point.workers.count for m in members] == [20, 30] for members in by_workers.values())
    # Two Γ begin alike, so that Γ_1 is no place of their own: Γ_2 divides them.
    by_gamma = group_along(points, [axis("--x", "gamma")])
    assert {label for _, label in by_gamma} == {f"EW, W = {w}, Γ₂ = {g}" for w in (20, 30) for g in ("0.35", "0.6", "0.1", "0.05")}
    both = group_along(points, [axis("--x", "gamma_1"), axis("--y", "gamma_2")])
    assert {label: len(members) for (_, label), members in both.items()} == {"EW, W = 20": 4, "EW, W = 30": 4}
    assert {panel for panel, _ in group_along(read_points(store), [axis("--x", "work")])} == {("", "")}
    assert sum(map(len, by_gamma.values())) == len(points)


def test_points_that_nothing_but_a_label_tells_apart_stay_apart(grid: Path) -> None:
    @dataclass(frozen=True)
    class Own:
        point: Any
        tally: Any

    points = [Own(p.point, p.tally) for p in read_points(grid)[:2]]
    twins = [*points, *(Own(replace(p.point, series=f"twin {i}"), p.tally) for i, p in enumerate(points))]
    groups = group_along(twins, [axis("--x", "gamma")])
    assert sum(map(len, groups.values())) == 4
    assert all(len({m.point.code.gamma for m in members}) == len(members) for members in groups.values())


def test_points_that_differ_in_what_is_on_no_axis_stay_apart(grid: Path) -> None:
    points = read_points(grid)
    few, many = next(p for p in points if p.point.workers.count == 20), next(p for p in points if p.point.workers.count == 30)
    assert few.point.code == many.point.code
    racks = Racks(of=[w // 10 for w in range(30)], probability=0.1)
    struck = replace(many, point=replace(many.point, workers=replace(many.point.workers, racks=racks), series="EW in racks"))
    assert len(group_along([few, many], [axis("--x", "workers")])) == 1
    assert len(group_along([few, struck], [axis("--x", "workers")])) == 2


# --- the command ------------------------------------------------------------------------------------------------------


def test_best_prints_the_ranking_and_writes_all_of_it(
    grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "best", str(grid), "--at", "0.6", "--top", "2", "--csv", "best.csv") == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0] == "grid: normalized loss at t = 0.6"
    first = next(line for line in lines if line.startswith("1  "))
    assert "EW, Γ = 0.4/0.6/0.0, W = 30" in first or "EW, W = 30, Γ = 0.4/0.6/0.0" in first
    assert first.split()[-1] == "2.59e-03"  # exact
    assert "6 more: --top shows them." in out
    assert out.endswith("best.csv: 8 rows\n")
    rows = list(csv.DictReader((tmp_path / "best.csv").read_text().splitlines()))
    assert [int(r["rank"]) for r in rows] == list(range(1, 9))
    values = [float(r["value"]) for r in rows]
    assert values == sorted(values)
    assert all(float(r["low"]) <= float(r["value"]) <= float(r["high"]) for r in rows)
    assert rows[0]["gamma"] == "0.4 0.6 0.0"
    assert rows[0]["within_error"] == "yes"
    assert rows[-1]["within_error"] == "no"
    assert {r["point"] for r in rows} == {p.id for p in read_points(grid)}
    assert call(monkeypatch, "best", str(grid), "--loss", "0.05", "--csv", "best.csv") == 0  # replaces its own kind
    rows = list(csv.DictReader((tmp_path / "best.csv").read_text().splitlines()))
    assert {r["question"] for r in rows} == {"deadline"}


def test_best_by_an_axis_has_a_row_for_each_value(
    grid: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "best", str(grid), "--at", "0.3", "--by", "workers") == 0
    table = capsys.readouterr().out.split("rxc, unit work\n")[1].splitlines()
    assert table[0].startswith("number of workers W  best")
    assert [line.split()[0] for line in table[1:]] == ["20", "30"]
    assert "0.9/" in table[1]
    assert "←" in table[2]
    assert "←" not in table[1]


def test_best_says_never_where_a_loss_is_not_reached(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "best", str(store), "--loss", "1e-9", "--series", EW) == 0
    assert "never" in capsys.readouterr().out
    assert call(monkeypatch, "best", str(store), "--loss", "0.3", "--series", EW, "--series", "MDS") == 0
    assert "uncoded" not in capsys.readouterr().out


WRONG = [
    ((), "best needs --at DEADLINE (the least loss at it) or --loss LOSS (the earliest deadline for it), one of the two"),
    (("--at", "1", "--loss", "0.1"), "one of the two"),
    (("--at", "soon"), "--at must be a number, got 'soon'"),
    (("--at", "-1"), "--at must be a finite number >= 0, got -1.0"),
    (("--loss", "0"), "--loss must be a finite number > 0, got 0.0"),
    (("--loss", "nan"), "--loss must be a finite number > 0, got nan"),
    (("--at", "1", "--by", "wrkers"), "--by must be one of series, code, gamma"),
    (("--at", "1", "--top", "0"), "--top must be an integer from 1"),
    (("--at", "1", "--sweep", "mien"), "has no sweep 'mien' (did you mean 'mine'?)"),
    (("--at", "1", "--series", "neste"), "(did you mean 'nested'?)"),
    (("--at", "1", "--csv", "x.txt"), "--csv must end in .csv, got 'x.txt'"),
    (("--at", "1", "--csv", "other.csv"), "is no earlier output of this kind; --force replaces it"),
]


@pytest.mark.parametrize("options, message", WRONG, ids=[m for _, m in WRONG])
def test_wrong_calls_of_best_end_with_2_and_one_line(
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    assert call(monkeypatch, "best", str(store), *options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.csv"]


def test_best_on_a_terminal_fits_it(grid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from uepgpu import console

    terminal = Console(width=120, record=True, force_terminal=True)
    shown: list[Any] = []
    monkeypatch.setattr("uepgpu.commands.best.show", lambda parts: shown.extend(parts))
    assert call(monkeypatch, "best", str(grid), "--at", "0.6") == 0
    console.show(shown, terminal)
    text = terminal.export_text()
    assert "behind the best" in " ".join(text.split())
    assert "2.59e-03" in text


def test_points_without_an_answer_are_named_and_open_intervals_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = make_store(tmp_path, SPEC)
    capsys.readouterr()
    assert call(monkeypatch, "best", str(store), "--at", "2") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Left out, as they were simulated by deadline and do not have this one:" in said
    assert "rxc, true work: EW" in said[said.index("Left out") :]
    assert call(monkeypatch, "best", str(store), "--at", "1") == 0
    assert "Left out" not in capsys.readouterr().out
    few = make_store(tmp_path, SPEC.replace("realizations = 3000", "realizations = 40"), store="few.db")
    capsys.readouterr()
    assert call(monkeypatch, "best", str(few), "--loss", "0.02") == 0
    assert ", never]" in capsys.readouterr().out
