"""Bad arguments of simulate."""

from __future__ import annotations

import pytest

import uepgpu as uep
from tests.cases.refusals import RXC, cases, refused

CODE, WORKERS = uep.codes.MDS(), uep.Workers(14)


def simulate(code=CODE, part=RXC, workers=WORKERS, **options):
    return uep.simulate(code, part, workers, **{"realizations": 10, "seed": 1} | options)


ARGUMENTS = {
    "part and code in each other's place": (lambda: simulate(RXC, CODE), "code", "uepgpu.codes", "Partition"),
    "code class": (lambda: simulate(uep.codes.MDS), "code", "uepgpu.codes", "MDS"),
    "part that is none": (lambda: simulate(part="rxc"), "part", "uepgpu.Partition", "'rxc'"),
    "number of workers": (lambda: simulate(workers=30), "workers", "uepgpu.Workers", "30"),
    "no realizations": (lambda: simulate(realizations=0), "realizations", ">= 1", "0"),
    "more realizations than can be": (lambda: simulate(realizations=2**63), "realizations", "at most 2^53"),
    "quantile in words": (lambda: simulate().loss_quantile(RXC, "half", workers=WORKERS, deadlines=[1.0]), "q", "real", "'half'"),
    "no quantile": (lambda: simulate().loss_quantile(RXC, {}, workers=WORKERS, deadlines=[1.0]), "q", "real", "{}"),
    "conditions that do not fit": (
        lambda: uep.condition(CODE, RXC, WORKERS, realizations=2**50, seed=1, backend="numpy"),
        "conditions of 1,125,899,906,842,624 realizations needs",
    ),
    "seed": (lambda: simulate(seed=2**64), "seed", "2**64 - 1"),
    "beyond the last": (lambda: simulate(first_realization=2**64 - 1), "first_realization + realizations", "2^64"),
    "progress": (lambda: simulate(progress=3), "progress", "callable", "3"),
    "devices in words": (lambda: simulate(devices="first"), "devices", "'all'", "'first'"),
    "devices yes": (lambda: simulate(devices=True), "devices", "True"),
    "devices of another backend": (lambda: simulate(devices="all", backend="numpy"), "devices", "backend='numpy'"),
    "batch": (lambda: simulate(batch=0), "batch", ">= 1", "0"),
    "threads": (lambda: simulate(threads=0), "threads", "from 1 to", "0"),
    "loss with a number of workers": (lambda: simulate().loss(RXC, workers=9, deadlines=[1.0]), "workers", "uepgpu.Workers", "9"),
    "loss of something else": (lambda: simulate().loss(3), "part", "uepgpu.Partition", "3"),
}


@pytest.mark.parametrize("call, pieces", cases(simulate=ARGUMENTS))
def test_a_bad_argument_is_named_with_what_is_allowed(call, pieces):
    refused(call, pieces)
