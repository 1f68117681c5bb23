"""The law of N(t), the number of packets that have arrived by every deadline, for any joint law of arrivals.

Where packets carry equal work and their contents do not depend on who sends them, it is all that latencies, speeds and losses
decide (docs/mathematics.md §4): closed forms and count-domain tallies weigh their values at N packets with it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uepgpu.latency import Exponential, Trace
from uepgpu.theory.arrays import binomial, convolve, log_binomial, log_poisson

if TYPE_CHECKING:
    from uepgpu.workers import Workers

__all__ = ["received_law", "sent_by_worker", "thinned"]

Floats = NDArray[np.float64]


def received_law(workers: Workers, deadlines: Floats, n_subproducts: int, work: int) -> Floats:
    """Return Pr[N(t) = N] for N = 0..W m, shape (D, W m + 1), m messages per worker; every row sums to 1.

    Workers that answer independently give a Poisson-binomial law, by convolution of the binomial laws of those that are alike;
    racks are convolved likewise, each the mixture of two such laws. All are sums of positive terms, so that both tails keep their
    digits. The time grows with the square of the number of workers.

    Parameters
    ----------
    workers : Workers
    deadlines : (D,) float64
    n_subproducts : int
        K, which a fair load is relative to.
    work : int
        True work r of every packet.

    Examples
    --------
    >>> from uepgpu.workers import Workers
    >>> received_law(Workers(2, omega=1.0, speeds=[1.0, 2.0]), np.array([1.0]), 9, 1).round(4).tolist()
    [[0.0498, 0.4036, 0.5466]]
    >>> received_law(Workers(1, messages=2), np.array([1.0]), 9, 1).round(4).tolist()
    [[0.3679, 0.2387, 0.3935]]
    """
    if isinstance(workers.latency, Trace):
        return _by_round(workers, workers.latency, deadlines, n_subproducts, work)
    kinds, number = workers.kinds()

    def together(counts: tuple[int, ...], struck: bool | None) -> Floats:
        """Return the law of the number received of so many independent workers of every kind."""
        laws = []
        for kind, count in zip(kinds, counts, strict=True):
            if count and workers.messages > 1:
                sent = sent_by_worker(workers, kind, deadlines, n_subproducts, work, struck=bool(struck))
                laws += [thinned(sent, workers.loss_probability)] * count
            elif count:
                arrived = workers.arrival(deadlines, n_subproducts, work, *kind, struck=struck)
                late = workers.absence(deadlines, n_subproducts, work, *kind, struck=struck)
                laws.append(binomial(count, arrived, late, count))
        return _sum(laws)

    def of(members: NDArray[np.intp]) -> tuple[int, ...]:
        return tuple(np.bincount(number[members], minlength=len(kinds)).tolist())

    if workers.racks is None or workers.racks.probability == 0:
        chance = together(of(np.arange(workers.count)), False)
    else:
        racks = Counter(of(members) for members in workers.racks.members())
        struck = workers.racks.probability
        laws = [((1 - struck) * together(counts, False) + struck * together(counts, True), n) for counts, n in racks.items()]
        chance = _sum([law for law, n in laws for _ in range(n)])
    return np.asarray(chance / chance.sum(axis=1, keepdims=True))


def sent_by_worker(
    workers: Workers, kind: tuple[float, int], deadlines: Floats, n_subproducts: int, work: int, *, struck: bool = False
) -> Floats:
    """Return the law of the number of messages of equal work that one worker has sent, lost ones too, shape (D, m + 1).

    `kind` is its speed and the number of its law; `struck` says whether its rack is.
    """
    speed, number = kind
    m = workers.messages
    if workers.progress == "erlang":
        from scipy.special import gammainc

        law = workers.laws[number] if not struck or workers.racks is None else workers.racks.latency
        assert law is None or isinstance(law, Exponential)
        rate = 0.0 if law is None else law.rate
        mean = rate * workers.unit_time(deadlines, n_subproducts, work, speed)[:, None]
        ended = np.isinf(mean)
        sent = np.exp(log_poisson(np.arange(m + 1), np.where(ended, 0.0, mean)))
        sent[:, m:] = gammainc(m, np.where(ended, 0.0, mean))
        return np.where(ended, np.arange(m + 1) == m, sent)
    sure = replace(workers, loss_probability=0.0)  # channels lose messages one by one
    times = deadlines[:, None] / np.arange(1, m + 1)
    none = np.zeros((deadlines.size, 1))
    arrived = np.hstack([none + 1, sure.arrival(times, n_subproducts, work, speed, number, struck=struck), none])
    late = np.hstack([none, sure.absence(times, n_subproducts, work, speed, number, struck=struck), none + 1])
    # The difference of the smaller two keeps its digits.
    sent = np.where(arrived[:, :-1] < 0.5, arrived[:, :-1] - arrived[:, 1:], late[:, 1:] - late[:, :-1])
    return np.asarray(np.maximum(sent, 0.0))


def thinned(sent: Floats, lost: float) -> Floats:
    """Return the law of how many of the packets that were sent are not lost, each on its own."""
    if lost == 0:
        return sent
    numbers = np.arange(sent.shape[1])
    return np.asarray(sent @ np.exp(log_binomial(numbers, numbers[:, None], np.array(1 - lost), np.array(lost))))


def _by_round(workers: Workers, trace: Trace, deadlines: Floats, n_subproducts: int, work: int) -> Floats:
    """Return the law of the number received over the rounds of a trace, all of them equally likely."""
    chance = np.zeros((deadlines.size, workers.n_packets + 1))
    for d, time in enumerate(deadlines):
        limits = (workers.unit_time(time / j, n_subproducts, work, workers.speed()) for j in range(1, workers.messages + 1))
        sent = np.sum([trace.answered(limit) for limit in limits], axis=0)
        chance[d] = np.bincount(sent, minlength=workers.n_packets + 1) / trace.n_rounds
    return thinned(chance, workers.loss_probability)


def _sum(laws: list[Floats]) -> Floats:
    """Return the law of a sum of independent numbers, each from 0 upwards."""
    while len(laws) > 1:  # neighbours first, so that few laws are long
        pairs = zip(laws[::2], laws[1::2], strict=False)
        laws = [convolve(a, b, a.shape[1] + b.shape[1] - 1) for a, b in pairs] + laws[len(laws) // 2 * 2 :]
    return laws[0]
