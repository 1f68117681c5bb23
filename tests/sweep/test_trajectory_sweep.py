"""Trajectories of rounds in specifications, stores, exports, figures and replays."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uepgpu as uep
from tests.cases import problems
from tests.cases.command_line import call
from tests.cases.paper import EW, GAMMA, MDS, RXC
from tests.cases.stores import make_store
from uepgpu import codes
from uepgpu.charts import NothingToShow, build_chart
from uepgpu.latency import Exponential, Trace
from uepgpu.monte_carlo import decode_times
from uepgpu.plan import make_plan, problem_of_round
from uepgpu.points.identity import identify
from uepgpu.points.point import Point
from uepgpu.points.stop import StopRule
from uepgpu.replay import replay, trajectory
from uepgpu.specification.fields import SpecError
from uepgpu.store.combine import combine
from uepgpu.store.stored import read_points
from uepgpu.sweep.spec import parse_spec
from uepgpu.tally import Trajectories

SPEC = """
realizations = 300
seed = 7
deadlines = [0.3, 0.6, 2]
gamma = [0.40, 0.35, 0.25]
rounds = 4

[workers]
count = 12
omega = 1.0
work = "unit"
states = { transition = [[0.9, 0.1], [0.3, 0.7]], laws = ["exponential", { law = "exponential", rate = 0.1 }] }

[partitions.rxc]
paradigm = "rxc"
left_variances = [10, 1, 0.1]
right_variances = [10, 1, 0.1]
classes = [3, 3, 3]

[[series]]
label = "EW"
code = "ew"

