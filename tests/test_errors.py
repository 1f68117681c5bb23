"""Bad values of descriptions: one ``ValueError`` that names the argument, its value and what is allowed."""

from __future__ import annotations

import re

import numpy as np
import pytest

import uepgpu as uep
from uepgpu.checks import deadlines_array

VARIANCES = (10.0, 1.0, 0.1)
RXC = uep.Partition.model("rxc", left_variances=VARIANCES, right_variances=VARIANCES, classes=(3, 3, 3))
CXR = uep.Partition.model("cxr", left_variances=VARIANCES, right_variances=VARIANCES, classes=(1, 1, 1))
A, B = np.arange(12.0).reshape(4, 3), np.arange(15.0).reshape(3, 5)
GAMMA = (0.40, 0.35, 0.25)


def spoilt(matrix, value):
    result = matrix.astype(np.asarray(value).dtype)
    result[1, 2] = value
    return result


def rxc(**kwargs):
    return uep.Partition.rxc(A, B, **kwargs)


def model(paradigm="rxc", **kwargs):
    return uep.Partition.model(paradigm, **{"left_variances": VARIANCES, "right_variances": VARIANCES, **kwargs})


def now(*args, **kwargs):
    return uep.codes.NonOverlappingWindow(*args, **kwargs)


def ew(*args, **kwargs):
    return uep.codes.ExpandingWindow(*args, **kwargs)


def factored(**kwargs):
    return ew(GAMMA, encoding="factored", **kwargs)


# Each case: what is called, then pieces that the message must hold in this order: argument, value, what is allowed.
MATRICES = {
    "nan": (lambda: uep.Partition.rxc(spoilt(A, np.nan), B), "A must be finite", "nan", "[1, 2]"),
    "inf": (lambda: uep.Partition.cxr(A, spoilt(B, -np.inf), blocks=2), "B must be finite", "-inf", "[1, 2]"),
    "complex": (lambda: uep.Partition.rxc(A, B + 0j), "B must be real", "complex128"),
    "complex of zero imaginary part": (lambda: uep.Partition.cxr((A + 0j).tolist(), B, blocks=2), "A must be real"),
    "text": (lambda: uep.Partition.rxc([["x"]], B), "A must", "dtype"),
    "objects": (lambda: uep.Partition.rxc(np.array([[None]]), B), "A must", "object"),
    "ragged": (lambda: uep.Partition.rxc([[1, 2], [3]], B), "A "),
    "vector": (lambda: uep.Partition.rxc(A[0], B), "A must", "two-dimensional", "(3,)"),
    "stack": (lambda: uep.Partition.rxc(A, B[None]), "B must", "two-dimensional", "(1, 3, 5)"),
    "empty": (lambda: uep.Partition.rxc(A[:, :0], B[:0]), "A must", "non-empty", "(4, 0)"),
    "nothing": (lambda: uep.Partition.rxc(None, B), "A must"),
    "shapes that do not multiply, rxc": (lambda: uep.Partition.rxc(B, A), "(3, 5)", "(4, 3)", "do not multiply", "5 != 4"),
    "shapes that do not multiply, cxr": (lambda: uep.Partition.cxr(A, A), "(4, 3)", "(4, 3)", "do not multiply", "3 != 4"),
    "values whose squares overflow": (lambda: uep.Partition.rxc(A * 1e200, B), "A", "finite"),
}

CUTS = {
    "too many rows": (lambda: rxc(rows=5), "rows", "at most", "4", "got 5"),
    "too many columns": (lambda: rxc(cols=6), "cols", "at most", "5", "got 6"),
    "too many blocks": (lambda: uep.Partition.cxr(A, B, blocks=4), "blocks", "at most", "3", "got 4"),
    "no rows": (lambda: rxc(rows=0), "rows", ">= 1", "got 0"),
    "negative blocks": (lambda: uep.Partition.cxr(A, B, blocks=-1), "blocks", ">= 1", "got -1"),
    "half a row": (lambda: rxc(rows=1.5), "rows", "integer", "1.5"),
    "order": (lambda: rxc(order="size"), "order", "'norm'", "'mean_abs'", "'size'"),
    "row_levels": (lambda: rxc(row_levels=(1, 1)), "row_levels", "sum to 3", "(1, 1)"),
    "col_levels": (lambda: rxc(col_levels=(0, 3)), "col_levels", ">= 1", "(0, 3)"),
    "row_levels of fractions": (lambda: rxc(row_levels=(1.5, 1.5)), "row_levels", "(1.5, 1.5)"),
}

