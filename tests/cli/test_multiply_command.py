"""``uepgpu multiply``: what it prints and writes, and one clear line for every wrong call."""

from __future__ import annotations

import re

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.command_line import call
from tests.cases.products import GAMMA, factors, partition
from uepgpu.commands.multiply import _loss, _number

EW = ("--code", "ew", "--gamma", ".4,.35,.25", "--classes", "3,3,3")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    A, B = factors()
    np.save(tmp_path / "A.npy", A)
    np.save(tmp_path / "B.npy", B)
    np.savez(tmp_path / "both.npz", left=A, right=B)
    np.save(tmp_path / "complex.npy", A.astype(np.complex128))
    np.save(tmp_path / "nan.npy", np.where(A > 1, np.nan, A))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_prints_the_loss_and_writes_the_product(folder, monkeypatch, capsys):
    arguments = ("A.npy", "B.npy", *EW, "--deadline", ".6", "--realizations", "1000", "--omega", "1", "--work", "unit")
    assert call(monkeypatch, "multiply", *arguments, "-o", "C.npy") == 0
    printed = capsys.readouterr().out
    part, code = partition("rxc", *factors()), uep.codes.ExpandingWindow(GAMMA)
    workers = uep.Workers(30, omega=1.0, work="unit")
    result = uep.multiply(part, code, workers, deadline=0.6, realizations=1000, seed=1)
    exact = float(uep.theory.loss(code, part, workers, deadlines=[0.6]).normalized_loss[0])
    loss, error = float(result.summary().normalized_loss), float(result.summary().normalized_loss_stderr)
    low, high = (float(x) for x in re.search(rf"{loss:.6g}, 95 % interval \[([\d.e-]+), ([\d.e-]+)\], of", printed).groups())
    assert (low, high) == pytest.approx((loss - 1.962 * error, loss + 1.962 * error), rel=1e-3)
    assert f"exact {exact:.6g}" in printed
    for c, p in enumerate(result.decoded_classes.mean(axis=0), start=1):
        assert f"class {c}: {p:.4f}" in printed
    assert re.search(r"condition +median [\d.]+, largest [\d.e+]+", printed)
    assert "flagged       0 of 1,000" in printed
    assert re.search(r"encode [\d.]+ s, multiply [\d.]+ s, decode [\d.]+ s", printed)
    first = uep.multiply(part, code, workers, deadline=0.6, realizations=1, seed=1, keep="product").product[0]
    np.testing.assert_allclose(np.load("C.npy"), first, rtol=0, atol=1e-9 * np.abs(first).max())


@pytest.mark.parametrize(
    "more",
    [
        ("--code", "mds", "--deadline", "inf", "--workers", "14"),
        ("--code", "uncoded", "--workers", "9", "--deadline", "inf", "--paradigm", "cxr", "--blocks", "9"),
        ("--code", "repetition", "--copies", "3", "--workers", "27", "--deadline", "inf"),
        ("--code", "lt", "--workers", "60", "--deadline", "inf", "--faithful"),
        ("--code", "now", "--gamma", ".5,.3,.2", "--encoding", "factored", "--window", "level-pair", "--classes", "3,3,3",
         "--workers", "90", "--deadline", "inf", "--order", "none"),
        ("--code", "mds", "--deadline", "inf", "--decoder", "lmmse", "--prior", "energy", "--backend", "numpy"),
    ],
)  # fmt: skip
def test_every_code_gives_the_product_back_when_nobody_is_late(folder, monkeypatch, more):
    assert call(monkeypatch, "multiply", "both.npz:left", "both.npz:right", *more, "--realizations", "2", "-o", "C.npy") == 0
    A, B = factors()
    assert np.linalg.norm(np.load("C.npy") - A @ B) < 1e-9 * np.linalg.norm(A @ B)


def test_all_products_can_be_kept(folder, monkeypatch, capsys):
    keep = ("--keep", "product", "-o", "C.npy", "--realizations", "5")
    assert call(monkeypatch, "multiply", "A.npy", "B.npy", *EW, "--deadline", "2", *keep) == 0
    assert np.load("C.npy").shape == (5, 31, 37)
    assert "all realizations, shape (5, 31, 37)" in capsys.readouterr().out


def test_no_exact_loss_is_claimed_for_what_theory_does_not_describe(folder, monkeypatch, capsys):
    few = ("--realizations", "20", "--deadline", ".6")
    for more in ((*EW, "--decoder", "lmmse"), ("--code", "lt"), (*EW, "--dtype", "float16"), (*EW, "--faithful", "--noise", ".1")):
        assert call(monkeypatch, "multiply", "A.npy", "B.npy", *more, *few) == 0
        assert "exact" not in capsys.readouterr().out


