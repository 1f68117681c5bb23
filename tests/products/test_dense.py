"""Dense array work: nothing in it that the array API standard lacks, and the few calls of CuPy that go beyond it exist."""

from __future__ import annotations

import sys
from functools import reduce
from types import SimpleNamespace

import numpy as np
import pytest

from uepgpu.backends import BACKENDS, BackendUnavailable, get_backend
from uepgpu.backends.cuda import CudaBackend
from uepgpu.backends.place import CUPY_CALLS, Place, find_place
from uepgpu_kernels.dense import products as dense

R, F, N, P, H, U, Q = 4, 6, 3, 2, 5, 3, 4
RNG = np.random.default_rng(2)
LEFT, RIGHT = RNG.normal(size=(N, H, U)), RNG.normal(size=(P, H, Q))
TILES = RNG.normal(size=(N * P, U, Q))


def arrays(*shapes):
    return [RNG.normal(size=shape) for shape in shapes]


CALLS = {
    "encode": ("encode", *arrays((F, N)), LEFT),
    "stack": ("stack", *arrays((F, N), (N, H, U), (N, H, Q))),
    "multiply": ("multiply", *arrays((F, H, U), (F, H, Q))),
    "multiply, one right factor": ("multiply", *arrays((F, H, U), (H, Q))),
    "subproducts rxc": ("subproducts", LEFT, RIGHT, "rxc"),
    "subproducts cxr": ("subproducts", LEFT, *arrays((N, H, Q)), "cxr"),
    "combine shared payloads": ("combine", *arrays((R, 6, 6)), TILES),
    "combine own payloads": ("combine", *arrays((R, 6, 7), (R, 7, U, Q))),
    "gram": ("gram", TILES),
    "gram of a crop": ("gram", TILES[:, :2, :3]),
    "squared_norms": ("squared_norms", *arrays((R, 6, U, Q))),
    "assemble rxc": ("assemble", *arrays((R, 6, U, Q)), (N, P), [3, 3, 2], [4, 3]),
    "assemble cxr": ("assemble", *arrays((R, 6, U, Q)), (6,), [U], [Q]),
    "reorder": ("reorder", *arrays((R, U, Q)), np.array([2, 0, 1]), np.array([3, 1, 0, 2])),
}


def run(xp, name, *arguments):
    """Call a dense function in a namespace; return its arrays on the host."""
    result = getattr(dense, name)(xp, *(xp.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments))
    return [np.asarray(x) for x in (result if isinstance(result, tuple) else (result,))]


def test_every_dense_function_is_called_here():
    assert {call[0] for call in CALLS.values()} == set(dense.__all__)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_nothing_beyond_the_array_api_standard(call):
    strict = pytest.importorskip("array_api_strict")
    for ours, theirs in zip(run(np, *call), run(strict, *call), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-13)


def test_what_they_compute():
    coefficients, second = arrays((F, N), (F, P))
    (wide,), (tall,) = run(np, "encode", coefficients, LEFT), run(np, "encode", second, RIGHT)
    assert np.allclose(wide, np.einsum("fn,nhu->fhu", coefficients, LEFT))
    (tiles,) = run(np, "subproducts", LEFT, RIGHT, "rxc")
    assert np.allclose(tiles, np.einsum("nhu,phq->npuq", LEFT, RIGHT).reshape(N * P, U, Q))
    outer = np.einsum("fn,fp->fnp", coefficients, second).reshape(F, 1, N * P)
    (payload,), (combined,) = run(np, "multiply", wide, tall), run(np, "combine", outer, tiles)
    assert np.allclose(payload, combined[:, 0])
    wide, tall = run(np, "stack", coefficients, LEFT, RNG.normal(size=(N, H, Q)))
    (payload,) = run(np, "multiply", wide, tall)
    assert np.allclose(payload, np.einsum("fn,nhu,nhq->fuq", coefficients, LEFT, tall.reshape(N, H, Q)))
    (gram,) = run(np, "gram", TILES)
    assert np.allclose(gram, np.einsum("kuq,luq->kl", TILES, TILES))


