"""Decoders without closed forms against plain Numba peers, in turn, on one thread: what a realization of each costs."""

from __future__ import annotations

import numpy as np
import pytest

from bench import decoders
from bench.turns import Contestant, take_turns
from uepgpu import Partition, Workers, codes, simulate

GAMMA = (0.40, 0.35, 0.25)
CDF = np.array([0.4, 0.75, 1.0 + 1e-9])


def line(*sizes):
    """Return a model of summands in classes of these sizes."""
    k = sum(sizes)
    return Partition.model("cxr", left_variances=np.linspace(10, 1, k), right_variances=np.ones(k), classes=sizes)


SQUARE = Partition.model("rxc", left_variances=(10, 1, 0.1), right_variances=(10, 1, 0.1), shape=(300, 900, 300), classes=(3, 3, 3))
LT = codes.LT(0.1, 0.5)
CALLS = 8
"""What :func:`take_turns` makes of each contestant: one that is not timed, and seven rounds."""


def windows(field):
    """Return expanding windows over a field."""
    return codes.ExpandingWindow(GAMMA, coefficients=field)


def degrees(k):
    """Return the cumulative law of the LT code's degrees."""
    return np.append(np.cumsum(LT.law(line(1, k - 1), 1).probabilities)[:-1], 1.0 + 1e-9)


JOBS = {
    # name: code, partition, packets, decoder, peer, its realizations, the library's
    "GF(2), K = 9": (windows("gf2"), SQUARE, 30, "auto", decoders.gf2, (np.array([3, 6, 9]), CDF), 40_000, 400_000),
    "GF(256), K = 9": (windows("gf256"), SQUARE, 30, "auto", decoders.gf256, (np.array([3, 6, 9]), CDF), 30_000, 200_000),
    "nested, K = 9": (
        codes.ExpandingWindow(GAMMA, encoding="factored", window="nested"),
        SQUARE,
        30,
        "auto",
        decoders.nested,
        (CDF,),
        20_000,
        400_000,
    ),
    "LT peeling, K = 9": (LT, line(3, 3, 3), 30, "peel", decoders.peel, (degrees(9),), 60_000, 200_000),
    "GF(2), K = 60": (windows("gf2"), line(10, 20, 30), 100, "auto", decoders.gf2, (np.array([10, 30, 60]), CDF), 2000, 200_000),
    "GF(256), K = 60": (
        windows("gf256"),
        line(10, 20, 30),
        100,
        "auto",
        decoders.gf256,
        (np.array([10, 30, 60]), CDF),
        300,
        16_400,
    ),
    "LT peeling, K = 60": (LT, line(10, 20, 30), 100, "peel", decoders.peel, (degrees(60),), 3000, 100_000),
    "GF(2), K = 300": (
        windows("gf2"),
        line(50, 100, 150),
        400,
        "auto",
        decoders.gf2_words,
        (np.array([50, 150, 300]), CDF),
        40,
        16_384,
    ),
    "GF(256), K = 300": (
        windows("gf256"),
        line(50, 100, 150),
        400,
        "auto",
        decoders.gf256,
        (np.array([50, 150, 300]), CDF),
        2,
        512,
    ),
    "LT peeling, K = 300": (LT, line(50, 100, 150), 400, "peel", decoders.peel_lists, (degrees(300),), 1000, 10_000),
}
QUICK = [job for job in JOBS if "300" not in job]


@pytest.mark.parametrize("job", [*QUICK, *(pytest.param(job, marks=pytest.mark.slow) for job in JOBS if job not in QUICK)])
def test_decoders_against_peers(job, benchmark, table):
    code, part, n, decoder, peer, tables, few, many = JOBS[job]
    k = part.n_subproducts
    when = np.zeros((k, n + 1), dtype=np.int64)
    size = 3 if peer is decoders.nested else k
    # The lossless tally, pairs, in the count domain where it has room; by deadlines beside it.
    common = {
        "tally": "auto" if k <= 64 else "marginals",
        "seed": 1,
        "decoder": decoder,
        "backend": "numba",
        "threads": 1,
        "realizations": many,
    }
    workers = Workers(n, work="unit")
    contestants = [
        Contestant("peer", lambda: peer(few, n, size, *tables, when), few),
        Contestant("count domain", lambda: simulate(code, part, workers, **common), many),
        Contestant("22 deadlines", lambda: simulate(code, part, workers, deadlines=np.arange(22) * 0.05, **common), many),
    ]
    found = take_turns(contestants)
    ratios = {name: timing.ratio(found["peer"]) for name, timing in found.items()}
    benchmark.extra_info.update(ratios)
    table(job, [f"{name}: {found[name].rate:,.0f} realizations/s, {ratios[name]:.2f} of the peer" for name in ratios])
    benchmark.pedantic(lambda: None, rounds=1)
    # Both tell the truth of the same thing: how often each sub-product is decoded after all packets. The peer's sub-products
    # stand in order of importance, and each of its calls draws the same realizations.
    tally = simulate(code, part, workers, **common)
    order = np.arange(k) if peer is decoders.nested else np.argsort(part.classes, kind="stable")
    share = tally.subproduct_probability().probability.sel(received=n).values[order]
    theirs = when.sum(axis=1) / (few * CALLS)
    error = np.sqrt(share * (1 - share) * (1 / few + 1 / many)) + 1 / few
    assert np.all(np.abs(theirs - share) < 5 * error)
