"""Coded multiplication of real matrices: encode, multiply, let packets arrive, decode, assemble."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends import Sampler, get_backend
from uepgpu.checks import choice, integer, positive
from uepgpu.codes import Code
from uepgpu.coefficients import Packets, draw_packets
from uepgpu.decoders import resolve_decoder
from uepgpu.partition import Partition
from uepgpu.payloads import Blocks, faithful_payloads
from uepgpu.plan import Plan, make_plan
from uepgpu.product_result import ProductResult
from uepgpu.stage_clock import Clock
from uepgpu.weights import Weights, lmmse_weights, selected_weights
from uepgpu.workers import Workers
from uepgpu_kernels import dense

__all__ = ["multiply"]

Floats = NDArray[np.float64]
DECODERS = ("linear", "peel", "lmmse")
DTYPES = ("float64", "float32", "float16")
MOST_AMPLIFICATION = 1e-2
"""A decode whose condition number times the rounding of the workers' arithmetic exceeds this is flagged as hopeless."""

MOST_RESIDUAL = 1e-6
"""So is one whose weights miss the unit rows by more than this."""


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
        As for :func:`uepgpu.simulate`; generic coefficients become normal ones of unit norm, from the same streams.
    deadline : float
        >= 0; ``math.inf`` waits for all.
    realizations, seed, first_realization, threads
        As for :func:`uepgpu.simulate`, whose realizations with ``deadlines=[deadline]`` these are.
    decoder : "linear", "peel" or "lmmse"
        ``"linear"`` returns the decodable sub-products and zero for the others, ``"peel"`` those that peeling reaches,
        ``"lmmse"`` the best linear estimate of every sub-product (MATH.md §5).
    faithful : bool
        Multiply the encoded factors of every packet that arrives. Otherwise payloads are formed from the sub-products,
        computed once: the same numbers to rounding, at a fraction of the time.
    dtype : "float64", "float32" or "float16"
        Workers' arithmetic: factors and payloads are rounded to it; float16 products are summed in float32, as on tensor cores.
    noise : float
        Standard deviation of noise added to every payload, relative to its root mean square; needs `faithful`.
    keep : "loss" or "product"
        Whether the result holds Ĉ of every realization.
    prior : "gram" or "energy"
        What ``"lmmse"`` knows: all inner products of sub-products, or their energies. With energies alone and correlated cxr
        blocks it can lose against zero-filling.
    max_memory : int, optional
        Bytes that intermediate arrays may take. Default: a quarter of what is free.
    backend : "auto", "numba", "numpy" or "cuda"

    Returns
    -------
    ProductResult

    Raises
    ------
    ValueError
        Bad arguments, named; a partition without matrices; finite-field coefficients; a result beyond `max_memory`.

    Examples
    --------
    >>> import math, uepgpu as uep
    >>> rng = np.random.default_rng(1)
    >>> A, B = rng.normal(size=(30, 20)), rng.normal(size=(20, 30))
    >>> part = uep.Partition.rxc(A, B, rows=3, cols=3, classes=(3, 3, 3))
    >>> code = uep.codes.ExpandingWindow(gamma=(0.40, 0.35, 0.25))
    >>> result = uep.multiply(part, code, uep.Workers(30), deadline=math.inf, seed=7, keep="product")
    >>> bool(np.allclose(result.product[0], A @ B))
    True
    """
    if part.matrices is None:
        raise ValueError("part has no matrices: make it with Partition.rxc(A, B, …) or Partition.cxr(A, B, …)")
    choice("decoder", decoder, DECODERS)
    choice("dtype", dtype, DTYPES)
    choice("keep", keep, ("loss", "product"))
    choice("prior", prior, ("gram", "energy"))
    if positive("noise", noise, zero=True) > 0 and not faithful:
        raise ValueError(f"noise is added to the payloads of packets and needs faithful=True, got noise={noise!r}")
    n = integer("realizations", realizations, 1)
    first = integer("first_realization", first_realization, 0)
    cores = integer("threads", threads, 1) if threads is not None else (os.cpu_count() or 1)
    memory = _free_memory() // 4 if max_memory is None else integer("max_memory", max_memory, 1)
    chosen = get_backend(backend)
    # The plan wants a finite time; this one is beyond every latency law that returns at all.
    last = 1e300 if deadline == math.inf else positive("deadline", deadline, zero=True)
    plan = make_plan(code, part, workers, seed=seed, deadlines=[last])
    sampler = chosen.sampler(plan, resolve_decoder(plan, "peel" if decoder == "peel" else "auto"), "patterns", threads)
    clock = Clock()
    with clock("multiply"):
        blocks = Blocks.of(part)
        tiles = dense.subproducts(np, blocks.left, blocks.right, part.paradigm)
        inner = dense.gram(np, tiles)
    setup = _Setup(
        part, plan, sampler, blocks, tiles, inner, decoder, faithful, dtype, noise, keep, prior, memory,
        compiled=chosen.name != "numpy", threads=cores,
    )  # fmt: skip
    size = _chunk(part, workers.count, tiles[0].size, n, memory, keep, faithful or dtype != "float64")
    parts = [setup.run(start, min(size, first + n - start), clock) for start in range(first, first + n, size)]
    return ProductResult.joined(parts, part, chosen.name, clock.seconds)


@dataclass(frozen=True, eq=False)
class _Setup:
    """What all realizations of a call share."""

    part: Partition
    plan: Plan
    sampler: Sampler
    blocks: Blocks
    tiles: Floats
    inner: Floats
    decoder: str
    faithful: bool
    dtype: str
    noise: float
    keep: str
    prior: str
    memory: int
    compiled: bool
    threads: int

    def run(self, first: int, count: int, clock: Clock) -> ProductResult:
        """Multiply in realizations first .. first + count - 1."""
        with clock("encode"):
            packets = draw_packets(self.plan, self.part, first, count)
        with clock("decode"):
            decoded = self.sampler.decode_times(first, count) < self.plan.job.n_times
            weights, found, condition, residual = self._weights(packets, decoded)
        disagrees = (found != decoded).any(axis=1) if self.decoder == "linear" else (decoded & ~found).any(axis=1)
        rounding = float(np.finfo(self.dtype).eps)
        unsound = ~np.isfinite(condition) | (condition * rounding > MOST_AMPLIFICATION) | (residual > MOST_RESIDUAL)
        product = None
        if self.keep == "loss" and self.dtype == "float64" and not self.faithful:
            with clock("decode"):
                loss = _loss_from_gram(weights @ packets.coefficients, self.inner, self.part.paradigm)
        else:
            estimate, overflow = self._estimates(packets, weights, first, clock)
            unsound |= overflow
            with clock("decode"):
                error = estimate - self.tiles
                if self.part.paradigm == "cxr":
                    error = error.sum(axis=1, keepdims=True)
                loss = np.einsum("rkab,rkab->r", error, error)
                if self.keep == "product":
                    assert self.part.matrices is not None
                    whole = dense.assemble(np, estimate, self.part.shape, self.blocks.heights, self.blocks.widths)
                    product = self.part.matrices.restore(whole)
        return ProductResult(
            loss, decoded, packets.arrived, condition, residual, unsound | disagrees, int(disagrees.sum()), product,
            self.part.norm2, self.part.classes, "", {},
        )  # fmt: skip

    def _weights(self, packets: Packets, decoded: NDArray[np.bool_]) -> Weights:
        if self.decoder == "lmmse":
            known = self.inner if self.prior == "gram" else np.diag(np.diagonal(self.inner))
            return lmmse_weights(packets.coefficients, packets.arrived, known)
        return selected_weights(packets.coefficients, packets.arrived, decoded, self.threads, compiled=self.compiled)

    def _estimates(self, packets: Packets, weights: Floats, first: int, clock: Clock) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the decoded sub-products (R, K, a, b), and which realizations overflowed the workers' arithmetic."""
        if not self.faithful and self.dtype == "float64":
            with clock("decode"):
                return dense.combine(np, weights @ packets.coefficients, self.tiles), np.zeros(len(weights), dtype=np.bool_)
        if self.faithful:
            payloads = faithful_payloads(
                self.part, self.plan, packets, self.blocks, self.dtype, self.noise, self.memory, first, clock
            )
        else:
            with clock("multiply"), np.errstate(over="ignore"):
                payloads = dense.combine(np, packets.coefficients * packets.arrived[..., None], self.tiles).astype(self.dtype)
        with clock("decode"):
            received = payloads.astype(np.float64)
            # An overflowed payload is no number to decode with: it counts as zero, and the realization is flagged.
            bad = ~np.isfinite(received)
            overflow: NDArray[np.bool_] = np.asarray(bad.any(axis=(1, 2, 3)))
            if overflow.any():
                received[bad] = 0.0
            return dense.combine(np, weights, received), overflow


