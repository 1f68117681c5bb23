"""The UEP-30 job against its peers, one core; then two cores against one. Answers are checked, times are reported."""

from __future__ import annotations

import os

import numpy as np
import pytest

from bench import uep30
from bench.turns import Contestant, take_turns

PEER = "peer: Numba, elimination, 22 deadlines"


def report(table, title, timings, base, wanted):
    reference = timings[base]
    lines = []
    for name, timing in timings.items():
        goal = f"   (wanted >= {wanted[name]:g})" if name in wanted else ""
        lines.append(f"{name:44s} {timing.rate / 1e6:9.3f} M/s   {timing.ratio(reference):8.2f} x{goal}")
    table(title, lines)
    return {name: timing.ratio(reference) for name, timing in timings.items()}


def test_decoders_against_the_numba_peer(benchmark, table):
    n = 2_000_000
    cases = {
        "count, count domain": ("count", "count"),
        "count, 22 deadlines": ("deadline", "count"),
        "match, count domain": ("count", "match"),
        "match, 22 deadlines": ("deadline", "match"),
        "eliminate, count domain": ("count", "eliminate"),
    }
    mean, stderr = uep30.peer(n)
    for domain, decoder in cases.values():
        ours = uep30.simulate(100_000, domain=domain, decoder=decoder)
        spread = np.hypot(ours.normalized_loss_stderr.values, stderr)
        assert np.all(np.abs(ours.normalized_loss.values - mean) <= 5 * spread + 1e-9)
    contestants = [Contestant(PEER, lambda: uep30.peer(100_000), 100_000)]
    for name, domain in (("count domain", "count"), ("22 deadlines", "deadline")):
        contestants.append(Contestant(f"floor: draws alone, {name}", lambda d=domain: uep30.draw_floor(n, d), n))
    for name, (domain, decoder) in cases.items():
        size = n // 20 if decoder == "eliminate" else n
        contestants.append(Contestant(name, lambda d=domain, c=decoder, s=size: uep30.simulate(s, domain=d, decoder=c), size))
    timings = take_turns(contestants)
    wanted = {
        "count, count domain": 40,
        "count, 22 deadlines": 12,
        "match, count domain": 12,
        "match, 22 deadlines": 6,
    }
    benchmark.extra_info["ratios"] = report(
        table, "UEP-30 on one core, losses with standard errors included", timings, PEER, wanted
    )
    benchmark.pedantic(uep30.simulate, args=(n,), kwargs={"domain": "count"}, rounds=5, warmup_rounds=1)


def test_numpy_backend_against_a_loop_over_trials(benchmark, table):
    loop = "peer: NumPy, one trial at a time"
    contestants = [
        Contestant(loop, lambda: uep30.numpy_peer(10), 10),
        *(
            Contestant(
                f"numpy backend, {domain} domain", lambda d=domain: uep30.simulate(20_000, domain=d, backend="numpy"), 20_000
            )
            for domain in ("count", "deadline")
        ),
    ]
    timings = take_turns(contestants, rounds=5)
    wanted = {f"numpy backend, {domain} domain": 25 for domain in ("count", "deadline")}
    benchmark.extra_info["ratios"] = report(table, "UEP-30, NumPy alone", timings, loop, wanted)
    benchmark.pedantic(uep30.simulate, args=(20_000,), kwargs={"domain": "count", "backend": "numpy"}, rounds=3)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
@pytest.mark.parametrize("domain", ["count", "deadline"])
def test_two_cores_against_one(benchmark, table, domain):
    n = 16_000_000
    contestants = [
        Contestant(f"{threads} thread{'s' * (threads > 1)}", lambda t=threads: uep30.simulate(n, domain=domain, threads=t), n)
        for threads in (1, 2)
    ]
    timings = take_turns(contestants)
    benchmark.extra_info["ratios"] = report(table, f"Two cores, {domain} domain", timings, "1 thread", {"2 threads": 1.8})
    benchmark.pedantic(uep30.simulate, args=(n,), kwargs={"domain": domain, "threads": 2}, rounds=3)


def test_matching_without_the_automaton(benchmark, table):
    """LT codes draw their supports, so nothing can be tabulated: the bit-mask decoder itself."""
    import uepgpu as uep

    code = uep.codes.LT()
    n = 100_000
    names = ("match", "peel", "eliminate")
    contestants = [
        Contestant(f"LT, {name}", lambda d=name: uep30.simulate(n, domain="count", decoder=d, code=code), n) for name in names
    ]
    timings = take_turns(contestants, rounds=5)
    benchmark.extra_info["ratios"] = report(table, "LT, W = 30, K = 9, one core", timings, "LT, eliminate", {})
    benchmark.pedantic(uep30.simulate, args=(n,), kwargs={"domain": "count", "decoder": "match", "code": code}, rounds=3)
