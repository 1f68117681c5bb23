"""Variables of every Dataset say what they are and what they are measured in, and every seed follows one rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import uepgpu as uep
from uepgpu import gradient_coding as gc
from uepgpu.gradient_coding import data
from uepgpu.text.variables import NAMES, TIME, named

V = (10, 1, 0.1)
GAMMA = (0.40, 0.35, 0.25)
PART = uep.Partition.model("rxc", left_variances=V, right_variances=V, classes=(3, 3, 3))
EW, POOL, TIMES = uep.codes.ExpandingWindow(GAMMA), uep.Workers(30, work="unit", time_unit="ms"), [0.3, 0.6]
PROBLEM = gc.Problem(np.vander(np.arange(12.0), 3), np.arange(12.0), 4)
SERVERS = uep.Workers(8, time_unit="ms")
SPEC = {
    "deadlines": TIMES,
    "workers": {"count": 30, "work": "unit", "time_unit": "ms"},
    "partitions": {"tiles": PART},
    "series": [{"code": EW, "label": "EW"}],
}
RNG = np.random.default_rng(1)
REAL = uep.Partition.rxc(RNG.normal(size=(6, 4)), RNG.normal(size=(4, 6)), classes=(3, 3, 3))


def tally(**options: Any) -> uep.Tally:
    return uep.simulate(EW, PART, POOL, realizations=500, seed=1, backend="numpy", **options)


def descend(seed: Any = 1) -> Any:
    return gc.descend(PROBLEM, gc.ReplicatedSketch(3), SERVERS, iterations=3, realizations=4, seed=seed, deadlines=[1.0])


FOUND: dict[str, Callable[[], Any]] = {
    "loss": lambda: uep.theory.loss(EW, PART, POOL, deadlines=TIMES),
    "loss by packets": lambda: uep.theory.loss(EW, PART, received=range(5)),
    "decoding probability": lambda: uep.theory.decoding_probability(EW, PART, received=range(5)),
    "loss distribution": lambda: uep.theory.loss_distribution(EW, PART, POOL, deadlines=TIMES),
    "loss quantile": lambda: uep.theory.loss_quantile(EW, PART, POOL, deadlines=TIMES, q=[0.5]),
    "exceedance": lambda: uep.theory.exceedance(EW, PART, POOL, deadlines=TIMES, x=[0.1]),
    "loss sd": lambda: uep.theory.loss_sd(EW, PART, POOL, deadlines=TIMES),
    "bound": lambda: uep.theory.lower_bound(PART, POOL, deadlines=TIMES),
    "completion": lambda: uep.theory.completion_time(EW, PART, POOL, until="all", times=[1.0]),
    "deadline for": lambda: uep.theory.deadline_for(EW, PART, POOL, loss=0.1),
    "workers for": lambda: uep.theory.workers_for(EW, PART, POOL, loss=0.5, deadline=0.5, most=40),
    "tally": lambda: tally().loss(PART),
    "tally at deadlines": lambda: tally(deadlines=TIMES).loss(PART),
    "tally by class": lambda: tally().decoding_probability(),
    "tally by sub-product": lambda: tally().subproduct_probability(),
    "tally's distribution": lambda: tally().loss_distribution(PART),
    "tally's quantile": lambda: tally().loss_quantile(PART, [0.5]),
    "tally's exceedance": lambda: tally().exceedance(PART, [0.1]),
    "tally's sd": lambda: tally().loss_sd(PART),
    "tally's completion": lambda: tally().completion_time(workers=POOL, until="all", times=[1.0]),
    "tally's deadline": lambda: tally().deadline_for(PART, workers=POOL, loss=0.5),
    "product": lambda: uep.multiply(REAL, EW, POOL, deadline=0.6, realizations=5, seed=1, backend="numpy").summary(),
    "condition": lambda: uep.condition(EW, REAL, POOL, deadline=0.6, realizations=5, seed=1, backend="numpy"),
    "design": lambda: uep.design.gamma(EW, PART, POOL, deadlines=0.5).tried,
    "descent": descend,
    "descent's completion": lambda: gc.completion_time(
        PROBLEM, gc.ReplicatedSketch(3), SERVERS, realizations=50, seed=1, times=[1]
    ),
    "sketches": lambda: gc.draw_sketches(PROBLEM, gc.ReplicatedSketch(3), SERVERS, iterations=2, realizations=2, seed=1),
    "sweep": lambda: uep.run_sweep(SPEC, realizations=100, backend="numpy").dataset(),
}
"""What people read: one Dataset of every kind."""
TIMED = {"deadline", "time", "quantile_time", "mean", "sd", "mean_error", "time_stderr", "mean_stderr", "mean_low", "mean_high"}
TIMED |= {"quantile_low", "quantile_high", "deadline_low", "deadline_high", "sd_stderr", "sd_low", "sd_high"}


@pytest.mark.parametrize("name", FOUND)
def test_every_variable_says_what_it_is(name: str) -> None:
    found = FOUND[name]()
    for variable, values in found.variables.items():
        assert values.attrs["long_name"] == named(str(variable))[0]
        assert values.attrs["long_name"] != ""
        if values.dtype.kind == "f" and variable in TIMED:
            assert values.attrs["units"] == "ms", variable


def test_times_without_a_named_unit_are_in_that_of_the_law() -> None:
    unnamed = uep.Workers(30, work="unit")
    assert uep.theory.loss(EW, PART, unnamed, deadlines=TIMES).deadline.units == TIME
    tally = uep.simulate(EW, PART, unnamed, realizations=50, seed=1, backend="numpy")
    assert tally.loss(PART, workers=unnamed, deadlines=TIMES).deadline.units == TIME
    assert tally.loss(PART, workers=POOL, deadlines=TIMES).deadline.units == "ms"  # a count-domain tally has no times


def test_names_of_intervals_are_made_from_those_of_what_they_are_about() -> None:
    assert named("loss_high") == ("upper end of the 95 % interval of the expected squared error of the product", NAMES["loss"][1])
    assert named("normalized_loss") == ("normalized expected squared error of the product", "1")
    assert named("normalized_loss_q99") == ("99 % quantile of the normalized expected squared error of the product", "1")
    assert named("something_else") == ("something else", "")


SEEDED: dict[str, Callable[[Any], Any]] = {
    "simulate": lambda seed: uep.simulate(EW, PART, POOL, realizations=5, seed=seed, backend="numpy"),
    "multiply": lambda seed: uep.multiply(REAL, EW, POOL, deadline=0.6, realizations=2, seed=seed, backend="numpy"),
    "condition": lambda seed: uep.condition(EW, REAL, POOL, deadline=0.6, realizations=2, seed=seed, backend="numpy"),
    "run_sweep": lambda seed: uep.run_sweep("paper", realizations=5, seed=seed, backend="numpy"),
    "windows": lambda seed: uep.design.windows(PART, POOL, deadlines=0.5, realizations=1000, seed=seed),
    "descend": descend,
    "cyclic code": lambda seed: gc.CyclicCode(1, seed=seed),
    "cyclic code matrix": lambda seed: gc.cyclic_code(4, 1, construction="random", seed=seed),
    "multivariate t": lambda seed: data.multivariate_t(rows=6, columns=2, degrees=1.0, seed=seed),
    "gaussian": lambda seed: data.gaussian(rows=6, columns=2, seed=seed),
    "scores": lambda seed: gc.approximate_block_scores(np.vander(np.arange(12.0), 3), 4, sketch_rows=8, seed=seed),
}


@pytest.mark.parametrize("name", SEEDED)
def test_a_seed_is_a_word_of_64_bits_everywhere(name: str) -> None:
    for seed in (0, 2**64 - 1, np.uint64(7)) if name != "windows" else ():  # a search of half a minute
        SEEDED[name](seed)
    for wrong in (-1, 2**64, 1.0, True, "1", None) if name != "run_sweep" else (-1, 2**64, 1.0, True, "1"):
        with pytest.raises(ValueError, match=r"seed must be an integer from 0 to 2\*\*64 - 1") as caught:
            SEEDED[name](wrong)
        assert "\n" not in str(caught.value)