WRONG = {
    "no such file": (("missing.npy", "B.npy", *EW), "missing.npy"),
    "shapes": (("B.npy", "B.npy", *EW), "do not multiply"),
    "complex": (("complex.npy", "B.npy", *EW), "A must be real"),
    "nan": (("nan.npy", "B.npy", *EW), "A must be finite"),
    "code": (("A.npy", "B.npy", "--code", "raptor"), ("Invalid value", '"raptor"', "--code", "now", "repetition")),
    "no gamma": (("A.npy", "B.npy", "--code", "ew"), "needs --gamma"),
    "gamma is no list": (("A.npy", "B.npy", "--code", "ew", "--gamma", "a,b"), "--gamma must be numbers"),
    "gamma for mds": (("A.npy", "B.npy", "--code", "mds", "--gamma", "1"), "--gamma is for the codes now and ew"),
    "gamma sum": (("A.npy", "B.npy", "--code", "ew", "--gamma", ".4,.35,.2", "--classes", "3,3,3"), "gamma sums to 0.95"),
    "classes": (("A.npy", "B.npy", "--code", "mds", "--classes", "3,3"), "classes must be sizes"),
    "classes are no list": (("A.npy", "B.npy", "--code", "mds", "--classes", "x"), "--classes must be whole numbers"),
    "paradigm": (
        ("A.npy", "B.npy", "--code", "mds", "--paradigm", "rxr"),
        ("Invalid value", '"rxr"', "--paradigm", "rxc", "cxr"),
    ),
    "order": (("A.npy", "B.npy", "--code", "mds", "--order", "size"), ("Invalid value", '"size"', "--order", "norm", "mean_abs")),
    "encoding": (("A.npy", "B.npy", "--code", "lt", "--encoding", "free"), "--encoding is for the codes"),
    "omega": (("A.npy", "B.npy", *EW, "--omega", "much"), "--omega must be a number"),
    "rate": (("A.npy", "B.npy", *EW, "--latency", "exponential rate=-1"), "--latency: rate must be a finite number > 0, got -1"),
    "law": (("A.npy", "B.npy", *EW, "--latency", "weibul shape=1"), ("--latency: law must be one of", "did you mean 'weibull'?")),
    "values of a law": (("A.npy", "B.npy", *EW, "--latency", "weibull 0.7"), "--latency must be a law and its values"),
    "keys of a law": (("A.npy", "B.npy", *EW, "--latency", "weibull"), "--latency: shape is missing"),
    "table of a law": (("A.npy", "B.npy", *EW, "--latency", "{ law = "), "--latency must be a table as in a specification"),
    "workers": (("A.npy", "B.npy", "--code", "uncoded"), "W = K = 9"),
    "negative deadline": (("A.npy", "B.npy", *EW, "--deadline", "-1"), "deadline must be a number >= 0"),
    "deadline nan": (("A.npy", "B.npy", *EW, "--deadline", "nan"), "deadline must be a number >= 0"),
    "noise": (("A.npy", "B.npy", *EW, "--noise", "0.1"), "faithful"),
    "decoder": (("A.npy", "B.npy", *EW, "--decoder", "magic"), ("Invalid value", '"magic"', "--decoder", "linear", "lmmse")),
    "backend": (("A.npy", "B.npy", *EW, "--backend", "abacus"), "backend must be one of"),
    "realizations": (("A.npy", "B.npy", *EW, "--realizations", "0"), "--realizations must be"),
    "no .npy": (("A.npy", "B.npy", *EW, "-o", "C.csv"), "--output must end in .npy, got 'C.csv'"),
    "no folder": (("A.npy", "B.npy", *EW, "-o", "A.npy/C.npy"), "'A.npy' is not a folder"),
    "nothing to keep it in": (("A.npy", "B.npy", *EW, "--keep", "product"), "--keep product needs a file"),
    "too much to keep": (
        ("A.npy", "B.npy", *EW, "--keep", "product", "-o", "C.npy", "--realizations", "1e12"),
        "keep='product' would take",
    ),
    "unknown option": (("A.npy", "B.npy", *EW, "--speed", "3"), "--speed"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_call_is_one_line_and_writes_nothing(folder, monkeypatch, capsys, arguments, message):
    if "--deadline" not in arguments:
        arguments = (*arguments, "--deadline", "0.5")
    before = sorted(p.name for p in folder.iterdir())
    assert call(monkeypatch, "multiply", *arguments, *(() if "-o" in arguments or "--keep" in arguments else ("-o", "C.npy"))) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("uepgpu: ")
    for piece in (message,) if isinstance(message, str) else message:
        assert piece in captured.err
    assert sorted(p.name for p in folder.iterdir()) == before


@pytest.mark.parametrize("scale", [1e-80, 1e-160, 1e-100, 1e-320])
def test_factors_whose_energies_underflow_are_refused(folder, monkeypatch, capsys, scale):
    """Their loss would be called 0, or inf of itself."""
    np.save("tiny.npy", factors()[0] * scale)
    np.save("small.npy", factors()[1] * 1e-80)
    for paradigm in ("rxc", "cxr"):
        words = (
            "tiny.npy",
            "small.npy",
            *EW,
            *["--deadline", ".5", "--realizations", "5", "--backend", "numpy", "--paradigm"],
            paradigm,
        )
        assert call(monkeypatch, "multiply", *words) == 2
        assert "must give energies that float64 can hold" in capsys.readouterr().err


def test_a_product_that_is_zero_loses_nothing(folder, monkeypatch, capsys):
    np.save("zero.npy", np.zeros((12, 23)))
    words = ("zero.npy", "B.npy", "--code", "mds", "--deadline", ".5", "--realizations", "5", "--backend", "numpy")
    assert call(monkeypatch, "multiply", *words) == 0
    assert re.search(r"loss +0, 95 % interval \[0, 0\.52", capsys.readouterr().out)


def test_losses_that_are_not_finite_are_no_result():
    for bad in (np.inf, np.nan):
        assert _loss(np.array([0.5, bad])) == "unknown: it is not finite in 1 of 2 realizations"
    assert _number(np.nan) == _number(np.inf) == "–"


def test_what_has_not_been_seen_is_not_called_impossible():
    """No realization of 1,000 lost anything: at 95 % fewer than 3.7 in a thousand do."""
    assert _loss(np.zeros(1000)) == "0, 95 % interval [0, 0.003682],"
    assert _loss(np.ones(1000)) == "1, 95 % interval [0.9963, 1],"
    assert "too few" in _loss(np.array([0.5, 2.0]))
