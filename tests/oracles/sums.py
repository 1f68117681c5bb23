"""Sums of sub-products that count as decoded, by definition: cxr with given real coefficients. Shares nothing with the library."""

from __future__ import annotations

from collections.abc import Sequence

from tests.oracles import naive


def gives(rows, terms, k: int) -> bool:
    """Return whether rational rows combine to the sum of the sub-products `terms`."""
    ones = [1 if i in terms else 0 for i in range(k)]
    return naive.rank([*rows, ones], k, naive.Rationals()) == naive.rank(rows, k, naive.Rationals())


def possible_sums(matrix, classes: Sequence[int]) -> tuple[list[set[int]], list[set[int]]]:
    """Return the sums of first sub-products, shortest first, and of whole classes, of which those that all rows give may be used.

    Where a class and a sum that ends inside it are possible, one of them is not used: the class if such a sum is a packet.
    """
    k = len(classes)
    order = [i for label in range(1, max(classes) + 1) for i in range(k) if classes[i] == label]
    first = [set(order[:j]) for j in range(1, k + 1) if gives(matrix, order[:j], k)]
    whole = []
    for label in range(1, max(classes) + 1):
        own = {i for i in range(k) if classes[i] == label}
        if not gives(matrix, own, k):
            continue
        inside = [s for s in first if s & own and own - s and s - own]
        packets = [{i: x for i, x in enumerate(row) if x != 0} for row in matrix]
        if any(set(p) == s and len(set(p.values())) == 1 for p in packets for s in inside):
            continue
        first = [s for s in first if s not in inside]
        whole.append(own)
    return first, whole


def in_estimate(rows, k: int, first: Sequence[set[int]], whole: Sequence[set[int]]) -> set[int]:
    """Return the terms of the estimate: the longest sum of first sub-products, classes outside it, sub-products outside both."""
    prefix = next((s for s in reversed(first) if gives(rows, s, k)), set())
    outside = [s for s in whole if not s & prefix and gives(rows, s, k)]
    return prefix.union(*outside) | naive.decoded_by_rank_fractions(rows, k)
