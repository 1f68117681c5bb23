"""Bad values of codes, and codes that a partition or a number of workers does not allow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.refusals import CXR, GAMMA, RXC, VARIANCES, cases, refused

TWO = uep.Partition.model("cxr", left_variances=(2.0, 1.0), right_variances=(1.0, 1.0))


def now(*args, **kwargs):
    return uep.codes.NonOverlappingWindow(*args, **kwargs)


def ew(*args, **kwargs):
    return uep.codes.ExpandingWindow(*args, **kwargs)


def factored(**kwargs):
    return ew(GAMMA, encoding="factored", **kwargs)


CODES = {
    "gamma sums to .95": (lambda: ew((0.4, 0.35, 0.2)), "gamma sums to 0.95", "must sum to 1", "(0.4, 0.35, 0.2)"),
    "gamma sums to 1.1": (lambda: now((0.6, 0.5)), "gamma sums to 1.1", "must sum to 1", "(0.6, 0.5)"),
    "negative gamma": (lambda: now((1.2, -0.2)), "gamma", "[0, 1]", "-0.2"),
    "nan in gamma": (lambda: now((0.5, np.nan)), "gamma", "[0, 1]", "nan"),
    "empty gamma": (lambda: ew(()), "gamma", "non-empty", "()"),
    "scalar gamma": (lambda: ew(1.0), "gamma", "sequence", "1.0"),
    "gamma in words": (lambda: ew(("much", "little")), "gamma", "'much'"),
    "gamma too short, NOW": (lambda: now((0.5, 0.5)).law(RXC, 30), "gamma", "3", "2", "(0.5, 0.5)"),
    "gamma too long, EW": (lambda: ew((0.25,) * 4).law(CXR, 30), "gamma", "3", "4"),
    "gamma too short, rectangles": (lambda: ew((0.5, 0.5), encoding="factored").law(RXC, 30), "gamma", "3", "2"),
    "gamma too short, nested": (
        lambda: ew((0.5, 0.5), encoding="factored", window="nested", gamma_b=GAMMA).law(RXC, 30),
        "gamma must",
        "row level",
        "3",
        "2",
    ),
    "gamma_b too short": (lambda: factored(window="nested", gamma_b=(1.0,)).law(RXC, 30), "gamma_b", "column level", "3", "1"),
    "gamma_b sums to .9": (lambda: factored(window="nested", gamma_b=(0.4, 0.5)), "gamma_b sums to 0.9", "must sum to 1"),
    "gamma_b without nested": (lambda: factored(gamma_b=GAMMA), "gamma_b", "'nested'"),
    "encoding": (lambda: now(GAMMA, encoding="dense"), "encoding", "'free'", "'factored'", "'stacked'", "'dense'"),
    "encoding of MDS": (lambda: uep.codes.MDS(encoding=None), "encoding", "None"),
    "window of EW": (
        lambda: factored(window="level-pair"),
        "window",
        "'max-rectangle'",
        "'nested'",
        "'bounding-box'",
        "'level-pair'",
    ),
    "window of NOW": (lambda: now(GAMMA, encoding="factored", window="nested"), "window", "'level-pair'", "'nested'"),
    "window without factored": (lambda: ew(GAMMA, window="nested"), "window", "'factored'", "'nested'", "'auto'"),
    "windows": (lambda: ew(GAMMA, windows="random"), "windows", "'drawn'", "'fixed'", "'random'"),
    "coefficients": (lambda: ew(GAMMA, coefficients="gf3"), "coefficients", "'generic'", "'gf2'", "'gf256'", "'gf3'"),
    "finite field with factored": (lambda: factored(coefficients="gf256"), "coefficients", "'generic'", "'factored'", "'gf256'"),
    "finite field with factored MDS": (
        lambda: uep.codes.MDS(encoding="factored", coefficients="gf2"),
        "coefficients",
        "'generic'",
        "'gf2'",
    ),
    "factored on cxr, EW": (lambda: factored().law(CXR, 30), "encoding", "'stacked'", "cxr", "'factored'"),
    "factored on cxr, NOW": (lambda: now(GAMMA, encoding="factored").law(CXR, 30), "encoding", "'stacked'", "cxr", "'factored'"),
    "nested on cxr": (lambda: factored(window="nested").law(CXR, 30), "encoding", "'stacked'", "cxr", "'factored'"),
    "free on cxr": (lambda: uep.codes.MDS(encoding="free").law(CXR, 30), "encoding", "'stacked'", "cxr", "'free'"),
    "uncoded with W < K": (lambda: uep.codes.Uncoded().law(RXC, 8), "uncoded", "W = K = 9", "W = 8"),
    "uncoded with W > K": (lambda: uep.codes.Uncoded().law(RXC, 30), "uncoded", "W = K = 9", "W = 30"),
    "repetition with another W": (lambda: uep.codes.Repetition(2).law(RXC, 30), "copies=2", "W = copies·K = 18", "W = 30"),
    "no copies": (lambda: uep.codes.Repetition(0), "copies", ">= 1", "got 0"),
    "copies of some sub-products": (
        lambda: uep.codes.Repetition((1, 2)).law(RXC, 3),
        "copies",
        "K = 9",
        "W = 3",
        "got 2",
        "(1, 2)",
    ),
    "copies that sum to another W": (lambda: uep.codes.Repetition((1,) * 9).law(RXC, 30), "copies", "W = 30", "sum to 9"),
    "negative copies": (lambda: uep.codes.Repetition((2, -1)), "copies", ">= 0", "(2, -1)"),
    "copies of nothing": (lambda: uep.codes.Repetition((0, 0)), "copies", "not all 0", "(0, 0)"),
    "copies as text": (lambda: uep.codes.Repetition("12"), "copies", "integer", "'12'"),
    "half a copy": (lambda: uep.codes.Repetition(1.5), "copies", "integer", "1.5"),
    "negative c": (lambda: uep.codes.LT(-1.0), "c must", "> 0", "-1.0"),
    "array for an encoding": (lambda: now(GAMMA, encoding=np.array(["free", "free"])), "encoding", "'free'"),
    "array for windows": (lambda: ew(GAMMA, windows=np.array([1, 2])), "windows", "'drawn'", "array([1, 2])"),
    "complex gamma": (lambda: ew((0.5 + 0j, 0.5)), "gamma", "real"),
    "ragged gamma": (lambda: ew(((0.5,), (0.25, 0.25))), "gamma", "(0.5,), (0.25, 0.25)"),
    "number from an array in gamma": (lambda: ew(tuple(np.array([0.5, -0.5]))), "gamma", "(0.5, -0.5)"),
    "c in words": (lambda: uep.codes.LT("small"), "c must", "> 0", "'small'"),
    "delta of 1": (lambda: uep.codes.LT(0.1, 1.0), "delta", "(0, 1)", "1.0"),
    "delta in words": (lambda: uep.codes.LT(0.1, "small"), "delta", "(0, 1)", "'small'"),
}

OWN_CODES = {
    "no probability for a window": (lambda: uep.codes.Windows([[0], [1]], [1.0]), "probabilities", "2 supports", "1"),
    "probabilities sum": (lambda: uep.codes.Windows([[0], [1]], [0.5, 0.6]), "probabilities sums to 1.1", "must sum to 1"),
    "sub-product beyond K": (lambda: uep.codes.Windows([[9]], [1.0]).law(RXC, 3), "supports", "0..8", "9"),
    "negative sub-product": (lambda: uep.codes.Windows([[-1]], [1.0]).law(RXC, 3), "supports", "-1"),
    "empty window": (lambda: uep.codes.Windows([[0], []], [0.5, 0.5]).law(RXC, 3), "supports", "empty"),
    "window that is a number": (lambda: uep.codes.Windows([0, 1], [0.5, 0.5]).law(RXC, 3), "supports"),
    "supports that are a number": (lambda: uep.codes.Windows(2, [0.5, 0.5]), "supports", "2"),
    "bool window of another K": (
        lambda: uep.codes.Windows(np.ones((1, 4), bool), [1.0]).law(RXC, 3),
        "supports",
        "K = 9",
        "(1, 4)",
    ),
    # A 0/1 table read as index sets would quietly mean the sub-products 0 and 1.
    "0/1 table of integers": (lambda: uep.codes.Windows(np.eye(9, dtype=int)[:1], [1.0]).law(RXC, 3), "supports"),
    "0/1 table of integers for two sub-products": (
        lambda: uep.codes.Windows(np.array([[0, 1], [1, 0]]), [0.5, 0.5]).law(TWO, 3),
        "supports",
        "K = 2",
        "bool array",
    ),
    "repeated sub-product": (lambda: uep.codes.Windows([[0], [4, 2, 4]], [0.5, 0.5]), "supports", "once", "[4, 2, 4]"),
    "empty row of a bool table": (lambda: uep.codes.Windows(np.zeros((1, 9), bool), [1.0]), "supports", "empty"),
    "masked table": (lambda: uep.codes.Windows(np.ma.array(np.ones((1, 9), bool), mask=True), [1.0]), "supports", "masked"),
    "fraction of a sub-product": (lambda: uep.codes.Windows([[0.5]], [1.0]), "supports", "integer", "0.5"),
    "fraction of work": (lambda: uep.codes.Windows([[0]], [1.0], work=1.5), "work", "integers", "1.5"),
    "ragged work": (lambda: uep.codes.Windows([[0], [1]], [0.5, 0.5], work=[[1], [1, 2]]), "work", "[[1], [1, 2]]"),
    "coefficients": (lambda: uep.codes.Windows([[0]], [1.0], coefficients="real"), "coefficients", "'generic'", "'real'"),
    "work of zero": (lambda: uep.codes.Windows([[0]], [1.0], work=0).law(RXC, 3), "work", ">= 1", "got 0"),
    "work of another length": (
        lambda: uep.codes.Windows([[0], [1], [2]], [0.5, 0.25, 0.25], work=(1, 2)).law(RXC, 3),
        "work",
        "(1, 2)",
    ),
    "generator with nan": (lambda: uep.codes.Generator([[np.nan, 1.0]]), "matrix", "finite"),
    "generator that is a vector": (lambda: uep.codes.Generator([1.0, 2.0]), "matrix", "two-dimensional", "(2,)"),
    "complex generator": (lambda: uep.codes.Generator(np.array([[1 + 2j, 1]])), "matrix"),
    "ragged generator": (lambda: uep.codes.Generator([[1, 2], [3]]), "matrix"),
    "integers that float64 rounds": (lambda: uep.codes.Generator([[2**53 + 1, 1]]), "matrix", "2^53", "9007199254740993"),
    "multiple of the prime": (lambda: uep.codes.Generator([[1, 4294967294]]), "matrix", "2^31-1", "4294967294"),
    "supports that can be read once": (lambda: uep.codes.Windows(([k] for k in range(2)), (0.5, 0.5)), "supports"),
    "fraction of the prime": (lambda: uep.codes.Generator([[0.5, 1.5 * (2**31 - 1)]]), "matrix", "2^31-1", "3221225470.5"),
    "large integers as objects": (lambda: uep.codes.Generator([[2**70 + 1, 1]]), "matrix", "2^53"),
    "no field": (lambda: uep.codes.Generator([[1]], field="gf4"), "field", "'gf256'", "'gf4'"),
    "no bit": (lambda: uep.codes.Generator([[1, 2]], field="gf2"), "matrix", "0..1", "'gf2'", "2"),
    "no byte": (lambda: uep.codes.Generator([[1, 256]], field="gf256"), "matrix", "0..255", "'gf256'", "256"),
    "half a byte": (lambda: uep.codes.Generator([[1, 0.5]], field="gf256"), "matrix", "0..255", "0.5"),
    "negative byte": (lambda: uep.codes.Generator([[1, -1]], field="gf256"), "matrix", "0..255", "-1"),
    "zero row": (lambda: uep.codes.Generator([[1, 0], [0, 0]]), "matrix", "zero row"),
    "generator for other workers": (lambda: uep.codes.Generator(np.eye(9)).law(RXC, 8), "matrix", "(8, 9)", "(9, 9)"),
    "generator for another K": (lambda: uep.codes.Generator(np.eye(8)).law(RXC, 8), "matrix", "(8, 9)", "(8, 8)"),
    "generator with another length of work": (lambda: uep.codes.Generator(np.eye(9), work=(1, 2)).law(RXC, 9), "work", "(1, 2)"),
}


@dataclass(frozen=True)
class Given:
    """A code of one's own, which gives the law that it was given."""

    given: uep.codes.SupportLaw

    def law(self, partition, n_workers):
        return self.given


