"""The name of a unit of time is on every axis, table and Dataset, and no part of what a point is known by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.command_line import call
from tests.cases.specifications import SMALL, parse, spec
from tests.cases.stores import make_store
from uepgpu.charts import KINDS, build_chart
from uepgpu.points.identity import identify
from uepgpu.points.notation import read_workers, write_workers
from uepgpu.specification.fields import SpecError
from uepgpu.store.stored import read_sweeps

V = (10, 1, 0.1)
PART = uep.Partition.model("rxc", left_variances=V, right_variances=V, classes=(3, 3, 3))
EW = uep.codes.ExpandingWindow((0.40, 0.35, 0.25))
IN_MS = SMALL.replace('work = "unit"', 'work = "unit"\ntime_unit = "ms"')


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("unit"), IN_MS)


def simulate(unit: str | None, first: int = 0) -> uep.Tally:
    workers = uep.Workers(30, work="unit", time_unit=unit)
    return uep.simulate(EW, PART, workers, deadlines=[0.3], realizations=40, seed=1, first_realization=first, backend="numpy")


def workers(**changes: Any) -> dict[str, Any]:
    return {"count": 12, "omega": "fair", "work": "unit", **changes}


def test_the_unit_is_no_part_of_workers_points_and_tallies() -> None:
    assert uep.Workers(3, time_unit="ms") == uep.Workers(3)
    assert hash(uep.Workers(3, time_unit="ms")) == hash(uep.Workers(3, time_unit="s"))
    assert write_workers(uep.Workers(3, time_unit="ms")) == write_workers(uep.Workers(3))
    states = uep.Markov([[0.5, 0.5], [0.5, 0.5]], [uep.latency.Exponential(), uep.latency.Pareto(2.0)])
    assert read_workers(write_workers(uep.Workers(3, states=states, time_unit="ms"))).time_unit is None
    (one,), (other,) = (parse(spec(workers=workers(**unit))).points for unit in ({}, {"time_unit": "ms"}))
    assert identify(one) == identify(other)
    assert other.workers.time_unit == "ms"
    assert simulate("ms") == simulate(None)
    assert uep.Workers(3, time_unit="ms").first(2).time_unit == "ms"


def test_tallies_take_the_unit_along(tmp_path: Path) -> None:
    named = simulate("ms")
    assert named.loss(PART).deadline.units == named.deadline_for(PART, loss=[0.5]).deadline.units == "ms"
    named.save(tmp_path / "named.npz")
    assert uep.Tally.load(tmp_path / "named.npz").time_unit == "ms"
    simulate(None).save(tmp_path / "plain.npz")
    assert "time_unit" not in str(np.load(tmp_path / "plain.npz")["header"])  # as earlier versions wrote it
    assert (named + simulate(None, 40)).time_unit == (simulate(None, 40) + named).time_unit == "ms"
    with pytest.raises(ValueError, match="deadlines are in 'ms' in one and 's' in the other"):
        named + simulate("s", 40)


@pytest.mark.parametrize("unit", ["", "  ", "two\nlines", "x" * 41, 3, b"ms"])
def test_a_unit_is_a_short_text(unit: Any) -> None:
    with pytest.raises(ValueError, match=r"time_unit must be a text of at most 40 characters"):
        uep.Workers(3, time_unit=unit)


def test_all_series_share_one_unit() -> None:
    other = {"label": "MDS", "code": "mds", "workers": {"time_unit": "s"}}
    with pytest.raises(SpecError, match=r"time_unit must be the same for all series.*'ms', 's'"):
        parse(spec(workers=workers(time_unit="ms"), series=[{"label": "EW", "code": "ew"}, other]))


def test_a_store_keeps_the_unit_and_shares_its_ranges(store: Path, tmp_path: Path) -> None:
    assert {p.point.workers.time_unit for p in uep.open_store(store)} == {"ms"}
    assert uep.open_store(store).dataset().deadline.units == "ms"
    assert set(uep.open_store(store).dataset().time_unit.values) == {"ms"}
    kept = tmp_path / "kept.db"
    first = uep.run_sweep(spec(workers=workers()), store=kept, backend="numpy")
    again = uep.run_sweep(spec(workers=workers(time_unit="ms")), store=kept, backend="numpy")
    assert [p.seconds for p in again] == [p.seconds for p in first]  # nothing was simulated anew
    assert again.tallies == first.tallies
    assert [r.dataset().deadline.units for r in (first, again, uep.open_store(kept))] == ["unit of the latency law", "ms", "ms"]


def test_every_chart_says_the_unit(store: Path) -> None:
    points = list(uep.open_store(store))
    for kind in KINDS:
        if kind in ("workers", "rounds"):
            continue  # one number of workers only, and single rounds
        chart = build_chart(kind, points, "x", (0.5,))
        assert "times in ms" in chart.notes[0]
        for panel in chart.panels if kind not in ("packets", "decoding") else ():
            assert "[ms]" in panel.x_label or panel.title.startswith("t = 0.5 ms: "), kind
    states = {"transition": [[0.9, 0.1], [0.3, 0.7]], "laws": ["exponential", {"law": "exponential", "rate": 0.1}]}
    slow = {"count": 12, "work": "unit", "states": states, "time_unit": "ms"}
    lasting = uep.run_sweep(spec(workers=slow, rounds=3), backend="numpy")
    assert build_chart("rounds", list(lasting), "x", (0.5,)).panels[0].title.startswith("t = 0.5 ms: ")
    assert build_chart("loss", points, "x").panels[0].x_label == "deadline t [ms] (half of all block products take at most 2.3 ms)"


def test_commands_say_the_unit(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(IN_MS, encoding="utf-8")
    assert call(monkeypatch, "sweep", "mine.toml", "--backend", "numpy") == 0
    printed = capsys.readouterr().out
    assert "times in ms." in printed
    assert "t = 1 ms" in printed
    picture = (tmp_path / "uepgpu-mine" / "loss.png").read_bytes()
    (tmp_path / "mine.toml").write_text(IN_MS.replace('"ms"', '"fortnights"'), encoding="utf-8")
    assert call(monkeypatch, "sweep", "mine.toml", "--backend", "numpy") == 0
    assert (tmp_path / "uepgpu-mine" / "loss.png").read_bytes() != picture  # a figure is painted again for its labels
    capsys.readouterr()
    for words, said in (
        (("best", str(store), "--at", "0.5"), "normalized loss at t = 0.5 ms"),
        (("best", str(store), "--loss", "0.5"), "times in ms"),
        (("export", str(store), "--csv", "-"), ",ms\n"),
        (("design", "mine.toml", "--out", "design"), "t = 1 fortnights"),
    ):
        assert call(monkeypatch, *words) == 0
        assert said in " ".join(capsys.readouterr().out.split(" ")).replace("\r\n", "\n"), words
    pytest.importorskip("plotly")
    assert "t = 0.5 ms" in uep.write_report(store, "page.html").read_text(encoding="utf-8")


def test_a_combined_store_keeps_the_unit(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "combine", str(store), "-o", str(tmp_path / "new.db")) == 0
    assert {p.point.workers.time_unit for p in uep.open_store(tmp_path / "new.db")} == {"ms"}


def test_stores_in_different_units_share_no_figure(store: Path, tmp_path: Path) -> None:
    other = make_store(tmp_path, IN_MS.replace('"ms"', '"s"').replace("seed = 7", "seed = 8"))
    with pytest.raises(ValueError, match=r"measure deadlines differently: 'ms' in .*, 's' in .*; give all of them one time_unit"):
        uep.plot([store, other])


def test_what_is_run_last_says_what_points_are_called(tmp_path: Path) -> None:
    kept = tmp_path / "kept.db"
    for unit in ("ms", "s", "ms"):
        uep.run_sweep(spec(workers=workers(time_unit=unit), title=f"in {unit}"), store=kept, backend="numpy", progress=False)
    (section,) = uep.open_store(kept).sections
    assert (section.title, section.sweep.time_unit) == ("in ms", "ms")
    assert {p.point.workers.time_unit for p in section.points} == {"ms"}
    assert [one.time_unit for one in read_sweeps(kept)] == ["s", "ms"]
