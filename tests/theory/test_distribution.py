"""The exact law of the loss: the table of docs/mathematics.md §5, lists of every arrival, and what it must agree with."""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest

from tests.cases.paper import CXR, EW, FIXED, GAMMA, LEVEL_PAIR, MDS, NOW, PAPER, RXC
from tests.cases.refusals import cases, refused
from tests.oracles import brute_force as brute
from tests.oracles.brute_force import CXR4, ENUMERATION, RXC4, matrices_partition
from uepgpu import Partition, Workers, codes, latency, theory

DRAWN = [
    NOW,
    EW,
    MDS,
    codes.NonOverlappingWindow((0.5, 0.5, 0.0)),
    codes.Windows([[0], [1, 3], [0]], (0.3, 0.5, 0.2), work=(1, 2, 3)),
    codes.Windows([[0, 1, 2, 3], [2], [2, 1], [2]], (0.3, 0.2, 0.3, 0.2), work=(2, 1, 1, 4)),
    codes.Windows([[0], [1], [2], [3]], (0.4, 0.2, 0.2, 0.2)),
]


def listed(law, part):
    """Probability of every normalized loss, losses as 10 digits."""
    found = defaultdict(float)
    for pattern, p in law.items():
        u = np.array(pattern)
        found[f"{max(float(u @ part.gram @ u), 0.0) / part.norm2 + 1e-13:.10f}"] += p
    return {loss: p for loss, p in found.items() if p > 0}


def check(code, part, laws, **where):
    """All four functions against the listed laws, one for each point."""
    found = theory.loss_distribution(code, part, **where)
    limits, levels = [0.0, 0.01, 0.2, 0.7], [0.0, 0.1, 0.5, 0.9, 0.999, 1.0]
    exceed = theory.exceedance(code, part, x=limits, **where).probability.values
    quantile = theory.loss_quantile(code, part, q=levels, **where).normalized_loss.values
    sd = theory.loss_sd(code, part, **where).normalized_loss_sd.values
    mean = theory.loss(code, part, **where).normalized_loss.values
    for i, law in enumerate(laws):
        expected = listed(law, part)
        got = {f"{v + 1e-13:.10f}": p for v, p in zip(found.normalized_loss.values, found.probability.values[i], strict=True)}
        assert expected.keys() <= got.keys()
        np.testing.assert_allclose(list(got.values()), [expected.get(loss, 0.0) for loss in got], **ENUMERATION)
        losses, p = np.array([float(x) for x in expected]), np.array(list(expected.values()))
        np.testing.assert_allclose(exceed[i], [p[losses > x].sum() for x in limits], **ENUMERATION)
        np.testing.assert_allclose(mean[i], p @ losses, rtol=0, atol=1e-9)  # losses as 10 digits
        np.testing.assert_allclose(sd[i] ** 2, p @ (losses - p @ losses) ** 2, rtol=0, atol=1e-9)
        order = np.argsort(losses)
        share = np.cumsum(p[order])
        least = [losses[order][min(np.searchsorted(share, q - 1e-12), len(share) - 1)] for q in levels]
        np.testing.assert_allclose(quantile[i], least, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "code, t, mean, sd, exceeds, quantiles",
    [
        (NOW, 0.3, 0.38864, 0.47341, 0.69686, [0.02605, 1, 1]),
        (EW, 0.3, 0.28409, 0.44229, 0.56243, [0.02605, 1, 1]),
        (NOW, 0.6, 0.07497, 0.25345, 0.19448, [0, 0.02605, 0.97565]),
        (EW, 0.6, 0.00992, 0.08751, 0.07322, [0, 0.00170, 0.02605]),
        (MDS, 0.6, 0.03031, 0.17144, 0.03031, [0, 0, 1]),
    ],
)
def test_the_law_of_the_loss_equals_the_table_of_section_5(code, t, mean, sd, exceeds, quantiles):
    where = {"workers": PAPER, "deadlines": [t]}
    assert round(theory.loss(code, RXC, **where).normalized_loss.item(), 5) == mean
    assert round(theory.loss_sd(code, RXC, **where).normalized_loss_sd.item(), 5) == sd
    assert round(theory.exceedance(code, RXC, x=0.01, **where).probability.item(), 5) == exceeds
    found = theory.loss_quantile(code, RXC, q=[0.5, 0.9, 0.99], **where).normalized_loss.values[0]
    assert found.round(5).tolist() == quantiles


@pytest.mark.parametrize("paradigm, options", [("rxc", RXC4), ("cxr", CXR4)])
@pytest.mark.parametrize("code", DRAWN, ids=range(len(DRAWN)))
def test_drawn_windows_equal_enumeration(paradigm, options, code):
    part = matrices_partition(paradigm, **options)
    workers, times = Workers(4, latency=latency.Weibull(1.3), loss_probability=0.25, omega="fair"), [0.0, 0.4, 1.7]
    law = code.law(part, 4)
    arrived = [0.75 * (1 - np.exp(-((t / law.work) ** 1.3))) for t in times]  # Ω = K / W = 1
    laws = [brute.drawn_by_deadline(law.supports, law.probabilities, [a] * 4) for a in arrived]
    check(code, part, laws, workers=workers, deadlines=times)
    laws = [brute.drawn_by_received(law.supports, law.probabilities, n) for n in range(6)]
    check(code, part, laws, received=range(6))