CLASSES = {
    "sum": (lambda: rxc(classes=(3, 3, 2)), "classes", "sum to K = 9", "(3, 3, 2)"),
    "zero": (lambda: rxc(classes=(0, 9)), "classes", ">= 1", "(0, 9)"),
    "negative": (lambda: rxc(classes=(-1, 10)), "classes", ">= 1", "(-1, 10)"),
    "fractions": (lambda: rxc(classes=(4.5, 4.5)), "classes", "integers", "(4.5, 4.5)"),
    "empty": (lambda: rxc(classes=()), "classes", "()"),
    "word": (lambda: rxc(classes="paper"), "classes", "'auto'", "'paper'"),
    "nothing": (lambda: rxc(classes=None), "classes", "None"),
    "one number": (lambda: rxc(classes=9), "classes must be sizes"),
    "shape of the table": (lambda: rxc(classes=[[1, 1, 1], [2, 2, 2]]), "classes", "(3, 3)", "(2, 3)"),
    "table from zero": (lambda: rxc(classes=[[0, 1, 1]] * 3), "classes", "1..L", "[0, 1]"),
    "gap in the table": (lambda: rxc(classes=[[1, 3, 3]] * 3), "classes", "gaps", "[1, 3]"),
    "ragged table": (lambda: rxc(classes=[[1, 1, 1], [2]]), "classes"),
    "too many": (lambda: rxc(classes=(1,) * 9), "classes", "at most 8", "9"),
}

MODELS = {
    "paradigm": (lambda: model("outer"), "paradigm", "'rxc'", "'cxr'", "'outer'"),
    "negative variance": (lambda: model(left_variances=(1, -1)), "left_variances", ">= 0", "(1, -1)"),
    "nan variance": (lambda: model(right_variances=(1, np.nan)), "right_variances", "finite", "nan"),
    "no variance": (lambda: model(left_variances=()), "left_variances", "non-empty", "()"),
    "complex variance": (lambda: model(left_variances=np.array([1j, 1])), "left_variances"),
    "variance in words": (lambda: model(left_variances="high"), "left_variances", "'high'"),
    "unequal lengths for cxr": (lambda: model("cxr", right_variances=(1, 1)), "left_variances and right_variances", "3 and 2"),
    "number of means": (lambda: model(left_means=(1, 2)), "left_means", "3", "(1, 2)"),
    "infinite mean": (lambda: model(right_means=np.inf), "right_means", "finite", "inf"),
    "empty block": (lambda: model(shape=(1, 0, 1)), "shape", ">= 1", "0"),
    "two sizes": (lambda: model(shape=(2, 2)), "shape", "(2, 2)"),
    "one size": (lambda: model(shape=5), "shape", "5"),
    "levels of cxr": (lambda: model("cxr", row_levels=(1, 2)), "row_levels"),
}

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
    "half a copy": (lambda: uep.codes.Repetition(1.5), "copies", "integer", "1.5"),
    "negative c": (lambda: uep.codes.LT(-1.0), "c must", "> 0", "-1.0"),
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
    "zero row": (lambda: uep.codes.Generator([[1, 0], [0, 0]]), "matrix", "zero row"),
    "generator for other workers": (lambda: uep.codes.Generator(np.eye(9)).law(RXC, 8), "matrix", "(8, 9)", "(9, 9)"),
    "generator for another K": (lambda: uep.codes.Generator(np.eye(8)).law(RXC, 8), "matrix", "(8, 9)", "(8, 8)"),
    "generator with another length of work": (lambda: uep.codes.Generator(np.eye(9), work=(1, 2)).law(RXC, 9), "work", "(1, 2)"),
}

