"""The exact theory against lists of every window assignment and arrival."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.cases.paper import CXR, EW, FIXED, GAMMA, LEVEL_PAIR, MDS, NOW, PAPER
from tests.oracles import brute_force as brute
from tests.oracles.brute_force import CXR4, ENUMERATION, RXC4, matrices_partition
from uepgpu import Partition, Workers, codes, latency, theory

SMALL = [("rxc", RXC4), ("cxr", CXR4)]
DRAWN = [
    NOW,
    EW,
    MDS,
    codes.ExpandingWindow((0.5, 0.0, 0.5)),
    codes.NonOverlappingWindow((0.5, 0.5, 0.0)),
    codes.Windows([[0], [1, 3], [0]], (0.3, 0.5, 0.2), work=(1, 2, 3)),
    codes.Windows([[0, 1, 2, 3], [2], [2, 1], [2]], (0.3, 0.2, 0.3, 0.2), work=(2, 1, 1, 4)),
    codes.Windows([[0, 1], [2, 3]], (0.6, 0.4)),
]


def check(result, probability, laws, part):
    for i, law in enumerate(laws):
        expected = brute.loss(law, part.gram)
        np.testing.assert_allclose(result.loss[i], expected, rtol=0, atol=1e-12 * max(1.0, float(np.abs(part.gram).sum())))
        np.testing.assert_allclose(result.normalized_loss[i], expected / part.norm2, **ENUMERATION)
        if part.paradigm == "cxr":
            most = part.n_subproducts * part.energy.sum()
            share = float(brute.undecoded(law) @ part.energy) / part.energy.sum()
            np.testing.assert_allclose(result.loss_bound[i] / most, share, **ENUMERATION)
        np.testing.assert_allclose(probability[i], brute.class_decoded(law, part.classes.tolist()), **ENUMERATION)


@pytest.mark.parametrize("paradigm, options", SMALL)
@pytest.mark.parametrize("code", DRAWN, ids=range(len(DRAWN)))
@pytest.mark.parametrize("lossy", [0.0, 0.25])
def test_drawn_windows_by_deadline_equal_enumeration(paradigm, options, code, lossy):
    part = matrices_partition(paradigm, **options)
    workers = Workers(4, latency=latency.Weibull(1.3), loss_probability=lossy, omega="fair")
    times = [0.0, 0.4, 1.7]
    law = code.law(part, 4)
    arrived = [(1 - lossy) * (1 - np.exp(-((t * 1.0 / law.work) ** 1.3))) for t in times]  # Ω = K / W = 1
    laws = [brute.drawn_by_deadline(law.supports, law.probabilities, [a] * 4) for a in arrived]
    result = theory.loss(code, part, workers, deadlines=times)
    check(result, theory.decoding_probability(code, part, workers, deadlines=times).probability, laws, part)


@pytest.mark.parametrize("paradigm, options", SMALL)
@pytest.mark.parametrize("code", DRAWN, ids=range(len(DRAWN)))
def test_drawn_windows_by_received_count_equal_enumeration(paradigm, options, code):
    part = matrices_partition(paradigm, **options)
    law = code.law(part, 5)
    laws = [brute.drawn_by_received(law.supports, law.probabilities, n) for n in range(6)]
    result = theory.loss(code, part, received=range(6))
    check(result, theory.decoding_probability(code, part, received=range(6)).probability, laws, part)


@pytest.mark.parametrize("paradigm, options", SMALL)
@pytest.mark.parametrize("code, count", [(c, 7) for c in FIXED] + [(codes.Uncoded(), 4), (codes.Repetition(2), 8)])
@pytest.mark.parametrize("fast", [None, (1.0, 0.5, 2.0, 1.0, 3.0, 0.2, 1.0, 0.5)])
def test_packets_tied_to_workers_equal_enumeration(paradigm, options, code, count, fast):
    part = matrices_partition(paradigm, **options)
    speeds = None if fast is None else fast[:count]
    workers = Workers(count, latency=latency.ShiftedExponential(2.0, 0.1), omega=0.8, speeds=speeds)
    times = [0.0, 0.5, 2.0]
    law = code.law(part, count)
    rate = 0.8 * workers.speed() / law.work[law.window]
    arrived = [1 - np.exp(-2 * np.maximum(t * rate - 0.1, 0)) for t in times]
    laws = [brute.tied_by_deadline(law.supports, law.window, a) for a in arrived]
    result = theory.loss(code, part, workers, deadlines=times)
    check(result, theory.decoding_probability(code, part, workers, deadlines=times).probability, laws, part)
    laws = [brute.tied_by_received(law.supports, law.window, n) for n in range(count + 1)]
    result = theory.loss(code, part, workers, received=range(count + 1))
    check(result, theory.decoding_probability(code, part, received=range(count + 1)).probability, laws, part)


@pytest.mark.parametrize("paradigm, options", SMALL)
@pytest.mark.parametrize("code", [NOW, MDS, DRAWN[5], DRAWN[7]], ids=range(4))
def test_drawn_disjoint_windows_at_unequal_speeds_equal_enumeration(paradigm, options, code):
    part = matrices_partition(paradigm, **options)
    speeds = (1.0, 0.4, 2.5, 1.0)
    times = [0.0, 0.3, 1.1]
    law = code.law(part, 4)
    arrived = [[1 - np.exp(-t * s / law.work) for s in speeds] for t in times]
    laws = [brute.drawn_by_deadline(law.supports, law.probabilities, a) for a in arrived]
    workers = Workers(4, speeds=speeds, omega="fair")
    result = theory.loss(code, part, workers, deadlines=times)
    check(result, theory.decoding_probability(code, part, workers, deadlines=times).probability, laws, part)


def test_factored_windows_with_a_closed_form_equal_enumeration():
    part = matrices_partition("rxc", rows=2, cols=2, classes=[[1, 2], [2, 3]])
    for code in (LEVEL_PAIR, codes.ExpandingWindow(GAMMA, encoding="factored", window="bounding-box")):
        law = code.law(part, 5)
        laws = [brute.drawn_by_received(law.supports, law.probabilities, n) for n in range(6)]
        result = theory.loss(code, part, received=range(6))
        check(result, theory.decoding_probability(code, part, received=range(6)).probability, laws, part)


def test_gf2_windows_equal_a_list_of_all_matrices():
    part = matrices_partition("cxr", blocks=3, classes=(2, 1))
    code = codes.NonOverlappingWindow((0.6, 0.4), coefficients="gf2")
    value = theory.decoding_probability(code, part, received=range(7)).probability.values
    for n in range(7):
        for column, (k, share) in enumerate(((2, Fraction(0.6)), (1, 1 - Fraction(0.6)))):
            exact = sum(
                brute.comb(n, i) * share**i * (1 - share) ** (n - i) * brute.full_rank_share_gf2(i, k) for i in range(n + 1)
            )
            np.testing.assert_allclose(value[n, column], float(exact), **ENUMERATION)


def test_gf256_approaches_generic_coefficients_from_below():
    generic = theory.decoding_probability(NOW, CXR, PAPER, deadlines=[0.3, 0.9]).probability
    code = codes.NonOverlappingWindow(GAMMA, coefficients="gf256")
    finite = theory.decoding_probability(code, CXR, PAPER, deadlines=[0.3, 0.9]).probability
    assert np.all(finite < generic)
    np.testing.assert_allclose(finite, generic, atol=0.01)
    one = Partition.model("cxr", left_variances=[1], right_variances=[1], classes=(1,))
    value = theory.decoding_probability(codes.MDS(coefficients="gf256"), one, received=range(4)).probability[:, 0]
    np.testing.assert_allclose(value, 1 - 256.0 ** -np.arange(4), rtol=1e-14)
