"""Decoding by counting, step by step: ranks of nested windows follow from the numbers of packets received."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uepgpu.replay.draws import Packet
    from uepgpu_kernels.job import Job

__all__ = ["Counted", "Counting"]


@dataclass(frozen=True)
class Counted:
    """What counting does with a packet.

    Attributes
    ----------
    window : int
        The packet's.
    received : tuple of int
        Packets of each window so far.
    ranks, sizes : tuple of int
        R_s = min(R_(s-1) + n_s, K_s) of each window, and K_s; R_(s-1) is 0 where a chain of nested windows begins.
    """

    window: int
    received: tuple[int, ...]
    ranks: tuple[int, ...]
    sizes: tuple[int, ...]

    def describe(self) -> str:
        """Return a readable line."""
        s = self.window
        ranks = " ".join(f"{rank}/{size}" for rank, size in zip(self.ranks, self.sizes, strict=True))
        return f"packet {self.received[s]} of window {s}; ranks {ranks}"


class Counting:
    """The state of a decoder that counts (docs/mathematics.md §3)."""

    def __init__(self, job: Job) -> None:
        self.begins = [bool(b) for b in job.chain_start]
        self.supports = [frozenset(i for i in range(job.k) if row[i]) for row in job.support]
        self.sizes = tuple(len(s) for s in self.supports)
        self.received = [0] * len(self.supports)
        self.rank = 0

    def take(self, packet: Packet) -> tuple[Counted, frozenset[int]]:
        """Take a packet in; return what was done, and everything that is decoded now."""
        self.received[packet.window] += 1
        ranks: list[int] = []
        for s, size in enumerate(self.sizes):
            below = 0 if self.begins[s] else ranks[-1]
            ranks.append(min(below + self.received[s], size))
        last = [s for s in range(len(ranks)) if s + 1 == len(ranks) or self.begins[s + 1]]
        self.rank = sum(ranks[s] for s in last)
        full = [self.supports[s] for s in range(len(ranks)) if ranks[s] == self.sizes[s]]
        done = Counted(packet.window, tuple(self.received), tuple(ranks), self.sizes)
        return done, frozenset().union(*full)