def given(**changes):
    """Simulate by a law of three sub-products, two windows drawn for every packet, with some fields changed."""
    good = {"n_subproducts": 3, "work": np.array([1, 3]), "field": "generic", "encoding": "stacked"}
    good |= {"supports": np.array([[1, 0, 0], [1, 1, 1]], dtype=bool), "probabilities": np.array([0.5, 0.5])}
    law = uep.codes.SupportLaw(**(good | changes))
    return uep.simulate(Given(law), CXR, uep.Workers(4, work="unit"), realizations=10, seed=1, backend="numpy")


TIED = {"probabilities": None, "window": np.array([0, 1, 1, 0])}
ROWS = {"supports": np.ones((4, 3), dtype=bool), "work": np.full(4, 3), "probabilities": None, "window": np.arange(4)}
FOREIGN = {
    "K": (lambda: given(n_subproducts=9), "n_subproducts", "3", "got 9"),
    "field": (lambda: given(field="gf4"), "field", "gf256", "gf4"),
    "supports and degrees": (lambda: given(degrees=np.array([1, 2])), "either supports or degrees", "both"),
    "neither": (lambda: given(supports=None), "either supports or degrees", "neither"),
    "drawn and tied": (lambda: given(window=np.zeros(4, dtype=int)), "either probabilities or window", "both"),
    "neither drawn nor tied": (lambda: given(probabilities=None), "either probabilities or window", "neither"),
    "supports of another K": (lambda: given(supports=np.ones((2, 4), dtype=bool)), "supports", "(any, 3)", "(2, 4)"),
    "supports of integers": (lambda: given(supports=np.ones((2, 3), dtype=int)), "supports", "bool"),
    "empty support": (lambda: given(supports=np.array([[1, 1, 1], [0, 0, 0]], dtype=bool)), "supports", "empty", "got 1"),
    "degree of 0": (lambda: given(supports=None, degrees=np.array([0, 3])), "degrees", "1 to K = 3", "0"),
    "degree above K": (lambda: given(supports=None, degrees=np.array([1, 4])), "degrees", "1 to K = 3", "4"),
    "work of another length": (lambda: given(work=np.array([1, 2, 3])), "work", "(2,)", "(3,)"),
    "work of 0": (lambda: given(work=np.array([0, 3])), "work", ">= 1", "0"),
    "half of a work": (lambda: given(work=np.array([0.5, 3])), "work", "integer", "0.5"),
    "work in a list": (lambda: given(work=[1, 3]), "work", "array", "[1, 3]"),
    "probabilities": (lambda: given(probabilities=np.array([0.5, 0.4])), "probabilities", "sum to 1", "0.4"),
    "negative probability": (lambda: given(probabilities=np.array([1.5, -0.5])), "probabilities", ">= 0", "-0.5"),
    "window of other workers": (lambda: given(**TIED | {"window": np.zeros(3, dtype=int)}), "window", "(4,)", "(3,)"),
    "window that is none": (lambda: given(**TIED | {"window": np.array([0, 1, 2, 0])}), "window", "0 to 1", "2"),
    "generator of other workers": (lambda: given(**ROWS, generator=np.ones((3, 3)), field="real"), "generator", "(4, 3)", "(3, 3)"),
    "nan in a generator": (lambda: given(**ROWS, generator=np.full((4, 3), np.nan), field="real"), "generator", "finite", "nan"),
}


