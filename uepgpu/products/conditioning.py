"""How well floating point decodes what exact arithmetic decodes: the judgement, and the report for a code."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends import find_place, usable_cores
from uepgpu.checks import choice, finite, integer, positive, realization_range, require_memory, shown
from uepgpu.codes import Code
from uepgpu.partition import Partition
from uepgpu.plan import FOREVER, make_plan, resolve_decoder
from uepgpu.products.coefficients import draw_packets, require_real
from uepgpu.products.decoding_weights import Weights, selected_weights
from uepgpu.text.variables import dataset as labelled
from uepgpu.workers import Workers
from uepgpu.workers.together import require_one_message

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DTYPES", "condition", "deadline_times", "ill_conditioned"]

Bools = NDArray[np.bool_]

DTYPES = ("float64", "float32", "float16")

MOST_AMPLIFICATION = 0.1
"""A decode whose condition number times the rounding of packets exceeds this is hopeless: not one decimal digit is sure."""

MOST_RESIDUAL = 1e-6
"""So is one whose weights miss what decoding needs by more than this."""

QUANTILES = (0.5, 0.9, 0.99, 1.0)
MOST_ELEMENTS = 2**20
"""Coefficients of packets that are looked at together."""


def ill_conditioned(solved: Weights, rounding: float | NDArray[np.float64]) -> Bools:
    """Return where floating point cannot decode what exact arithmetic does, (R,), for packets of this relative rounding."""
    # A packet that is lost is one whether decoding uses it or not.
    amplified = np.maximum(solved.condition, 1.0) * rounding > MOST_AMPLIFICATION
    return np.asarray(~np.isfinite(solved.condition) | amplified | (solved.residual > MOST_RESIDUAL))


def deadline_times(deadline: Any) -> tuple[float, ...]:
    """Return a deadline as :func:`uepgpu.plan.make_plan` takes it."""
    if isinstance(deadline, float | np.floating) and deadline == math.inf:
        return FOREVER
    try:
        return (positive("deadline", finite("deadline", deadline), zero=True),)
    except ValueError:
        raise ValueError(f"deadline must be a number >= 0, or math.inf to wait for all, got {shown(deadline)}") from None


def condition(
    code: Code,
    part: Partition,
    workers: Workers,
    *,
    deadline: float = math.inf,
    received: int | None = None,
    realizations: int = 1000,
    seed: int,
    dtype: Literal["float64", "float32", "float16"] = "float64",
    backend: str = "auto",
    first_realization: int = 0,
    threads: int | None = None,
) -> xr.Dataset:
    """Return how well floating point decodes a code, of which :func:`uepgpu.simulate` says what exact arithmetic decodes.

    Parameters
    ----------
    code, part, workers, realizations, seed, backend, first_realization, threads
        As for :func:`uepgpu.multiply`, whose packets these are; `part` may be a model.
    deadline : float
        >= 0; ``math.inf`` waits for all.
    received : int, optional
        Take the first so many packets instead, 1..W; for exchangeable packets.
    dtype : "float64", "float32" or "float16"
        Arithmetic of the workers, whose rounding decoding amplifies.

    Returns
    -------
    xarray.Dataset
        ``condition`` over ``quantile``, of the realizations that decode something (nan where none does): Frobenius norm of the
        packets used, at unit size, times that of the decoding weights. ``decodable`` and ``ill_conditioned``: how many
        realizations decode something, and how many of all are such that `dtype` cannot decode what exact arithmetic decodes:
        condition times rounding above 10 %, or weights that miss what decoding needs by more than 1e-6.

    Raises
    ------
    ValueError
        Bad arguments, named; finite-field coefficients, which have no real payloads.

    Examples
    --------
    >>> import numpy as np, uepgpu as uep
    >>> part = uep.Partition.model("cxr", left_variances=[1] * 20, right_variances=[1] * 20, classes=(20,))
    >>> powers = uep.codes.Generator(np.vander(np.linspace(-1, 1, 40), 20, increasing=True))
    >>> report = uep.condition(powers, part, uep.Workers(40), received=20, realizations=100, seed=7)
    >>> int(report.decodable), int(report.ill_conditioned) > 0
    (100, True)
    """
    choice("dtype", dtype, DTYPES)
    require_one_message(workers, "products")
    first, n = realization_range(first_realization, realizations)
    cores = usable_cores() if threads is None else integer("threads", threads, 1)
    times = deadline_times(deadline)
    if received is not None:
        if deadline != math.inf:
            raise ValueError(f"received and deadline exclude each other, got {shown(received)} and {shown(deadline)}")
        if integer("received", received, 1) > workers.count:
            raise ValueError(f"received must be at most the {workers.count} workers, got {received}")
    plan = make_plan(code, part, workers, seed=seed, deadlines=None if received is not None else times)
    require_real(plan.law)
    host = find_place(backend).host
    sampler = host.sampler(plan, resolve_decoder(plan, "auto"), "patterns", cores)
    eps = float(np.finfo(dtype).eps)
    require_memory(f"conditions of {n:,} realizations", 2 * 8 * n)
    conditions, ill, decodable = [], 0, 0
    step = max(1, MOST_ELEMENTS // (workers.count * part.n_subproducts))
    for start in range(first, first + n, step):
        count = min(step, first + n - start)
        packets = draw_packets(plan, part, start, count, received)
        wanted = sampler.decode_times(start, count) < (plan.job.n_times if received is None else received + 1)
        compiled = host.name == "numba"
        solved = selected_weights(packets.coefficients, packets.arrived, wanted, cores, compiled=compiled, sums=plan.sums)
        some = wanted.any(axis=1)
        conditions.append(solved.condition[some])
        decodable += int(some.sum())
        ill += int(ill_conditioned(solved, eps).sum())
    return _dataset(np.concatenate(conditions), decodable, ill, realizations=n, seed=seed, dtype=dtype, backend=host.name)


def _dataset(conditions: NDArray[np.float64], decodable: int, ill: int, **attributes: Any) -> xr.Dataset:
    quantiles = np.quantile(conditions, QUANTILES) if conditions.size else np.full(len(QUANTILES), np.nan)
    return labelled(
        {"condition": ("quantile", quantiles), "decodable": decodable, "ill_conditioned": ill},
        coords={"quantile": list(QUANTILES)},
        attrs=attributes,
    )
