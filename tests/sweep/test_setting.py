"""Figures, tables and reports state the cost model: what all points share once, what some have with their names."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

import uepgpu as uep
from tests.cases.command_line import call
from tests.cases.stores import shared_store
from uepgpu.charts import KINDS, build_chart
from uepgpu.latency import Deterministic, Exponential, Pareto, Staged, Weibull
from uepgpu.points.point import Point
from uepgpu.points.stop import StopRule
from uepgpu.results.setting import describe_setting, describe_workers, time_axis

V = (10, 1, 0.1)
TILES = uep.Partition.model("rxc", left_variances=V, right_variances=V, classes=(3, 3, 3))
EW = uep.codes.ExpandingWindow((0.40, 0.35, 0.25))
ONE = Point("EW", "tiles", EW, TILES, uep.Workers(30), (0.5, 1.0), StopRule(100), 1)

SINGLE = [kind for kind in KINDS if kind != "rounds"]
"""Kinds that points of single rounds have."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_store(tmp_path_factory)


def test_shared_values_stand_once() -> None:
    expected = "W = 30; latency Exponential(rate=1.0); Ω = 1; true work; encoding free; Γ = 0.4/0.35/0.25."
    assert describe_setting([ONE]) == expected
    assert describe_setting([ONE, replace(ONE, series="again")]) == expected


def test_other_values_stand_with_who_has_them() -> None:
    uncoded = replace(ONE, series="uncoded", code=uep.codes.Uncoded(), workers=uep.Workers(9, omega="fair", work="unit"))
    text = describe_setting([ONE, replace(ONE, series="2"), uncoded])
    assert "W = 30, 9 (uncoded);" in text
    assert "Ω = 1, K/W (uncoded);" in text
    assert "true and unit work;" in text
    assert "Γ = 0.4/0.35/0.25." in text  # of those that have one
    grid = [replace(ONE, series=f"W = {w}", workers=uep.Workers(w)) for w in range(10, 30)]
    assert describe_setting(grid).startswith("W = one of 20 values;")
    assert "Γ" not in describe_setting([uncoded])


@pytest.mark.parametrize(
    "law, median",
    [(Exponential(2.0), math.log(2) / 2), (Weibull(0.7, 3.0), 3 * math.log(2) ** (1 / 0.7)), (Deterministic(0.25), 0.25)],
)
@pytest.mark.parametrize("omega", [1.0, 0.5, "fair"])
def test_the_axis_says_when_half_of_all_block_products_are_done(law: object, median: float, omega: object) -> None:
    workers = uep.Workers(30, law, omega=omega)  # type: ignore[arg-type]
    label = time_axis([replace(ONE, workers=workers)])
    expected = median / workers.resolved_omega(9)
    assert label == f"deadline t (half of all block products take at most {expected:.2g})"
    assert workers.arrival(expected * (1 + 1e-9), 9, 1) >= 0.5 - 1e-9
    assert workers.arrival(expected * (1 - 1e-9), 9, 1) <= 0.5 + 1e-9


def test_the_axis_says_no_more_than_holds_for_all() -> None:
    plain = "deadline t (unit of time of the latency law)"
    several = [
        [ONE, replace(ONE, workers=uep.Workers(30, Pareto(2.0)))],
        [ONE, replace(ONE, workers=uep.Workers(30, omega=0.5))],
        [replace(ONE, workers=uep.Workers(2, [Exponential(), Pareto(2.0)]))],
        [replace(ONE, workers=uep.Workers(2, speeds=[1.0, 2.0]))],
        [replace(ONE, workers=uep.Workers(30, Staged(Exponential(), start=0.1)))],
        [replace(ONE, workers=uep.Workers(1, uep.latency.Trace([[1.0]])))],
    ]
    for points in several:
        assert time_axis(points) == plain
    assert time_axis([ONE, replace(ONE, workers=uep.Workers(15))]) != plain  # the number of workers does not change it


def test_every_chart_states_the_setting(store: Path) -> None:
    points = list(uep.open_store(store))
    for kind in SINGLE:
        if kind != "workers":
            assert build_chart(kind, points, "x").notes[0] == describe_setting([p.point for p in points])
    assert [t.get_text() for t in uep.plot(store).texts][-1].startswith(
        "W = 12, 9 (uncoded); latency Exponential(rate=1.0); Ω = K/W;"
    )


def test_commands_print_the_setting(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    said = describe_setting([p.point for p in uep.open_store(store)])
    assert call(monkeypatch, "best", str(store), "--at", "1") == 0
    assert said in " ".join(capsys.readouterr().out.split())
    assert call(monkeypatch, "sweep", "paper", "--realizations", "100", "--backend", "numpy") == 0
    assert capsys.readouterr().out.startswith(
        "W = 30; latency Exponential(rate=1.0); Ω = 1; unit work; encoding free, stacked (cxr); Γ = "
    )
    pytest.importorskip("plotly")
    page = uep.write_report(store, "page.html").read_text(encoding="utf-8")
    assert page.count(said) == 1


def test_workers_are_described_with_their_load() -> None:
    assert describe_workers(uep.Workers(18, Deterministic(2.0), omega="fair", work="unit"), 9) == (
        "W = 18; latency Deterministic(time=2.0); Ω = K/W = 0.5; unit work."
    )


def test_what_befalls_workers_besides_their_law_is_stated(tmp_path: Path) -> None:
    racks = uep.Racks([w // 10 for w in range(30)], 0.1)
    struck = replace(ONE, series="dark racks", workers=uep.Workers(30, racks=racks, loss_probability=0.05))
    text = describe_setting([ONE, replace(ONE, series="again"), struck])
    assert "nothing else, 0.05 lost, 3 racks, each dark with probability 0.1 (dark racks);" in text
    assert "nothing else" not in describe_setting([struck])
    speeds = [1.0] * 15 + [0.5] * 15
    slow = uep.Workers(30, speeds=speeds, backup=uep.Backup(after=0.3))
    assert describe_workers(slow, 9).startswith("W = 30; latency Exponential(rate=1.0), speeds 0.5 to 1, backup after 0.3; Ω = 1")
    assert "relaunch after 2" in describe_workers(uep.Workers(3, backup=uep.Relaunch(after=2)), 9)
    assert "12 rounds" in describe_setting([replace(ONE, rounds=12)])
    spec = {
        "deadlines": [1.0],
        "realizations": 10,
        "workers": {"count": 3, "racks": {"of": [0, 0, 1], "probability": 0.1}},
        "partitions": {"tiles": TILES},
        "series": [{"code": "mds"}],
    }
    found = uep.run_sweep(spec, backend="numpy").dataset()
    assert found.latency.item() == "Exponential(rate=1.0), 2 racks, each dark with probability 0.1"
