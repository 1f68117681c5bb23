"""Decoding and failing are both exact where they are small: 1e-9 of themselves, down to 1e-300."""

from __future__ import annotations

import functools
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from tests.cases.paper import EW, GAMMA, NOW
from tests.oracles import packets
from tests.oracles.brute_force import Decoder
from uepgpu import Partition, Workers, codes, theory

WITHIN = 1e-9
LEAST = 1e-300
SHORT = Partition.model("cxr", left_variances=(4, 2, 1), right_variances=(1, 1, 1), classes=(1, 1, 1))
NINE = Partition.model("cxr", left_variances=np.repeat((9, 3, 1), 3), right_variances=np.ones(9), classes=(3, 3, 3))
TILES = Partition.model("rxc", left_variances=(9, 3, 1), right_variances=(9, 3), classes=(1, 3, 2))
OWN = codes.Windows([[0], [0, 1, 2], [0, 1, 2], range(6)], (0.2, 0.3, 0.1, 0.4))
LINE = Partition.model("cxr", left_variances=range(6, 0, -1), right_variances=np.ones(6), classes=(1, 2, 3))

CHAINS = {
    "drawn": (EW, NINE),
    "drawn short": (EW, SHORT),
    "fixed": (codes.ExpandingWindow(GAMMA, windows="fixed"), NINE),
    "bounding box": (codes.ExpandingWindow(GAMMA, encoding="factored", window="bounding-box"), TILES),
    "bounding box, fixed": (codes.ExpandingWindow(GAMMA, encoding="factored", window="bounding-box", windows="fixed"), TILES),
    "own": (OWN, LINE),
}
DISJOINT = {
    "NOW": (NOW, NINE),
    "NOW fixed": (codes.NonOverlappingWindow(GAMMA, windows="fixed"), NINE),
    "level pairs": (codes.NonOverlappingWindow((0.3, 0.3, 0.4), encoding="factored"), TILES),
    "MDS": (codes.MDS(), SHORT),
}


def unit(count, **more):
    return Workers(count, omega=1.0, work="unit", **more)


def exact(code, part, workers, time):
    """Return the law of the undecoded sub-products at a deadline, in decimals."""
    law = code.law(part, workers.count)
    rows = []
    for w, speed in enumerate(workers.speed()):
        arrived, late = packets.exponential(time * speed)
        if law.window is not None:
            shares = [Decimal(int(s == law.window[w])) for s in range(len(law.supports))]
        else:
            shares = [Decimal(p) / sum(map(Decimal, law.probabilities.tolist())) for p in law.probabilities.tolist()]
        rows.append([*(arrived * share for share in shares), late])
    return packets.law_of_undecoded(decoder_of(law.supports.tobytes(), law.supports.shape), rows)


@functools.cache
def decoder_of(supports, shape):
    """Decode every set of packets once."""
    return Decoder(np.frombuffer(supports, dtype=bool).reshape(shape))


def agree(found, value, what):
    if value > LEAST:
        assert abs(Decimal(float(found)) / value - 1) <= WITHIN, (what, float(found), value)
    else:
        assert 0 <= found <= 2 * LEAST, (what, float(found), value)


def check(code, part, workers, times):
    chance = theory.decoding_probability(code, part, workers, deadlines=times)
    loss = theory.loss(code, part, workers, deadlines=times).loss.values
    smallest = Decimal(1)
    for at, time in enumerate(times):
        law = exact(code, part, workers, time)
        for label in range(1, part.n_classes + 1):
            decoded, failed = packets.decoded_and_not(law, np.flatnonzero(part.classes == label))
            agree(chance.probability.values[at, label - 1], decoded, (time, label, "decoded"))
            agree(chance.failure.values[at, label - 1], failed, (time, label, "failed"))
            smallest = min([smallest, *(p for p in (decoded, failed) if p > LEAST)])
        agree(loss[at], packets.expected_loss(law, part.gram), (time, "loss"))
    return smallest


@pytest.mark.parametrize("name", [*CHAINS, *DISJOINT])
@pytest.mark.parametrize("count", [12, 30])
def test_few_workers(name, count):
    code, part = (CHAINS | DISJOINT)[name]
    assert check(code, part, unit(count), [1e-30, 1e-6, 0.1, 1.0, 4.0, 40.0]) < 1e-80


