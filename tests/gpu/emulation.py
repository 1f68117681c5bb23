"""Executes compiled PTX on the CPU with the interpreter, on the tables that a launch would take."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from uepgpu.plan import DECODERS, make_plan, resolve_decoder
from uepgpu_kernels import cpu
from uepgpu_kernels.automaton import build_automaton
from uepgpu_kernels.cuda.memory import Memory
from uepgpu_kernels.job import SUB_BATCHES
from uepgpu_kernels.transitions import patterns_of


@dataclass
class Emulated:
    """A job, and its kernel's PTX for sm_90."""

    interpreter: Any
    job: Any
    decoder: str
    automaton: Any
    kind: str = "patterns"
    packed: bool = True
    rounds: int | None = None

    def __post_init__(self):
        from uepgpu_kernels.cuda import make_tables, shape_of

        step = DECODERS[self.decoder].implementation("cuda")
        self.shape = shape_of(self.job, step, self.kind, self.automaton, packed=self.packed, rounds=self.rounds is not None)
        self.tables = make_tables(self.job, self.shape, self.automaton)
        self.ptx, self.signature = compiled(self.shape)

    def launch(self, first, count, *, blocks=32, threads=32, sched=None, ptx=None, only=None):
        """Return (patterns (32, T, 2^L), by round where there are rounds, warp instructions). With `only`, of one block."""
        from uepgpu_kernels.cuda.layout import scratch_of

        job = self.job
        transitions = (job.n_times + 1) * job.n_classes << job.n_classes
        out = np.zeros((self.rounds or 1, SUB_BATCHES, transitions), dtype=np.uint64)
        kept = 1 if self.rounds is None else self.rounds * job.n_classes * SUB_BATCHES * -(-count // SUB_BATCHES)
        sim = self.interpreter.Sim(self.interpreter.Module(ptx or self.ptx), sched=sched)
        tables = [np.zeros(1, x.dtype) if isinstance(x, np.ndarray) and x.size == 0 else x for x in self.tables]
        scalars = [job.seed, np.uint64(first), np.uint64(count), np.uint32(job.n_times), np.uint32(transitions)]
        record = np.zeros(max(kept, scratch_of(self.shape, blocks)), dtype=np.uint32)
        arguments = [*scalars, *tables, out.reshape(-1), record]
        self.record = record
        params = [p for a in arguments for p in self.interpreter.flat_numba(sim, a)]
        if only is None:
            sim.launch(None, (blocks,), (threads,), params)
        else:
            entry = next(iter(sim.m.entries.values()))
            sim._run(entry, (blocks, 1, 1), (threads, 1, 1), np.array([only]), threads, params)
        sizes = [max(0, -(-(count - (b - first) % SUB_BATCHES) // SUB_BATCHES)) for b in range(SUB_BATCHES)]
        found = np.stack(
            [
                np.stack([patterns_of(row, size, job.n_times, job.n_classes) for row, size in zip(rows, sizes, strict=True)])
                for rows in out.astype(np.int64)
            ]
        )
        return found[0] if self.rounds is None else found, sim.nsteps

    def squares(self, first, count):
        """Return the squares (32, T, ·) of trajectories that have just been launched, by their kernel's PTX."""
        from uepgpu_kernels.cuda.ptx import compile_function
        from uepgpu_kernels.cuda.squares import SQUARES_TYPES, n_products, squares_kernel

        ptx = compile_function(squares_kernel(self.job.n_classes), SQUARES_TYPES, (9, 0))
        out = np.zeros(SUB_BATCHES * self.job.n_times * n_products(self.job.n_classes), dtype=np.uint64)
        sim = self.interpreter.Sim(self.interpreter.Module(ptx))
        scalars = [np.uint64(first), np.uint64(count), np.uint32(self.job.n_times), np.uint64(self.rounds)]
        arguments = [*scalars, np.uint64(-(-count // SUB_BATCHES)), self.record, out]
        params = [p for a in arguments for p in self.interpreter.flat_numba(sim, a)]
        sim.launch(None, (64,), (3,), params)
        return out.astype(np.int64).reshape(SUB_BATCHES, self.job.n_times, -1)

    def expected(self, first, count):
        """Return the CPU's patterns."""
        nest = DECODERS[self.decoder].implementation("cpu")(self.job)
        if self.rounds is not None:
            tallies = cpu.run_rounds(self.job, nest, self.kind, first, count, 1, self.rounds)
            return np.stack([tally.patterns for tally in tallies.rounds])
        return cpu.run(self.job, nest, self.kind, first, count, 1).patterns


class Executed(Memory):
    """A device that executes the PTX of kernels that have no shape."""

    def __init__(self, interpreter, free=1 << 30):
        self.interpreter, self.room = interpreter, free

    @functools.cache  # noqa: B019
    def function(self, function, types):
        from uepgpu_kernels.cuda.ptx import compile_function

        return self.interpreter.Module(compile_function(function, types, (9, 0)))

    def launch(self, kernel, blocks, threads, arguments):
        sim = self.interpreter.Sim(kernel)
        flat = [x for a in arguments for x in (a if isinstance(a, tuple) else (a,))]
        sim.launch(None, (blocks,), (threads,), [p for a in flat for p in self.interpreter.flat_numba(sim, a)])

    def free(self):
        return self.room


@functools.cache
def compiled(shape):
    """Return the PTX of a shape for sm_90 and its arguments; problems of one shape share it."""
    from uepgpu_kernels.cuda import compile_shape

    return compile_shape(shape, (9, 0))


def emulated(interpreter, problem, domain, decoder, *, deadlines=None, seed=7, packed=True, automaton=True, rounds=None):
    times = deadlines if domain == "deadline" else None
    plan = make_plan(problem.code, problem.part, problem.workers, seed=seed, deadlines=times, rounds=rounds is not None)
    resolved = resolve_decoder(plan, decoder)
    walk = build_automaton(plan.job.mask) if automaton and decoder == "match" and plan.job.mask.size else None
    return Emulated(interpreter, plan.job, resolved, walk, packed=packed, rounds=rounds)