def test_encoded_factors_lie_where_they_are_multiplied():
    """No transposing copy: what encoding writes, the product of a packet reads in place."""
    pairs = dense.encode(np, RNG.normal(size=(F * 2, N)), LEFT)
    assert np.shares_memory(pairs, pairs.reshape(F, 2 * H, U))


# --- CuPy -------------------------------------------------------------------------------------------------------------


def cupy():
    return pytest.importorskip("cupy", exc_type=ImportError)


def test_cupy_has_the_calls_beyond_the_standard():
    module = cupy()
    for call in CUPY_CALLS:
        assert callable(reduce(getattr, call.split("."), module)), call


def test_cupy_has_what_dense_functions_use():
    module = cupy()
    for name in ("asarray", "concat", "matmul", "permute_dims", "reshape", "sum", "take"):
        assert callable(getattr(module, name)), name


def test_multiply_runs_where_simulate_does(monkeypatch):
    monkeypatch.setattr(CudaBackend, "unavailable", lambda self: "no CUDA device answers")
    for name in ("auto", "numpy", "numba"):
        assert find_place(name).name == find_place(name).host.name == get_backend(name).name
        assert find_place(name).xp is np
    with pytest.raises(BackendUnavailable, match="backend 'cuda' cannot run: no CUDA device answers"):
        find_place("cuda")
    monkeypatch.setattr(CudaBackend, "unavailable", lambda self: None)
    monkeypatch.setitem(sys.modules, "cupy", Foreign())
    place = find_place("auto")
    assert (place.name, place.host.name, place.on_device) == ("cuda", "numba", True)


def test_a_broken_installation_is_a_reason_not_a_traceback(monkeypatch):
    def silence():
        raise OSError("libcuda.so.1: cannot open")

    monkeypatch.setattr("uepgpu.backends.cuda._absent", lambda module: False)
    monkeypatch.setitem(sys.modules, "uepgpu_kernels.cuda", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "uepgpu_kernels.cuda.probe", SimpleNamespace(silence=silence))
    said = CudaBackend().unavailable()
    assert said is not None
    assert said.startswith("CuPy or numba-cuda cannot be used (OSError: libcuda.so.1: cannot open)")


class Foreign:
    """A namespace that hands out arrays through NumPy, as CuPy does, and counts what is brought back."""

    def __init__(self):
        self.fetched = 0

    def __getattr__(self, name):
        return getattr(np, name)

    def asnumpy(self, array):
        self.fetched += array.nbytes
        return np.array(array)


@pytest.mark.parametrize("options", [{}, {"faithful": True, "noise": 0.01}, {"dtype": "float16"}, {"decoder": "lmmse"}])
@pytest.mark.parametrize("paradigm", ["rxc", "cxr"])
def test_a_device_keeps_its_products_to_itself(monkeypatch, options, paradigm):
    """With another namespace in CuPy's place: every array is asked of it, and with output="device" none comes back but losses."""
    import uepgpu as uep
    from tests.cases.products import EW, GAMMA, factors, partition

    class OnDevice(Place):
        def settle(self):
            pass

        def free_memory(self):
            return 2**30

    A, B = factors()
    part, xp = partition(paradigm, A, B), Foreign()
    call = {"deadline": 0.5, "realizations": 5, "seed": 3, "keep": "product"} | options
    expected = uep.multiply(part, EW(GAMMA), uep.Workers(30, omega=1.0, work="unit"), **call)
    monkeypatch.setattr("uepgpu.products.multiplication.find_place", lambda name: OnDevice("cuda", xp, BACKENDS["numba"]))
    result = uep.multiply(part, EW(GAMMA), uep.Workers(30, omega=1.0, work="unit"), output="device", backend="cuda", **call)
    atol = 1e-9 if "dtype" not in options else 1e-3
    np.testing.assert_allclose(result.product, expected.product, rtol=0, atol=atol * np.abs(A @ B).max())
    assert result.backend == "cuda"
    assert xp.fetched < result.product[0].nbytes
