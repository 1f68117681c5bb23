"""Runs problems under the CUDA simulator and in NumPy, and prints which tallies differ; a process of its own.

The simulator must be chosen before numba is imported, and bodies must be plain Python, since arrays are wrapped in it.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path

os.environ |= {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

import numpy as np  # noqa: E402

from tests.cases import problems  # noqa: E402
from tests.cases.descents import agreement, make_plan_of  # noqa: E402
from uepgpu.backends.cuda import CudaBackend  # noqa: E402
from uepgpu.plan import DECODERS, resolve_decoder, resolve_tally  # noqa: E402
from uepgpu_kernels import reference  # noqa: E402
from uepgpu_kernels.automaton import automaton_of  # noqa: E402
from uepgpu_kernels.cuda import DescentDraws, Prepared  # noqa: E402
from uepgpu_kernels.cuda.memory import Memory  # noqa: E402

FIRST = 2**32 - 37
"""The range passes 2^32 and begins at no multiple of 32."""


def equal(a, b):
    return all((x is None and y is None) or np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def plans(name):
    """Give (label, plan, decoder of kernels)."""
    problem = problems.PROBLEMS[name]
    for domain in ("count", "deadline"):
        for decoder in problem.decoders(domain):
            plan = problem.plan(domain)
            yield f"{name}, {domain}, {decoder}", plan, resolve_decoder(plan, decoder)


def tallies(name, count):
    """Every decoder, the automaton and the bit masks, the fast kernels and the general one, every kind of tally."""
    for label, plan, decoder in plans(name):
        job = plan.job
        n = count if job.k <= 9 or decoder != "eliminate" else 3
        automata = [None]
        if decoder == "match" and (built := automaton_of(job)) is not None:
            automata.append(built)
        seen = set()
        for asked in ("auto", "pairs" if plan.domain == "count" else "marginals") if job.k <= 9 else ("auto",):
            kind = resolve_tally(plan, decoder, asked)
            wanted = reference.run(job, DECODERS[decoder].implementation("reference"), kind, FIRST, n)
            for automaton, (packed, by_words) in itertools.product(automata, ((True, True), (True, False), (False, False))):
                step = DECODERS[decoder].implementation("cuda")
                prepared = Prepared(job, step, kind, automaton, blocks=32, threads=2, packed=packed, by_words=by_words)
                if prepared.shape not in seen:
                    seen.add(prepared.shape)
                    label_ = f"{label}, {kind}, {prepared.shape.nest} {prepared.shape.decoder.__name__}"
                    yield label_, equal(prepared.run(FIRST, n), wanted)


def launches(name, count):
    """Launch geometry, splits of the range, several devices, times of decoding; one decoder in each domain."""
    for label, plan, decoder in {label.split(", ")[1]: (label, plan, decoder) for label, plan, decoder in plans(name)}.values():
        job = plan.job
        kind = resolve_tally(plan, decoder, "auto")
        automaton = automaton_of(job) if decoder == "match" else None
        for first in (0, FIRST, 2**64 - count):
            wanted = reference.run(job, DECODERS[decoder].implementation("reference"), kind, first, count)
            for blocks, threads in ((32, 1), (32, 3), (64, 2)):
                prepared = Prepared(job, DECODERS[decoder].implementation("cuda"), kind, automaton, blocks=blocks, threads=threads)
                yield f"{label}, {blocks} x {threads} from {first}", equal(prepared.run(first, count), wanted)
        sampler = CudaBackend().sampler(plan, decoder, kind, None, devices="all")
        yield f"{label}, two devices", len(sampler.devices) == 2 and equal(sampler.run(first, count), wanted)
        sampler.most = count // 3
        yield f"{label}, smaller batches", equal(sampler.run(first, count), wanted)
        times = reference.decode_times(job, DECODERS[decoder].implementation("reference"), first, count)
        for of_times in (sampler, CudaBackend().sampler(plan, decoder, "times", None)):
            yield f"{label}, times", np.array_equal(of_times.decode_times(first, count), times)


def descents(name, count):
    """Draws and weights of gradient coding with all threads, and with few that take several iterations each."""
    job = make_plan_of(name, 3).job
    for room in (1 << 30, 20_000):
        draws = DescentDraws(job, Short(room))
        yield from agreement(draws, f"{name}, {room} bytes", FIRST, count, 3)


class Short(Memory):
    def __init__(self, room):
        self.room = room

    def free(self):
        return self.room


if __name__ == "__main__":
    sys.setswitchinterval(5e-4)  # the simulator waits for its threads in a loop, which holds them up
    todo, count, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    run = {"tallies": tallies, "launches": launches, "descents": descents}[todo]
    results = [result for name in names for result in run(name, count)]
    print(json.dumps({"ran": len(results), "differ": [label for label, same in results if not same]}))
