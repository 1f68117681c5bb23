"""The exact theory in the tails against rational arithmetic: no digit is lost to cancellation."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.cases.paper import MDS, RXC
from tests.oracles import brute_force as brute
from tests.oracles.brute_force import TAIL, constant_arrival
from uepgpu import Partition, Workers, codes, theory


@pytest.mark.parametrize("sixteenths", [5, 8, 10, 11])
def test_tails_of_mds_at_1000_workers_equal_rational_arithmetic(sixteenths):
    part = Partition.model("cxr", left_variances=np.ones(256), right_variances=np.ones(256), classes=(256,))
    workers = Workers(1000, latency=constant_arrival(sixteenths / 16), omega="fair")
    value = theory.loss(MDS, part, workers, deadlines=[1.0]).normalized_loss[0]
    exact = float(brute.binomial_tail(1000, Fraction(sixteenths, 16), 256))
    np.testing.assert_allclose(value, exact, **TAIL)


@pytest.mark.parametrize("total, sizes", [(1000, (20, 30)), (1000, (100, 156)), (200, (10, 6))])
@pytest.mark.parametrize("quarters", [(4, 8, 4), (8, 2, 6), (3, 12, 1)])
def test_tails_of_nested_windows_equal_rational_arithmetic(total, sizes, quarters):
    gamma = [Fraction(quarters[0], quarters[0] + quarters[1]), Fraction(quarters[1], quarters[0] + quarters[1])]
    f = Fraction(quarters[0] + quarters[1], 16)
    n = sum(sizes)
    variances = np.repeat((4.0, 1.0), sizes)
    part = Partition.model("cxr", left_variances=variances, right_variances=np.ones(n), classes=sizes)
    code = codes.ExpandingWindow([float(g) for g in gamma])
    workers = Workers(total, latency=constant_arrival(float(f)), work="unit", omega="fair")
    q1, q2 = brute.expanding_two(total, [Fraction(quarters[0], 16), Fraction(quarters[1], 16)], Fraction(quarters[2], 16), sizes)
    energy = [float(part.energy[part.classes == label].sum()) for label in (1, 2)]
    result = theory.loss(code, part, workers, deadlines=[1.0])
    np.testing.assert_allclose(result.loss[0], energy[0] * float(q1) + energy[1] * float(q2), **TAIL)
    only = Partition.model("cxr", left_variances=np.repeat((4.0, 0.0), sizes), right_variances=np.ones(n), classes=sizes)
    np.testing.assert_allclose(theory.loss(code, only, workers, deadlines=[1.0]).normalized_loss[0], float(q1), **TAIL)


@pytest.mark.parametrize(
    "total, sizes, cells", [(20, (1, 4, 2, 5), (1, 5, 3, 6)), (60, (3, 2, 6), (7, 1, 7)), (60, (2, 5, 1), (1, 8, 6))]
)
def test_long_chains_equal_rational_arithmetic(total, sizes, cells):
    arrived = Fraction(sum(cells), 16)
    workers = Workers(total, latency=constant_arrival(float(arrived)), work="unit", omega="fair")
    code = codes.ExpandingWindow([x / sum(cells) for x in cells])
    exact = brute.expanding(total, [*cells, 16 - sum(cells)], sizes)
    table = np.repeat(np.arange(len(sizes)) + 1, sizes)[:, None]
    for label, q in enumerate(exact, start=1):
        only = (table[:, 0] == label).astype(float)
        part = Partition.model("cxr", left_variances=only, right_variances=np.ones(only.size), classes=table)
        np.testing.assert_allclose(theory.loss(code, part, workers, deadlines=[1.0]).normalized_loss[0], float(q), **TAIL)


def test_tails_reach_below_1e_30_without_cancellation():
    # The cases above are worth nothing if their losses are not small.
    q1, q2 = brute.expanding_two(1000, [Fraction(1, 4), Fraction(1, 2)], Fraction(1, 4), (100, 156))
    assert 1e-300 < q1 < 1e-30
    assert q2 < 1e-12


@pytest.mark.parametrize("received", [60, 100, 160, 190])
def test_tails_of_fixed_windows_equal_rational_arithmetic(received):
    sizes = (20, 30)
    for zero in (4.0, 0.0), (0.0, 4.0):
        variances = np.repeat(zero, sizes)
        table = np.repeat((1, 2), sizes)[:, None]
        part = Partition.model("cxr", left_variances=variances, right_variances=np.ones(50), classes=table)
        code = codes.ExpandingWindow((0.5, 0.5), windows="fixed")
        exact = brute.expanding_two_fixed((100, 100), received, sizes)[0 if zero[0] else 1]
        value = theory.loss(code, part, Workers(200, omega="fair"), received=[received]).normalized_loss[0]
        np.testing.assert_allclose(value, float(exact), **TAIL)


@pytest.mark.parametrize("time", [4.0, 12.0, 30.0])
def test_the_latency_tail_keeps_its_digits(time):
    # 1 - F = exp(-t) is far below the rounding of F.
    result = theory.loss(codes.Uncoded(), RXC, Workers(9, omega="fair"), deadlines=[time]).normalized_loss[0]
    np.testing.assert_allclose(result, np.exp(-time), rtol=1e-13)
    one = Partition.model("cxr", left_variances=[1, 1], right_variances=[1, 1], classes=(2,))
    late = np.exp(-time)
    value = theory.loss(MDS, one, Workers(6, omega=1.0, work="unit"), deadlines=[time]).normalized_loss[0]
    np.testing.assert_allclose(value, late**6 + 6 * late**5 * -np.expm1(-time), rtol=1e-12)