@pytest.mark.parametrize("name, times", [("drawn short", [1e-4, 0.1]), ("bounding box", [1e-4, 0.1]), ("own", [1e-4])])
def test_a_thousand_workers(name, times):
    code, part = CHAINS[name]
    assert check(code, part, unit(1000), times) < 1e-8


@pytest.mark.parametrize("name", ["fixed", "NOW fixed"])
def test_fixed_windows_at_workers_of_different_speeds(name):
    code, part = (CHAINS | DISJOINT)[name]
    assert check(code, part, unit(12, speeds=[0.5, 2.0] * 6), [1e-6, 0.1, 1.0, 30.0]) < 1e-15


@pytest.mark.parametrize("name", ["NOW", "level pairs"])
def test_drawn_disjoint_windows_at_workers_of_different_speeds(name):
    code, part = DISJOINT[name]
    if name == "level pairs":  # at most two windows a class
        part = Partition.model("rxc", left_variances=(9, 1), right_variances=(9, 3), classes=(1, 2, 1))
    assert check(code, part, unit(6, speeds=[0.5, 2.0] * 3), [1e-6, 0.1, 1.0, 30.0]) < 1e-10


@pytest.mark.parametrize("name", ["drawn short", "own", "NOW", "MDS"])
def test_drawn_packets_of_equal_work_at_workers_of_different_speeds(name):
    code, part = (CHAINS | DISJOINT)[name]
    assert check(code, part, unit(7, speeds=[0.5, 2.0, 1.0, 1.0, 0.5, 3.0, 0.1]), [1e-6, 0.1, 1.0, 30.0]) < 1e-10


def test_published_window_probabilities():
    """Direct multinomial sums with 40 digits."""
    for count, time, expected in ((30, 1e-3, (6.144e-14, 3.83e-21)), (1000, 1e-4, (1.3547e-10, 6.68e-16))):
        found = theory.decoding_probability(EW, NINE, unit(count), deadlines=[time]).probability.values[0, 1:]
        np.testing.assert_allclose(found, expected, rtol=1e-3)
    value = packets.decoded_and_not(exact(EW, NINE, unit(1000), 1e-4), range(9))[0]
    agree(theory.decoding_probability(EW, NINE, unit(1000), deadlines=[1e-4]).probability.values[0, 2], value, "K = 9, W = 1000")


@pytest.mark.parametrize("field, order", [("gf2", 2), ("gf256", 256)])
def test_failures_over_a_finite_field_keep_their_digits(field, order):
    """A uniform n x 3 matrix has rank 3 with probability Π (1 - q^(j-n)), j = 0, 1, 2."""
    code = codes.NonOverlappingWindow((1.0,), coefficients=field)
    part = Partition.model("cxr", left_variances=np.ones(3), right_variances=np.ones(3), classes=(3,))
    found = theory.decoding_probability(code, part, received=[2, 3, 20, 40])
    for at, n in enumerate([2, 3, 20, 40]):
        share = Fraction(1)
        for j in range(3):
            share *= 1 - Fraction(order) ** (j - n)
        np.testing.assert_allclose(found.probability.values[at, 0], float(share), rtol=WITHIN)
        np.testing.assert_allclose(found.failure.values[at, 0], float(1 - share), rtol=WITHIN)


def test_what_cannot_be_and_what_must_be_is_so_exactly():
    found = theory.decoding_probability(EW, NINE, received=[0, 2, 5, 8, 9])
    assert found.probability.values[:4, 2].tolist() == [0.0] * 4
    assert found.failure.values[:4, 2].tolist() == [1.0] * 4
    everything = theory.decoding_probability(codes.MDS(), NINE, received=[8, 9, 12])
    assert everything.failure.values.tolist() == [[1.0] * 3, [0.0] * 3, [0.0] * 3]
    assert everything.probability.values.tolist() == [[0.0] * 3, [1.0] * 3, [1.0] * 3]
    nothing = theory.decoding_probability(EW, NINE, unit(30), received=[0])
    assert nothing.failure.values.tolist() == [[1.0] * 3]
    never = theory.decoding_probability(codes.Windows([[0], [0, 1]], (1.0, 0.0)), SHORT, received=[5])
    assert never.failure.values.tolist() == [[0.0, 1.0, 1.0]]
