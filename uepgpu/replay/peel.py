"""Decoding by peeling, step by step: a packet with one unknown sub-product reveals it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uepgpu.replay.draws import Packet
    from uepgpu_kernels.job import Job

__all__ = ["Peeled", "Peeling"]


@dataclass(frozen=True)
class Peeled:
    """What peeling does with a packet.

    Attributes
    ----------
    unknown : tuple of int
        What was unknown in the packet when it arrived.
    revealed : tuple of (packet, sub-product)
        Which packet then revealed what, one after the other.
    waiting : tuple of int
        Packets with two or more unknown sub-products left.
    """

    unknown: tuple[int, ...]
    revealed: tuple[tuple[int, int], ...]
    waiting: tuple[int, ...]

    def describe(self) -> str:
        """Return a readable line."""
        if not self.unknown:
            return "nothing in it is unknown"
        text = ", ".join(f"packet {p} reveals X{x}" for p, x in self.revealed)
        if not text:
            text = f"waits with {len(self.unknown)} unknown"
        return f"{text}; {len(self.waiting)} waiting"


class Peeling:
    """The state of a peeling decoder."""

    rank: None = None
    """Peeling has no rank."""

    def __init__(self, job: Job) -> None:
        self.known: set[int] = set()
        self.waiting: dict[int, tuple[int, ...]] = {}

    def take(self, packet: Packet) -> tuple[Peeled, frozenset[int]]:
        """Take a packet in; return what was done, and everything that is decoded now."""
        unknown = tuple(x for x in packet.support if x not in self.known)
        self.waiting[packet.number] = packet.support
        revealed: list[tuple[int, int]] = []
        while True:
            left = {p: [x for x in support if x not in self.known] for p, support in self.waiting.items()}
            self.waiting = {p: self.waiting[p] for p, rest in left.items() if rest}
            single = next((p for p, rest in left.items() if len(rest) == 1), None)
            if single is None:
                break
            revealed.append((single, left[single][0]))
            self.known.add(left[single][0])
        return Peeled(unknown, tuple(revealed), tuple(sorted(self.waiting))), frozenset(self.known)
