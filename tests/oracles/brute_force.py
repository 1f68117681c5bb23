"""Oracles of the exact theory: every window assignment and arrival, decoded by ranks; exact tails. They share nothing with it."""

from __future__ import annotations

import itertools
import math
import random
from collections import defaultdict
from fractions import Fraction
from math import comb

import numpy as np

from uepgpu import Partition, latency

PRIME = 2**61 - 1

# Enumeration adds up to a few 10⁵ products of doubles with fsum: rounding stays far below this.
ENUMERATION = {"rtol": 0, "atol": 1e-12}
# A log-probability at W = 1,000 is a difference of log-factorials near 5,900, whose last place is 9e-13.
TAIL = {"rtol": 1e-11, "atol": 0}
RXC4 = {"rows": 2, "cols": 2, "classes": (1, 2, 1)}
CXR4 = {"blocks": 4, "classes": (1, 2, 1)}


def matrices_partition(paradigm, seed=3, **kwargs):
    rng = np.random.default_rng(seed)
    if paradigm == "rxc":
        return Partition.rxc(rng.normal(size=(5, 4)), rng.normal(size=(4, 4)), **kwargs)
    a = rng.normal(size=(5, 8)) + 1.5  # with a mean, so that cross terms matter
    return Partition.cxr(a, rng.normal(size=(8, 4)) - 0.7, **kwargs)


def constant_arrival(f):
    """Workers of whom each has answered with probability f at any deadline."""
    return latency.FromCDF(lambda t: np.full(np.shape(t), f))