@pytest.mark.parametrize("paradigm, options", [("rxc", RXC4), ("cxr", CXR4)])
@pytest.mark.parametrize("code, count", [(c, 7) for c in FIXED] + [(codes.Uncoded(), 4), (codes.Repetition(2), 8)])
@pytest.mark.parametrize("fast", [None, (1.0, 0.5, 2.0, 1.0, 3.0, 0.2, 1.0, 0.5)])
def test_packets_tied_to_workers_equal_enumeration(paradigm, options, code, count, fast):
    part = matrices_partition(paradigm, **options)
    speeds = None if fast is None else fast[:count]
    workers, times = Workers(count, omega=0.8, speeds=speeds), [0.0, 0.5, 2.0]
    law = code.law(part, count)
    arrived = [1 - np.exp(-t * 0.8 * workers.speed() / law.work[law.window]) for t in times]
    check(code, part, [brute.tied_by_deadline(law.supports, law.window, a) for a in arrived], workers=workers, deadlines=times)
    laws = [brute.tied_by_received(law.supports, law.window, n) for n in range(count + 1)]
    check(code, part, laws, workers=workers, received=range(count + 1))


def test_two_drawn_windows_at_unequal_speeds_equal_enumeration():
    part, speeds, times = matrices_partition("cxr", **CXR4), (1.0, 0.4, 2.5, 1.0), [0.0, 0.3, 1.1]
    code = codes.Windows([[0, 1], [2, 3]], (0.6, 0.4))
    law = code.law(part, 4)
    arrived = [[1 - np.exp(-t * s / law.work) for s in speeds] for t in times]
    laws = [brute.drawn_by_deadline(law.supports, law.probabilities, a) for a in arrived]
    check(code, part, laws, workers=Workers(4, speeds=speeds, omega="fair"), deadlines=times)


def test_equal_units_are_counted_and_not_listed():
    # 36 tiles of equal energy, each with 2 copies: the number lost is binomial.
    part = Partition.model("rxc", left_variances=[1] * 6, right_variances=[1] * 6, classes=(36,))
    t = 0.7
    found = theory.loss_distribution(codes.Repetition(2), part, Workers(72, omega=1.0), deadlines=[t])
    lost = math.exp(-2 * t)
    expected = [math.comb(36, n) * lost**n * (1 - lost) ** (36 - n) for n in range(37)]
    np.testing.assert_allclose(found.normalized_loss, np.arange(37) / 36, rtol=1e-12)
    np.testing.assert_allclose(found.probability[0], expected, rtol=1e-11)


def test_small_probabilities_keep_their_digits():
    code = codes.NonOverlappingWindow((0.5, 0.25, 0.25))
    law = theory.loss_distribution(code, RXC, received=[400])
    share = brute.binomial_tail(400, Fraction(1, 2), 3)
    # A loss above 0.9 means that class 1 is undecoded: an exact binomial tail.
    heavy = law.probability.values[0][law.normalized_loss.values > 0.9].sum()
    assert float(share) < 1e-110
    np.testing.assert_allclose(heavy, float(share), rtol=1e-11)
    np.testing.assert_allclose(theory.exceedance(code, RXC, x=0.9, received=[400]).probability.item(), float(share), rtol=1e-11)
    # and a quantile so near 1 that only tails know it
    assert theory.loss_quantile(code, RXC, q=1 - 2.0**-52, received=[400]).normalized_loss.item() < 0.1
    assert theory.loss_quantile(code, RXC, q=1.0, received=[400]).normalized_loss.item() == pytest.approx(0.9983, abs=1e-3)


def test_means_and_probabilities_agree_with_the_other_closed_forms():
    times = np.arange(0, 1.1, 0.15)
    for code in (NOW, EW, MDS, LEVEL_PAIR, FIXED[1]):
        for part in (RXC, CXR):
            if code is LEVEL_PAIR and part is CXR:
                continue
            law = theory.loss_distribution(code, part, PAPER, deadlines=times)
            np.testing.assert_allclose(law.probability.sum("outcome"), 1.0, rtol=1e-12)
            exact = theory.loss(code, part, PAPER, deadlines=times).loss
            np.testing.assert_allclose(law.probability @ law.loss, exact, rtol=1e-11)
            np.testing.assert_allclose(law.exceedance.values[:, 0], 1 - law.probability.values[:, 0], atol=1e-12)


