"""Kernels of a device compiled ahead of time, on any machine."""

from __future__ import annotations

import concurrent.futures
import importlib.util
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass

from uepgpu.backends import BackendUnavailable, usable_cores
from uepgpu.machine.selftest import Case, cases
from uepgpu.plan import DECODERS, make_plan, resolve_decoder, resolve_tally

__all__ = ["Compiled", "compile_ahead", "shapes"]

PROBE = "the question whether a device answers"
DRAWS = "draws of gradient coding"


@dataclass(frozen=True)
class Compiled:
    """A kernel that is on disk now.

    Attributes
    ----------
    name : str
        A problem that it serves.
    seconds : float
    found : bool
        Whether it was on disk before.
    """

    name: str
    seconds: float
    found: bool


def compile_ahead(capability: str) -> Iterator[Compiled]:
    """Compile the kernels of the self-test, among them those of UEP-30, and of gradient coding, for devices of one kind.

    No device is needed. They are compiled in processes side by side, and kept where a process that runs on a device looks for them.

    Parameters
    ----------
    capability : str
        ``"sm_90"``, say.

    Raises
    ------
    BackendUnavailable
        If numba-cuda is not installed.
    ValueError
        If it is no compute capability.
    """
    if importlib.util.find_spec("numba_cuda") is None:
        raise BackendUnavailable('kernels for CUDA need numba-cuda to be compiled: pip install "uepgpu[cuda13]"')
    from uepgpu_kernels.cuda import capability_of

    asked = capability_of(capability)
    names = [PROBE, DRAWS, *shapes()]
    workers = min(len(names), usable_cores())
    spawned = multiprocessing.get_context("spawn")  # a fork of a process with threads of its own may hang
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=spawned) as pool:
        yield from pool.map(_compile, names, [asked] * len(names))


def shapes() -> dict[str, object]:
    """Return the shapes of the self-test's kernels, each by the first problem that it serves."""
    found: dict[object, str] = {}
    for case in cases("cuda"):
        found.setdefault(_shape(case), case.name)
    return {name: shape for shape, name in found.items()}


def _shape(case: Case) -> object:
    from uepgpu_kernels.automaton import automaton_of
    from uepgpu_kernels.cuda import shape_of

    plan = make_plan(case.code, case.part, case.workers, seed=0, deadlines=case.deadlines)
    decoder = resolve_decoder(plan, case.decoder)
    kind = resolve_tally(plan, decoder, case.tally)
    automaton = automaton_of(plan.job) if decoder == "match" else None
    return shape_of(plan.job, DECODERS[decoder].implementation("cuda"), kind, automaton)


def _compile(name: str, capability: tuple[int, int]) -> Compiled:
    from uepgpu_kernels.cuda import draws_cubin, probe_cubin, shape_cubin

    began = time.perf_counter()
    if name == PROBE:
        kept = probe_cubin(capability)
    elif name == DRAWS:
        kept = draws_cubin(capability)
    else:
        (case,) = (case for case in cases("cuda") if case.name == name)
        kept = shape_cubin(_shape(case), capability)  # type: ignore[arg-type]
    return Compiled(name, time.perf_counter() - began, kept.found)
