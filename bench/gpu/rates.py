"""Sections about speed: realizations a second of every kernel beside its ceiling, and a long run that two kernels must agree on."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.gpu.machine import clocks
from bench.gpu.notes import Notes, fastest
from bench.gpu.problems import HOT, PROBLEMS, SEED, Problem

__all__ = ["OTHER_SHARDS", "hot_rates", "long_run", "other_rates", "prepared"]

ROOT = Path(__file__).parents[2]
INSTRUCTIONS = ROOT / "tests" / "gpu" / "sass.json"
"""ALU-pipe instructions a thread issues per realization, in the machine code of sm_90."""

ALU_LANES = 64
"""ALU instructions of threads that a Hopper multiprocessor starts per cycle."""

OTHER_SHARDS = 4
LONG = {"cuda": 10**11, "numba": 10**6, "numpy": 10**4}


def prepared(problem: Problem, *, by_words: bool = True) -> Any:
    """Return a problem made ready on the first device."""
    from uepgpu.plan import DECODERS, make_plan, resolve_decoder, resolve_tally
    from uepgpu_kernels import cuda
    from uepgpu_kernels.automaton import automaton_of

    plan = make_plan(problem.code, problem.part, problem.workers, seed=SEED, deadlines=problem.deadlines)
    decoder = resolve_decoder(plan, problem.decoder)
    kind = resolve_tally(plan, decoder, problem.tally)
    automaton = automaton_of(plan.job) if decoder == "match" else None
    return cuda.Prepared(plan.job, DECODERS[decoder].implementation("cuda"), kind, automaton, by_words=by_words)


def rate(notes: Notes, name: str, target: float) -> None:
    """Time one problem: calls as a user makes them, and on a device the kernel alone by events on its own stream."""
    problem = PROBLEMS[name]
    began = time.perf_counter()
    problem.simulate(notes.size(1000, 33), notes.backend)
    row: dict[str, Any] = {"first_call_seconds": time.perf_counter() - began}
    with notes.device():
        n = least = notes.size(1024, 33)

        def call() -> object:
            return problem.simulate(n, notes.backend, batch=n)

        while (took := fastest(call, 1)) < target / 4 and n < notes.size(2**34, 33):
            n *= 4
        n = min(notes.size(2**36, 33), max(least, int(n * target / took)))
        row |= {"realizations": n, "rate": statistics.median(n / fastest(call, 1) for _ in range(notes.size(3, 1)))}
        if notes.on_device:
            with notes.step(f"{name}: events"):
                row |= events(name, problem, n, notes.size(6, 2))
        row["clocks"] = clocks()
    notes.say(name, **row)


def events(name: str, problem: Problem, n: int, times: int) -> dict[str, Any]:
    """Return the kernel's own rate by events, its ceiling and what it takes of a multiprocessor."""
    import cupy

    ready, rates = prepared(problem), []
    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    for _ in range(times):
        start.record(ready.memory.queue)
        ready.launch(0, n)
        end.record(ready.memory.queue)
        end.synchronize()
        rates.append(n / (cupy.cuda.get_elapsed_time(start, end) * 1e-3))
    row = {"kernel_rate": statistics.median(rates[1:]), "nest": ready.shape.nest, "blocks": ready.blocks, "threads": ready.threads}
    row |= ready.resources()
    if name in HOT:
        found = cupy.cuda.Device(0).attributes  # CUDA 13 has no clock among the properties any more
        counts = json.loads(INSTRUCTIONS.read_text())["kernels"]
        row["ceiling"] = found["MultiProcessorCount"] * ALU_LANES * found["ClockRate"] * 1e3 / counts[name]["ALU"]
        row["of_ceiling"] = row["kernel_rate"] / row["ceiling"]
    return row


def hot_rates(notes: Notes) -> None:
    """Time the four hot kernels."""
    for name in HOT:
        with notes.step(name):
            rate(notes, name, 0.5 * notes.share)


def other_rates(notes: Notes, shard: int) -> None:
    """Time every fourth of the other kernels; with little time, one."""
    names = [name for name in PROBLEMS if name not in HOT][shard::OTHER_SHARDS]
    for name in names if notes.share == 1 else names[:1]:
        with notes.step(name):
            rate(notes, name, 0.15 * notes.share)


def long_run(notes: Notes) -> None:
    """Tally many realizations twice: with two decoders, on a device by two kernels; every integer must be equal."""
    n = notes.size(max(1000, int(LONG[notes.backend] * notes.share)), 333)
    found: list[Any] = []
    calls = {f"count, {n:.0e} realizations": "count", f"match, {n:.0e} realizations": "match"}
    if notes.on_device:
        # There counting and matching are tables of one kernel; this one counts packet by packet, without a table.
        calls[f"packet by packet, {n:.0e} realizations"] = ""
    for what, name in calls.items():
        with notes.step(what), notes.device():
            began = time.perf_counter()
            if name:
                found.append(PROBLEMS[name].simulate(n, notes.backend, **({"batch": n} if notes.on_device else {})).patterns)
            else:
                found.append(prepared(PROBLEMS["count"], by_words=False).run(0, n).patterns)
            took = time.perf_counter() - began
            notes.say(what, rate=n / took, seconds=took, clocks=clocks())
    equal = len(found) == len(calls) and all(np.array_equal(found[0], other) for other in found)
    notes.say("they agree in every integer", ok=equal)