def test_a_loss_does_not_exceed_itself():
    law = theory.loss_distribution(EW, RXC, PAPER, deadlines=[0.3])
    for value, probability in zip(law.normalized_loss.values, law.exceedance.values[0], strict=True):
        assert theory.exceedance(EW, RXC, PAPER, x=value, deadlines=[0.3]).probability.item() == pytest.approx(
            probability, rel=1e-12
        )


def test_what_has_no_law_is_named():
    functions = (
        theory.loss_distribution,
        theory.loss_sd,
        lambda *a, **b: theory.loss_quantile(*a, q=0.5, **b),
        lambda *a, **b: theory.exceedance(*a, x=0.5, **b),
    )
    for code, named in (
        (codes.ExpandingWindow(GAMMA, encoding="factored", window="nested"), "neither disjoint nor nested"),
        (codes.LT(), "LT"),
        (codes.NonOverlappingWindow(GAMMA, coefficients="gf2"), r"law of the loss over the finite field gf2.*uepgpu\.simulate"),
    ):
        for function in functions:
            with pytest.raises(NotImplementedError, match=named):
                function(code, RXC, received=[9])
    with pytest.raises(NotImplementedError, match="joint law of 3 drawn windows at workers of different speeds"):
        theory.loss_sd(NOW, RXC, Workers(3, speeds=(1.0, 2.0, 3.0), omega="fair"), deadlines=[1.0])
    rng = np.random.default_rng(5)
    many = Partition.model("cxr", left_variances=rng.uniform(1, 2, 15), right_variances=[1] * 15, classes=(15,))
    with pytest.raises(NotImplementedError, match="32,768 patterns"):
        theory.loss_sd(codes.Uncoded(), many, Workers(15, omega="fair"), deadlines=[1.0])
    with pytest.raises(NotImplementedError, match="3 windows at 1,000,000 workers"):
        theory.loss_sd(NOW, RXC, Workers(1_000_000, omega="fair"), deadlines=[1.0])


WHERE = {"received": [9]}
BAD = cases(
    quantile={
        "above 1": (lambda: theory.loss_quantile(EW, RXC, q=1.5, **WHERE), "q must lie in [0, 1]", "1.5"),
        "nan": (lambda: theory.loss_quantile(EW, RXC, q=float("nan"), **WHERE), "q must lie in [0, 1]", "nan"),
        "none": (lambda: theory.loss_quantile(EW, RXC, q=[], **WHERE), "q must lie in [0, 1]", "[]"),
        "text": (lambda: theory.loss_quantile(EW, RXC, q="half", **WHERE), "q must hold real numbers", "half"),
    },
    exceedance={
        "negative": (lambda: theory.exceedance(EW, RXC, x=-0.1, **WHERE), "x must be finite normalized losses >= 0", "-0.1"),
        "infinite": (lambda: theory.exceedance(EW, RXC, x=[0, float("inf")], **WHERE), "x must be finite", "inf"),
        "bool": (lambda: theory.exceedance(EW, RXC, x=True, **WHERE), "x must be finite normalized losses >= 0", "True"),
    },
    distribution={
        "nothing": (lambda: theory.loss_distribution(EW, RXC), "exactly one of deadlines and received must be given"),
        "tied": (
            lambda: theory.loss_sd(codes.Uncoded(), RXC, Workers(9, omega="fair"), received=[10]),
            "received must be at most",
            "10",
        ),
    },
)


@pytest.mark.parametrize("call, pieces", BAD)
def test_bad_values_are_refused(call, pieces):
    refused(call, pieces)


def test_equal_units_with_cross_terms_are_no_group():
    # Which two of three summands of one energy are missing matters: X_1 and X_2 are alike, X_3 is apart.
    gram = np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]])
    part = Partition("cxr", (3,), np.array([1, 1, 2]), gram)
    laws = [brute.tied_by_received(np.eye(3, dtype=bool), [0, 1, 2], n) for n in range(4)]
    check(codes.Uncoded(), part, laws, workers=Workers(3, omega="fair"), received=range(4))
    found = theory.loss_distribution(codes.Uncoded(), part, Workers(3, omega="fair"), received=[1])
    np.testing.assert_allclose(found.loss, [0, 1, 2, 3, 4], atol=1e-15)
    np.testing.assert_allclose(found.probability[0], [0, 0, 2 / 3, 1 / 3, 0], atol=1e-15)


def test_a_quantile_at_the_edge_of_a_step_does_not_depend_on_rounding():
    # Nine of ten answer: each summand is the missing one with probability .1, and 1 - .9 is not .1 in floating point.
    part = Partition.model("cxr", left_variances=np.arange(1.0, 11), right_variances=[1] * 10, classes=(10,))
    levels = np.arange(1, 10) / 10
    found = theory.loss_quantile(codes.Uncoded(), part, Workers(10, omega="fair"), q=levels, received=[9]).loss.values[0]
    np.testing.assert_allclose(found, np.arange(1.0, 10), rtol=1e-12)
