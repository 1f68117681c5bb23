"""One run of realizations of a coded product: draw packets, decide, solve for weights, decode, compare."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends import Place, Sampler
from uepgpu.partition import Partition
from uepgpu.plan import Plan
from uepgpu.products.coefficients import Packets, draw_packets
from uepgpu.products.conditioning import ill_conditioned
from uepgpu.products.decoding_weights import Weights, lmmse_weights, selected_weights
from uepgpu.products.noise import add_noise
from uepgpu.products.payloads import FactorBlocks, faithful_payloads
from uepgpu.products.result import ProductResult
from uepgpu.products.stage_clock import Clock
from uepgpu_kernels.dense import products as dense

__all__ = ["ProductRun"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MOST_NOISE = 0.1
"""A decode in whose Ĉ the noise of payloads is expected to exceed this share of ‖C‖ is flagged."""

CANCELLED = 1e-13
"""A payload whose energy is below this share of what its terms have alone is zero to rounding."""


@dataclass(frozen=True, eq=False)
class ProductRun:
    """What all realizations of a call to :func:`uepgpu.multiply` share; its arguments are described there.

    Attributes
    ----------
    tiles : (K, a, b) float64
        The sub-products, padded, where `place` keeps arrays.
    inner : list of (tiles, gram)
        Their inner products (K, K) on the host, over the true size of the tiles that are named, for each of those sizes; the
        first over the padded size.
    """

    part: Partition
    plan: Plan
    sampler: Sampler
    place: Place
    blocks: FactorBlocks
    tiles: Any
    inner: list[tuple[NDArray[np.int64], Floats]]
    decoder: str
    faithful: bool
    dtype: str
    noise: float
    prior: str
    output: str
    memory: int
    threads: int

    def run(self, first: int, count: int, clock: Clock, product: Any) -> ProductResult:
        """Multiply in realizations first .. first + count - 1; `product` (count, U, Q) takes their Ĉ, unless it is None."""
        with clock("encode"):
            packets = draw_packets(self.plan, self.part, first, count)
        with clock("decode"):
            decoded = self.sampler.decode_times(first, count) < self.plan.job.n_times
            solved = self._weights(packets, decoded)
            weights = solved.weights
            flagged = np.zeros(count, dtype=np.bool_)
            if self.noise > 0:
                flagged |= self._noise_energy(packets, weights) > MOST_NOISE**2 * self.part.norm2
        rounding = np.full(count, float(np.finfo(self.dtype).eps))
        if product is None and self.dtype == "float64" and not self.faithful:
            with clock("decode"):
                loss = _loss_from_gram(weights @ packets.coefficients, self.inner, self.part.paradigm)
        else:
            estimate, overflow, lost = self._estimates(packets, weights, first, clock)
            flagged |= overflow
            rounding = np.maximum(rounding, lost)
            with clock("decode"):
                loss = self._loss(estimate)
                if product is not None:
                    product[...] = self._product(estimate)
        ill = ill_conditioned(solved, rounding)
        other = solved.found != decoded if self.decoder == "linear" else decoded & ~solved.found
        disagrees = other.any(axis=1)
        return ProductResult(
            loss=loss,
            decoded=decoded,
            arrived=packets.arrived,
            condition=solved.condition,
            residual=solved.residual,
            ill_conditioned=ill,
            flagged=flagged | ill | disagrees,
            disagreements=int(disagrees.sum()),
            product=None,
            norm2=self.part.norm2,
            classes=self.part.classes,
            backend=self.place.name,
            seconds={},
        )

    def _weights(self, packets: Packets, decoded: Bools) -> Weights:
        sums = self.plan.sums
        if self.decoder == "lmmse":
            gram = self.inner[0][1]
            known = gram if self.prior == "gram" else np.diag(np.diagonal(gram))
            # Rounding is noise too; that of float64 is below what separates singular values from zero.
            rounding = 0.0 if self.dtype == "float64" else float(np.finfo(self.dtype).eps) / 2
            return lmmse_weights(packets.coefficients, packets.arrived, known, decoded, math.hypot(self.noise, rounding), sums)
        compiled = self.place.host.name == "numba"
        return selected_weights(packets.coefficients, packets.arrived, decoded, self.threads, compiled=compiled, sums=sums)

    def _noise_energy(self, packets: Packets, weights: Floats) -> Floats:
        """Return the expected energy of the noise in Ĉ, (R,): that of every payload times the squares of its weights."""
        into = weights.sum(axis=1, keepdims=True) if self.part.paradigm == "cxr" else weights
        return self.noise**2 * np.asarray(np.einsum("rkw,rkw,rw->r", into, into, self._energies(packets)), dtype=np.float64)

    def _energies(self, packets: Packets) -> Floats:
        """Return the energies of all payloads (R, W), 0 where nothing but rounding is left of the sub-products."""
        gram = self.inner[0][1]
        energy = np.einsum("rwk,rwk->rw", packets.coefficients @ gram, packets.coefficients)
        largest = np.einsum("rwk,k->rw", np.abs(packets.coefficients), np.sqrt(np.diagonal(gram))) ** 2
        return np.where(energy > CANCELLED * largest, energy, 0.0)

    def _underflow(self, packets: Packets) -> Floats:
        """Return the largest share of a payload that its last place makes in the workers' arithmetic (R,): 1 is all of it.

        Rounding is a share of what is large enough to have all its digits; below that there is a smallest step.
        """
        size = np.sqrt(self._energies(packets) / self.tiles[0].size) * packets.arrived
        step = float(np.finfo(self.dtype).smallest_subnormal)
        share = np.minimum(np.divide(step, size, out=np.zeros_like(size), where=size > step), 1.0)
        return np.asarray(np.where((size > 0) & (size <= step), 1.0, share).max(axis=1), dtype=np.float64)

    def _estimates(self, packets: Packets, weights: Floats, first: int, clock: Clock) -> tuple[Any, Bools, Floats]:
        """Return the decoded sub-products (R, K, a, b), and which realizations overflowed the workers' arithmetic.

        Also the largest share of a packet that was lost when it was put into that arithmetic, (R,).
        """
        xp = self.place.xp
        if not self.faithful and self.dtype == "float64":
            with clock("decode"):
                effect = xp.asarray(weights @ packets.coefficients)
                return dense.combine(xp, effect, self.tiles), np.zeros(len(weights), dtype=np.bool_), np.zeros(len(weights))
        lost = self._underflow(packets)
        if self.faithful:
            payloads, of_factors = faithful_payloads(
                self.part, packets, self.plan.law.encoding, self.blocks, self.dtype, self.memory, self.place, clock
            )
            lost = np.maximum(lost, of_factors)
            if self.noise > 0:
                add_noise(payloads, packets.arrived, self.noise, int(self.plan.job.seed), first, self.place)
            # The packets that arrived, in order of workers, as the payloads are.
            order = np.argsort(~packets.arrived, axis=1, kind="stable")[:, : payloads.shape[1]]
            weights = np.take_along_axis(weights, order[:, None, :], axis=2)
        else:
            with clock("multiply"), np.errstate(over="ignore"):
                sent = xp.asarray(packets.coefficients * packets.arrived[..., None])
                payloads = dense.combine(xp, sent, self.tiles).astype(self.dtype)
        with clock("decode"):
            received = payloads.astype(xp.float64, copy=False)
            # Sums of what fits are finite in float64; an overflowed payload is no number to decode with. It counts as zero, and
            # the realization is flagged.
            with np.errstate(invalid="ignore"):
                infinite = ~xp.isfinite(xp.sum(received, axis=(2, 3)))
            overflow: Bools = self.place.to_host(xp.any(infinite, axis=1))
            if overflow.any():
                received[infinite] = 0.0
            return dense.combine(xp, xp.asarray(weights), received), overflow, lost

    def _loss(self, estimate: Any) -> Floats:
        xp = self.place.xp
        error = estimate - self.tiles
        if self.part.paradigm == "cxr":
            return self.place.to_host(dense.squared_norms(xp, xp.sum(error, axis=1)))
        loss = np.zeros(len(estimate))
        for tiles, height, width in self.blocks.crops():
            # FactorBlocks of one size are not copied.
            some = error[:, :, :height, :width] if len(tiles) == error.shape[1] else error[:, xp.asarray(tiles), :height, :width]
            loss += self.place.to_host(dense.squared_norms(xp, some))
        return loss

    def _product(self, estimate: Any) -> Any:
        """Return Ĉ (R, U, Q) in the user's order of rows and columns."""
        xp, matrices = self.place.xp, self.part.matrices
        assert matrices is not None
        whole = dense.assemble(xp, estimate, self.part.shape, self.blocks.heights, self.blocks.widths)
        if self.part.paradigm == "rxc":
            rows, columns = np.argsort(matrices.left_order), np.argsort(matrices.right_order)
            whole = dense.reorder(xp, whole, xp.asarray(rows), xp.asarray(columns))
        return whole if self.output == "device" else self.place.to_host(whole)


def _loss_from_gram(effect: Floats, inner: list[tuple[NDArray[np.int64], Floats]], paradigm: str) -> Floats:
    """Return ‖C - Ĉ‖² where X̂ = effect · X: the decoding error (effect - I) X through the inner products of sub-products."""
    error = effect - np.eye(effect.shape[1])
    loss = np.zeros(len(effect))
    for tiles, gram in inner:
        rows = error.sum(axis=1, keepdims=True) if paradigm == "cxr" else error[:, tiles]
        loss += np.einsum("rij,rij->r", rows @ gram, rows)
    return np.maximum(loss, 0.0)