[[series]]
label = "over GF(2)"
code = { name = "now", coefficients = "gf2" }
grid = { rounds = [1, 3] }
"""
TABLE = {"transition": [[0.9, 0.1], [0.3, 0.7]], "laws": ["exponential", {"law": "exponential", "rate": 0.1}]}
STATES = uep.Markov([[0.9, 0.1], [0.3, 0.7]], [Exponential(1.0), Exponential(0.1)])
WORKERS = uep.Workers(12, states=STATES, omega=1.0, work="unit")
POINT = Point("EW", "rxc", EW, RXC, WORKERS, (0.3, 0.6), StopRule(100), 7, 4)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("trajectories"), SPEC)


def simulated(point: Point, **more: Any) -> Trajectories:
    options = {"realizations": 300, "seed": point.seed, "backend": "numpy", "rounds": point.rounds} | more
    return uep.simulate(point.code, point.part, point.workers, deadlines=point.deadlines, **options)


def test_a_store_keeps_every_round_to_the_bit(store: Path) -> None:
    points = read_points(store)
    assert [(p.point.series, p.point.rounds) for p in points] == [
        ("EW", 4),
        ("over GF(2), R = 1", 1),
        ("over GF(2), R = 3", 3),
    ]
    for stored in points:
        assert stored.tally == simulated(stored.point)
    assert points[0].tally.squares is not None
    assert np.array_equal(points[0].tally.squares, simulated(points[0].point).squares)
    assert points[1].tally.squares is None, "pairs of sub-products are counted"
    # The only round of a trajectory is a realization of a single round.
    single = uep.simulate(points[1].point.code, RXC, WORKERS, deadlines=(0.3, 0.6, 2), realizations=300, seed=7, backend="numpy")
    assert np.array_equal(points[1].tally.tallies[0].pairs, single.pairs)


def test_ranges_of_trajectories_add_up_whatever_store_they_are_from(tmp_path: Path) -> None:
    make_store(tmp_path, SPEC.replace("300", "40"), store="few.db")
    make_store(tmp_path, SPEC.replace("300", "100"), store="more.db")
    combine([tmp_path / "few.db", tmp_path / "more.db"], tmp_path / "all.db")
    for stored in read_points(tmp_path / "all.db"):
        assert stored.tally == simulated(stored.point, realizations=100)


@pytest.mark.parametrize("rule", [{"relative_error": 0.2}, {"interval_width": 0.2}, {"failures": 150}])
def test_stop_rules_judge_the_mean_over_rounds(rule: dict[str, Any]) -> None:
    data = {"deadlines": [0.3, 0.6], "rounds": 4, "stop": {"first": 50, "realizations": 5000} | rule}
    data |= {"workers": {"count": 12, "omega": 1.0, "work": "unit", "states": TABLE}, "partitions": {"rxc": RXC}}
    (stored,) = uep.run_sweep(data | {"series": [{"code": {"name": "ew", "gamma": list(GAMMA)}}]})
    found = stored.tally
    assert isinstance(found, Trajectories)
    assert 50 <= found.realizations < 5000
    mean = found.mean_loss(stored.point.part)
    half = (mean.normalized_loss_high - mean.normalized_loss_low).values / 2
    if "relative_error" in rule:
        assert np.all(half / mean.normalized_loss <= 0.2 * 1.96 * 1.0001)
    elif "interval_width" in rule:
        assert np.all(2 * half <= 0.2)
    else:
        lost = [found.realizations - tally.patterns.sum(axis=0)[:, -1] for tally in found]
        assert np.min(lost) >= 150


def test_rounds_decide_the_tally_and_its_id() -> None:
    plain, other = identify(replace(POINT, rounds=None)), identify(replace(POINT, rounds=5))
    assert len({identify(POINT).tally, plain.tally, other.tally}) == 3
    assert len({identify(POINT).point, plain.point, other.point}) == 3
    assert "rounds" not in plain.frame


def test_exports_have_the_mean_or_every_round(store: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    tables = {}
    for name, options in (("mean", ()), ("each", ("--rounds", "--bound"))):
        assert call(monkeypatch, "export", str(store), "--csv", str(tmp_path / f"{name}.csv"), *options) == 0
        tables[name] = list(csv.DictReader((tmp_path / f"{name}.csv").read_text(encoding="utf-8").splitlines()))
    assert len(tables["mean"]) == 9
    assert len(tables["each"]) == 3 * (4 + 1 + 3)
    ew = read_points(store)[0]
    mean, each = ew.tally.mean_loss(RXC), ew.tally.loss(RXC)
    row = tables["mean"][1]
    assert (row["rounds"], row["deadline"]) == ("4", "0.6")
    for name in ("normalized_loss", "normalized_loss_stderr", "normalized_loss_low", "normalized_loss_sd"):
        assert float(row[name]) == pytest.approx(mean[name].values[1])
    row = tables["each"][3 * 2 + 1]
    assert (row["rounds"], row["round"], row["deadline"]) == ("4", "2", "0.6")
    assert float(row["normalized_loss"]) == pytest.approx(each.loss.values[2, 1] / RXC.norm2)
    assert call(monkeypatch, "export", str(store), "--netcdf", str(tmp_path / "x.nc"), "--rounds") == 2
    assert "--rounds is for --csv and --parquet" in capsys.readouterr().err
    assert uep.open_store(store).dataset().rounds.values.tolist() == [4, 1, 3]


def test_figures_reports_and_rankings_show_means_and_rounds(store: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    points = read_points(store)
    chart = build_chart("rounds", points, "bursts", (0.6,))
    (panel,) = chart.panels
    assert [line.x.tolist() for line in panel.lines] == [[0, 1, 2, 3], [0], [0, 1, 2]]
    assert panel.lines[0].value == pytest.approx(points[0].tally.loss(RXC).loss.values[:, 1] / RXC.norm2)
    assert len(set(panel.lines[0].exact)) == 1
    probability = build_chart("probability", points[:1], "", ())
    assert probability.panels[0].lines[0].value == pytest.approx(
        points[0].tally.decoding_probability().probability.values[:, :, 0].mean(axis=0)
    )
    for kind in ("distribution", "exceedance"):
        with pytest.raises(NothingToShow, match="means over rounds"):
            build_chart(kind, points, "", ())
    along = ("--x", "rounds", "--at", "0.6", "--output", str(tmp_path / "along.svg"))
    assert call(monkeypatch, "plot", str(store), *along) == 0
    assert call(monkeypatch, "report", str(store), "--output", str(tmp_path / "report.html")) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Loss against round" in page
    assert "trajectories of 4 rounds" in page
    assert call(monkeypatch, "best", str(store), "--loss", "0.9") == 0
    capsys.readouterr()
    with pytest.raises(NothingToShow, match="no point has rounds"):
        build_chart("rounds", uep.run_sweep("paper", realizations=100, backend="numpy").points, "", ())


def test_the_mean_probability_of_decoding_counts_how_rounds_depend() -> None:
    sticky = uep.Workers(30, states=uep.Markov([[0.99, 0.01], [0.01, 0.99]], STATES.laws), omega=1.0, work="unit")
    found = uep.simulate(MDS, RXC, sticky, deadlines=[0.3, 0.6], rounds=6, realizations=3200, seed=2)
    mean = found.mean_decoding_probability()
    exact = uep.theory.decoding_probability(MDS, RXC, sticky, deadlines=[0.3, 0.6]).probability
    assert np.all(np.abs(mean.probability - exact) <= 4 * mean.stderr)
    # MDS loses all or nothing, so that the loss has the same error, to the 4 s.e. of a spread of 32.
    ratio = mean.stderr.values[1] / found.mean_loss(RXC).normalized_loss_stderr.values[1]
    assert np.all(np.abs(ratio - 1) <= 4 / np.sqrt(62))
    assert np.all((mean.low <= mean.probability) & (mean.probability <= mean.high))


def test_where_nothing_was_seen_there_is_a_bound() -> None:
    fast = uep.Workers(30, states=uep.Markov([[1.0]], [Exponential(50.0)]), omega=1.0, work="unit")
    found = uep.simulate(MDS, RXC, fast, deadlines=[1.0], rounds=2, realizations=100, seed=2).mean_loss(RXC)
    assert found.loss.item() == 0
    assert 0 < found.normalized_loss_high.item() < 0.05


# --- replays ----------------------------------------------------------------------------------------------------------

RECORDED = problems.recorded(7, 12)
REPLAYED = {
    "states": (EW, WORKERS),
    "speeds": (codes.ExpandingWindow(GAMMA, windows="fixed"), replace(WORKERS, speeds=(1.0, 0.5) * 6, latency=Exponential())),
    **{
        how: (EW, uep.Workers(12, Trace(RECORDED, how, how != "order", 2.0 if how == "blocks" else None), omega=1.0, work="unit"))
        for how in ("order", "random", "blocks")
    },
}


@pytest.mark.parametrize("name", REPLAYED)
def test_every_round_is_replayed_as_numpy_decodes_it(name: str) -> None:
    code, workers = REPLAYED[name]
    options: dict[str, Any] = {"deadlines": [0.3, 0.6, 2.0], "seed": 2**63 + 9}
    for i in range(2**32 - 1, 2**32 + 1):
        told = trajectory(code, RXC, workers, realization=i, rounds=6, **options)
        for r, one in enumerate(told):
            kernel = decode_times(code, RXC, workers, realizations=1, first_realization=i, round=r, **options)[0]
            assert one.decode_times().tolist() == kernel.tolist()
            assert one == replay(code, RXC, workers, realization=i, round=r, **options)
        if name == "states":
            assert told[0].states is None
            assert [one.states for one in told[1:]] == [one.next_states for one in told[:-1]]
            assert {s for one in told[1:] for s in one.states or ()} == {0, 1}


def test_a_command_tells_the_trajectory_or_one_of_its_rounds(store: Path, monkeypatch, capsys) -> None:
    assert call(monkeypatch, "replay", str(store), "EW", "5") == 0
    shown = capsys.readouterr().out
    assert "the NumPy kernel decodes every sub-product at the same time" in shown
    assert len([line for line in shown.splitlines() if line.strip()[:2] in ("0 ", "1 ", "2 ", "3 ")]) == 4
    assert call(monkeypatch, "replay", str(store), "EW", "5", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert [one["round"] for one in data["rounds"]] == [0, 1, 2, 3]
    assert data["point"]["kernel_agrees"]
    assert call(monkeypatch, "replay", str(store), "EW", "5", "--round", "2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["packets"] == data["rounds"][2]["packets"]
    assert call(monkeypatch, "replay", str(store), "EW", "5", "--round", "2") == 0
    assert "States: 0: workers [" in capsys.readouterr().out
    for number in ("4", "-1"):
        assert call(monkeypatch, "replay", str(store), "EW", "5", "--round", number) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_problems_of_rounds_are_those_of_their_tallies() -> None:
    found = simulated(POINT, realizations=1)
    base = make_plan(EW, RXC, WORKERS, seed=7, deadlines=(0.3, 0.6), rounds=True).digest("coefficients")
    assert [t.problem == problem_of_round(found.problem, r) for r, t in enumerate(found)] == [True] * 4
    assert len({base, *(t.problem for t in found)}) == 5


# --- refusals ---------------------------------------------------------------------------------------------------------


def spec(**changes: Any) -> dict[str, Any]:
    data = {"deadlines": [0.3], "rounds": 4, "workers": {"count": 12, "states": TABLE}, "partitions": {"rxc": RXC}}
    return data | {"series": [{"code": "mds"}]} | changes


@pytest.mark.parametrize(
    "data, reason",
    [
        (spec(rounds=0), "rounds must be"),
        (spec(rounds=1.5), "rounds must be"),
        (spec(rounds="many"), "rounds must be"),
        (spec(rounds=100_001), "rounds must be"),
        (spec(workers={"count": 12}), r"rounds=4 needs workers with states or a trace, got Exponential\(rate=1.0\)"),
        (spec(rounds=None, series=[{"code": "mds", "rounds": -2}]), "rounds must be"),
        (spec(grid={"rounds": [2, "x"]}), "rounds must be"),
        (spec(grid={"rounds": 2}), "rounds must be a non-empty list"),
    ],
)
def test_specifications_say_what_rounds_may_be(data: dict[str, Any], reason: str) -> None:
    data = {key: value for key, value in data.items() if value is not None}
    with pytest.raises((SpecError, ValueError), match=reason) as caught:
        parse_spec(data, name="mine", folder=Path())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "call, reason",
    [
        (
            lambda: identify(replace(POINT, rounds=100_000, deadlines=tuple(np.arange(11.0)))),
            "a store keeps at most 1,048,576 deadlines",
        ),
        (
            lambda: identify(replace(POINT, stop=StopRule(100, exceeding=0.1, exceedance_width=0.1))),
            "exceedance_width asks for the loss of one realization, and rounds for the mean of several",
        ),
        (lambda: replay(EW, RXC, WORKERS, realization=0, seed=1, round=-1, deadlines=[1.0]), "round must be"),
        (lambda: replay(EW, RXC, WORKERS, realization=0, seed=1, round=1), "round=1 needs deadlines"),
        (
            lambda: replay(EW, RXC, problems.PAPER, realization=0, seed=1, round=1, deadlines=[1.0]),
            "needs workers with states or a trace",
        ),
        (
            lambda: decode_times(EW, RXC, WORKERS, deadlines=[1.0], realizations=1, seed=1, round=1, backend="numba"),
            "round=1 needs backend='numpy'",
        ),
        (lambda: Trajectories(()), "a tally of every round"),
        (
            lambda: Trajectories((simulated(POINT, realizations=1).tallies[0], simulated(POINT, realizations=2).tallies[0])),
            "the same",
        ),
        (
            lambda: Trajectories(simulated(POINT, realizations=1).tallies, np.zeros((32, 1, 3), dtype=np.int64)),
            "squares must be int64",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(call: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        call()
    assert "\n" not in str(caught.value)
