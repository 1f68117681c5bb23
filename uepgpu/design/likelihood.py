"""One simulation of drawn windows, and what it says about other probabilities: likelihood ratios, with their gradient.

Packet i of a realization has window s_i with probability p(s_i). Under other probabilities p' the mean loss given N packets is the
mean of Π_(i<=N) p'(s_i)/p(s_i) × loss(N), here divided by the mean of the ratios; what is decoded stays as it was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends import get_backend
from uepgpu.codes import Windows
from uepgpu.partition import Partition
from uepgpu.plan import make_plan, resolve_decoder
from uepgpu.workers import Workers
from uepgpu_kernels.reference.sample import arrivals

__all__ = ["Drawn", "draw"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Realizations in the count domain.

    Attributes
    ----------
    probabilities : (S,) float64
        What windows were drawn with.
    window : (realizations, N) int64
        Window of every packet, up to the largest number of packets that matters.
    loss : (realizations, N + 1) float64
        Loss after 0..N packets.
    chance : (N + 1,) float64
        Weight of each number of packets in the objective.
    """

    probabilities: Floats
    window: Ints
    loss: Floats
    chance: Floats

    def value_and_gradient(self, logarithms: Floats) -> tuple[float, Floats]:
        """Return the objective and its derivatives by log p', shapes () and (S,).

        The derivatives are those by free numbers; on the simplex their common part, weighted by p', drops.
        """
        step = (logarithms - np.log(np.maximum(self.probabilities, 1e-300)))[self.window]
        ratio = np.ones_like(self.loss)
        np.exp(np.cumsum(step, axis=1), out=ratio[:, 1:])
        ratio /= ratio.sum(axis=0)
        given = (ratio * self.loss).sum(axis=0)  # mean loss after N packets
        part = self.chance * ratio * (self.loss - given)
        later = np.cumsum(part[:, :0:-1], axis=1)[:, ::-1]  # of all N that packet i precedes
        slope = np.bincount(self.window.ravel(), later.ravel(), minlength=logarithms.size).astype(np.float64)
        return float(self.chance @ given), slope

    def effective(self, logarithms: Floats) -> float:
        """Return the share of the realizations that estimates under other probabilities are worth.

        It is (Σ ratio)² / Σ ratio² by number of packets, averaged over these as they matter for the objective.
        """
        step = (logarithms - np.log(np.maximum(self.probabilities, 1e-300)))[self.window]
        ratio = np.exp(np.cumsum(step, axis=1))
        share = ratio.sum(axis=0) ** 2 / (ratio**2).sum(axis=0) / len(ratio)
        matters = (self.chance * self.loss.mean(axis=0))[1:]
        return float(matters.sum() / (matters / share).sum()) if matters.sum() > 0 else 1.0


def draw(
    supports: Bools,
    probabilities: Floats,
    part: Partition,
    workers: Workers,
    chance: Floats,
    realizations: int,
    seed: int,
    backend: str,
) -> Drawn:
    """Return realizations of the code with these windows, each of one product.

    Parameters
    ----------
    supports : (S, K) bool
        Distinct.
    probabilities : (S,) float64
    part, workers
        Workers are alike.
    chance : (N + 1,) float64
        Weight of N packets in the objective.
    realizations, seed, backend
        As for :func:`uepgpu.simulate`.
    """
    plan = make_plan(Windows(supports, tuple(probabilities.tolist()), work=1), part, workers, seed=seed)
    rule = resolve_decoder(plan, "auto")
    chosen = get_backend(backend, part.n_subproducts, decoder=rule, realizations=realizations)
    sampler = chosen.sampler(plan, rule, "patterns", 1)
    when = sampler.decode_times(0, realizations)
    numbers = {support.tobytes(): s for s, support in enumerate(supports)}
    order = np.array([numbers[support.astype(np.bool_).tobytes()] for support in plan.job.support])
    most = chance.size - 1
    window = order[arrivals(plan.job, np.arange(realizations, dtype=np.uint64))[0][:, :most]]
    loss = np.zeros((realizations, most + 1))
    for k, energy in enumerate((part.energy / part.norm2).tolist()):
        loss += energy * (np.arange(most + 1) < when[:, k, None])
    return Drawn(probabilities, window, loss, chance)
