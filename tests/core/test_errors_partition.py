"""Bad values of partitions: matrices, files, cuts, classes and models."""

from __future__ import annotations

import re

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.refusals import RXC, VARIANCES, cases, refused

A, B = np.arange(12.0).reshape(4, 3), np.arange(15.0).reshape(3, 5)


def spoilt(matrix, value):
    result = matrix.astype(np.asarray(value).dtype)
    result[1, 2] = value
    return result


def rxc(**kwargs):
    return uep.Partition.rxc(A, B, **kwargs)


def model(paradigm="rxc", **kwargs):
    return uep.Partition.model(paradigm, **{"left_variances": VARIANCES, "right_variances": VARIANCES, **kwargs})


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
    "masked": (lambda: uep.Partition.rxc(np.ma.masked_equal(A, 3.0), B), "A must not have masked entries", "1"),
    "values whose squares overflow, cxr": (lambda: uep.Partition.cxr(A, B * 1e160, blocks=2), "A and B", "finite energies"),
    "norms that overflow beside a product that does not": (
        lambda: uep.Partition.rxc(A * 1e200, B * 1e-200),
        "A and B",
        "finite energies",
    ),
    "values whose squares overflow": (lambda: uep.Partition.rxc(A * 1e200, B), "A", "finite"),
}

CUTS = {
    "too many rows": (lambda: rxc(rows=5), "rows", "at most", "4", "got 5"),
    "too many columns": (lambda: rxc(cols=6), "cols", "at most", "5", "got 6"),
    "too many blocks": (lambda: uep.Partition.cxr(A, B, blocks=4), "blocks", "at most", "3", "got 4"),
    "no rows": (lambda: rxc(rows=0), "rows", ">= 1", "got 0"),
    "negative blocks": (lambda: uep.Partition.cxr(A, B, blocks=-1), "blocks", ">= 1", "got -1"),
    "half a row": (lambda: rxc(rows=1.5), "rows", "integer", "1.5"),
    "array for an order": (lambda: rxc(order=np.array([1, 2])), "order", "'norm'", "array([1, 2])"),
    "ragged row_levels": (lambda: rxc(row_levels=[[1], [1, 1]]), "row_levels", "[[1], [1, 1]]"),
    "row_levels whose sum wraps": (lambda: rxc(row_levels=(2**62,) * 4 + (3,)), "row_levels", "sum to 3", str(2**62)),
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
    "sum that wraps": (lambda: rxc(classes=(2**62,) * 4 + (9,)), "classes", "sum to K = 9", str(2**62)),
    "beyond int64": (lambda: rxc(classes=np.array([2**63 + 9], dtype=np.uint64)), "classes", "2^63"),
    "masked": (lambda: rxc(classes=np.ma.masked_equal([4, 5], 4)), "classes", "masked"),
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
    "huge size": (lambda: model(shape=(10**400, 1, 1)), "shape", "at most 2^64"),
    "size in words": (lambda: model(shape="one"), "shape", "integer"),
    "energies that overflow": (lambda: model(left_variances=(1e308, 1, 1)), "left_variances", "finite energies"),
    "energies whose sum overflows": (
        lambda: model(left_variances=(1e308, 1e308), right_variances=(1.0,)),
        "left_variances",
        "finite energies",
    ),
    "means that overflow": (lambda: model("cxr", left_means=1e200), "means", "finite energies"),
    "complex mean": (lambda: model(left_means=1j), "left_means", "real"),
    "means in words": (lambda: model(right_means="none"), "right_means", "'none'"),
    "column levels of cxr": (lambda: model("cxr", col_levels=(3,)), "col_levels"),
    "levels of cxr": (lambda: model("cxr", row_levels=(1, 2)), "row_levels"),
}


@pytest.mark.parametrize("call, pieces", cases(matrices=MATRICES, cuts=CUTS, classes=CLASSES, models=MODELS))
def test_a_bad_value_is_named_with_what_is_allowed(call, pieces):
    refused(call, pieces)


def test_a_matrix_file_that_cannot_be_read_is_named(tmp_path):
    np.savez(tmp_path / "two.npz", x=A, y=B)
    np.save(tmp_path / "objects.npy", np.array([[None]]), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", x=np.array([[None]]))
    (tmp_path / "truncated.npz").write_bytes((tmp_path / "two.npz").read_bytes()[:-40])
    np.save(tmp_path / "single.npy", A)
    (tmp_path / "single.npy").rename(tmp_path / "single.npz")
    (tmp_path / "broken.npy").write_bytes(b"no matrix")
    (tmp_path / "broken.npz").write_bytes(b"no matrix")
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "a.csv").write_text("1,2")
    for name, pieces in [
        ("two.npz", ("A", "two.npz", "'x', 'y'", "two.npz:x")),
        ("two.npz:z", ("A", "two.npz", "'z'", "'x', 'y'")),
        ("a.csv", ("A must be an .npy or .npz file with a matrix", "a.csv")),
        ("objects.npy", ("A", "objects.npy", "it holds Python objects instead of numbers")),
        ("objects.npz", ("A", "objects.npz", "it holds Python objects instead of numbers")),
        ("truncated.npz", ("A", "truncated.npz")),
        ("single.npz:x", ("A", "single.npz", "'x'")),
        ("broken.npy", ("A", "broken.npy", "it is no NumPy file")),
        ("broken.npz", ("A", "broken.npz", "it is no NumPy file")),
        ("empty.npy", ("A", "empty.npy")),
    ]:
        with pytest.raises(ValueError, match=".*".join(re.escape(p) for p in pieces)) as error:
            uep.Partition.rxc(str(tmp_path / name), B)
        assert "pickle" not in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"A: no file .*none\.npy"):
        uep.Partition.rxc(tmp_path / "none.npy", B)


def test_nothing_read_only_can_be_changed_by_accident():
    matrices = rxc().matrices
    for array in (RXC.gram, RXC.energy, RXC.classes, RXC.row_level, matrices.left, matrices.right, matrices.left_order):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5
