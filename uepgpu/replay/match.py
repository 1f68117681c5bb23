"""Decoding by matching, step by step: exact for generic coefficients on any supports."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uepgpu.replay.draws import Packet
    from uepgpu_kernels.job import Job

__all__ = ["Matched", "Matching"]


@dataclass(frozen=True)
class Matched:
    """What matching does with a packet.

    Attributes
    ----------
    assignments : tuple of (packet, sub-product)
        The augmenting path: the packet takes the first sub-product, the packet that had it the next, and so on. Empty if
        there is none: the packet adds no rank.
    pairs : tuple of (packet, sub-product)
        The maximum matching after it.
    """

    assignments: tuple[tuple[int, int], ...]
    pairs: tuple[tuple[int, int], ...]

    def describe(self) -> str:
        """Return a readable line."""
        if not self.assignments:
            return "no augmenting path: it adds no rank"
        (packet, taken), *moved = self.assignments
        return f"packet {packet} takes X{taken}" + "".join(f", packet {p} moves to X{x}" for p, x in moved)


class Matching:
    """A maximum matching between packets and sub-products in their supports; X_k is decoded iff every one covers it."""

    def __init__(self, job: Job) -> None:
        self.everything = frozenset(range(job.k))
        self.supports: dict[int, tuple[int, ...]] = {}
        self.owner: dict[int, int] = {}

    @property
    def rank(self) -> int:
        """The size of the matching."""
        return len(self.owner)

    def take(self, packet: Packet) -> tuple[Matched, frozenset[int]]:
        """Take a packet in; return what was done, and everything that is decoded now."""
        self.supports[packet.number] = packet.support
        path = self._augmenting_path(packet.number)
        for number, subproduct in path:
            self.owner[subproduct] = number
        pairs = tuple(sorted((number, subproduct) for subproduct, number in self.owner.items()))
        return Matched(path, pairs), self._covered()

    def _augmenting_path(self, packet: int) -> tuple[tuple[int, int], ...]:
        """Return a shortest one as assignments, first the packet's own."""
        reached_by: dict[int, int] = {}
        waiting = deque([packet])
        while waiting:
            number = waiting.popleft()
            for subproduct in self.supports[number]:
                if subproduct in reached_by:
                    continue
                reached_by[subproduct] = number
                if subproduct in self.owner:
                    waiting.append(self.owner[subproduct])
                    continue
                return self._back(packet, subproduct, reached_by)
        return ()

    def _back(self, packet: int, free: int, reached_by: dict[int, int]) -> tuple[tuple[int, int], ...]:
        holds = {number: subproduct for subproduct, number in self.owner.items()}
        path = []
        subproduct = free
        while True:
            number = reached_by[subproduct]
            path.append((number, subproduct))
            if number == packet:
                return tuple(reversed(path))
            subproduct = holds[number]

    def _covered(self) -> frozenset[int]:
        """Return the sub-products that every maximum matching covers: no alternating path from an uncovered one leads there."""
        open_ = set(self.everything - self.owner.keys())
        grew = True
        while grew:
            freed = {x for x, number in self.owner.items() if x not in open_ and open_.intersection(self.supports[number])}
            open_ |= freed
            grew = bool(freed)
        return self.everything - open_
