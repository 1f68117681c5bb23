"""The oracle nobody would ship: draws, decoding and thresholds as plain loops, sharing no code with the library.

Sub-products and packets are counted from 0. Words are integers in [0, 2^32).
"""

from __future__ import annotations

import functools
import itertools
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

P = 2**31 - 1
M32 = 2**32 - 1


# --- draws: Philox4x32-10, Salmon et al., SC'11 ----------------------------------------------------------------------


def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the block of four words of Philox4x32-10 for a counter of four words and a key of two."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        product0 = 0xD2511F53 * c0
        product1 = 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (product1 >> 32) ^ c1 ^ k0, product1 & M32, (product0 >> 32) ^ c3 ^ k1, product0 & M32
        k0 = (k0 + 0x9E3779B9) & M32
        k1 = (k1 + 0xBB67AE85) & M32
    return c0, c1, c2, c3


def word(seed: int, realization: int, stream: int, index: int) -> int:
    """Return word `index` of a stream of a realization, in the layout of docs/mathematics.md §10."""
    key = (seed & M32, (seed >> 32) & M32)
    counter = (realization & M32, (realization >> 32) & M32, index // 4, stream)
    return philox4x32(counter, key)[index % 4]


def thresholds(cell_probabilities: Sequence[float]) -> list[int]:
    """Return floor(2^32 × cumulative probability) for every cell; the last cell closes at 2^32."""
    result = []
    total = 0.0
    for p in cell_probabilities:
        total += p
        result.append(min(int(total * 2.0**32), 2**32))
    result[-1] = 2**32
    return result


def cell(word: int, thresholds: Sequence[int]) -> int:
    """Return the cell that a word falls into: the number of thresholds <= word."""
    count = 0
    for t in thresholds:
        if t <= word:
            count += 1
    return count


def rack_is_struck(seed: int, realization: int, rack: int, below: int) -> bool:
    """Return whether a rack is dark or slow: its word of stream 6 is less than floor(2^32 × the probability)."""
    return word(seed, realization, 6, rack) < below


def trace_round(seed: int, realization: int, rounds: int, *, drawn: bool) -> int:
    """Return which round of a trace a realization meets: that of word 1 of stream 7, or each in its turn."""
    return word(seed, realization, 7, 1) * rounds >> 32 if drawn else realization % rounds


def messages_by_work(word: int, limits: Sequence[Sequence[int]], works: Sequence[int]) -> list[int]:
    """Return when each message of a worker arrives: limits[c - 1] say which words have done work c by which time."""
    return [cell(word, limits[sum(works[: j + 1]) - 1]) for j in range(len(works))]


def messages_by_increments(words: Sequence[int], limits: Sequence[Sequence[int]], m: int) -> list[int]:
    """Return when each of m messages arrives: words[d] says how many come by time d that had not come before."""
    came: list[int] = []
    for d, (word, limit) in enumerate(zip(words, limits, strict=True)):
        came += [d] * cell(word, limit)
    return (came + [len(words)] * m)[:m]


def packets_of_a_word(n_cells: int) -> int:
    """Return how many packets a word decides in the count domain: the most whose combinations of cells are at most 128."""
    most = 1
    for m in range(2, 8):
        if n_cells > 1 and n_cells**m <= 128:
            most = m
    return most


@functools.cache
def shares(widths: tuple[int, ...], m: int) -> dict[tuple[int, ...], int]:
    """Return how many of the 2^32 words draw each combination of cells of m packets, of which cell s alone has widths[s]."""
    # The first packet's cell changes fastest.
    combinations = [tuple(reversed(c)) for c in itertools.product(range(len(widths)), repeat=m)]
    count = {}
    for c in combinations:
        share = Fraction(2**32)
        for s in c:
            share *= Fraction(widths[s], 2**32)
        count[c] = int(share)
    extra = dict.fromkeys(combinations, 0)
    while sum(count.values()) + sum(extra.values()) < 2**32:
        lacks = [
            [widths[s] - sum(count[c] + extra[c] for c in combinations if c[place] == s) for s in range(len(widths))]
            for place in range(m)
        ]
        chosen, rank = None, None
        for c in combinations:
            product = 1
            for place, s in enumerate(c):
                product *= lacks[place][s]
            if product > 0 and (rank is None or (extra[c], -product) < rank):
                chosen, rank = c, (extra[c], -product)
        extra[chosen] += 1
    return {c: count[c] + extra[c] for c in combinations}


@functools.cache
def columns(widths: tuple[int, ...], m: int) -> list[tuple[int, int]]:
    """Return, for each of 128 columns of 2^25 words, how many of its first words draw its own combination, and its alias."""
    size = 2**25
    left = list(shares(widths, m).values())
    left += [0] * (128 - len(left))
    found = [(0, c) for c in range(128)]
    closed: set[int] = set()
    while any(left[c] < size for c in range(128) if c not in closed):
        few = min(c for c in range(128) if c not in closed and left[c] < size)
        many = min(c for c in range(128) if left[c] > size)
        found[few] = (left[few], many)
        left[many] -= size - left[few]
        left[few] = size
        closed.add(few)
    return found


def cells_together(word: int, widths: Sequence[int]) -> tuple[int, ...]:
    """Return the cells of the packets that one word decides in the count domain, where cell s has widths[s] of the 2^32 words."""
    m = packets_of_a_word(len(widths))
    own, alias = columns(tuple(widths), m)[word // 2**25]
    number = word // 2**25 if word % 2**25 < own else alias
    return list(shares(tuple(widths), m))[number]


def permutation(seed: int, realization: int, n: int) -> list[int]:
    """Return which of n workers arrives first, second, ...: Fisher-Yates from the last place down, stream 1."""
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = (word(seed, realization, 1, i) * (i + 1)) >> 32
        order[i], order[j] = order[j], order[i]
    return order


def lt_subset(seed: int, realization: int, packet: int, degree: int, k: int) -> set[int]:
    """Return a uniform set of `degree` of k sub-products, stream 3: by its number up to K = 12, else by Floyd's method."""
    if k <= 12:
        sets = list(itertools.combinations(range(k), degree))
        return set(sets[word(seed, realization, 3, packet) * len(sets) >> 32])
    first = packet * 4 * ((k + 3) // 4)
    chosen: set[int] = set()
    for i in range(degree):
        last = k - degree + i
        pick = word(seed, realization, 3, first + i) * (last + 1) >> 32
        chosen.add(last if pick in chosen else pick)
    return chosen


def coefficient(seed: int, realization: int, packet: int, kk: int, k: int, field: str) -> int:
    """Return the coefficient of sub-product kk in a packet, stream 2; generic ones lie in 1..p-1, p = 2^31 - 1."""
    at = packet * k + kk
    if field == "generic":
        return 1 + ((word(seed, realization, 2, at) * (P - 1)) >> 32)
    if field == "gf256":
        return (word(seed, realization, 2, at // 4) >> 8 * (at % 4)) % 256
    if field == "gf2":
        return (word(seed, realization, 2, at // 32) >> at % 32) % 2
    raise ValueError(f"no field {field!r}")


# --- decoding with generic coefficients: matching, and peeling, which is weaker --------------------------------------


def matching_size(supports: Sequence[Iterable[int]]) -> int:
    """Return the size of a maximum matching between packets and sub-products in their supports."""
    owner: dict[int, int] = {}

    def augment(packet: int, seen: set[int]) -> bool:
        for kk in supports[packet]:
            if kk in seen:
                continue
            seen.add(kk)
            if kk not in owner or augment(owner[kk], seen):
                owner[kk] = packet
                return True
        return False

    size = 0
    for packet in range(len(supports)):
        if augment(packet, set()):
            size += 1
    return size


def match_decoded(supports: Sequence[Iterable[int]], k: int) -> set[int]:
    """Return the decodable sub-products: those without which the maximum matching is one smaller."""
    sets = [set(s) for s in supports]
    size = matching_size(sets)
    decoded = set()
    for kk in range(k):
        if matching_size([s - {kk} for s in sets]) == size - 1:
            decoded.add(kk)
    return decoded


def peel_decoded(supports: Sequence[Iterable[int]], k: int) -> set[int]:
    """Return what peeling finds: again and again the one unknown of a packet with exactly one unknown."""
    decoded: set[int] = set()
    progress = True
    while progress:
        progress = False
        for support in supports:
            unknown = set(support) - decoded
            if len(unknown) == 1:
                decoded |= unknown
                progress = True
    return decoded


# --- decoding with given coefficients: straight Gaussian elimination in four fields ----------------------------------


class Rationals:
    """The field of rational numbers."""

    def convert(self, a):
        return Fraction(a)

    def subtract(self, a, b):
        return a - b

    def multiply(self, a, b):
        return a * b

    def invert(self, a):
        return 1 / a


class ModP:
    """The integers modulo a prime."""

    def __init__(self, p):
        self.p = p

    def convert(self, a):
        return a % self.p

    def subtract(self, a, b):
        return (a - b) % self.p

    def multiply(self, a, b):
        return (a * b) % self.p

    def invert(self, a):
        return pow(a, self.p - 2, self.p)


class GF256:
    """The field of 256 elements modulo x^8 + x^4 + x^3 + x + 1 (0x11B)."""

    def convert(self, a):
        return a

    def subtract(self, a, b):
        return a ^ b

    def multiply(self, a, b):
        result = 0
        while b:
            if b & 1:
                result ^= a
            a <<= 1
            if a & 0x100:
                a ^= 0x11B
            b >>= 1
        return result

    def invert(self, a):
        for b in range(1, 256):
            if self.multiply(a, b) == 1:
                return b
        raise ZeroDivisionError("0 has no inverse")


def rank(rows, k: int, field) -> int:
    """Return the rank of a list of rows of k entries over a field."""
    work = [[field.convert(x) for x in row] for row in rows]
    done = 0
    for column in range(k):
        pivot = next((r for r in range(done, len(work)) if work[r][column] != 0), None)
        if pivot is None:
            continue
        work[done], work[pivot] = work[pivot], work[done]
        inverse = field.invert(work[done][column])
        for r in range(done + 1, len(work)):
            factor = field.multiply(work[r][column], inverse)
            for c in range(column, k):
                work[r][c] = field.subtract(work[r][c], field.multiply(factor, work[done][c]))
        done += 1
    return done


def decoded_by_rank(rows, k: int, field) -> set[int]:
    """Return the sub-products whose unit row does not increase the rank."""
    full = rank(rows, k, field)
    decoded = set()
    for kk in range(k):
        unit = [1 if c == kk else 0 for c in range(k)]
        if rank([*rows, unit], k, field) == full:
            decoded.add(kk)
    return decoded


def decoded_by_rank_mod_p(rows, k: int, p: int = P) -> set[int]:
    """Return the decodable sub-products for integer rows modulo the prime p."""
    return decoded_by_rank(rows, k, ModP(p))


def decoded_by_rank_gf2(rows, k: int) -> set[int]:
    """Return the decodable sub-products for rows over GF(2)."""
    return decoded_by_rank(rows, k, ModP(2))


def decoded_by_rank_gf256(rows, k: int) -> set[int]:
    """Return the decodable sub-products for rows over GF(256)."""
    return decoded_by_rank(rows, k, GF256())


def decoded_by_rank_fractions(rows, k: int) -> set[int]:
    """Return the decodable sub-products for rational rows."""
    return decoded_by_rank(rows, k, Rationals())
