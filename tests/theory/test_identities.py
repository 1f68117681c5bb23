"""The exact theory: identities between codes and laws, certain events, and what holds for every problem."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases.paper import CXR, EW, FIXED, MDS, NOW, PAPER, RXC
from tests.oracles import brute_force as brute
from tests.oracles.brute_force import CXR4, matrices_partition
from uepgpu import Partition, Workers, codes, latency, theory

LATENCIES = [
    latency.Exponential(0.7),
    latency.ShiftedExponential(2.0, 0.2),
    latency.Weibull(0.6, 1.5),
    latency.Pareto(1.5, 0.2),
    latency.LogNormal(-0.3, 0.8),
    latency.Deterministic(0.9),
    latency.Empirical([0.2, 0.5, 0.6, 1.4, 3.0]),
    latency.FromCDF(lambda t: np.clip(np.asarray(t) / 3, 0, 1)),
]


@pytest.mark.parametrize("law", LATENCIES, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("code, count", [(NOW, 12), (EW, 12), (MDS, 12), (FIXED[0], 12), (FIXED[1], 12), (codes.Repetition(2), 18)])
def test_every_latency_law_mixes_the_received_counts(law, code, count):
    workers = Workers(count, latency=law, work="unit", omega="fair")
    times = np.array([0.0, 0.3, 1.0, 2.5])
    by_count = theory.loss(code, CXR, workers, received=range(count + 1)).loss.values
    f = law.cdf(9 / count * times)
    n = np.arange(count + 1)
    choose = np.array([brute.comb(count, i) for i in n], dtype=float)
    mixed = [(choose * x**n * (1 - x) ** (count - n)) @ by_count for x in f]
    result = theory.loss(code, CXR, workers, deadlines=times).loss
    np.testing.assert_allclose(result, mixed, rtol=0, atol=1e-12 * CXR.norm2)


@pytest.mark.parametrize("copies", [2, 3])
@pytest.mark.parametrize("part", [RXC, CXR, matrices_partition("cxr", blocks=5, classes=(2, 3))], ids=["rxc", "cxr", "matrices"])
def test_repetition_of_exponential_workers_under_fair_load_is_uncoded(copies, part):
    times = np.linspace(0, 40, 30)
    k = part.n_subproducts
    uncoded = theory.loss(codes.Uncoded(), part, Workers(k, omega="fair"), deadlines=times)
    repeated = theory.loss(codes.Repetition(copies), part, Workers(copies * k, omega="fair"), deadlines=times)
    np.testing.assert_allclose(repeated.loss_bound, uncoded.loss_bound, rtol=1e-12)
    np.testing.assert_allclose(repeated.loss, uncoded.loss, rtol=1e-12)


def test_repetition_class_probability_equals_exact_inclusion_exclusion():
    k, r, size = 9, 3, 3
    result = theory.decoding_probability(codes.Repetition(r), CXR, received=range(k * r + 1)).probability
    for n in range(k * r + 1):
        ways = sum((-1) ** j * brute.comb(size, j) * brute.comb(k * r - r * j, n) for j in range(size + 1))
        np.testing.assert_allclose(result[n, 0], float(Fraction(ways, brute.comb(k * r, n))), rtol=1e-12)


def test_mds_and_equal_speeds_are_what_they_seem():
    doubled = theory.loss(EW, RXC, Workers(30, omega=0.5, work="unit", speeds=[2.0] * 30), deadlines=[0.3, 0.9])
    np.testing.assert_array_equal(doubled.loss, theory.loss(EW, RXC, PAPER, deadlines=[0.3, 0.9]).loss)
    result = theory.loss(MDS, CXR, received=range(12))
    np.testing.assert_array_equal(result.normalized_loss, (np.arange(12) < 9).astype(float))


def test_what_no_window_holds_is_never_decoded():
    part = matrices_partition("cxr", **CXR4)
    code = codes.Windows([[0], [0, 1]], (0.5, 0.5))
    probability = theory.decoding_probability(code, part, received=[50]).probability.values[0]
    held = [label for label in (1, 2, 3) if set(np.flatnonzero(part.classes == label)) <= {0, 1}]
    assert all((p > 0.9) == (label in held) for label, p in enumerate(probability, start=1))
    np.testing.assert_allclose(theory.loss(code, part, received=[500]).loss[0], part.gram[2:, 2:].sum(), rtol=1e-12)


def test_certain_and_impossible_events_are_exact():
    probability = theory.decoding_probability(EW, RXC, received=range(10)).probability.values
    assert np.all(probability[:9, 2] == 0)
    assert np.all(probability[:6, 1] == 0)
    assert np.all(probability[:3] == 0)
    assert probability[9, 0] == 1
    for code in (NOW, EW, MDS):
        start = theory.decoding_probability(code, RXC, PAPER, deadlines=[0.0])
        assert np.all(start.probability == 0)
    few = theory.decoding_probability(EW, RXC, Workers(8, omega=1.0), deadlines=[1.0, 1e6]).probability.values
    assert np.all(few[:, 2] == 0)
    everyone = theory.loss(FIXED[1], RXC, Workers(30, latency=latency.Deterministic(1.0), omega=10.0), deadlines=[0.05, 1.0]).loss
    assert everyone.values[1] == 0
    slow = Workers(30, latency=latency.Deterministic(1.0), omega=1.0, work="true")
    windows = theory.decoding_probability(EW, RXC, slow, deadlines=[2.0]).probability.values  # true work 2, 3, 3
    assert np.all(windows[0, 1:] == 0)
    assert windows[0, 0] > 0.99


def test_no_energy_gives_no_normalized_loss():
    part = Partition.cxr(np.zeros((2, 3)), np.zeros((3, 2)), blocks=3, classes=(3,))
    result = theory.loss(MDS, part, received=[0, 3])
    assert result.loss.values.tolist() == [0, 0]
    assert result.normalized_loss.values.tolist() == [0, 0]


@st.composite
def problems(draw):
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    raw = draw(st.lists(st.integers(0, 9), min_size=len(sizes), max_size=len(sizes)).filter(any))
    gamma = [x / sum(raw) for x in raw]
    k = sum(sizes)
    paradigm = draw(st.sampled_from(["rxc", "cxr"]))
    left = np.sort(np.array(draw(st.lists(st.floats(0.01, 10), min_size=k, max_size=k))))[::-1]
    right = [1.0] if paradigm == "rxc" else np.ones(k)
    part = Partition.model(paradigm, left_variances=left, right_variances=right, classes=sizes)
    kind = draw(st.sampled_from([codes.NonOverlappingWindow, codes.ExpandingWindow]))
    code = kind(gamma, windows=draw(st.sampled_from(["drawn", "fixed"])))
    workers = Workers(
        draw(st.integers(1, 25)),
        latency=draw(st.sampled_from(LATENCIES)),
        omega=draw(st.sampled_from(["fair", 1.0, 0.2])),
        work=draw(st.sampled_from(["unit", "true"])),
        loss_probability=draw(st.sampled_from([0.0, 0.3])),
    )
    return code, part, workers


@settings(max_examples=120, deadline=None, derandomize=True)
@given(problem=problems())
def test_losses_fall_and_probabilities_rise_within_their_bounds(problem):
    code, part, workers = problem
    for where in ({"deadlines": [0.0, 0.3, 1.0, 3.0, 20.0]}, {"received": range(workers.count + 1)}):
        result = theory.loss(code, part, workers, **where)
        probability = theory.decoding_probability(code, part, workers, **where).probability.values
        # Rounding only: sums of at most a few hundred terms within [0, 1].
        assert np.all(result.normalized_loss.values >= 0)
        assert np.all(result.normalized_loss.values <= 1 + 1e-12)
        assert np.all(np.diff(result.normalized_loss.values) <= 1e-12)
        assert np.all(result.loss_bound.values >= result.loss.values * (1 - 1e-12))
        assert np.all((probability >= 0) & (probability <= 1))
        assert np.all(np.diff(probability, axis=0) >= -1e-12)
        if isinstance(code, codes.ExpandingWindow):
            assert np.all(np.diff(probability, axis=1) <= 1e-12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(problem=problems())
def test_losses_weigh_the_class_probabilities(problem):
    code, part, workers = problem
    result = theory.loss(code, part, workers, deadlines=[0.2, 1.0, 4.0])
    p = theory.decoding_probability(code, part, workers, deadlines=[0.2, 1.0, 4.0]).probability.values
    energy = np.bincount(part.classes, part.energy, minlength=part.n_classes + 1)[1:]
    np.testing.assert_allclose(result.loss, (1 - p) @ energy, rtol=1e-11, atol=1e-12 * part.norm2)
