"""What is certain given the counts has no interval; what was not seen has a one-sided bound; alike in both paradigms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.cases import problems
from tests.cases.problems import EW, MDS, NOW, PAPER, RXC
from uepgpu import Partition, latency, simulate, theory
from uepgpu.points.stop import StopRule

LATE = [0.15, 0.75, 1.2, 4.0, 20.0, 28.0]
CROSS = Partition.model(
    "cxr",
    left_variances=np.repeat((10, 1, 0.1), 3),
    right_variances=np.repeat((10, 1, 0.1), 3),
    left_means=1.0,
    right_means=0.5,
    classes=(3, 3, 3),
)
PARTS = pytest.mark.parametrize("part", [RXC, CROSS], ids=["rxc", "cross terms"])


def bounds(found, name="normalized_loss"):
    return (found[f"{name}{end}"].values for end in ("", "_low", "_high"))


@PARTS
@pytest.mark.parametrize("kind", ["auto", "pairs"])
@pytest.mark.parametrize("n", [1, 5000])
def test_what_the_number_of_packets_decides_has_no_interval(part, kind, n):
    """K packets decode everything and fewer nothing: at deadlines MDS is exact in the count domain, however small it is."""
    tally = simulate(MDS, part, PAPER, realizations=n, seed=1, tally=kind)
    exact = theory.loss(MDS, part, PAPER, deadlines=LATE).normalized_loss.values
    assert 0 < exact[-1] < 1e-250
    for found in bounds(tally.loss(part, workers=PAPER, deadlines=LATE)):
        np.testing.assert_allclose(found, exact, rtol=1e-9)
    for found in bounds(tally.loss(part)):
        np.testing.assert_allclose(found, np.arange(31) < 9, rtol=1e-9)
    chance = tally.decoding_probability()
    for found in (chance.probability, chance.low, chance.high):
        assert np.array_equal(found.values, np.repeat((np.arange(31) >= 9)[:, None], 3, axis=1))


@pytest.mark.parametrize("code", [MDS, EW, NOW], ids=["mds", "ew", "now"])
@pytest.mark.parametrize("domain", ["count", "deadline"])
def test_intervals_of_the_same_draws_are_alike_in_both_paradigms(code, domain):
    """A hundredfold where impossible class patterns had bounds of their own."""
    widths = []
    for part in (RXC, CROSS):
        options = {"deadlines": LATE[:4]} if domain == "deadline" else {}
        tally = simulate(code, part, PAPER, realizations=5000, seed=1, **options)
        evaluated = {} if options else {"workers": PAPER, "deadlines": LATE[:4]}
        mean, low, high = bounds(tally.loss(part, **evaluated))
        widths.append((high - low) / np.maximum(mean, 1e-3))
    assert np.all(widths[1] <= 8 * widths[0] + 1e-9), widths
    if code is not NOW:  # every pattern of NOW is possible
        assert np.all(widths[1] <= 4 * widths[0] + 1e-9), widths


@pytest.mark.parametrize("n", [1, 2, 100])
@pytest.mark.parametrize("name", ["now", "ew", "ew fixed", "level-pair", "uncoded", "repetition", "mds", "lt"])
def test_nothing_observed_has_a_one_sided_bound_and_what_is_certain_none(name, n):
    p = problems.PROBLEMS[name]
    tally = simulate(p.code, p.part, p.workers, realizations=n, seed=1)
    chance = tally.decoding_probability()
    value, low, high = (chance[x].values for x in ("probability", "low", "high"))
    certain = np.zeros(value.shape, dtype=bool)
    if name != "lt":
        exact = theory.decoding_probability(p.code, p.part, p.workers, received=range(p.workers.count + 1))
        certain = (exact.probability.values == 0) | (exact.failure.values == 0)
        if not tally.class_wise:  # that its sub-products do not all fit into few packets is not known of a class that windows split
            certain[1:] &= exact.failure.values[1:] == 0
        assert certain.any()
        np.testing.assert_array_equal(low[certain], high[certain])
        np.testing.assert_array_equal(low[certain], value[certain])
    assert np.all(low[~certain & (value == 1)] < 1)
    assert np.all(high[~certain & (value == 0)] > 0)
    assert np.all(low[~certain] < high[~certain])
    assert np.all((low <= value) & (value <= high))


@pytest.mark.parametrize("n", [1, 2, 100])
@pytest.mark.parametrize("name", ["now", "level-pair", "uncoded"])
def test_no_loss_at_a_deadline_has_a_one_sided_bound(name, n):
    p = problems.PROBLEMS[name]
    timed = simulate(p.code, p.part, p.workers, realizations=n, seed=1, deadlines=(0.0, 50.0))
    found = timed.loss(p.part).isel(deadline=-1)
    if float(found.loss) == 0.0:
        assert found.loss_low == 0.0 < float(found.loss_high)
    chance = timed.decoding_probability()
    seen_always, never_seen = chance.probability.values == 1.0, chance.probability.values == 0.0
    assert np.all(chance.low.values[seen_always] < 1.0)
    assert np.all(chance.high.values[never_seen] > 0.0)
    if name == "now":  # 30 packets may all be of class 1
        counted = simulate(p.code, p.part, p.workers, realizations=n, seed=6)
        found = counted.loss(p.part, workers=p.workers, deadlines=[60.0])
        # The chance of few arrivals is no exact 0, so neither are estimate and lower bound.
        assert float(found.loss_low[0]) <= float(found.loss[0]) < 1e-9 * p.part.norm2 < float(found.loss_high[0])


@PARTS
def test_what_is_possible_survives_adding_and_files(part, tmp_path):
    first = simulate(MDS, part, PAPER, realizations=50, seed=1)
    second = simulate(MDS, part, PAPER, realizations=50, seed=1, first_realization=50)
    (first + second).save(tmp_path / "mds.npz")
    loaded = type(first).load(tmp_path / "mds.npz")
    for tally in (first + second, replace(first, possible=None) + second, loaded):
        assert np.array_equal(tally.possible, first.possible)
    with pytest.raises(ValueError, match=r"possible must be int64 of shape \(8, 2\)"):
        replace(first, possible=first.possible[:5])


def test_tallies_that_do_not_know_what_is_possible_have_the_wider_bounds():
    tally = simulate(MDS, RXC, PAPER, realizations=500, seed=1)
    old = replace(tally, possible=None).loss(RXC)
    assert np.all(old.loss_high.values[9:] > 0.0)
    assert np.array_equal(old.loss.values, tally.loss(RXC).loss.values)


def test_a_loss_that_can_only_be_zero_lets_a_sweep_stop():
    everyone = replace(PAPER, latency=latency.Deterministic(0.5))
    rule = StopRule(realizations=10**6, relative_error=0.01)
    for code, stopped in ((MDS, True), (NOW, False)):  # 30 packets of NOW may all be of one class
        tally = simulate(code, RXC, everyone, realizations=1000, seed=1)
        assert rule.judge(tally, RXC, everyone, (0.6, 0.7), 1.0).stopped == stopped
