"""Stacked packets at a cost that nobody chose are warned of, at the line that asks, and nowhere else."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import uepgpu as uep
from uepgpu.codes import CostWarning
from uepgpu.workers.work import LeftOpen

SUMMANDS = uep.Partition.model("cxr", left_variances=[10, 1, 0.1], right_variances=[1, 1, 1], classes=(1, 1, 1))
TILES = uep.Partition.model("rxc", left_variances=[10, 1], right_variances=[1, 1], classes=(1, 3))
REAL = uep.Partition.cxr(np.eye(6), np.eye(6), blocks=3, classes=(1, 1, 1))
EW = uep.codes.ExpandingWindow((0.4, 0.35, 0.25))
LEFT_OPEN = uep.Workers(12)


def simulate(workers: uep.Workers, code: Any = EW, part: uep.Partition = SUMMANDS, deadlines: Any = (0.5,)) -> Any:
    return uep.simulate(code, part, workers, deadlines=deadlines, realizations=4, seed=1, backend="numpy")


ASKING: dict[str, Callable[[uep.Workers], Any]] = {
    "simulate": simulate,
    "simulate MDS": lambda workers: simulate(workers, uep.codes.MDS()),
    "simulate tiles that are stacked": lambda workers: simulate(workers, uep.codes.MDS(encoding="stacked"), TILES),
    "theory": lambda workers: uep.theory.loss(EW, SUMMANDS, workers, deadlines=[0.5]),
    "multiply": lambda workers: uep.multiply(REAL, EW, workers, deadline=0.5, realizations=2, seed=1, backend="numpy"),
}


@pytest.mark.parametrize("name", ASKING)
def test_a_cost_that_nobody_chose_is_warned_of_where_it_is_asked_for(name: str) -> None:
    ASKING[name](uep.Workers(12, work="true"))  # what is imported now may change filters, so that all is warned of again
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default", CostWarning)
        for _ in range(3):  # once for each line
            ASKING[name](LEFT_OPEN)
        ASKING[name](replace(LEFT_OPEN, count=11))
    mine = [w for w in caught if w.category is CostWarning]
    assert len(mine) == 1
    assert mine[0].filename == __file__
    k = 4 if "tiles" in name else 3
    assert f"a stacked packet takes up to {k} of {k} block products, and by default all are charged" in str(mine[0].message)
    assert 'work="unit" to charge one, or use rxc with encoding="factored"' in str(mine[0].message)


def test_what_is_chosen_or_costs_one_is_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ask in ASKING.values():
            ask(uep.Workers(12, work="true"))
            ask(uep.Workers(12, work="unit"))
        simulate(LEFT_OPEN, uep.codes.ExpandingWindow((0.5, 0.5)), TILES)
        simulate(LEFT_OPEN, uep.codes.ExpandingWindow((0.5, 0.5), encoding="factored"), TILES)
        simulate(uep.Workers(3), uep.codes.Uncoded())
        simulate(LEFT_OPEN, uep.codes.MDS(), deadlines=None)  # by packets received, which cost nothing
        uep.theory.loss(EW, SUMMANDS, LEFT_OPEN, received=[3])


def test_sweeps_say_what_they_charge_and_warn_of_nothing_else() -> None:
    spec = {
        "deadlines": [0.5, 1.0],
        "realizations": 50,
        "workers": {"count": 12, "work": "true"},
        "partitions": {"summands": SUMMANDS},
        "series": [{"code": EW, "label": "EW"}],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = uep.run_sweep(spec, backend="numpy")
        uep.plot(results)
        results.dataset()
    with warnings.catch_warnings(record=True, action="always") as caught:
        results = uep.run_sweep(spec | {"workers": {"count": 12}}, backend="numpy")
        uep.plot(results)
        results.dataset()
    assert len([w for w in caught if w.category is CostWarning]) == 1
    assert not isinstance(results[0].point.workers.work, LeftOpen)


def test_the_default_is_the_text_that_it_equals() -> None:
    chosen = uep.Workers(12, work="true")
    assert chosen == LEFT_OPEN
    assert hash(LEFT_OPEN) == hash(chosen)
    assert repr(LEFT_OPEN) == repr(chosen)
    for again in (copy.deepcopy(LEFT_OPEN), pickle.loads(pickle.dumps(LEFT_OPEN)), LEFT_OPEN.first(12)):
        assert again == chosen
        assert isinstance(again.work, LeftOpen)
