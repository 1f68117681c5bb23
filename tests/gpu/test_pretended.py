"""The pretended device is as strict as one, and gives what the host gives to whoever asks for a device."""

from __future__ import annotations

import importlib.util
import json
import operator
import os
import subprocess
import sys
import types

import pytest

from bench.gpu.processes import PRETENDED
from tests.cases.requirements import ROOT, missing

pytestmark = pytest.mark.usefixtures("numba_cuda")

STRICT = """
import cupy
import numpy as np
from cupy import arrays, cuda
from uepgpu_kernels.cuda.memory import flat_arguments, is_out_of_memory, memory_of
x, here = cupy.asarray(np.ones((2, 3))), np.ones((2, 3))
refused = []
mixed = lambda: cupy.matmul(x, here.T), lambda: x.__setitem__(0, here[0])
for what in (lambda: x + here, lambda: here + x, lambda: np.asarray(x), *mixed):
    try:
        what()
    except TypeError:
        refused.append(1)
assert len(refused) == 5
assert cupy.asnumpy(x[:, 1:] * 2.0 + 1).tolist() == [[3.0, 3.0]] * 2
before = arrays.free()
y = cupy.zeros(1000)
z = y[10:].reshape(-1, 2)
assert before - arrays.free() == 8000
del y, z
assert arrays.free() == before
held = cuda.runtime.malloc(before - 100)
try:
    cupy.zeros(13)
except MemoryError as error:
    assert is_out_of_memory(error)
else:
    raise AssertionError
cuda.runtime.free(held)
assert not hasattr(cupy, "einsum_path")
columns = np.asfortranarray(np.arange(6.0).reshape(2, 3))
assert cupy.asarray(columns)._host.flags.f_contiguous  # as CuPy has it
device = memory_of(0)
with device.chosen():
    put = device.put(columns)
seen = cuda.function._taken("array(float64, 2d, C)", flat_arguments((put,)))
assert seen.tolist() == columns.tolist()
empty = device.put(np.zeros((4, 0)))
assert cuda.function._taken("array(float64, 2d, C)", flat_arguments((empty,))).shape == (4, 1)
start, end = cuda.Event(), cuda.Event()
start.record()
end.record()
refused = []
early = lambda: cuda.get_elapsed_time(start, end)
for what in (early, lambda: cuda.function.Module().load(b"text"), lambda: cuda.Device(1), cuda.Event().synchronize):
    try:
        what()
    except (RuntimeError, ValueError):
        refused.append(1)
assert len(refused) == 4
end.synchronize()
assert cuda.get_elapsed_time(start, end) >= 0
"""

SKETCHES = """
from tests.cases.descents import PROBLEM, SCHEMES, workers_for
from uepgpu import gradient_coding as gc
asked = {"iterations": 3, "realizations": 3, "seed": 5, "first_realization": 2**32 - 1}
for name in ("replicated", "sampled fixed", "cyclic"):
    ours, theirs = (gc.draw_sketches(PROBLEM, SCHEMES[name], workers_for(PROBLEM), **asked, backend=b) for b in ("cuda", "numpy"))
    assert ours.identical(theirs), name
"""

DESCENTS = """
import numpy as np
from tests.cases.descents import LOGISTIC, PROBLEM, SCHEMES, SHORT, servers, workers_for
from uepgpu import gradient_coding as gc
asked = {"iterations": 4, "realizations": 2, "seed": 5}
pairs = [(PROBLEM, "fractional"), (LOGISTIC, "cyclic"), (SHORT, "sampled")]
cases = [(problem, name, workers_for(problem)) for problem, name in pairs] + [(PROBLEM, "cyclic", servers("states"))]
for problem, name, workers in cases:
    ours, theirs = (gc.descend(problem, SCHEMES[name], workers, **asked, backend=b) for b in ("cuda", "numpy"))
    assert ours.backend == "cuda"
    for variable in theirs.data_vars:
        np.testing.assert_allclose(ours[variable], theirs[variable], rtol=1e-9, atol=1e-12)
"""

PRODUCTS = """
import numpy as np
import uepgpu as uep
from uepgpu.backends import registry
from uepgpu_kernels.cuda import run
kinds = []
decode_times = run.Prepared.decode_times
run.Prepared.decode_times = lambda self, *which: kinds.append(self.shape.kind) or decode_times(self, *which)
rng = np.random.default_rng(1)
part = uep.Partition.rxc(rng.normal(size=(9, 5)), rng.normal(size=(5, 9)), rows=3, cols=3, classes=(3, 3, 3))
code, asked = uep.codes.ExpandingWindow((0.4, 0.35, 0.25)), {"deadline": 0.7, "realizations": 12, "seed": 5}
for worth, wanted in ((10**6, []), (12, ["times"])):
    registry.WORTH_A_DEVICE = worth
    ours, theirs = (uep.multiply(part, code, uep.Workers(12), **asked, backend=b) for b in ("cuda", "numpy"))
    assert np.array_equal(ours.decoded, theirs.decoded) and 0 < theirs.decoded.sum() < theirs.decoded.size
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-9)
    assert kinds == wanted
"""

NAMES = """
import json
import cupy
from cupy import cuda
from cupy.cuda import driver, function, runtime
own = ["asarray", "asnumpy", "zeros", "empty", "ndarray", "get_default_memory_pool"]
names = {"cupy": [*cupy._KNOWN, *own], "cupy.cuda": cuda.__all__}
modules = {"cupy.cuda.driver": driver, "cupy.cuda.runtime": runtime, "cupy.cuda.function": function}
for name, module in modules.items():
    here = [x for x in vars(module).values() if getattr(x, "__module__", "") == name and not x.__name__.startswith("_")]
    names[name] = [x.__name__ for x in here]
classes = {
    "cupy": [cupy.ndarray],
    "cupy.cuda": [cuda.Device, cuda.Event, cuda.Stream],
    "cupy.cuda.function": [function.Module, function.Function],
}
for name, some in classes.items():
    names[name] += [f"{c.__name__}.{member}" for c in some for member in vars(c) if not member.startswith("_")]
print(json.dumps(names))
"""


def pretending(code):
    paths = os.pathsep.join([str(PRETENDED), str(ROOT), str(ROOT / "kernels")])
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    environment |= {"PYTHONPATH": paths, "UEPGPU_PRETENDED_CODE": "0"}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_cupy_has_all_that_is_pretended():
    if importlib.util.find_spec("cupy") is None:
        missing("CuPy is not installed (pip install cupy-cuda13x)")
    cupy = importlib.import_module("cupy")
    for module, names in json.loads(pretending(NAMES)).items():
        assert names
        within = operator.attrgetter(module)(types.SimpleNamespace(cupy=cupy))  # not all of them can be imported by name
        for name in names:
            operator.attrgetter(name)(within)


@pytest.mark.parametrize("code", [STRICT, SKETCHES, DESCENTS, PRODUCTS], ids=["strict", "sketches", "descents", "products"])
def test_on_a_pretended_device(code):
    pretending(code)
