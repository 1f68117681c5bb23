"""Counts of windows where the windows of a worker's messages have different laws: by convolution over workers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from uepgpu.theory.count_laws import CountLaw

__all__ = ["MOST_CELLS", "JointCounts", "add_worker", "messages_of_a_worker"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_CELLS = 100_000
"""Combinations of counts that are followed."""


class JointCounts(CountLaw):
    """Counts up to as many as decoding can use, with their joint law.

    Parameters
    ----------
    joint : (points, c_1 + 1, …, c_L + 1) float64
        Pr[min(n_u, c_u) = i_u for all u].
    """

    def __init__(self, joint: Floats) -> None:
        self.total = None
        self._joint = joint
        caps = np.array(joint.shape[1:]) - 1
        others = tuple(range(1, joint.ndim))
        possible = [joint.sum(axis=tuple(a for a in others if a != u + 1))[:, 1:].any(axis=1) for u in range(caps.size)]
        self.reach = np.where(np.stack(possible, axis=1), caps, 0)

    @property
    def cap(self) -> int:
        """No more packets count, whatever their windows."""
        return int(sum(n - 1 for n in self._joint.shape[1:]))

    def most(self, window: int) -> int:
        """No more packets count of a window."""
        return int(self._joint.shape[window + 1] - 1)

    def expect(self, windows: Sequence[int], factors: Sequence[Floats]) -> Floats:
        """Return the mean of a product of functions of counts, which are 0 beyond their ends."""
        weighed = self._joint
        for window, factor in zip(windows, factors, strict=True):
            n = weighed.shape[window + 1]
            shape = [1] * weighed.ndim
            shape[window + 1] = n
            weighed = weighed * np.append(factor, np.zeros(n))[:n].reshape(shape)
        return np.asarray(weighed.reshape(len(weighed), -1).sum(axis=1))

    def kind(self, window: int) -> Hashable:
        """Return the window: no two are exchangeable."""
        return window

    def last_saturated(self, sizes: Ints) -> Floats:
        """Return Pr[ℓ* = j] for j = 0..L of a chain whose windows add `sizes`, shape (points, L + 1)."""
        ends = np.cumsum(sizes)
        counts = np.stack(np.unravel_index(np.arange(self._joint[0].size), self._joint.shape[1:]), axis=1)
        rank, last = np.zeros(len(counts), dtype=np.int64), np.zeros(len(counts), dtype=np.int64)
        for i, end in enumerate(ends.tolist()):
            rank = np.minimum(rank + counts[:, i], end)
            last[rank == end] = i + 1
        return np.asarray(self._joint.reshape(len(self._joint), -1) @ (last[:, None] == np.arange(ends.size + 1)))


def messages_of_a_worker(sent: Floats, share: Floats, lost: float) -> dict[tuple[int, ...], Floats]:
    """Return the law of the counts of one worker: by counts, probabilities at every point.

    Parameters
    ----------
    sent : (points, m + 1) float64
        Pr[it has sent j messages].
    share : (m, windows) float64
        Pr[the j-th is of window u].
    lost : float
        Chance that a message is lost, each on its own.
    """
    law: dict[tuple[int, ...], Floats] = {}
    given = {(0,) * share.shape[1]: 1.0}  # the first j messages, given that they are sent
    for j in range(sent.shape[1]):
        for counts, chance in given.items():
            law[counts] = law.get(counts, np.zeros(len(sent))) + sent[:, j] * chance
        if j == len(share):
            break
        following: dict[tuple[int, ...], float] = {}
        for counts, chance in given.items():
            for u, p in enumerate(share[j].tolist()):
                then = (*counts[:u], counts[u] + 1, *counts[u + 1 :])
                following[then] = following.get(then, 0.0) + chance * p * (1 - lost)
            following[counts] = following.get(counts, 0.0) + chance * lost
        given = {counts: chance for counts, chance in following.items() if chance > 0}
    return law


def add_worker(joint: Floats, law: dict[tuple[int, ...], Floats]) -> Floats:
    """Return the joint law of counts with those of one more worker."""
    total = np.zeros_like(joint)
    for counts, chance in law.items():
        moved = joint
        for axis, n in enumerate(counts, start=1):
            for _ in range(min(n, joint.shape[axis] - 1)):
                up = np.zeros_like(moved)
                here, there = [slice(None)] * joint.ndim, [slice(None)] * joint.ndim
                here[axis], there[axis] = slice(1, None), slice(None, -1)
                up[tuple(here)] = moved[tuple(there)]
                last = [slice(None)] * joint.ndim
                last[axis] = slice(-1, None)
                up[tuple(last)] += moved[tuple(last)]
                moved = up
        total += chance.reshape(-1, *(1,) * (joint.ndim - 1)) * moved
    return total
