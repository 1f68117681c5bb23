"""Coded multiplication of real matrices: encode, multiply, let packets arrive, decode, assemble."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from uepgpu.backends import find_place, get_backend, usable_cores
from uepgpu.checks import choice, flag, integer, positive, realization_range, shown, thread_count
from uepgpu.codes import Code
from uepgpu.codes.cost import warn_of_default
from uepgpu.partition import Partition
from uepgpu.plan import make_plan, resolve_decoder
from uepgpu.products.coefficients import require_real
from uepgpu.products.conditioning import DTYPES, deadline_times
from uepgpu.products.payloads import FactorBlocks
from uepgpu.products.result import ProductResult
from uepgpu.products.run import ProductRun
from uepgpu.products.stage_clock import Clock
from uepgpu.workers import Workers
from uepgpu.workers.together import require_one_message
from uepgpu_kernels.dense import products as dense

__all__ = ["DECODERS", "multiply"]

DECODERS = ("linear", "peel", "lmmse")


def multiply(
    part: Partition,
    code: Code,
    workers: Workers,
    *,
    deadline: float,
    realizations: int = 1,
    seed: int,
    decoder: Literal["linear", "peel", "lmmse"] = "linear",
    faithful: bool = False,
    dtype: Literal["float64", "float32", "float16"] = "float64",
    noise: float = 0.0,
    keep: Literal["loss", "product"] = "loss",
    prior: Literal["gram", "energy"] = "gram",
    max_memory: int | None = None,
    output: Literal["host", "device"] = "host",
    backend: str = "auto",
    first_realization: int = 0,
    threads: int | None = None,
) -> ProductResult:
    """Multiply as a parameter server and its stragglers would, for many realizations at once.

    Parameters
    ----------
    part : Partition
        Made from matrices, by :meth:`Partition.rxc` or :meth:`Partition.cxr`.
    code, workers
        As for :func:`uepgpu.simulate`; generic coefficients become normal ones of unit norm, from the same streams. Workers with
        states or a trace in blocks are in round 0 of a trajectory: noise and coefficients have no words of their own in later ones.
    deadline : float
        >= 0; ``math.inf`` waits for all.
    realizations, seed, first_realization, threads
        As for :func:`uepgpu.simulate`, whose realizations with ``deadlines=[deadline]`` these are.
    decoder : "linear", "peel" or "lmmse"
        ``"linear"`` returns the decodable sub-products, and in cxr sums of them, and zero for the others, ``"peel"`` the
        sub-products that peeling reaches,
        ``"lmmse"`` the best linear estimate of every sub-product under the noise and rounding of payloads
        (docs/mathematics.md §5). The first two take the weights of least squares.
    faithful : bool
        Multiply the encoded factors of every packet that arrives. Otherwise payloads are formed from the sub-products,
        computed once: the same numbers to rounding, at a fraction of the time.
    dtype : "float64", "float32" or "float16"
        Workers' arithmetic: factors and payloads are rounded to it; float16 products are summed in float32, as on tensor cores.
    noise : float
        Standard deviation of noise added to every payload, relative to its root mean square; needs `faithful`. Realizations
        in which decoding makes much of it are flagged.
    keep : "loss" or "product"
        Whether the result holds Ĉ of every realization.
    prior : "gram" or "energy"
        What ``"lmmse"`` knows: all inner products of sub-products, or their energies. With energies alone and correlated cxr
        blocks it can lose against zero-filling.
    max_memory : int, optional
        Bytes that the result, the sub-products and intermediate arrays may take together; whatever is left of them, one
        realization is taken at a time. Default: a quarter of what is free.
    output : "host" or "device"
        Where Ĉ is left: a NumPy array, or with ``backend="cuda"`` a CuPy array, which other libraries take without a copy
        (``__cuda_array_interface__``, DLPack).
    backend : "auto", "numba", "numpy" or "cuda"
        ``"cuda"`` encodes, multiplies and decodes through CuPy; packets are drawn and decoding weights solved on the host. From a
        million realizations on the device finds out what is decoded too.

    Returns
    -------
    ProductResult

    Raises
    ------
    ValueError
        Bad arguments, named; a partition without matrices; finite-field coefficients; a result beyond `max_memory`.
    BackendUnavailable
        A named backend cannot run.

    Examples
    --------
    >>> import math, numpy as np, uepgpu as uep
    >>> rng = np.random.default_rng(1)
    >>> A, B = rng.normal(size=(30, 20)), rng.normal(size=(20, 30))
    >>> part = uep.Partition.rxc(A, B, rows=3, cols=3, classes=(3, 3, 3))
    >>> code = uep.codes.ExpandingWindow(gamma=(0.40, 0.35, 0.25))
    >>> result = uep.multiply(part, code, uep.Workers(30), deadline=math.inf, seed=7, keep="product")
    >>> bool(np.allclose(result.product[0], A @ B))
    True
    """
    _check_description(part, workers)
    choice("decoder", decoder, DECODERS)
    choice("dtype", dtype, DTYPES)
    choice("keep", keep, ("loss", "product"))
    choice("prior", prior, ("gram", "energy"))
    choice("output", output, ("host", "device"))
    flag("faithful", faithful)
    if positive("noise", noise, zero=True) > 0 and not faithful:
        raise ValueError(f"noise is added to the payloads of packets and needs faithful=True, got noise={shown(noise)}")
    first, n = realization_range(first_realization, realizations)
    cores = usable_cores() if threads is None else thread_count(threads)
    if max_memory is not None:
        integer("max_memory", max_memory, 1)
    place = find_place(backend)
    if output == "device" and not place.on_device:
        raise ValueError(f"output='device' needs backend='cuda', got backend={backend!r}, which runs on {place.name}")
    memory = place.free_memory() // 4 if max_memory is None else max_memory
    plan = make_plan(code, part, workers, seed=seed, deadlines=deadline_times(deadline))
    if np.isfinite(deadline):
        warn_of_default(code, plan.law, workers)
    require_real(plan.law)
    rule = resolve_decoder(plan, "peel" if decoder == "peel" else "auto")
    room = memory - _held(part, n, memory, keep)
    size = _chunk(part, workers.count, n, room, keep, faithful or dtype != "float64")
    clock = Clock(place.settle)
    with clock("multiply"):
        blocks = FactorBlocks.of(part, place.xp)
        tiles = dense.subproducts(place.xp, blocks.left, blocks.right, part.paradigm)
        inner = [(some, place.to_host(dense.gram(place.xp, tiles[:, :u, :q]))) for some, u, q in blocks.crops()]
    # On a device as for simulate: few realizations a CPU does while a kernel would be compiled.
    decides = get_backend("auto", part.n_subproducts, decoder=rule, realizations=n) if place.on_device else place.host
    run = ProductRun(
        part=part,
        plan=plan,
        sampler=decides.sampler(plan, rule, "times", cores),
        place=place,
        blocks=blocks,
        tiles=tiles,
        inner=inner,
        decoder=decoder,
        faithful=faithful,
        dtype=dtype,
        noise=noise,
        prior=prior,
        output=output,
        memory=max(room, 1),
        threads=cores,
    )
    product = None
    if keep == "product":
        xp = place.xp if output == "device" else np
        product = xp.empty((n, *_result_shape(part)), dtype=np.float64)
    parts = []
    for start in range(0, n, size):
        some = min(size, n - start)
        parts.append(run.run(first + start, some, clock, None if product is None else product[start : start + some]))
    return ProductResult.joined(parts, product, clock.seconds)


def _check_description(part: Any, workers: Any) -> None:
    for name, value, kind in (("part", part, Partition), ("workers", workers, Workers)):
        if not isinstance(value, kind):
            raise ValueError(f"{name} must be a uepgpu.{kind.__name__}, got {shown(value)}; the order is part, code, workers")
    require_one_message(workers, "products")
    if part.matrices is None:
        raise ValueError("part has no matrices: make it with Partition.rxc(A, B, …) or Partition.cxr(A, B, …)")


def _result_shape(part: Partition) -> tuple[int, int]:
    m = part.matrices
    assert m is not None
    return m.left.shape[0], m.right.shape[1]


def _tile_bytes(part: Partition) -> int:
    """Return what a sub-product takes; tiles are at most one slice larger than their share."""
    u, q = _result_shape(part)
    return 8 * (u * q if part.paradigm == "cxr" else -(-u // part.shape[0]) * -(-q // part.shape[1]))


def _held(part: Partition, n: int, memory: int, keep: str) -> int:
    """Return the bytes that are held throughout: the sub-products and the result; refuse a result that does not fit."""
    u, q = _result_shape(part)
    result = 8 * u * q
    if keep == "product" and n * result > memory:
        raise ValueError(
            f"keep='product' would take {n * result / 2**20:,.0f} MiB for {n} realizations of {result / 2**20:,.1f} MiB, more than "
            f"max_memory = {memory / 2**20:,.0f} MiB: ask for fewer, raise max_memory, or keep='loss'"
        )
    return (n * result if keep == "product" else 0) + part.n_subproducts * _tile_bytes(part)


def _chunk(part: Partition, n_workers: int, n: int, room: int, keep: str, payloads: bool) -> int:
    """Return how many realizations are taken at once."""
    k = part.n_subproducts
    each = 8 * n_workers * k * 8
    if keep == "product" or payloads:
        each += _tile_bytes(part) * (4 * k + (3 * n_workers if payloads else 0))
    return int(min(max(room // (2 * each), 1), n, 65_536))
