"""Real coefficients of packets, and the pairs of encoded factors that realise them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uepgpu.codes.supports import SupportLaw
from uepgpu.partition import Partition
from uepgpu.plan import Plan
from uepgpu.products.mds_generator import mds_generator
from uepgpu_kernels.reference.sample import arrivals, subsets, words
from uepgpu_kernels.streams import COEFFICIENTS, FACTORS

__all__ = ["Packets", "draw_packets", "require_real"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Packets:
    """Packets of R realizations, by worker.

    Attributes
    ----------
    arrived : (R, W) bool
    coefficients : (R, W, K) float64
        Of unit norm, but for given generators.
    support : (R, W, K) bool
    left, right : float64 arrays (R, W, N) and (R, W, P), or None
        Coefficients of the single pair of a factored packet.
    """

    arrived: Bools
    coefficients: Floats
    support: Bools
    left: Floats | None
    right: Floats | None


def draw_packets(plan: Plan, part: Partition, first: int, count: int, received: int | None = None) -> Packets:
    """Draw the packets of realizations first .. first + count - 1: the windows and arrivals that the tally counts.

    `plan` is of the deadline domain with one deadline; or of the count domain, and the first `received` packets have arrived.

    Raises
    ------
    ValueError
        If the coefficients are of a finite field: such packets have no real payloads.
    """
    law, job = plan.law, plan.job
    require_real(law)
    realizations = np.uint64(first) + np.arange(count, dtype=np.uint64)
    window, packet, time = arrivals(job, realizations)
    arrived = np.zeros(window.shape, dtype=np.bool_)
    np.put_along_axis(arrived, packet, time < job.n_times if received is None else time <= received, axis=1)
    k, n = job.k, job.n_packets
    shape = (count, n, k)
    seed = int(job.seed)
    if law.generator is not None:
        coefficients = np.broadcast_to(law.generator, shape)
        return Packets(arrived, coefficients, coefficients != 0, None, None)
    support = subsets(job, realizations, window)
    if law.encoding == "factored":
        left, right = _factors(seed, realizations, support.reshape(count, n, *part.shape))
        return Packets(arrived, (left[..., :, None] * right[..., None, :]).reshape(shape), support, left, right)
    if law.supports is not None and len(law.supports) == 1 and law.supports.all() and n >= k:
        # One window with everything in it: workers need not draw, and can share a generator chosen for its conditioning.
        return Packets(arrived, np.broadcast_to(mds_generator(n, k), shape), support, None, None)
    if law.supports is not None and np.all(law.supports.sum(axis=1) == 1):
        return Packets(arrived, support.astype(np.float64), support, None, None)
    # From the stream that finite-field coefficients come from.
    normal = _normal(seed, realizations, COEFFICIENTS, n, k)
    return Packets(arrived, _unit(normal * support), support, None, None)


def require_real(law: SupportLaw) -> None:
    """Raise ``ValueError`` for coefficients of a finite field: such packets have no real payloads."""
    if law.field in ("gf2", "gf256"):
        option, use = ("coefficients", "generic") if law.generator is None else ("field", "real")
        raise ValueError(f"{option}={law.field!r} cannot multiply real matrices: use {use!r}")


def _normal(seed: int, realizations: NDArray[np.uint64], stream: np.uint64, n: int, width: int) -> Floats:
    """Return standard normal numbers (R, n, width), by the inverse distribution function of one word each."""
    from scipy.special import ndtri

    drawn = words(seed, realizations, stream, 0, n * width).reshape(realizations.size, n, width)
    return np.asarray(ndtri((drawn + 0.5) / 2.0**32), dtype=np.float64)


def _unit(rows: Floats) -> Floats:
    norm = np.sqrt(np.einsum("...i,...i->...", rows, rows))
    result: Floats = rows / np.where(norm > 0, norm, 1.0)[..., None]
    return result


def _factors(seed: int, realizations: NDArray[np.uint64], rectangle: Bools) -> tuple[Floats, Floats]:
    """Return unit-norm factors over the rows and columns of each rectangle (R, W, N, P)."""
    n, p = rectangle.shape[2:]
    normal = _normal(seed, realizations, FACTORS, rectangle.shape[1], n + p)
    return _unit(normal[..., :n] * rectangle.any(axis=3)), _unit(normal[..., n:] * rectangle.any(axis=2))