def _loss_from_gram(effect: Floats, inner: Floats, paradigm: str) -> Floats:
    """Return ‖C - Ĉ‖² where X̂ = effect · X: the decoding error (effect - I) X through the inner products of sub-products."""
    error = effect - np.eye(effect.shape[1])
    if paradigm == "cxr":
        error = error.sum(axis=1, keepdims=True)
    loss: Floats = np.maximum(np.einsum("rij,rij->r", error @ inner, error), 0.0)
    return loss


def _free_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return 4 * 2**30


def _chunk(part: Partition, n_workers: int, tile: int, n: int, memory: int, keep: str, payloads: bool) -> int:
    """Return how many realizations are taken at once; refuse a result that does not fit."""
    assert part.matrices is not None
    result = 8 * part.matrices.left.shape[0] * part.matrices.right.shape[1]
    if keep == "product" and n * result > memory:
        raise ValueError(
            f"keep='product' would take {n * result / 2**20:,.0f} MiB for {n} realizations of {result / 2**20:,.1f} MiB, more than "
            f"max_memory = {memory / 2**20:,.0f} MiB: ask for fewer, raise max_memory, or keep='loss'"
        )
    k = part.n_subproducts
    each = 8 * n_workers * k * 8
    if keep == "product" or payloads:
        each += 8 * tile * (4 * k + (3 * n_workers if payloads else 0))
    return int(min(max(memory // (2 * each), 1), n, 65_536))
