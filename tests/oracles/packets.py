"""Exact laws in decimal arithmetic, packet by packet: nothing is subtracted, no digit is lost. Shares nothing with the theory."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal, localcontext

import numpy as np

DIGITS = 60


def exponential(time):
    """Return Pr[T <= t] and Pr[T > t] for a latency of rate 1, `time` being the float64 that is given."""
    with localcontext() as context:
        context.prec = DIGITS
        late = (-Decimal(float(time))).exp()
        return 1 - late, late


def law_of_undecoded(decoder, workers):
    """Return the probability of every set of undecoded sub-products, as 0/1 tuples of length K.

    `decoder` is a :class:`tests.oracles.brute_force.Decoder`. `workers` has, for every worker, the probabilities that it has
    answered with each window, and that it has not answered.
    More packets of a window than it has sub-products tell nothing new, so counts are kept up to its size.
    """
    caps = decoder.supports.sum(axis=1).tolist()
    law = {(0,) * len(caps): Decimal(1)}
    with localcontext() as context:
        context.prec = DIGITS
        for cells in workers:
            grown = defaultdict(Decimal)
            for counts, p in law.items():
                grown[counts] += p * cells[-1]
                for window, cell in enumerate(cells[:-1]):
                    if cell:
                        n = min(counts[window] + 1, caps[window])
                        grown[(*counts[:window], n, *counts[window + 1 :])] += p * cell
            law = grown
        patterns = defaultdict(Decimal)
        for counts, p in law.items():
            received = [window for window, n in enumerate(counts) for _ in range(n)]
            patterns[decoder.undecoded(received)] += p
    return dict(patterns)


def decoded_and_not(law, members):
    """Return Pr[all of `members` decoded] and Pr[some are not]."""
    with localcontext() as context:
        context.prec = DIGITS
        decoded = sum((p for u, p in law.items() if not any(u[k] for k in members)), Decimal(0))
        failed = sum((p for u, p in law.items() if any(u[k] for k in members)), Decimal(0))
    return decoded, failed


def expected_loss(law, gram):
    """Return E[uᵀGu] for a Gram matrix of numbers >= 0."""
    with localcontext() as context:
        context.prec = DIGITS
        return sum((p * Decimal(float(np.array(u) @ gram @ np.array(u))) for u, p in law.items()), Decimal(0))