LATENCIES = {
    "negative rate": (lambda: uep.latency.Exponential(-1.0), "rate", "> 0", "-1.0"),
    "negative rate from an array": (lambda: uep.latency.Exponential(np.array([-1.0])[0]), "rate", "> 0", "-1.0"),
    "rate of zero": (lambda: uep.latency.Exponential(0), "rate", "> 0", "got 0"),
    "nan rate": (lambda: uep.latency.Exponential(np.nan), "rate", "finite", "nan"),
    "rate in words": (lambda: uep.latency.Exponential("fast"), "rate", "number", "'fast'"),
    "negative shift": (lambda: uep.latency.ShiftedExponential(1.0, -0.5), "shift", ">= 0", "-0.5"),
    "Weibull shape": (lambda: uep.latency.Weibull(0.0), "shape", "> 0", "0.0"),
    "Weibull scale": (lambda: uep.latency.Weibull(1.0, np.inf), "scale", "finite", "inf"),
    "Pareto shape": (lambda: uep.latency.Pareto(-2), "shape", "> 0", "-2"),
    "log-normal mu": (lambda: uep.latency.LogNormal(np.nan), "mu", "finite", "nan"),
    "log-normal mu in words": (lambda: uep.latency.LogNormal("x"), "mu", "finite", "'x'"),
    "log-normal sigma": (lambda: uep.latency.LogNormal(0.0, 0.0), "sigma", "> 0", "0.0"),
    "negative time": (lambda: uep.latency.Deterministic(-1.0), "time", ">= 0", "-1.0"),
    "no samples": (lambda: uep.latency.Empirical([]), "samples", "at least one"),
    "negative sample": (lambda: uep.latency.Empirical([1.0, -2.0]), "samples", ">= 0"),
    "infinite sample": (lambda: uep.latency.Empirical([np.inf]), "samples", "finite"),
    "complex samples": (lambda: uep.latency.Empirical(np.array([1j])), "samples"),
    "function that is none": (lambda: uep.latency.FromCDF(0.5), "function", "callable", "0.5"),
    "function beyond 1": (lambda: uep.latency.FromCDF(lambda t: t).cdf([2.0]), "function", "[0, 1]", "2.0"),
    "function that falls": (lambda: uep.latency.FromCDF(lambda t: np.exp(-t)).cdf([0.0, 1.0]), "function", "non-decreasing"),
    "function of another shape": (lambda: uep.latency.FromCDF(lambda t: 0.5).cdf([1.0, 2.0]), "function", "(2,)", "()"),
}

WORKERS = {
    "no workers": (lambda: uep.Workers(0), "count", ">= 1", "got 0"),
    "no workers from an array": (lambda: uep.Workers(np.array([0])[0]), "count", ">= 1", "0"),
    "negative workers": (lambda: uep.Workers(-3), "count", ">= 1", "-3"),
    "half a worker": (lambda: uep.Workers(2.5), "count", "integer", "2.5"),
    "latency that is no law": (lambda: uep.Workers(3, latency="exponential"), "latency", "'exponential'"),
    "latency class in place of a law": (lambda: uep.Workers(3, latency=uep.latency.Exponential), "latency", "Exponential"),
    "omega of zero": (lambda: uep.Workers(3, omega=0), "omega", "> 0", "got 0"),
    "negative omega": (lambda: uep.Workers(3, omega=-1.0), "omega", "> 0", "-1.0"),
    "nan omega": (lambda: uep.Workers(3, omega=np.nan), "omega", "finite", "nan"),
    "unfair omega": (lambda: uep.Workers(3, omega="unfair"), "omega", "'fair'", "'unfair'"),
    "no omega": (lambda: uep.Workers(3, omega=None), "omega", "None"),
    "omega of each worker": (lambda: uep.Workers(2, omega=np.array([1.0, 2.0])), "omega", "[1., 2.]"),
    "work": (lambda: uep.Workers(3, work="fair"), "work", "'true'", "'unit'", "'fair'"),
    "everything lost": (lambda: uep.Workers(3, loss_probability=1.0), "loss_probability", "[0, 1)", "1.0"),
    "negative loss from an array": (lambda: uep.Workers(3, loss_probability=np.array([-0.1])[0]), "loss_probability", "-0.1"),
    "negative loss": (lambda: uep.Workers(3, loss_probability=-0.1), "loss_probability", "[0, 1)", "-0.1"),
    "nan loss": (lambda: uep.Workers(3, loss_probability=np.nan), "loss_probability", "[0, 1)", "nan"),
    "too few speeds": (lambda: uep.Workers(3, speeds=(1.0, 2.0)), "speeds", "3 workers", "2 speeds"),
    "speed of zero": (lambda: uep.Workers(2, speeds=(1.0, 0.0)), "speeds", "> 0", "0.0"),
    "one speed": (lambda: uep.Workers(2, speeds=2.0), "speeds", "2.0"),
    "speeds in words": (lambda: uep.Workers(2, speeds=("fast", "slow")), "speeds", "'fast'"),
}

