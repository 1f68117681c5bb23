"""Bad values of designs and bounds: one ``ValueError`` that names the argument, the value and what is allowed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.refusals import CXR, GAMMA, RXC, cases, refused

design = uep.design
EW, NOW, MDS = uep.codes.ExpandingWindow(GAMMA), uep.codes.NonOverlappingWindow(GAMMA), uep.codes.MDS()
WORKERS = uep.Workers(30, omega=1.0)
ZERO = uep.Partition.model("rxc", left_variances=(0, 0, 0), right_variances=(1, 1, 1), classes=(3, 3, 3))
REAL = uep.Partition.cxr(np.arange(12.0).reshape(2, 6), np.arange(18.0).reshape(6, 3), blocks=3, classes=(1, 2))


def gamma(code=EW, part=RXC, workers=WORKERS, deadlines=0.5, **rest):
    return lambda: design.gamma(code, part, workers, deadlines=deadlines, **rest)


REFUSALS = cases(
    gamma={
        "another code": (gamma(MDS), "code must be an ExpandingWindow or a NonOverlappingWindow", "MDS("),
        "no code": (gamma("ew"), "code must be", "'ew'"),
        "gamma of another length": (gamma(uep.codes.ExpandingWindow((0.5, 0.5))), "gamma", "3 expected", "got 2"),
        "no partition": (gamma(part=3), "part must be a uepgpu.Partition", "3"),
        "no workers": (gamma(workers=3), "workers must be a uepgpu.Workers", "3"),
        "nothing about arrivals": (lambda: design.gamma(EW, RXC), "workers and deadlines must be given, or received"),
        "no deadlines": (lambda: design.gamma(EW, RXC, WORKERS), "workers and deadlines must be given, or received"),
        "deadlines and received": (gamma(received=[0.5, 0.5]), "received must come without workers and deadlines"),
        "received that is no law": (lambda: design.gamma(EW, RXC, received=[0.5, 0.6]), "received", "sum to 1", "[0.5, 0.6]"),
        "received of one number": (lambda: design.gamma(EW, RXC, received=[1.0]), "received", "rows that sum to 1", "[1.0]"),
        "negative deadline": (gamma(deadlines=-1.0), "deadlines must be finite and >= 0", "-1.0"),
        "product of norm 0": (gamma(part=ZERO), "part must have a product other than 0"),
        "objective": (gamma(objective="risk"), "objective must be one of", "'loss'", "'risk'"),
        "across": (gamma(across="worst"), "across must be one of", "'minimax'", "'worst'"),
        "quantile without q": (gamma(objective="quantile"), "q must be given for objective='quantile'", "q=None"),
        "q without quantile": (gamma(q=0.5), "q must be given for objective='quantile' and only then", "q=0.5"),
        "q of 1": (gamma(objective="quantile", q=1.0), "q must be a probability in (0, 1)", "1.0"),
        "quantile across": (gamma(objective="quantile", q=0.5, across="minimax"), "across must be 'mean'", "'minimax'"),
        "exceedance without x": (gamma(objective="exceedance"), "x must be given for objective='exceedance'"),
        "negative x": (gamma(objective="exceedance", x=-0.1), "x must be a finite number >= 0", "-0.1"),
        "weights of another length": (gamma(weights=[1, 2]), "weights must be 1 finite numbers >= 0", "[1, 2]"),
        "weights of 0": (gamma(weights=[0]), "weights must be", "not all 0", "[0]"),
    },
    others={
        "too many allocations": (
            lambda: design.fixed_windows(EW, RXC, uep.Workers(5000), deadlines=1.0),
            "few enough allocations",
            "W = 5000",
        ),
        "fixed windows of MDS": (lambda: design.fixed_windows(MDS, RXC, WORKERS, deadlines=1.0), "code must be", "MDS("),
        "classes by quantile": (
            lambda: design.classes(EW, RXC, WORKERS, deadlines=1.0, objective="quantile"),
            "objective must be one of 'loss', 'exceedance', 'debiased'",
            "'quantile'",
        ),
        "classes across": (
            lambda: design.classes(EW, RXC, WORKERS, deadlines=1.0, across="minimax"),
            "across must be one of",
            "'minimax'",
        ),
        "no classes": (lambda: design.classes(EW, RXC, WORKERS, deadlines=1.0, most=0), "most must be an integer", "0"),
        "copies": (lambda: design.repetition(RXC, WORKERS, deadlines=1.0, copies="some"), "copies must be one of", "'some'"),
        "repetition by quantile": (
            lambda: design.repetition(RXC, WORKERS, deadlines=1.0, objective="quantile"),
            "objective must be one of 'loss', 'debiased'",
        ),
        "repetition with cross terms": (lambda: design.repetition(REAL, WORKERS, deadlines=1.0), "part must have no cross terms"),
        "windows of cxr": (lambda: design.windows(CXR, WORKERS, deadlines=1.0), "part must be an rxc partition", "cxr"),
        "windows that cost more": (
            lambda: design.windows(RXC, WORKERS, deadlines=1.0, encoding="free"),
            "encoding must be one of 'factored'",
            "'free'",
        ),
        "few realizations": (
            lambda: design.windows(RXC, WORKERS, deadlines=1.0, realizations=3),
            "realizations must be an integer from 100 to 1,000,000,000",
            "3",
        ),
        "no counts": (lambda: design.redundancy(MDS, RXC, WORKERS, deadlines=1.0, counts=[]), "counts must hold integers", "[]"),
        "no worker": (
            lambda: design.redundancy(MDS, RXC, WORKERS, deadlines=1.0, counts=[0, 5]),
            "counts must be a sequence of numbers of workers >= 1",
            "[0, 5]",
        ),
        "negative price": (
            lambda: design.redundancy(MDS, RXC, WORKERS, deadlines=1.0, counts=[9], price=-1),
            "price must be a finite number >= 0",
            "-1",
        ),
        "speeds of other workers": (
            lambda: design.redundancy(MDS, RXC, uep.Workers(2, speeds=(1, 2)), deadlines=1.0, counts=[9]),
            "workers must have no speeds, laws or racks",
            "Workers(count=2",
        ),
        "negative startup": (
            lambda: design.deadline(EW, RXC, WORKERS, startup=-1.0),
            "startup must be a finite number >= 0",
            "-1.0",
        ),
        "latest of 0": (
            lambda: design.deadline(EW, RXC, WORKERS, startup=1.0, latest=0.0),
            "latest must be a finite number > 0",
            "0.0",
        ),
        "never done": (
            lambda: design.deadline(EW, RXC, uep.Workers(3, omega=1.0), startup=1.0),
            "latest must be given: the expected loss is not seen to fall below .001",
        ),
        "bound of nothing": (lambda: uep.theory.lower_bound(ZERO, WORKERS, deadlines=1.0), "part must have a product other than 0"),
        "bound without workers": (lambda: uep.theory.lower_bound(RXC, 30, deadlines=1.0), "workers must be a uepgpu.Workers", "30"),
        "bound of some classes": (
            lambda: uep.theory.lower_bound(RXC, WORKERS, deadlines=1.0, classes=2),
            "classes must be True or False",
            "2",
        ),
    },
)


@pytest.mark.parametrize("call, pieces", REFUSALS)
def test_bad_values(call, pieces):
    refused(call, pieces)


@pytest.mark.parametrize(
    "call, message",
    [
        (gamma(workers=uep.Workers(2, speeds=(1, 2), work="true")), "drawn windows of equal work only"),
        (gamma(dataclasses.replace(EW, coefficients="gf2")), "generic coefficients, got coefficients='gf2'"),
        (gamma(dataclasses.replace(EW, encoding="factored")), "use uepgpu.design.windows"),
        (lambda: design.deadline(uep.codes.LT(), RXC, WORKERS, startup=1.0), "no closed form"),
    ],
)
def test_what_has_no_closed_form_is_named(call, message):
    with pytest.raises(NotImplementedError, match=message):
        call()
