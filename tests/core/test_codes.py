"""Baselines and codes of one's own: what their packets combine, and what they keep of what they are given."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.paper import GAMMA, RXC, VARIANCES, close, same_windows


def test_baselines():
    mds = uep.codes.MDS().law(RXC, 30)
    same_windows(mds, {(frozenset(range(9)), 3): 1.0})
    same_windows(uep.codes.MDS(encoding="factored").law(RXC, 30), {(frozenset(range(9)), 1): 1.0})
    uncoded = uep.codes.Uncoded().law(RXC, 9)
    assert [np.flatnonzero(uncoded.supports[w]).tolist() for w in uncoded.window] == [[w] for w in range(9)]
    repetition = uep.codes.Repetition(copies=3).law(RXC, 27)
    assert [np.flatnonzero(repetition.supports[w]).tolist() for w in repetition.window] == [[w % 9] for w in range(27)]
    unequal = uep.codes.Repetition(copies=(3, 0, 2, 0, 0, 0, 0, 0, 1)).law(RXC, 6)
    assert unequal.window.tolist() == [0, 0, 0, 2, 2, 8]
    for law in (uncoded, repetition, unequal):
        assert law.tied
        assert law.equal_work
        assert set(law.work[law.window].tolist()) == {1}


@pytest.mark.parametrize("k", [1, 2, 3, 9, 64])
@pytest.mark.parametrize("c, delta", [(0.1, 0.5), (0.03, 0.05), (1.0, 0.5), (3.0, 0.01)])
def test_lt_degrees_follow_the_robust_soliton(k, c, delta):
    ripple = c * math.log(k / delta) * math.sqrt(k)
    spike = min(max(round(k / ripple), 1), k)
    weight = []
    for d in range(1, k + 1):
        rho = 1 / k if d == 1 else 1 / (d * (d - 1))
        tau = ripple / (d * k) if d < spike else max(ripple * math.log(ripple / delta) / k, 0.0) if d == spike else 0.0
        weight.append(rho + tau)
    part = uep.Partition.model("cxr", left_variances=[1.0] * k, right_variances=[1.0] * k)
    law = uep.codes.LT(c, delta).law(part, 20)
    close(law.probabilities, np.array(weight) / sum(weight))
    assert law.probabilities.sum() == pytest.approx(1, abs=1e-14)
    assert law.degrees.tolist() == law.work.tolist() == list(range(1, k + 1))


def test_windows_of_ones_own():
    bools = np.zeros((2, 9), dtype=bool)
    bools[0, [0, 4]] = bools[1, 8] = True
    for supports in ([[0, 4], [8]], [{4, 0}, (8,)], [range(0, 5, 4), np.array([8])], bools):
        law = uep.codes.Windows(supports, (0.25, 0.75)).law(RXC, 5)
        same_windows(law, {(frozenset([0, 4]), 2): 0.25, (frozenset([8]), 1): 0.75})
        assert uep.codes.Windows(supports, (0.25, 0.75), work=(7, 5)).law(RXC, 5).work.tolist() == [7, 5]
        assert uep.codes.Windows(supports, (0.25, 0.75), work=4).law(RXC, 5).work.tolist() == [4, 4]


def test_generator_of_ones_own():
    matrix = np.array([[1, 0, 2], [0, -1, 0]])
    part = uep.Partition.model("cxr", left_variances=VARIANCES, right_variances=VARIANCES)
    law = uep.codes.Generator(matrix).law(part, 2)
    assert law.tied
    assert law.field == "real"
    assert np.array_equal(law.generator[law.window], matrix)
    assert np.array_equal(law.supports, matrix != 0)
    assert law.work.tolist() == [2, 1]
    assert uep.codes.Generator(matrix, work=3).law(part, 2).work.tolist() == [3, 3]


def test_codes_take_arrays_and_keep_copies():
    gamma = np.array(GAMMA)
    code = uep.codes.ExpandingWindow(gamma)
    matrix = np.eye(9)
    generator = uep.codes.Generator(matrix)
    gamma[:] = matrix[:] = 0
    assert code == uep.codes.ExpandingWindow(GAMMA)
    assert hash(code) == hash(uep.codes.ExpandingWindow(GAMMA))
    assert np.array_equal(generator.law(RXC, 9).generator, np.eye(9))


def test_windows_of_ones_own_are_copies():
    supports, work = np.eye(9, dtype=bool), np.arange(1, 10)
    code = uep.codes.Windows(supports, [1 / 9] * 9, work=work)
    law = code.law(RXC, 5)
    supports[:], work[:] = True, 1
    for later in (law, code.law(RXC, 5)):
        assert np.array_equal(later.supports, np.eye(9))
        assert later.work.tolist() == list(range(1, 10))


def test_every_code_satisfies_the_protocol():
    own = uep.codes.Windows([[0]], [1.0])
    for code in (uep.codes.MDS(), uep.codes.Uncoded(), uep.codes.LT(), own, uep.codes.Generator(np.eye(2))):
        assert isinstance(code, uep.codes.Code)


def test_own_codes_keep_copies_of_lists_too():
    members, work = [0, 4], [2, 3]
    supports = [members, [8]]
    code = uep.codes.Windows(supports, (0.25, 0.75), work=work)
    generator = uep.codes.Generator(np.eye(2), work=work)
    members[0], work[0] = 7, 9
    supports.pop()
    assert np.flatnonzero(code.law(RXC, 3).supports[0]).tolist() == [0, 4]
    assert code.law(RXC, 3).work.tolist() == [2, 3]
    assert list(generator.work) == [2, 3]
    assert repr(code).startswith("Windows(supports=[[0, 4], [8]], probabilities=(0.25, 0.75), work=[2, 3]")


@pytest.mark.parametrize("c, delta", [(1e-320, 0.5), (5e-324, 0.999), (0.1, 1e-320), (1e308, 0.5)])
@pytest.mark.parametrize("k", [1, 2, 9])
def test_lt_degrees_are_a_law_at_the_ends_of_float64(c, delta, k):
    law = uep.codes.LT(c, delta).degree_law(k)
    assert np.all(law >= 0)
    assert law.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    "code", [uep.codes.ExpandingWindow(GAMMA), uep.codes.MDS(), uep.codes.LT(), uep.codes.Windows([[0]], [1.0])], ids=repr
)
def test_codes_are_pickled_and_named_by_their_class_alone(code):
    assert repr(pickle.loads(pickle.dumps(code))) == repr(code)
    assert repr(code).startswith(f"{type(code).__name__}(")
