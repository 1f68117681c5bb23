"""Events that counts are made of: classes or sub-products undecoded, and when chance decides whether they happen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uepgpu.tally.counts import Counts

__all__ = [
    "Events",
    "class_pairs",
    "classes_undecoded",
    "pairs_undecoded",
    "pattern_events",
    "possible_patterns",
    "subproducts_undecoded",
]

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Events:
    """Events with their counts.

    Attributes
    ----------
    counts : (32, T, E) int64
        Realizations in which each event happened.
    may_happen, may_not : (T, E) bool
        What is possible at each time, whatever the realization. Where one of the two is not, the count is 0 or all, for sure.
    """

    counts: Ints
    may_happen: Bools
    may_not: Bools

    @property
    def open(self) -> Bools:
        """Whether chance decides, (T, E)."""
        return self.may_happen & self.may_not

    def __getitem__(self, chosen: Ints | Bools) -> Events:
        """Return some of the events."""
        return Events(self.counts[:, :, chosen], self.may_happen[:, chosen], self.may_not[:, chosen])


def possible_patterns(counts: Counts) -> Bools:
    """Return whether each class pattern can occur at each time, (T, 2^L)."""
    times, patterns = counts.patterns.shape[1:]
    if counts.possible is None:
        return np.ones((times, patterns), dtype=np.bool_)
    first, last = counts.possible.T
    if counts.domain == "deadline":  # with any number of packets
        return np.broadcast_to(first <= last, (times, patterns))
    received = np.arange(times)[:, None]
    return np.asarray((first <= received) & (received <= last))


def class_pairs(counts: Counts, left: Ints, right: Ints) -> Events:
    """Return the events that classes `left` and `right` (counted from 0) are both undecoded, from class patterns."""
    both = (1 << left) | (1 << right)
    return pattern_events(counts, (np.arange(counts.patterns.shape[2])[:, None] & both[None, :]) == 0)


def pattern_events(counts: Counts, inside: Bools) -> Events:
    """Return the events that the class pattern is one of those `inside`, (2^L, E)."""
    possible = possible_patterns(counts)
    return Events(counts.patterns @ inside.astype(np.int64), possible @ inside, possible @ ~inside)


def pairs_undecoded(counts: Counts, left: Ints, right: Ints) -> Events:
    """Return the events that sub-products `left` and `right` <= `left` are both undecoded, from pairs, or marginals if equal."""
    held, at = (counts.pairs, left * (left + 1) // 2 + right) if counts.pairs is not None else (counts.marginals, left)
    assert held is not None
    times = held.shape[1]
    if counts.possible is None:
        anything = np.ones((times, left.size), dtype=np.bool_)
        return Events(held[:, :, at], anything, anything)
    first, last = counts.possible[at].T
    if counts.domain == "deadline":  # with any number of packets, also none
        shape = (times, left.size)
        return Events(held[:, :, at], np.ones(shape, dtype=np.bool_), np.broadcast_to(first <= counts.n_packets, shape))
    received = np.arange(times)[:, None]
    return Events(held[:, :, at], received <= last, received >= first)


def classes_undecoded(counts: Counts) -> Events:
    """Return the events that each class is not decoded as a whole."""
    label = np.arange(counts.n_classes)
    if counts.class_wise:
        return class_pairs(counts, label, label)
    bits = np.arange(counts.patterns.shape[2])[:, None] >> label[None, :]
    undecoded = counts.patterns @ (1 - (bits & 1))
    parts = [subproducts_undecoded(counts)[np.flatnonzero(counts.classes == c + 1)] for c in label]
    may_happen = np.stack([part.may_happen.any(axis=1) for part in parts], axis=1)
    return Events(undecoded, may_happen, np.stack([part.may_not.all(axis=1) for part in parts], axis=1))


def subproducts_undecoded(counts: Counts) -> Events:
    """Return the events that each sub-product is undecoded."""
    if counts.class_wise:
        return classes_undecoded(counts)[counts.classes - 1]
    k = np.arange(counts.classes.size)
    return pairs_undecoded(counts, k, k)
