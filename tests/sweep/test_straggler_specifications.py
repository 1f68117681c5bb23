"""Workers that differ or misbehave, as specifications and stores describe them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uepgpu as uep
from uepgpu.latency import Empirical, Exponential, Pareto, ShiftedExponential, Staged, Trace
from uepgpu.points.notation import read_workers, write_workers
from uepgpu.specification.fields import SpecError
from uepgpu.specification.workers import worker_grid
from uepgpu.workers import Backup, Markov, Racks, Relaunch, Workers


def read(folder: Path = Path(), **keys: Any) -> Workers:
    """The workers of a [workers] table, which survive being text."""
    ((_, workers),) = worker_grid("[workers]", {"count": 3, **keys}, folder)
    assert write_workers(read_workers(write_workers(workers))) == write_workers(workers)
    return workers


def test_a_specification_gives_every_worker_its_law():
    pareto = {"law": "pareto", "shape": 2.0}
    assert read(latency={"each": ["exponential", pareto], "counts": [2, 1]}).latency == (Exponential(), Exponential(), Pareto(2.0))
    assert read(latency={"each": [pareto, "exponential", pareto]}).latency == (Pareto(2.0), Exponential(), Pareto(2.0))
    labels = [label for label, _ in worker_grid("", {"count": 3, "latency": ["exponential", {"each": [pareto] * 3}]}, Path())]
    assert labels[0] == ", exponential"
    assert labels[1].count("pareto (shape = 2.0)") == 3


def test_a_specification_describes_stages():
    send = {"law": "shifted-exponential", "rate": 5.0, "shift": 0.1}
    law = read(latency={"law": "staged", "compute": "exponential", "send": send, "start": 0.05}).latency
    assert law == Staged(Exponential(), ShiftedExponential(5.0, 0.1), 0.05)
    assert read(latency={"law": "staged", "compute": {"law": "empirical", "samples": [1, 2]}}).latency.send is None
    labels = [label for label, _ in worker_grid("", {"count": 3, "latency": ["exponential", _staged(send)]}, Path())]
    assert labels[1] == ", staged (compute = exponential, send = shifted-exponential 5.0 0.1)"


def _staged(send: Any) -> dict[str, Any]:
    return {"law": "staged", "compute": "exponential", "send": send}


def test_a_specification_describes_second_tries():
    assert read(backup={"name": "backup", "after": 0.5}).backup == Backup(0.5)
    again = read(backup={"name": "relaunch", "after": 1})
    assert again.backup == Relaunch(1)
    assert read_workers(write_workers(again)) == again
    assert "backup" not in write_workers(read())


def test_a_specification_describes_messages():
    several = read(messages=3, progress="erlang")
    assert several == Workers(3, messages=3, progress="erlang")
    assert read_workers(write_workers(several)) == several
    assert read(messages=2) == Workers(3, messages=2)
    one = read(messages=1, progress="erlang")
    assert write_workers(one) == write_workers(read())
    assert not {"messages", "progress"} & set(json.loads(write_workers(one)))


def test_a_specification_describes_racks():
    dark = read(racks={"of": [0, 0, 1], "probability": 0.25})
    assert dark.racks == Racks([0, 0, 1], 0.25)
    slow = read(racks={"of": [0, 0, 1], "probability": 0.25, "latency": {"law": "pareto", "shape": 2.0}})
    for workers in (dark, slow):
        assert read_workers(write_workers(workers)) == workers
    assert slow.racks.latency == Pareto(2.0)


def test_a_specification_describes_states():
    states = {"transition": [[0.9, 0.1], [0.3, 0.7]], "laws": ["exponential", {"law": "pareto", "shape": 2.0}]}
    workers = read(states=states)
    assert workers.states == Markov([[0.9, 0.1], [0.3, 0.7]], [Exponential(1.0), Pareto(2.0)])
    again = read_workers(write_workers(workers))
    assert again == workers
    assert (hash(again.states), again.latency) == (hash(workers.states), workers.latency)
    assert workers != read(states=states | {"transition": [[0.8, 0.2], [0.3, 0.7]]})
    assert workers.first(2).states == workers.states
    assert workers.describe_latency() == ("states 0: 75 % Exponential(rate=1.0), 1: 25 % Pareto(shape=2.0, scale=1.0)")


def test_a_specification_reads_recorded_latencies(tmp_path):
    table = [[1.0, math.inf, 0.5], [2.0, 3.0, 4.0]]
    np.save(tmp_path / "trace.npy", table)
    rows = [f"{r},{w},{x}" for r, row in enumerate(table) for w, x in enumerate(row)]
    (tmp_path / "trace.csv").write_text("\n".join(["step,node,seconds", *rows]))
    columns = {"round": "step", "worker": "node", "latency": "seconds"}
    assert read(latency={"law": "trace", "latencies": table}).latency == Trace(table)
    assert read(tmp_path, latency={"law": "trace", "latencies": "trace.npy", "replay": "order"}).latency == Trace(table, "order")
    shuffled = read(tmp_path, latency={"law": "trace", "latencies": "trace.csv", **columns, "shuffle": True}).latency
    assert shuffled == Trace(table, shuffle=True)
    blocks = read(tmp_path, latency={"law": "trace", "latencies": "trace.npy", "replay": "blocks", "block": 3}).latency
    assert blocks == Trace(table, "blocks", block=3)
    (tmp_path / "few.csv").write_text("\n".join(["step,node,seconds", *rows[3:]]))
    assert read(tmp_path, latency={"law": "empirical", "samples": "few.csv", "column": "seconds"}).latency == Empirical([2, 3, 4])


@pytest.mark.parametrize(
    "keys, reason",
    [
        ({"latency": {"law": "trace"}}, "latencies is missing"),
        ({"latency": {"law": "trace", "latencies": [[1, 2, 3], [1, 2]]}}, "latencies must hold real numbers in rows of one length"),
        ({"latency": {"law": "trace", "latencies": [1, 2, 3]}}, "latencies must be the path of a file or a list of rounds"),
        ({"latency": {"law": "trace", "latencies": [["a", 2, 3]]}}, "latencies must hold numbers, got 'a'"),
        (
            {"latency": {"law": "trace", "latencies": [[1, 2]]}},
            "latency must be a trace of all workers: 3 workers",
        ),
        ({"latency": {"law": "trace", "latencies": [[1, 2, 3]], "round": "step"}}, "round is the name of a column in a file"),
        ({"latency": {"law": "trace", "latencies": "none.csv"}}, "round must name the column"),
        ({"latency": {"law": "pareto", "shape": 2, "column": "seconds"}}, "column is not for the law 'pareto'"),
        ({"latency": {"law": "empirical", "samples": "x.csv", "round": "step"}}, "round is not for the law 'empirical'"),
        ({"latency": {"law": "empirical", "samples": "none.csv", "column": "a"}}, "no file"),
        ({"racks": {"of": [0, 1]}}, r"\[workers\]: racks: probability is missing"),
        ({"racks": {"of": [0, 1], "probability": 0.5}}, "racks must give one rack per worker: 3 workers, got 2 racks"),
        ({"racks": {"of": [0, 1, 1], "probability": 0.5, "latency": "dark"}}, "law must be one of .*, got 'dark'"),
        ({"states": {"laws": ["exponential"]}}, r"\[workers\]: states: transition is missing"),
        ({"states": {"transition": [1], "laws": ["exponential"]}}, "transition must be a list of rows, each a list, got"),
        ({"states": {"transition": [[0.9]], "laws": ["exponential"]}}, "transition: row 0 sums to 0.9, it must sum to 1"),
        ({"states": {"transition": [[1]], "laws": "exponential"}}, "laws must be a list of one law per state"),
        ({"messages": 0}, "messages must be an integer from 1 to 1,000, got 0"),
        ({"messages": 2, "progress": "erland"}, "did you mean 'erlang'"),
        ({"messages": 2, "progress": "erlang", "latency": {"law": "pareto", "shape": 2}}, "needs exponential latencies"),
        ({"messages": 2, "backup": {"name": "backup", "after": 1}}, "messages must be 1 where there is backup or states"),
        ({"backup": {"name": "backup"}}, r"\[workers\]: backup: after is missing"),
        ({"backup": {"name": "bakcup", "after": 1}}, "did you mean 'backup'"),
        ({"backup": {"name": "relaunch", "after": 0}}, "after must be a finite number > 0, got 0"),
        ({"latency": {"law": "staged"}}, "compute is missing"),
        ({"latency": _staged("fast")}, "law must be one of .*, got 'fast'"),
        ({"latency": _staged({"law": "pareto"})}, "shape is missing"),
        ({"latency": _staged(_staged("exponential"))}, "send must be a law that is not staged itself"),
        ({"latency": {"each": []}}, r"\[workers\]: latency: each must be a non-empty list of laws"),
        ({"latency": {"each": ["exponential"]}}, r"latency must give one law per worker: 3 workers, got 1 laws"),
        ({"latency": {"each": ["exponential"], "counts": [1, 2]}}, "counts must give a number of workers >= 1 for each of 1 laws"),
        ({"latency": {"each": ["exponential"], "counts": [0]}}, "counts must give a number of workers >= 1"),
        ({"latency": {"each": ["exponental"] * 3}}, "did you mean 'exponential'"),
        ({"latency": {"each": ["exponential"] * 3, "law": "pareto"}}, "unknown key 'law'"),
    ],
)
def test_bad_workers_of_a_specification_are_named(keys, reason):
    with pytest.raises(SpecError, match=reason):
        read(**keys)


@pytest.mark.parametrize(
    "key, value",
    [
        ("states", {"transition": [[0.9, 0.2], [0.3, 0.7]], "laws": ["exponential", "exponential"]}),
        ("racks", {"of": [0, 0], "probability": 2}),
        ("racks", {"of": [0, 0], "probability": 0.1, "dark": True}),
        ("backup", {"name": "backup", "after": -1}),
        ("latency", {"law": "weibull", "shape": -1}),
    ],
)
def test_errors_say_once_where_they_are(key: str, value: Any) -> None:
    keys = {
        "deadlines": [1],
        "workers": {"count": 2, key: value},
        "partitions": {"a": {"paradigm": "cxr", "left_variances": [1, 1], "right_variances": [1, 1], "classes": [1, 1]}},
        "series": [{"code": "mds"}],
    }
    with pytest.raises(SpecError) as refused:
        uep.run_sweep(keys, backend="numpy")
    assert str(refused.value).count("[workers]") == 1
    assert str(refused.value).count(f"{key}: ") <= 1
