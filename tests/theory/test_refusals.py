"""The exact theory: what is refused by name, and what its results say they are."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.cases.paper import CXR, EW, GAMMA, LEVEL_PAIR, PAPER, RXC
from uepgpu import Workers, codes, theory


@pytest.mark.parametrize(
    "code, named",
    [
        (codes.ExpandingWindow(GAMMA, encoding="factored", window="nested"), "nested"),
        (codes.ExpandingWindow(GAMMA, encoding="factored"), "neither disjoint nor nested"),
        (codes.LT(), "LT"),
        (codes.Generator(np.eye(9)), "generator"),
        (codes.Windows([[0, 1], [1, 2]], (0.5, 0.5)), "neither disjoint nor nested"),
        (codes.ExpandingWindow(GAMMA, coefficients="gf2"), "gf2"),
    ],
)
def test_what_has_no_closed_form_is_named(code, named):
    for function in (theory.loss, theory.decoding_probability):
        with pytest.raises(NotImplementedError, match=named) as error:
            function(code, RXC, received=[9])
        assert "uepgpu.simulate" in str(error.value)
        with pytest.raises(NotImplementedError, match=named):
            function(code, RXC, Workers(9), deadlines=[1.0])


def test_finite_field_losses_and_mixed_speeds_are_refused_by_name():
    with pytest.raises(NotImplementedError, match=r"gf256.*uepgpu\.simulate"):
        theory.loss(codes.NonOverlappingWindow(GAMMA, coefficients="gf256"), RXC, received=[9])
    uneven = Workers(3, speeds=(1.0, 2.0, 3.0))
    with pytest.raises(NotImplementedError, match=r"speeds.*uepgpu\.simulate"):
        theory.loss(EW, RXC, uneven, deadlines=[1.0])
    singles = codes.Windows(np.eye(9, dtype=bool), np.full(9, 1 / 9), work=range(1, 10))
    with pytest.raises(NotImplementedError, match=r"speeds.*uepgpu\.simulate"):
        theory.decoding_probability(singles, RXC, uneven, deadlines=[1.0])
    assert theory.loss(LEVEL_PAIR, RXC, uneven, deadlines=[1.0]).normalized_loss[0] < 1


@pytest.mark.parametrize(
    "code",
    [codes.MDS(coefficients="gf2"), codes.Windows([[0, 1, 2, 3], [4, 5, 6, 7, 8]], (0.5, 0.5), coefficients="gf256")],
)
def test_windows_of_several_classes_over_a_finite_field_are_refused(code):
    # A part of such a window can be decoded without the rest: one row of GF(2) may be e_1.
    with pytest.raises(NotImplementedError, match="several classes over the finite field gf"):
        theory.decoding_probability(code, RXC, received=[9])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "exactly one of deadlines and received must be given, got neither"),
        ({"deadlines": [1.0], "received": [1]}, "exactly one .* got both"),
        ({"deadlines": [1.0], "workers": None}, "workers must be given for deadlines"),
        ({"deadlines": [-1.0]}, "deadlines must be finite and >= 0, got .*-1.0"),
        ({"deadlines": [np.nan]}, "deadlines must be finite"),
        ({"deadlines": [2.0, 1.0]}, "deadlines must not decrease"),
        ({"deadlines": []}, "deadlines must be a non-empty"),
        ({"received": [-1]}, r"received must be .* integers >= 0, got \[-1\]"),
        ({"received": [1.5]}, "received must be"),
        ({"received": []}, "received must be a non-empty"),
        ({"received": [[1]]}, "received must be .* one-dimensional"),
        ({"received": [True]}, "received must be"),
        ({"received": ["a"]}, "received must be"),
        ({"received": [19], "code": codes.Repetition(2), "workers": Workers(18)}, "received must be at most .* W = 18 .* got 19"),
        ({"received": [3], "code": codes.Uncoded(), "workers": None}, r"W = K = 9.*max\(received\) = 3: give workers"),
        ({"deadlines": [1.0], "code": codes.Uncoded(), "workers": Workers(8)}, "uncoded scheme needs W = K = 9"),
        ({"received": [3], "code": "EW"}, "code must be one from uepgpu.codes .* got 'EW'"),
        ({"received": [3], "workers": 30}, "workers must be a uepgpu.Workers, got 30"),
        ({"received": [3], "code": codes.NonOverlappingWindow((0.5, 0.5)), "workers": Workers(8)}, "gamma must give"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    given_arguments = {"code": EW, "workers": PAPER, **arguments}
    code, workers = given_arguments.pop("code"), given_arguments.pop("workers")
    for function in (theory.loss, theory.decoding_probability):
        with pytest.raises(ValueError, match=message):
            function(code, RXC, workers, **given_arguments)


def test_drawn_packets_may_outnumber_the_workers():
    beyond = theory.loss(EW, RXC, Workers(5), received=[20]).loss
    np.testing.assert_array_equal(beyond, theory.loss(EW, RXC, received=[20]).loss)


def test_datasets_say_what_they_are():
    result = theory.loss(EW, CXR, PAPER, deadlines=[0.5, 1])
    assert result.loss.dims == ("deadline",)
    assert result.deadline.dtype == np.float64
    assert result.attrs["workers"] == 30
    assert result.attrs["paradigm"] == "cxr"
    assert result.attrs["encoding"] == "stacked"
    assert "ExpandingWindow" in result.attrs["code"]
    result = theory.decoding_probability(codes.Uncoded(), RXC, received=range(10))
    assert result.received.values.tolist() == list(range(10))
    assert result["class"].values.tolist() == [1, 2, 3]


def test_importing_the_package_loads_neither_scipy_nor_xarray():
    code = "import sys, uepgpu; assert not {'scipy', 'xarray', 'uepgpu.theory'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
