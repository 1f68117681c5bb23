"""Without a device: `auto` falls back to Numba and says so, `cuda` refuses with reason and remedy, importing loads nothing."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.cases import problems
from tests.cases.requirements import ROOT, missing
from uepgpu import simulate
from uepgpu.backends.cuda import CudaBackend, CudaSampler, parse_devices
from uepgpu_kernels import reference
from uepgpu_kernels.cuda.memory import Memory, is_out_of_memory
from uepgpu_kernels.job import RawTrajectories
from uepgpu_kernels.reference import decode

HIDDEN = """
import importlib.abc, sys
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("cupy", "numba_cuda"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in ("cupy", "numba_cuda") else found(name, *rest)
sys.meta_path.insert(0, Hide())
"""
RUN = """
import json, sys, uepgpu as uep
loaded = [m for m in ("numba", "cupy", "numba_cuda") if m in sys.modules]
part = uep.Partition.model("rxc", left_variances=(10, 1, .1), right_variances=(10, 1, .1), classes=(3, 3, 3))
code, workers = uep.codes.ExpandingWindow((.40, .35, .25)), uep.Workers(30, omega=1.0, work="unit")
from uepgpu.backends import BackendUnavailable
said = None
try:
    uep.simulate(code, part, workers, realizations=10, seed=1, backend="cuda")
except BackendUnavailable as error:
    said = str(error)
tally = uep.simulate(code, part, workers, realizations=10, seed=1, devices="all")
print(json.dumps([loaded, said, tally.backend]))
"""


def fresh(code):
    paths = [str(ROOT), str(ROOT / "kernels")]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")} | {"PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_with_the_packages_and_no_driver(numba_cuda):
    if importlib.util.find_spec("cupy") is None:
        missing("CuPy is not installed (pip install cupy-cuda13x)")
    if any(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("there is a device here")
    loaded, said, ran = fresh(RUN)
    assert loaded == []
    assert "no CUDA device answers" in said
    assert "backend='numba'" in said
    assert ran == "numba"


def test_with_neither_package():
    loaded, said, ran = fresh(HIDDEN + RUN)
    assert loaded == []
    assert "CuPy and numba-cuda not installed" in said
    assert 'pip install "uepgpu[cuda13]"' in said
    assert ran == "numba"


def test_devices_are_checked():
    assert parse_devices(None, 3) == [0]
    assert parse_devices("all", 3) == [0, 1, 2]
    assert parse_devices([2, 0], 3) == [2, 0]
    assert parse_devices(1, 3) == [1]
    for bad in ("both", [], [0, 0], 3, [1, 3]):
        with pytest.raises(ValueError, match="devices must be"):
            parse_devices(bad, 3)
    problem = problems.PROBLEMS["ew"]
    with pytest.raises(ValueError, match="devices='all' needs backend='cuda'"):
        simulate(problem.code, problem.part, problem.workers, realizations=1, seed=1, backend="numba", devices="all")


class Short:
    """A device that has memory for so many realizations, and NumPy's answers."""

    def __init__(self, job, room):
        self.job, self.room = job, room

    def queue(self, first, count, rounds):
        assert rounds in (1, 3)
        if count > self.room:
            raise MemoryError("out of memory")
        return [(first, count)]

    def release(self):
        self.room += 1

    def finished(self, queued, first, count, rounds):
        assert queued == [(first, count)]
        tally = reference.run(self.job, decode.count, "patterns", first, count)
        return RawTrajectories([tally] * rounds, tally.patterns.copy())


def test_short_memory_halves_the_batch_and_says_so(numba_cuda):
    job = problems.PROBLEMS["ew"].plan("count").job
    sampler = CudaSampler(lambda kind, device: Short(job, 40), "patterns", [0, 1])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        tally = sampler.run(7, 300)
    assert [str(w.message).split(":")[1] for w in said] == [" continuing with 150", " continuing with 75"]
    whole = reference.run(job, decode.count, "patterns", 7, 300).patterns
    assert np.array_equal(tally.patterns, whole)
    found = sampler.run_rounds(7, 300, 3)
    assert np.array_equal([*(tally.patterns for tally in found.rounds), found.squares], [whole] * 4)
    with pytest.raises(MemoryError):
        CudaSampler(lambda kind, device: Short(job, -9), "patterns", [0]).run(0, 1)


def test_more_sub_products_than_a_mask_holds_are_refused_by_name():
    plan = problems.PROBLEMS["K = 100"].plan("count")
    if importlib.util.find_spec("numba_cuda") is None:
        missing("numba-cuda is not installed")
    with pytest.raises(ValueError, match="K <= 64 sub-products, got K = 100; use backend='numba'"):
        CudaBackend().sampler(plan, "count", "patterns", None)


# --- launches and what goes wrong in them ----------------------------------------------------------------------------


class Pretended(Memory):
    """A device that notes on which stream everything is done, and counts as it should or not."""

    def __init__(self, right=True):
        self.right, self.log, self.current = right, [], None

    @contextlib.contextmanager
    def chosen(self):
        self.current = "its own"
        yield
        self.current = None

    def put(self, array):
        self.log.append(("put", self.current))
        return array.copy()

    def function(self, function, types):
        assert [str(x) for x in types] == ["array(int64, 1d, C)"]
        return function

    def launch(self, kernel, blocks, threads, arguments):
        self.log.append(("launch", self.current))
        assert kernel.__name__ == "_count"
        (x,) = arguments
        assert blocks * threads >= x.size
        x += np.arange(x.size) * self.right

    def get(self, array):
        self.log.append(("get", self.current))
        return array


def test_the_probe_sends_launches_and_reads_on_one_stream_without_a_warning(numba_cuda):
    from uepgpu_kernels.cuda.probe import answers

    device = Pretended()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert answers(device)
    assert device.log == [("put", "its own"), ("launch", "its own"), ("get", "its own")]
    assert not answers(Pretended(right=False))


def errors():
    """Give errors of device memory, and others, each named like CuPy's own class."""
    made = {name: type(name, (Exception,), {}) for name in ("CUDADriverError", "CUDARuntimeError", "CUDAError")}
    yield True, MemoryError()
    yield False, ValueError("CUDA_ERROR_OUT_OF_MEMORY")
    for name, known in (("CUDADriverError", True), ("CUDARuntimeError", True), ("CUDAError", False)):
        for short, number in ((True, 2), (False, 700)):
            error = made[name]("of the driver")
            error.status = number
            yield short and known, error


def test_short_memory_is_recognised_whoever_reports_it(numba_cuda):
    for short, error in errors():
        assert is_out_of_memory(error) == short, error


def test_cupy_names_its_errors_so(numba_cuda):
    if importlib.util.find_spec("cupy") is None:
        missing("CuPy is not installed (pip install cupy-cuda13x)")
    from cupy.cuda import driver, runtime

    assert driver.CUDADriverError.__name__ == "CUDADriverError"
    error = runtime.CUDARuntimeError(2)
    assert error.status == 2
    assert is_out_of_memory(error)
