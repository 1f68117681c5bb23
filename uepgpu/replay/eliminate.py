"""Decoding by elimination, step by step: the reduced row echelon form of what has been received."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uepgpu.replay.fields import FIELDS

if TYPE_CHECKING:
    from uepgpu.replay.draws import Packet
    from uepgpu_kernels.job import Job

__all__ = ["Eliminated", "Elimination"]


@dataclass(frozen=True)
class Eliminated:
    """What elimination does with a packet.

    Attributes
    ----------
    subtracted : tuple of (pivot, factor)
        Rows that were subtracted from the packet, by their pivot column, each that many times.
    pivot : int or None
        Pivot column of what was left; None if nothing was: the packet adds no rank.
    row : tuple of numbers
        What was left, scaled to 1 at its pivot; K zeros if nothing was.
    cleared : tuple of (pivot, factor)
        Earlier rows from which the new one was subtracted, each that many times.
    sums : tuple of tuples of int
        Sums of sub-products, by their terms, that have become decodable and not all of their terms with them.
    """

    subtracted: tuple[tuple[int, int], ...]
    pivot: int | None
    row: tuple[int, ...]
    cleared: tuple[tuple[int, int], ...]
    sums: tuple[tuple[int, ...], ...] = ()

    def describe(self) -> str:
        """Return a readable line."""
        less = "".join(f" − row X{p}" for p, _ in self.subtracted)
        start = f"packet{less}" if less else "packet"
        if self.pivot is None:
            return f"{start} = 0: it adds no rank"
        left = sum(1 for x in self.row if x != 0)
        cleared = ", ".join(f"X{p}" for p, _ in self.cleared)
        return (
            f"{start} = new row X{self.pivot} of {left} {'entry' if left == 1 else 'entries'}"
            + (f"; cleared in rows {cleared}" if cleared else "")
            + "".join(f"; gives the sum {' + '.join(f'X{x}' for x in terms)}" for terms in self.sums)
        )


class Elimination:
    """Elimination over a finite field; X_k is decoded iff its row is the unit row, or rows add up to a sum that it is a term of."""

    def __init__(self, job: Job) -> None:
        self.k = job.k
        self.field = FIELDS[job.field]
        self.rows: dict[int, list[int]] = {}
        self.sums = [frozenset(i for i, term in enumerate(row) if term) for row in job.target.tolist()]
        self.given: set[frozenset[int]] = set()

    @property
    def rank(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def take(self, packet: Packet) -> tuple[Eliminated, frozenset[int]]:
        """Take a packet in; return what was done, and everything that is decoded now."""
        field = self.field
        assert packet.coefficients is not None
        rest = [int(x) for x in packet.coefficients]
        subtracted = []
        for pivot in sorted(self.rows):
            if factor := rest[pivot]:
                rest = [field.less(x, field.times(factor, y)) for x, y in zip(rest, self.rows[pivot], strict=True)]
                subtracted.append((pivot, factor))
        new = next((i for i, x in enumerate(rest) if x), None)
        cleared = []
        if new is not None:
            scale = field.inverse(rest[new])
            rest = [field.times(x, scale) for x in rest]
            for pivot, row in self.rows.items():
                if factor := row[new]:
                    self.rows[pivot] = [field.less(x, field.times(factor, y)) for x, y in zip(row, rest, strict=True)]
                    cleared.append((pivot, factor))
            self.rows[new] = rest
        alone = _unit_rows(self.rows)
        fresh = [terms for terms in self.sums if terms not in self.given and self._gives(terms)]
        self.given.update(fresh)
        shown = tuple(tuple(sorted(terms)) for terms in fresh if not terms <= alone)
        done = Eliminated(tuple(subtracted), new, tuple(rest), tuple(cleared), shown)
        return done, alone.union(*self.given)

    def _gives(self, terms: frozenset[int]) -> bool:
        """Return whether the rows with pivots among the terms, the only ones that can, add up to their sum."""
        total = [0] * self.k
        for pivot in terms & self.rows.keys():
            total = [self.field.less(x, self.field.less(0, y)) for x, y in zip(total, self.rows[pivot], strict=True)]
        return total == [int(i in terms) for i in range(self.k)]


def _unit_rows(rows: dict[int, list[int]]) -> frozenset[int]:
    return frozenset(pivot for pivot, row in rows.items() if sum(1 for x in row if x != 0) == 1)