DEADLINES = {
    "negative": (lambda: deadlines_array([-0.5, 1.0]), "deadlines", ">= 0", "-0.5"),
    "nan": (lambda: deadlines_array([0.5, np.nan]), "deadlines", "finite", "nan"),
    "infinite": (lambda: deadlines_array(np.inf), "deadlines", "finite", "inf"),
    "none": (lambda: deadlines_array([]), "deadlines", "non-empty", "(0,)"),
    "table": (lambda: deadlines_array([[0.5, 1.0]]), "deadlines", "one-dimensional", "(1, 2)"),
    "falling": (lambda: deadlines_array([1.0, 0.5]), "deadlines", "not decrease"),
    "words": (lambda: deadlines_array("soon"), "deadlines", "'soon'"),
    "complex": (lambda: deadlines_array(np.array([1j])), "deadlines"),
}

GROUPS = {
    "matrices": MATRICES,
    "cuts": CUTS,
    "classes": CLASSES,
    "models": MODELS,
    "codes": CODES,
    "own codes": OWN_CODES,
    "latencies": LATENCIES,
    "workers": WORKERS,
    "deadlines": DEADLINES,
}
CASES = [pytest.param(case[0], case[1:], id=f"{group}: {name}") for group, cases in GROUPS.items() for name, case in cases.items()]


@pytest.mark.parametrize("call, pieces", CASES)
def test_a_bad_value_is_named_with_what_is_allowed(call, pieces):
    with pytest.raises(ValueError, match=".*".join(re.escape(p) for p in pieces)) as caught:
        call()
    assert "\n" not in str(caught.value)  # one clear line
    assert "np." not in str(caught.value)  # values as the user wrote them, not as NumPy's repr


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


def test_a_matrix_file_that_cannot_be_read_is_named(tmp_path):
    np.savez(tmp_path / "two.npz", x=A, y=B)
    np.save(tmp_path / "objects.npy", np.array([[None]]), allow_pickle=True)
    (tmp_path / "broken.npy").write_bytes(b"no matrix")
    (tmp_path / "broken.npz").write_bytes(b"no matrix")
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "a.csv").write_text("1,2")
    for name, pieces in [
        ("two.npz", ("A", "two.npz", "'x', 'y'", "two.npz:x")),
        ("two.npz:z", ("A", "two.npz", "'z'", "'x', 'y'")),
        ("a.csv", ("A must be an .npy or .npz file", "a.csv")),
        ("objects.npy", ("A", "objects.npy")),
        ("broken.npy", ("A", "broken.npy")),
        ("broken.npz", ("A", "broken.npz")),
        ("empty.npy", ("A", "empty.npy")),
    ]:
        with pytest.raises(ValueError, match=".*".join(re.escape(p) for p in pieces)):
            uep.Partition.rxc(str(tmp_path / name), B)
    with pytest.raises(FileNotFoundError, match=r"A: no file .*none\.npy"):
        uep.Partition.rxc(tmp_path / "none.npy", B)


def test_nothing_read_only_can_be_changed_by_accident():
    for array in (RXC.gram, RXC.energy, RXC.classes, RXC.row_level):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5
