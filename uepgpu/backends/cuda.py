"""The CUDA backend: which devices, whether they answer, and ranges split over them."""

from __future__ import annotations

import importlib.util
import itertools
import os
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import integer, shown
from uepgpu.plan import DECODERS

if TYPE_CHECKING:
    from uepgpu.plan import Plan
    from uepgpu_kernels.job import RawTally

__all__ = ["CudaBackend", "CudaSampler", "Devices", "add_tallies", "parse_devices", "split_range"]

Devices = Literal["all"] | int | Sequence[int] | None
"""Which CUDA devices run: all, one by number, several, or the first."""

REMEDY = 'pip install "uepgpu[cuda13]" (CUDA 13, driver 580 or later) or "uepgpu[cuda12]"'
NUMBA = "backend='numba' runs on all CPU cores"


class CudaBackend:
    """NVIDIA GPUs, through numba-cuda and CuPy."""

    __slots__ = ("_answered",)
    name = "cuda"

    def __init__(self) -> None:
        self._answered = False

    def unavailable(self) -> str | None:
        """Return why no device can be used, with the remedy. The first success is remembered; it costs a tiny kernel."""
        if self._answered:
            return None
        missing = [name for name, module in (("CuPy", "cupy"), ("numba-cuda", "numba_cuda")) if _absent(module)]
        if missing:
            return f"{' and '.join(missing)} not installed: {REMEDY}; {NUMBA}"
        if os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0"):
            return "NUMBA_ENABLE_CUDASIM is set, and the simulator is for tests only: unset it"
        try:
            from uepgpu_kernels.cuda.probe import silence

            reason = silence()
        except Exception as error:  # whatever an incomplete or unfit installation raises
            reason = f"CuPy or numba-cuda cannot be used ({type(error).__name__}: {error}): {REMEDY}"
        if reason is not None:
            return f"{reason}; {NUMBA}"
        self._answered = True
        return None

    def sampler(self, plan: Plan, decoder: str, kind: str, threads: int | None, devices: Devices = None) -> CudaSampler:
        """Make a plan ready on one or more devices; `threads` is for CPUs.

        Raises
        ------
        ValueError
            If K is beyond the decoder's limit, or there is no such device.
        """
        from uepgpu_kernels import cuda

        job, entry = plan.job, DECODERS[decoder]
        most = entry.limits[self.name]
        if most is not None and job.k > most:
            raise ValueError(f"backend='cuda' takes K <= {most} sub-products, got K = {job.k}; use backend='numba'")
        step = entry.implementation("cuda")

        def prepare(kind: str, device: int) -> Any:
            return cuda.prepare(job, step, kind, device)

        return CudaSampler(prepare, kind, parse_devices(devices, cuda.device_count()))

    def round_sampler(self, plan: Plan, decoder: str, kind: str, threads: int | None) -> NoReturn:
        """Refuse: device code has no rounds.

        Raises
        ------
        ValueError
        """
        raise ValueError("rounds are not simulated by backend='cuda': give 'numba' or 'numpy'")


class CudaSampler:
    """A plan on one or more devices. Memory that does not suffice halves the batch, with a warning."""

    def __init__(self, prepare: Callable[[str, int], Any], kind: str, devices: Sequence[int]) -> None:
        self.prepare, self.kind, self.devices = prepare, kind, devices
        self.prepared = [prepare(kind, device) for device in devices]
        self.most: int = 2**63

    def run(self, first: int, count: int) -> RawTally:
        """Tally realizations first .. first + count - 1: each device its part, all at once."""
        total: RawTally | None = None
        start, end = first, first + count
        while start < end:
            size = min(self.most, end - start)
            try:
                parts = [(p, *part) for p, part in zip(self.prepared, split_range(start, size, len(self.devices)), strict=False)]
                launched = [(p, p.queue(a, n), a, n) for p, a, n in parts]
                tallies: list[RawTally] = [p.finished(out, a, n) for p, out, a, n in launched]
            except Exception as error:
                self._halve(error, size)
                continue
            for tally in tallies:
                total = tally if total is None else add_tallies(total, tally)
            start += size
        assert total is not None
        return total

    def decode_times(self, first: int, count: int) -> NDArray[np.int64]:
        """Return when each sub-product is decoded, from the first device."""
        prepared = self.prepared[0] if self.kind == "times" else self.prepare("times", self.devices[0])
        times: list[NDArray[np.int64]] = []
        start = first
        while start < first + count:
            size = min(self.most, prepared.most_times(), first + count - start)
            try:
                times.append(prepared.decode_times(start, size))
            except Exception as error:
                self._halve(error, size)
                continue
            start += size
        return np.concatenate(times)

    def _halve(self, error: Exception, size: int) -> None:
        """Halve the batch if memory was short, else raise the error."""
        from uepgpu_kernels.cuda.memory import is_out_of_memory

        if not is_out_of_memory(error) or size < 2:
            raise error
        for prepared in self.prepared:
            prepared.release()
        self.most = size // 2
        message = f"out of device memory with a batch of {size:,} realizations: continuing with {self.most:,}"
        warnings.warn(message, RuntimeWarning, stacklevel=4)


def split_range(first: int, count: int, parts: int) -> list[tuple[int, int]]:
    """Return (first, count) of at most `parts` consecutive ranges that differ by one realization at most.

    Examples
    --------
    >>> split_range(10, 7, 3), split_range(0, 1, 2)
    ([(10, 3), (13, 2), (15, 2)], [(0, 1)])
    """
    edges = [first + -(-count * i // parts) for i in range(parts + 1)]
    return [(a, b - a) for a, b in itertools.pairwise(edges) if b > a]


def add_tallies(a: RawTally, b: RawTally) -> RawTally:
    """Return the sum of the tallies of two ranges."""
    both = zip(a, b, strict=True)
    return type(a)(*(None if x is None or y is None else x + y for x, y in both))  # type: ignore[arg-type]


def parse_devices(devices: Devices, present: int | None = None) -> list[int]:
    """Return device numbers, of the `present` ones; None where it is not known how many there are ("all" is none then).

    Raises
    ------
    ValueError
        If it is neither None, "all", nor one or more distinct device numbers below `present`.
    """
    if devices is None:
        return [0]
    if isinstance(devices, str):
        if devices != "all":
            raise ValueError(f"devices must be 'all', a device number or several, got {shown(devices)}")
        return list(range(present or 0))
    chosen = [integer("devices", d, 0) for d in (devices if isinstance(devices, Sequence) else [devices])]
    if not chosen or len(set(chosen)) < len(chosen) or (present is not None and max(chosen) >= present):
        allowed = "distinct numbers" if present is None else f"distinct numbers in 0..{present - 1}"
        raise ValueError(f"devices must be {allowed}, got {shown(devices)}")
    return chosen


def _absent(module: str) -> bool:
    return importlib.util.find_spec(module) is None
