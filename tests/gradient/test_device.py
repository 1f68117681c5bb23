"""Gradient descent through another array namespace: what a device runs, checked without one."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.descents import GRADIENT_NORM, PAIRS, PROBLEM, PROBLEMS, SCHEMES, workers_for
from uepgpu import BackendUnavailable
from uepgpu import gradient_coding as gc
from uepgpu.backends import BACKENDS, Place, find_place
from uepgpu.backends.cuda import CudaBackend
from uepgpu.gradient_coding.device import DeviceKernels, weigh_blocks
from uepgpu.gradient_coding.engines import find_engine
from uepgpu.gradient_coding.plan import make_plan
from uepgpu_kernels.cpu import descent as compiled
from uepgpu_kernels.dense import descent as dense_descent


@dataclass(frozen=True, eq=False)
class Elsewhere(Place):
    """A place whose arrays the host can read, with little memory."""

    free: int = 2**30

    def to_host(self, array):
        return np.asarray(array)

    def free_memory(self):
        return self.free


@dataclass(frozen=True, eq=False)
class HostDraws:
    """Draws of the host, put into another namespace; those of a device are compared with them in tests/gpu."""

    xp: object
    job: object

    def weigh(self, first, count, iterations):
        copies, last = compiled.sketch(self.job, first, count, iterations)
        return self.xp.asarray(weigh_blocks(self.job, copies, compiled)), last

    def count(self, first, count, iterations):
        return compiled.sketch(self.job, first, count, iterations)


def elsewhere(xp, free=2**30):
    return DeviceKernels(Elsewhere("cuda", xp, BACKENDS["numba"], free), compiled, partial(HostDraws, xp))


def plan_of(problem, scheme, iterations=9):
    return make_plan(problem, scheme, workers_for(problem), iterations=iterations, step=0.7, decay=0.1, start=None, seed=2**63 + 1)


def joined(kernels, plan, count=70, first=2**40):
    parts = list(kernels.descend(plan.job, first, count, 1))
    return [len(record) for record, _ in parts], *(np.concatenate(column) for column in zip(*parts, strict=True))


@pytest.mark.parametrize(("kind", "name"), [pair for pair in PAIRS if pair[1] != "gradient-norm"])
def test_another_namespace_gives_the_compiled_record(kind, name):
    strict = pytest.importorskip("array_api_strict")
    plan = plan_of(PROBLEMS[kind], SCHEMES[name])
    sizes, record, last = joined(compiled, plan)
    for kernels in (elsewhere(np), elsewhere(strict), elsewhere(np, free=1000)):
        theirs = joined(kernels, plan)
        assert theirs[0] == sizes  # chunks in the same order
        assert np.array_equal(theirs[2], last)
        np.testing.assert_allclose(theirs[1], record, rtol=1e-9, atol=1e-12)


def test_cupy_has_everything_that_is_called():
    cupy = pytest.importorskip("cupy")
    called = set(re.findall(r"\bxp\.(\w+)", Path(dense_descent.__file__).read_text(encoding="utf-8")))
    assert "matmul" in called
    assert [name for name in sorted(called) if not hasattr(cupy, name)] == []


def test_gradient_norm_sampling_is_refused_there():
    plan = plan_of(PROBLEM, GRADIENT_NORM)
    with pytest.raises(ValueError, match=r"law='gradient-norm' draws by iterates.*use backend='numba'"):
        next(elsewhere(np).descend(plan.job, 0, 1, 1))


def test_without_a_device_the_backend_says_what_is_missing():
    if importlib.util.find_spec("cupy") is not None:
        pytest.skip("CuPy is installed")
    call = {"iterations": 1, "realizations": 1, "seed": 1}
    with pytest.raises(BackendUnavailable, match=r"backend 'cuda' cannot run: CuPy .*not installed: pip install"):
        gc.descend(PROBLEM, SCHEMES["exact"], uep.Workers(12), **call, backend="cuda")
    assert gc.descend(PROBLEM, SCHEMES["exact"], uep.Workers(12), **call).attrs["backend"] == "numba"


def test_a_device_gives_the_compiled_curves():
    try:
        find_place("cuda")
    except BackendUnavailable as error:
        pytest.skip(str(error))
    call = {"iterations": 20, "realizations": 100, "seed": 1}
    for kind, name in PAIRS:
        if name == "gradient-norm":
            continue
        problem, scheme = PROBLEMS[kind], SCHEMES[name]
        a, b = (gc.descend(problem, scheme, workers_for(problem), **call, backend=e) for e in ("cuda", "numba"))
        np.testing.assert_allclose(a.error, b.error, rtol=1e-9)
        np.testing.assert_array_equal(a.time, b.time)


def test_no_device_is_asked_for_few_iterations(monkeypatch):
    asked = []
    monkeypatch.setattr(CudaBackend, "unavailable", lambda self: asked.append(True) or "there is none")
    few = {"iterations": 5, "realizations": 10, "seed": 1}
    assert gc.descend(PROBLEM, SCHEMES["exact"], uep.Workers(12), **few).attrs["backend"] == "numba"
    gc.draw_sketches(PROBLEM, SCHEMES["exact"], uep.Workers(12), **few)
    assert not asked
    assert find_engine("auto", iterations=10**6)[0] == "numba"
    assert asked == [True]
