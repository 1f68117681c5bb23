"""Backends: one protocol, one registry, availability asked when called."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends.cuda import CudaBackend, Devices
from uepgpu.checks import choice
from uepgpu.plan import DECODERS, largest

if TYPE_CHECKING:
    from uepgpu.plan import Plan
    from uepgpu_kernels.job import RawTally, RawTrajectories

__all__ = ["BACKENDS", "Backend", "BackendUnavailable", "Sampler", "available", "get_backend", "usable_cores"]


def usable_cores() -> int:
    """Return how many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


class BackendUnavailable(RuntimeError):
    """A backend was asked for by name and cannot run; the message has the reason and the remedy.

    Examples
    --------
    >>> try:
    ...     name = get_backend("cuda").name
    ... except BackendUnavailable as error:
    ...     name = get_backend("numba").name
    >>> name in ("cuda", "numba")
    True
    """


class Sampler(Protocol):
    """A plan made ready to run on one backend: call it as often as needed."""

    def run(self, first: int, count: int) -> RawTally:
        """Tally realizations first .. first + count - 1."""
        ...

    def decode_times(self, first: int, count: int) -> NDArray[np.int64]:
        """Return when each sub-product of each realization is decoded, shape (count, K); n_times means never."""
        ...


class RoundSampler(Protocol):
    """A plan of trajectories made ready to run on one backend."""

    def run_rounds(self, first: int, count: int, rounds: int) -> RawTrajectories:
        """Tally every round of trajectories first .. first + count - 1."""
        ...


class Backend(Protocol):
    """Where realizations run."""

    name: str

    def unavailable(self) -> str | None:
        """Return why this backend cannot run here, with the remedy, or None. Costs nothing that a user would notice."""
        ...

    def sampler(self, plan: Plan, decoder: str, kind: str, threads: int | None, devices: Devices = None) -> Sampler:
        """Make a plan ready for an entry of :data:`uepgpu.plan.DECODERS`.

        `kind` is what is tallied besides class patterns, `devices` which CUDA devices run.
        """
        ...

    def round_sampler(self, plan: Plan, decoder: str, kind: str, threads: int | None) -> RoundSampler:
        """Make a plan of trajectories ready."""
        ...


@dataclass(frozen=True)
class _Call:
    """A sampler made of functions."""

    run_range: Callable[[int, int], Any]
    times: Callable[[int, int], NDArray[np.int64]]
    every_round: Callable[[int, int, int], Any]

    def run_rounds(self, first: int, count: int, rounds: int) -> RawTrajectories:
        return self.every_round(first, count, rounds)  # type: ignore[no-any-return]

    def run(self, first: int, count: int) -> RawTally:
        return self.run_range(first, count)  # type: ignore[no-any-return]

    def decode_times(self, first: int, count: int) -> NDArray[np.int64]:
        return self.times(first, count)


class NumpyBackend:
    """NumPy, vectorised over realizations, on one core."""

    __slots__ = ()
    name = "numpy"

    def unavailable(self) -> str | None:
        """Return None: NumPy is always there."""
        return None

    def sampler(self, plan: Plan, decoder: str, kind: str, threads: int | None, devices: Devices = None) -> Sampler:
        """Make a plan ready."""
        return self._call(plan, decoder, kind)

    def round_sampler(self, plan: Plan, decoder: str, kind: str, threads: int | None) -> RoundSampler:
        """Make a plan of trajectories ready."""
        return self._call(plan, decoder, kind)

    def _call(self, plan: Plan, decoder: str, kind: str) -> _Call:
        from uepgpu_kernels import reference

        job, decode = plan.job, DECODERS[decoder].implementation("reference")
        return _Call(
            lambda first, count: reference.run(job, decode, kind, first, count),
            lambda first, count: reference.decode_times(job, decode, first, count),
            lambda first, count, rounds: reference.run_rounds(job, decode, kind, first, count, rounds),
        )


class NumbaBackend:
    """Numba on all cores."""

    __slots__ = ()
    name = "numba"

    def unavailable(self) -> str | None:
        """Return why Numba cannot run."""
        try:
            importlib.import_module("numba")
        except ImportError as error:
            return f"numba cannot be imported ({error}): pip install numba"
        return None

    def sampler(self, plan: Plan, decoder: str, kind: str, threads: int | None, devices: Devices = None) -> Sampler:
        """Make a plan ready."""
        return self._call(plan, decoder, kind, threads)

    def round_sampler(self, plan: Plan, decoder: str, kind: str, threads: int | None) -> RoundSampler:
        """Make a plan of trajectories ready."""
        return self._call(plan, decoder, kind, threads)

    def _call(self, plan: Plan, decoder: str, kind: str, threads: int | None) -> _Call:
        from uepgpu_kernels import cpu

        job = plan.job
        n = usable_cores() if threads is None else threads
        nest = DECODERS[decoder].implementation("cpu")(job)
        return _Call(
            lambda first, count: cpu.run(job, nest, kind, first, count, n),
            lambda first, count: cpu.decode_times(job, nest, first, count),
            lambda first, count, rounds: cpu.run_rounds(job, nest, kind, first, count, n, rounds),
        )


BACKENDS: dict[str, Backend] = {b.name: b for b in (CudaBackend(), NumbaBackend(), NumpyBackend())}
"""All backends, in the order in which ``"auto"`` tries them."""


def available() -> dict[str, str | None]:
    """Return for each backend None if it can run here, else the reason with the remedy."""
    return {name: backend.unavailable() for name, backend in BACKENDS.items()}


WORTH_A_DEVICE = 1_000_000
"""From so many realizations on ``"auto"`` asks for a device: a CPU does fewer while a kernel would be compiled."""


def get_backend(
    name: str = "auto",
    k: int = 1,
    *,
    decoder: str | None = None,
    without: Collection[str] = (),
    realizations: int | None = None,
) -> Backend:
    """Return a backend by name; every choice of one is made here.

    Parameters
    ----------
    name : str
        ``"auto"`` is the first of CUDA, Numba and NumPy that can run and takes the problem.
    k : int
        Number of sub-products of the problem.
    decoder : str, optional
        Name of its decoder in :data:`uepgpu.plan.DECODERS`; without it, any decoder will do.
    without : collection of str
        Backends that ``"auto"`` passes over, since they do not take the problem for another reason.
    realizations : int, optional
        How many will be asked for; below a million ``"auto"`` asks no device.

    Raises
    ------
    BackendUnavailable
        If a named backend cannot run here.
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> get_backend("numpy").name
    'numpy'
    >>> get_backend("nunpy")
    Traceback (most recent call last):
    ValueError: backend must be one of 'auto', 'cuda', 'numba', 'numpy', got 'nunpy' (did you mean 'numpy'?)
    """
    choice("backend", name, ("auto", *BACKENDS))
    if name == "auto":
        if realizations is not None and realizations < WORTH_A_DEVICE:
            without = (*without, "cuda")
        able = (backend for backend in BACKENDS.values() if backend.name not in without and _takes(backend.name, k, decoder))
        return next(backend for backend in able if backend.unavailable() is None)
    backend = BACKENDS[name]
    if reason := backend.unavailable():
        raise BackendUnavailable(f"backend {name!r} cannot run: {reason}")
    return backend


def _takes(backend: str, k: int, decoder: str | None) -> bool:
    """Return whether a backend decodes k sub-products."""
    asked = DECODERS.values() if decoder is None else [DECODERS[decoder]]
    most = largest(entry.limits[backend] for entry in asked)
    return most is None or k <= most
