"""Descriptions that tests of the engine share: every kind of code, by name."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from uepgpu import Partition, Racks, Workers, codes, latency
from uepgpu.codes.law import packets_law
from uepgpu.monte_carlo import decode_times
from uepgpu.plan import CHOICES, count_domain_refusal, make_plan, resolve_decoder
from uepgpu_kernels.streams import NUMBERED

GAMMA = (0.40, 0.35, 0.25)
VARIANCES = (10, 1, 0.1)
RXC = Partition.model("rxc", left_variances=VARIANCES, right_variances=VARIANCES, shape=(300, 900, 300), classes=(3, 3, 3))
BLOCKS = np.repeat(VARIANCES, 3)
CXR = Partition.model("cxr", left_variances=BLOCKS, right_variances=BLOCKS, shape=(900, 100, 900), classes=(3, 3, 3))
TABLE = np.array([2, 1, 3, 1, 2, 3, 1, 2, 3])
"""Classes that are not in block order."""
MIXED = Partition.model("cxr", left_variances=BLOCKS, right_variances=BLOCKS, classes=TABLE[:, None])
PAPER = Workers(30, omega=1.0, work="unit")
DEADLINES = np.arange(22) * 0.05
NOW, EW, MDS = codes.NonOverlappingWindow(GAMMA), codes.ExpandingWindow(GAMMA), codes.MDS()
EXACT = ("count", "match", "eliminate")


def line(*class_sizes: int) -> Partition:
    """Return a model of sum(class_sizes) summands of falling energy."""
    k = sum(class_sizes)
    return Partition.model("cxr", left_variances=np.linspace(10, 1, k), right_variances=np.ones(k), classes=class_sizes)


def tiles(*class_sizes: int) -> Partition:
    """Return a model of sum(class_sizes) tiles of falling energy: no sum of them is a part of the product."""
    k = sum(class_sizes)
    return Partition.model("rxc", left_variances=np.linspace(10, 1, k), right_variances=[1.0], classes=class_sizes)


@dataclass(frozen=True)
class Problem:
    """What `simulate` takes, and how many realizations a slow backend can afford."""

    code: Any
    part: Partition
    workers: Workers
    deadlines: tuple[float, ...] = (0.0, 0.3, 0.3, 0.8, 2.0)
    realizations: int = 700

    def plan(self, domain: str) -> Any:
        """Return the plan, or None where the count domain does not apply."""
        if domain == "count" and count_domain_refusal(packets_law(self.code, self.part, self.workers), self.workers):
            return None
        return make_plan(self.code, self.part, self.workers, seed=3, deadlines=self.times(domain))

    def times(self, domain: str) -> tuple[float, ...] | None:
        """Return the argument `deadlines`."""
        return self.deadlines if domain == "deadline" else None

    def decode_times(self, domain: str, decoder: str, first: int, count: int, seed: int, backend: str) -> Any:
        """Return when sub-products of `count` realizations are decoded on a backend, (count, K)."""
        return decode_times(
            self.code,
            self.part,
            self.workers,
            deadlines=self.times(domain),
            realizations=count,
            seed=seed,
            first_realization=first,
            backend=backend,
            decoder=decoder,
        )

    def decoders(self, domain: str) -> list[str]:
        """Return the decoders that accept it."""
        plan, accepted = self.plan(domain), []
        for decoder in CHOICES[1:] if plan is not None else ():
            try:
                resolve_decoder(plan, decoder)
            except ValueError:
                continue
            accepted.append(decoder)
        return accepted


def unit(count: int, **options: Any) -> Workers:
    """Return workers that are charged one unit a packet."""
    return Workers(count, work="unit", **({"omega": "fair"} | options))


def random_windows(k: int, n: int, seed: int, **options: Any) -> codes.Windows:
    """Return a code of n overlapping windows on k sub-products, one of which never occurs."""
    rng = np.random.default_rng(seed)
    table = rng.random((n, k)) < min(0.5, 4 / k)
    table[np.arange(n), rng.integers(k, size=n)] = True
    share = rng.random(n)
    share[n // 2] = 0
    return codes.Windows(table, (share / share.sum()).tolist(), **options)


def generator(rows: int, k: int) -> np.ndarray:
    """Return sparse integer coefficients, some of them negative, without a zero row."""
    rng = np.random.default_rng(8)
    matrix = rng.integers(-3, 4, size=(rows, k)) * (rng.random((rows, k)) < 0.5)
    matrix[np.arange(rows), rng.integers(k, size=rows)] = -2
    return matrix


def sums() -> np.ndarray:
    """Return packets that give sums of sub-products for the classes of `TABLE`, alone, scaled, two or three together, or never."""
    order = np.argsort(TABLE, kind="stable")
    first = (np.argsort(order) < np.arange(10)[:, None]).astype(float)
    third, apart = (TABLE == 3) * 1.0, np.array([0, 0, 3, 0, 0, -1, 0, 0, 0.0])
    rows = [first[2], -first[3], 0.5 * first[5], first[6] + third, first[6] - third, third + apart, third - 2 * apart, first[9]]
    rows += [first[3] + 2 * third, 3 * third, np.arange(9.0) ** 2, np.eye(9)[order[0]], 7 * np.eye(9)[order[4]], np.arange(1, 10.0)]
    return np.array(rows)


def factored(**options: Any) -> codes.ExpandingWindow:
    """Return an expanding-window code of rectangles."""
    return codes.ExpandingWindow(GAMMA, encoding="factored", **options)


def recorded(rounds: int, n: int) -> np.ndarray:
    """Return latencies of rounds that are slow together, some of which never come."""
    rng = np.random.default_rng(rounds)
    return np.where(rng.random((rounds, n)) < 0.1, np.inf, rng.exponential(size=(rounds, n)) * rng.uniform(0.3, 1.5, (rounds, 1)))


LEVEL_PAIR = codes.NonOverlappingWindow(GAMMA, encoding="factored")
SLOW_HALF = tuple([1.0] * 15 + [0.5] * 15)
SLOW = latency.Exponential(0.3)
SHUFFLED = Workers(30, latency.Trace(recorded(5, 30), "order", True), speeds=SLOW_HALF, omega="fair")
SINGLE = Racks(range(30), 0.5, SLOW)
EIGHT = (0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2)

PROBLEMS = {
    "now": Problem(NOW, RXC, PAPER),
    "ew": Problem(EW, RXC, PAPER),
    "mds": Problem(MDS, RXC, PAPER),
    "now cxr true work": Problem(NOW, CXR, Workers(30, omega="fair")),
    "ew true work": Problem(EW, RXC, Workers(30, omega="fair")),
    "ew true work unequal": Problem(EW, CXR, Workers(30, omega=1.0)),
    "now fixed": Problem(codes.NonOverlappingWindow(GAMMA, windows="fixed"), RXC, PAPER),
    "ew fixed": Problem(codes.ExpandingWindow(GAMMA, windows="fixed"), CXR, PAPER),
    "ew class 1 never": Problem(codes.ExpandingWindow((0.0, 0.6, 0.4)), RXC, PAPER),
    "ew class 3 never": Problem(codes.ExpandingWindow((0.5, 0.5, 0.0)), RXC, PAPER),
    "now class 2 never": Problem(codes.NonOverlappingWindow((0.5, 0.0, 0.5)), RXC, PAPER),
    "level-pair": Problem(LEVEL_PAIR, RXC, PAPER),
    "nested": Problem(factored(window="nested"), RXC, PAPER),
    "max-rectangle": Problem(factored(window="max-rectangle"), RXC, PAPER),
    "bounding-box": Problem(factored(window="bounding-box"), RXC, PAPER),
    "mds factored": Problem(codes.MDS(encoding="factored"), RXC, PAPER),
    "uncoded": Problem(codes.Uncoded(), RXC, Workers(9, omega="fair")),
    "repetition": Problem(codes.Repetition(2), RXC, Workers(18, omega="fair")),
    "repetition of unequal copies": Problem(codes.Repetition((5, 3, 2, 3, 2, 1, 1, 0, 1)), RXC, Workers(18, omega="fair")),
    "lt": Problem(codes.LT(), CXR, unit(14)),
    "lt true work": Problem(codes.LT(), CXR, Workers(14, omega=2.0)),
    "windows": Problem(random_windows(9, 7, 1), CXR, unit(16, omega=1.0)),
    "windows gf2": Problem(random_windows(9, 7, 1, coefficients="gf2"), CXR, unit(16, omega=1.0)),
    "windows gf256": Problem(random_windows(9, 7, 1, coefficients="gf256"), CXR, unit(16, omega=1.0)),
    "now gf2": Problem(codes.NonOverlappingWindow(GAMMA, coefficients="gf2"), RXC, PAPER, realizations=300),
    "ew gf256": Problem(codes.ExpandingWindow(GAMMA, coefficients="gf256"), RXC, PAPER, realizations=300),
    "generator": Problem(codes.Generator(generator(14, 9)), CXR, unit(14, omega=1.0)),
    "generator sums": Problem(codes.Generator(sums()), MIXED, unit(14, omega=1.0)),
    "generator floats": Problem(codes.Generator(generator(14, 9) / 7 * 10.0 ** np.arange(-4, 5)), RXC, unit(14, omega=1.0)),
    "generator gf2": Problem(codes.Generator(generator(14, 9) != 0, field="gf2"), RXC, unit(14, omega=1.0)),
    "generator gf256": Problem(codes.Generator(generator(14, 9) % 256, field="gf256"), CXR, unit(14, omega=1.0)),
    "speeds": Problem(EW, RXC, unit(30, omega=1.0, speeds=SLOW_HALF)),
    "speeds fixed": Problem(codes.ExpandingWindow(GAMMA, windows="fixed"), RXC, Workers(30, speeds=SLOW_HALF, omega="fair")),
    "speeds uncoded": Problem(codes.Uncoded(), CXR, Workers(9, speeds=tuple(range(1, 10)), omega="fair")),
    "lossy": Problem(NOW, CXR, unit(30, omega=1.0, loss_probability=0.3, latency=latency.Weibull(0.7))),
    "lossy uncoded": Problem(codes.Uncoded(), CXR, Workers(9, loss_probability=0.2, omega="fair")),
    "racks": Problem(EW, RXC, unit(30, omega=1.0, racks=Racks([w // 5 for w in range(30)], 0.3))),
    "slow racks": Problem(
        LEVEL_PAIR, RXC, Workers(30, speeds=SLOW_HALF, omega="fair", racks=Racks([w % 7 for w in range(30)], 0.4, SLOW))
    ),
    "slow racks fixed": Problem(codes.ExpandingWindow(GAMMA, windows="fixed"), RXC, unit(30, omega=1.0, racks=SINGLE)),
    "racks uncoded": Problem(codes.Uncoded(), CXR, Workers(9, omega="fair", racks=Racks([3, 3, 1, 1, 2, 2, 2, 3, 1], 0.5))),
    "trace": Problem(EW, RXC, unit(30, omega=1.0, latency=latency.Trace(recorded(7, 30)))),
    "trace shuffled": Problem(
        codes.ExpandingWindow(GAMMA, windows="fixed"),
        CXR,
        SHUFFLED,
    ),
    "trace true work": Problem(
        LEVEL_PAIR,
        RXC,
        Workers(30, latency.Trace(recorded(9, 30), shuffle=True), speeds=SLOW_HALF, omega="fair", loss_probability=0.2),
    ),
    "trace uncoded": Problem(
        codes.Uncoded(), CXR, Workers(9, latency.Trace(recorded(4, 9), "order"), omega="fair", loss_probability=0.1)
    ),
    "messages": Problem(EW, RXC, unit(10, omega=1.0, messages=3)),
    "messages erlang": Problem(
        NOW, CXR, unit(7, omega=1.0, messages=2, progress="erlang", loss_probability=0.2, speeds=range(1, 8))
    ),
    "messages true work": Problem(EW, CXR, Workers(5, messages=4, loss_probability=0.2)),
    "messages uncoded": Problem(
        codes.Uncoded(), CXR, Workers(3, omega="fair", messages=3, racks=Racks([1, 0, 1], 0.4, SLOW)), (0.1, 0.3, 0.3, 4.0)
    ),
    "messages lt": Problem(codes.LT(), CXR, Workers(5, omega=2.0, messages=3, racks=Racks([0, 0, 1, 2, 2], 0.3))),
    "many messages": Problem(
        EW, RXC, unit(3, omega=1.0, messages=10, progress="erlang", racks=Racks([0, 1, 0], 0.5)), (0.0, 1.0, 5.0, 5.0, 60.0)
    ),
    "messages trace": Problem(
        LEVEL_PAIR, RXC, Workers(10, latency.Trace(recorded(5, 10), shuffle=True), messages=3, loss_probability=0.1, omega="fair")
    ),
    "messages trace fixed": Problem(
        codes.ExpandingWindow(GAMMA, windows="fixed"),
        CXR,
        Workers(10, latency.Trace(recorded(4, 10), "order"), messages=2, speeds=range(1, 11)),
    ),
    "one sub-product": Problem(codes.ExpandingWindow((1.0,)), line(1), unit(3)),
    "one packet": Problem(codes.ExpandingWindow((0.5, 0.5)), line(1, 1), unit(1)),
    "two sub-products": Problem(codes.NonOverlappingWindow((0.5, 0.5)), line(1, 1), unit(5)),
    "one class": Problem(codes.ExpandingWindow((1.0,)), line(9), unit(12)),
    "one class lt": Problem(codes.LT(), line(9), unit(12)),
    "eight classes": Problem(codes.ExpandingWindow(EIGHT), line(*[1, 2] * 4), unit(20)),
    "eight classes now": Problem(codes.NonOverlappingWindow(EIGHT), line(*[1] * 8), unit(20)),
    "eight classes windows": Problem(random_windows(16, 5, 2), line(*[2] * 8), unit(25)),
    "trace of sixty": Problem(
        random_windows(12, 9, 5), line(3, 5, 4), unit(60, latency=latency.Trace(recorded(6, 60), shuffle=True)), realizations=60
    ),
    "sixty racks": Problem(codes.LT(), line(3, 5, 4), unit(60, racks=Racks(range(60), 0.3, SLOW)), realizations=60),
    "K = 33": Problem(codes.NonOverlappingWindow(GAMMA), line(11, 11, 11), unit(60), realizations=60),
    "K = 33 windows": Problem(random_windows(33, 20, 3), line(3, 10, 20), unit(50), realizations=60),
    "K = 64": Problem(EW, line(4, 20, 40), unit(80), realizations=40),
    "K = 64 lt": Problem(codes.LT(), line(4, 20, 40), unit(90), realizations=40),
    "K = 64 windows": Problem(random_windows(64, 200, 4), line(4, 20, 40), unit(80), realizations=40),
    "K = 100": Problem(EW, line(10, 30, 60), unit(120), realizations=10),
    "K = 100 gf256": Problem(codes.MDS(coefficients="gf256"), line(10, 30, 60), unit(104), realizations=8),
    "K = 100 lt": Problem(codes.LT(), line(10, 30, 60), unit(130), realizations=10),
    "W = 253": Problem(EW, RXC, unit(253), realizations=100),
    "W = 254": Problem(EW, RXC, unit(254), realizations=100),
    "W = 255": Problem(NOW, RXC, unit(255), realizations=100),
    "W = 256": Problem(codes.MDS(), RXC, unit(256), realizations=100),
    "W = 300": Problem(EW, RXC, unit(300), realizations=100),
    "W = 300 nested": Problem(factored(window="nested"), RXC, unit(300), realizations=100),
    "W = 300 fixed": Problem(codes.NonOverlappingWindow(GAMMA, windows="fixed"), RXC, unit(300), realizations=100),
    "W = 297 repetition": Problem(codes.Repetition(33), RXC, Workers(297, omega="fair"), realizations=100),
}
"""Every code, encoding, work model and kind of worker; K from 1 to 100, W from 1 to 300, 1 to 8 classes."""


def cases(*domains: str) -> list[tuple[str, str, str]]:
    """Return (problem, domain, decoder) for all that are accepted."""
    chosen = domains or ("count", "deadline")
    return [(name, domain, decoder) for name, p in PROBLEMS.items() for domain in chosen for decoder in p.decoders(domain)]


def covering(chosen: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Return few of the cases: every problem in each of its domains, and every decoder with every feature that kernels tell apart.

    Decoders see supports, not codes, so most problems tell one decoder what they tell the next. Cases are taken one by one, each
    time the first of those that add most, of the decoder that has had fewest.
    """
    left = {case: {(case[0], case[1])} | {(case[2], feature) for feature in _features(*case[:2])} for case in chosen}
    wanted, taken, uses = set().union(*left.values()), [], Counter()
    while wanted:
        best = max(left, key=lambda case: (len(left[case] & wanted), -uses[case[2]]))
        wanted -= left.pop(best)
        taken.append(best)
        uses[best[2]] += 1
    return [case for case in chosen if case in taken]


@cache
def _features(name: str, domain: str) -> set[tuple[str, Any]]:
    """Return what samplers, decoders and loop nests branch on."""
    job = PROBLEMS[name].plan(domain).job
    width = "numbered subsets" if job.k <= NUMBERED else "32 bits" if job.k <= 32 else "64 bits" if job.k <= 64 else "lists"
    return {
        ("domain", domain),
        ("order", int(job.order)),
        ("width", width),
        ("field", (int(job.field), width)),
        ("given coefficients", job.generator.shape[0] > 0),
        ("sums", job.target.shape[0] > 0),
        ("drawn degrees", (job.degree.size > 0, width)),
        ("groups of workers", len(job.n_threshold) > 1),
        ("trace", job.messages == 1 and (job.arrival.shape[0] > 0, job.arrival.shape[0] > 1, job.replay, job.shuffle)),
        ("racks", (job.n_racks > 0, job.n_racks > 32)),
        ("messages", job.messages > 1),
        ("nested windows", 0 < job.chain_start.sum() < job.chain_start.size),
        ("unreachable cells", bool(np.any(np.diff(job.n_threshold)))),
        ("classes", job.n_classes),
        ("one packet's time in a byte", job.n_packets < 255),
        ("one sub-product", job.k == 1),
    }