def test_laws_of_ones_own_that_fit_are_taken():
    for fields in (
        {},
        TIED,
        {"supports": None, "degrees": np.array([1, 3])},
        ROWS | {"generator": np.ones((4, 3)), "field": "real"},
    ):
        assert given(**fields).realizations == 10


@pytest.mark.parametrize("call, pieces", cases(codes=CODES, own_codes=OWN_CODES, foreign=FOREIGN))
def test_a_bad_value_is_named_with_what_is_allowed(call, pieces):
    refused(call, pieces)


def test_a_window_that_is_no_staircase_is_refused_where_one_is_needed():
    table = [[1, 2, 1], [2, 2, 2], [2, 2, 2]]
    part = uep.Partition.model("rxc", left_variances=VARIANCES, right_variances=VARIANCES, classes=table)
    with pytest.raises(ValueError, match=r"window must be a staircase.*\[\[1, 1\], \[1, 3\]\].*'free'"):
        ew((0.5, 0.5), encoding="factored").law(part, 30)
    for code in (
        ew((0.5, 0.5)),
        ew((0.5, 0.5), encoding="factored", window="bounding-box"),
        ew(GAMMA, encoding="factored", window="nested"),
        now((0.5, 0.5), encoding="factored"),
    ):
        code.law(part, 30)


@pytest.mark.parametrize("code", [ew(GAMMA, encoding="factored"), now(GAMMA, encoding="factored")])
def test_a_level_pair_of_several_classes_is_refused(code):
    part = uep.Partition.model(
        "rxc", left_variances=VARIANCES, right_variances=VARIANCES, classes=(3, 3, 3), row_levels=(1, 2), col_levels=(3,)
    )
    with pytest.raises(ValueError, match=r"classes must be constant on every pair of block levels.*\(1, 1\).*\[1, 2\]"):
        code.law(part, 30)