def rank(rows, modulus=PRIME):
    """Rank of integer rows modulo a prime."""
    rows = [[x % modulus for x in row] for row in rows]
    found = 0
    for column in range(len(rows[0]) if rows else 0):
        pivot = next((r for r in range(found, len(rows)) if rows[r][column]), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        inverse = pow(rows[found][column], -1, modulus)
        for r in range(found + 1, len(rows)):
            factor = rows[r][column] * inverse % modulus
            rows[r] = [(a - factor * b) % modulus for a, b in zip(rows[r], rows[found], strict=True)]
        found += 1
    return found


class Decoder:
    """Which sub-products are undecoded, from random coefficients modulo 2⁶¹ - 1 on the supports of what arrived."""

    def __init__(self, supports):
        self.supports = np.asarray(supports, dtype=bool)
        self.random = random.Random(20)
        self.known = {}

    def undecoded(self, windows):
        """0/1 tuple of length K for a collection of windows received."""
        key = tuple(sorted(windows))
        if key not in self.known:
            k = self.supports.shape[1]
            rows = [[self.random.randrange(1, PRIME) * int(s) for s in self.supports[w]] for w in key]
            full = rank(rows)
            units = np.eye(k, dtype=int).tolist()
            self.known[key] = tuple(int(rank([*rows, unit]) > full) for unit in units)
        return self.known[key]


def drawn_by_deadline(supports, probabilities, arrived):
    """Law of the undecoded pattern; `arrived` (W, S) is Pr[worker w has answered | it has window s]."""
    decoder, law = Decoder(supports), defaultdict(list)
    n_windows = len(probabilities)
    for outcome in itertools.product(range(2 * n_windows), repeat=len(arrived)):
        p = 1.0
        for w, x in enumerate(outcome):
            s, late = divmod(x, 2)
            p *= probabilities[s] * (1 - arrived[w][s] if late else arrived[w][s])
        law[decoder.undecoded(x // 2 for x in outcome if x % 2 == 0)].append(p)
    return {pattern: math.fsum(ps) for pattern, ps in law.items()}


def drawn_by_received(supports, probabilities, n):
    """Law of the undecoded pattern after n drawn packets."""
    return drawn_by_deadline(supports, probabilities, np.ones((n, len(probabilities))))


def tied_by_deadline(supports, window, arrived):
    """Law of the undecoded pattern; `arrived` (W,) is Pr[worker w has answered]."""
    decoder, law = Decoder(supports), defaultdict(list)
    for outcome in itertools.product((0, 1), repeat=len(window)):
        p = math.prod(a if x else 1 - a for x, a in zip(outcome, arrived, strict=True))
        law[decoder.undecoded(s for x, s in zip(outcome, window, strict=True) if x)].append(p)
    return {pattern: math.fsum(ps) for pattern, ps in law.items()}


def tied_by_received(supports, window, n):
    """Law of the undecoded pattern when n of the workers have answered, all sets alike."""
    decoder, law = Decoder(supports), defaultdict(int)
    for outcome in itertools.combinations(window, n):
        law[decoder.undecoded(outcome)] += 1
    return {pattern: count / comb(len(window), n) for pattern, count in law.items()}


def loss(law, gram):
    """Expected loss uᵀGu."""
    return math.fsum(p * float(np.array(u) @ gram @ np.array(u)) for u, p in law.items())


def undecoded(law):
    """Pr[X_k undecoded], shape (K,)."""
    return sum(p * np.array(u) for u, p in law.items())


def class_decoded(law, classes):
    """Pr[all of a class decoded], shape (L,)."""
    result = np.zeros(max(classes))
    for u, p in law.items():
        for label in range(1, result.size + 1):
            result[label - 1] += p * (not any(x for x, c in zip(u, classes, strict=True) if c == label))
    return result


def full_rank_share_gf2(n, k):
    """Share of the n×k matrices over GF(2) that have rank k, by listing them all."""
    found = 0
    for bits in itertools.product((0, 1), repeat=n * k):
        found += rank([list(bits[i * k : (i + 1) * k]) for i in range(n)], 2) == k if n else k == 0
    return Fraction(found, 2 ** (n * k))


def binomial_tail(n, p, below):
    """Pr[Bin(n, p) < below] for a Fraction p, exactly."""
    a, b = p.numerator, p.denominator
    return Fraction(sum(comb(n, i) * a**i * (b - a) ** (n - i) for i in range(min(below, n + 1))), b**n)


def expanding_two(total, cells, absent, sizes):
    """(Q_1, Q_2) of two nested windows for multinomial counts with Fraction cells, exactly; sums of what fails only."""
    denominator = math.lcm(cells[0].denominator, cells[1].denominator, absent.denominator)
    c1, c2, a = (int(x * denominator) for x in (*cells, absent))
    assert c1 + c2 + a == denominator
    k1, k2 = sizes

    def term(n1, n2):
        rest = total - n1 - n2
        return comb(total, n1) * comb(total - n1, n2) * c1**n1 * c2**n2 * a**rest if rest >= 0 else 0

    first = sum(term(n1, n2) for n1 in range(k1) for n2 in range(k1 + k2 - n1))
    # Class 2 fails if n_2 < k_2 whatever n_1 is, or if n_1 + n_2 < K_2.
    second = sum(comb(total, n2) * c2**n2 * (denominator - c2) ** (total - n2) for n2 in range(k2))
    second += sum(term(n1, n2) for n1 in range(k1) for n2 in range(k2, k1 + k2 - n1))
    return Fraction(first, denominator**total), Fraction(second, denominator**total)


def expanding_two_fixed(workers, received, sizes):
    """The same for a uniformly random set of `received` among workers[0] + workers[1]."""
    w1, w2 = workers
    k1, k2 = sizes
    fails = [0, 0]
    for n2 in range(received + 1):
        n1 = received - n2
        ways = comb(w1, n1) * comb(w2, n2)
        second = n2 < k2 or n1 + n2 < k1 + k2
        fails[0] += ways * (n1 < k1 and n1 + n2 < k1 + k2)
        fails[1] += ways * second
    return tuple(Fraction(f, comb(w1 + w2, received)) for f in fails)


def expanding(total, cells, sizes):
    """Q_1..Q_L of nested windows for multinomial counts, exactly: all counts are listed. `cells` are integers, absence last."""
    ends = list(itertools.accumulate(sizes))
    fails = [0] * len(sizes)

    def visit(level, left, weight, rank_so_far, decoded):
        if level == len(sizes):
            for label in range(decoded, len(sizes)):
                fails[label] += weight * cells[-1] ** left
            return
        for n in range(left + 1):
            r = min(rank_so_far + n, ends[level])
            more = weight * comb(left, n) * cells[level] ** n
            visit(level + 1, left - n, more, r, level + 1 if r == ends[level] else decoded)

    visit(0, total, 1, 0, 0)
    return [Fraction(f, sum(cells) ** total) for f in fails]
