"""From a description to a plan: the only thing that kernels and tallies see."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import integer, positive, real_array, require_memory, shown, word64
from uepgpu.gradient_coding.placement import Placement, place
from uepgpu.gradient_coding.problem import Problem
from uepgpu.gradient_coding.quantile import latency_of_words
from uepgpu.gradient_coding.schemes import Scheme
from uepgpu.gradient_coding.servers import Servers, always_answer, plain
from uepgpu.gradient_coding.waiting import Waiting
from uepgpu.workers import Workers
from uepgpu.workers.together import require_one_message
from uepgpu_kernels.descent_job import BY_GRAM, BY_ROWS, DUAL, LOGISTIC, DescentJob

__all__ = ["DescentPlan", "make_plan"]

Floats = NDArray[np.float64]

MOST_COUNTERS = 2**32
"""Block numbers of the generator are 32-bit words."""


@dataclass(frozen=True, eq=False)
class DescentPlan:
    """A description resolved to arrays.

    Attributes
    ----------
    job : DescentJob
    placement : Placement
    workers : Workers
    n_blocks : int
        K of the problem, which a fair Ω is relative to.
    unheard : int
        Blocks that have rows other than zero and are never heard of, which biases the gradient.
    """

    job: DescentJob
    placement: Placement
    workers: Workers
    n_blocks: int
    unheard: int = 0

    @property
    def servers(self) -> Servers | None:
        """The servers whose latencies decide who is heard; None where it is decided by their words alone."""
        if plain(self.workers) and self.placement.by_number and not np.isfinite(self.placement.factor):
            return None
        return Servers(self.workers, self.placement.n_servers, self.n_blocks, self.placement.work, int(self.job.seed))

    def times(self, last: NDArray[np.uint32]) -> Floats:
        """Return the time of iterations whose last servers drew these words, in the unit of the latency law."""
        charge = float(self.workers.charge(self.placement.work))
        # The inverse of Workers.unit_time; all speeds are equal.
        power = self.workers.resolved_omega(self.n_blocks) * float(self.workers.speed()[0])
        return latency_of_words(self.workers.laws[0], last) * (charge / power)


def make_plan(
    problem: Problem,
    scheme: Scheme,
    workers: Workers,
    *,
    iterations: int,
    step: float,
    decay: float,
    start: Any,
    seed: int,
) -> DescentPlan:
    """Resolve a description; arguments as for :func:`uepgpu.gradient_coding.descend`."""
    _check(problem, workers)
    placement = place(problem, scheme, workers.count)
    _check_waiting(scheme, placement, workers)
    n = integer("iterations", iterations, 1)
    if n * (max(placement.n_servers, placement.wait) + 3) // 4 >= MOST_COUNTERS:
        raise ValueError(f"iterations times workers must be at most 2^34, got {n} iterations and {workers.count} workers")
    # Eight numbers of every iterate, and as many on the way to their means.
    require_memory(f"a run of {n:,} iterations", 8 * 16 * n)
    key = word64("seed", seed)
    rate = positive("step", step) / problem.curvature
    with np.errstate(over="ignore"):  # a step that vanishes
        steps = np.asarray(rate / (1.0 + positive("decay", decay, zero=True) * np.arange(n)), dtype=np.float64)
    d = problem.shape[1]
    x = np.zeros(d) if start is None else real_array("start", start)
    if x.shape != (d,) or not np.all(np.isfinite(x)):
        raise ValueError(f"start must be {d} finite numbers, one per column of A, got {shown(start)}")
    slope = problem.gradient(x) + problem.ridge * x
    if not np.any(slope):
        raise ValueError("start must not be the minimiser: gradient errors are relative to the gradient there")
    return DescentPlan(
        _job(problem, placement, np.uint64(key), steps, x, float(np.linalg.norm(slope))),
        placement,
        workers,
        problem.blocks,
        _unheard(problem, placement),
    )


def _unheard(problem: Problem, placement: Placement) -> int:
    if placement.law is None:
        return 0
    matter = np.logical_or.reduceat(np.any(problem.A != 0, axis=1), placement.bounds[:-1])
    return int(np.count_nonzero(matter & (placement.law == 0)))


def _check(problem: Any, workers: Any) -> None:
    for name, value, kind in (("problem", problem, Problem), ("workers", workers, Workers)):
        if not isinstance(value, kind):
            raise ValueError(f"{name} must be a {kind.__name__}, got {shown(value)}; the order is problem, scheme, workers")
    require_one_message(workers, "gradient coding")


def _check_waiting(scheme: Scheme, placement: Placement, workers: Workers) -> None:
    """Refuse to wait for answers that may never come."""
    if not placement.by_number or always_answer(workers):
        return
    lossy = f"loss_probability={shown(workers.loss_probability)}" if workers.loss_probability > 0 else workers.describe_latency()
    if workers.racks is not None and workers.loss_probability == 0:
        lossy = workers.racks.describe()
    how = "give it until=t" if isinstance(scheme, Waiting) else "use a scheme that takes until=t, such as ReplicatedSketch(until=t)"
    raise ValueError(f"workers must always answer where {scheme!r} waits for a number of them: {how}, got {lossy}")


def _job(problem: Problem, placement: Placement, seed: np.uint64, steps: Floats, start: Floats, slope: float) -> DescentJob:
    A, b = problem.A, problem.b
    n, d = problem.shape
    k = placement.bounds.size - 1
    logistic = problem.loss == "logistic"
    # A Gram matrix costs as much as d rows.
    form = LOGISTIC if logistic else BY_GRAM if n >= k * d else BY_ROWS
    gram, moment = np.zeros((0, d, d)), np.zeros((0, d))
    if form == BY_GRAM:
        cuts = [slice(*edge) for edge in itertools.pairwise(placement.bounds)]
        gram = np.stack([A[cut].T @ A[cut] for cut in cuts])
        moment = np.stack([b[cut] @ A[cut] for cut in cuts])
    star = problem.minimiser
    residual = A @ star - b
    job = DescentJob(
        seed=seed,
        draw=placement.draw,
        decode=placement.decode,
        fixed=int(placement.fixed),
        form=form,
        n_servers=placement.n_servers,
        wait=placement.wait,
        n_blocks=k,
        block_of=placement.block_of,
        copy_weight=placement.copy_weight,
        threshold=placement.threshold,
        code=placement.code if placement.decode == DUAL else np.zeros((0, k)),
        left_null=placement.left_null,
        particular=placement.particular,
        bounds=placement.bounds,
        rows=np.zeros((0, d)) if form == BY_GRAM else A,
        target=np.zeros(0) if form == BY_GRAM else b,
        gram=gram,
        moment=moment,
        full_gram=np.zeros((d, d)) if logistic else A.T @ A,
        ridge=problem.ridge,
        start=start,
        star=star,
        star_gradient=problem.gradient(star),
        star_residual2=float(residual @ residual),
        star_norm=float(np.linalg.norm(star)),
        residual_scale=float(n) if logistic else float(np.linalg.norm(b)),
        gradient_scale=slope,
        steps=steps,
    )
    # One layout and no read-only flag, so that every plan runs the same compiled kernel.
    arrays: dict[str, Any] = {
        name: np.array(value, order="C") for name, value in job._asdict().items() if isinstance(value, np.ndarray)
    }
    return job._replace(**arrays)
