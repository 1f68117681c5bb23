"""From a scheme to a placement: which blocks servers hold, whom the master waits for, what answers weigh."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import shown
from uepgpu.gradient_coding.exact_codes import cyclic_code, fractional_groups
from uepgpu.gradient_coding.laws import GRADIENT_NORM, block_law, thresholds
from uepgpu.gradient_coding.problem import Problem
from uepgpu.gradient_coding.replication import replication_numbers
from uepgpu.gradient_coding.schemes import (
    CyclicCode,
    ExactGradient,
    FractionalRepetition,
    IgnoreStragglers,
    ReplicatedSketch,
    SampledSketch,
    Scheme,
    StochasticBlocks,
)
from uepgpu.gradient_coding.waiting import Waiting
from uepgpu.partition import block_bounds
from uepgpu_kernels.descent_job import COPIES, DUAL, FASTEST, GROUPS, SAMPLED
from uepgpu_kernels.descent_job import GRADIENT_NORM as BY_GRADIENT_NORM

__all__ = ["Placement", "place"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def _no_floats() -> Floats:
    return np.zeros((0, 0))


@dataclass(frozen=True, eq=False)
class Placement:
    """A scheme resolved for a problem and R servers; the arrays are those of :class:`uepgpu_kernels.descent_job.DescentJob`.

    Attributes
    ----------
    draw, decode, fixed, n_servers, wait : int
    bounds : (K' + 1,) rows of each block of the scheme's own cut
    block_of, copy_weight, threshold, code, left_null, particular
    work : float
        Units of work of a server: the gradient of one of the problem's K blocks is one.
    law : (K',) or None
        Π̃, what sampled blocks follow.
    replicas : (K',) or None
        How many servers hold each block, of a replicated sketch.
    until, factor : float
        Rules of waiting besides `wait`, infinite where they do not hold.
    rescaled : bool
        Whether weights are those of `wait` answers, to be rescaled where others come.
    """

    draw: int
    decode: int
    fixed: bool
    n_servers: int
    wait: int
    bounds: Ints
    block_of: Ints
    copy_weight: Floats
    work: float
    threshold: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    code: Floats = field(default_factory=_no_floats)
    left_null: Floats = field(default_factory=_no_floats)
    particular: Floats = field(default_factory=lambda: np.zeros(0))
    law: Floats | None = None
    replicas: Ints | None = None
    until: float = np.inf
    factor: float = np.inf
    rescaled: bool = False

    @property
    def by_number(self) -> bool:
        """Whether the master waits for a number of answers, however long that takes."""
        return not np.isfinite(self.until)


def place(problem: Problem, scheme: Scheme, servers: int) -> Placement:
    """Resolve a scheme.

    Raises
    ------
    ValueError
        More answers than servers, fewer servers than blocks, servers without rows, or a code that does not exist.
    """
    if isinstance(scheme, ReplicatedSketch):
        return _replicated(problem, scheme, servers)
    if isinstance(scheme, SampledSketch):
        return _sampled(problem, scheme, servers)
    if isinstance(scheme, ExactGradient):
        # All answers are added up anyway, so one block of all rows gives their sum.
        return _shared_out(problem, servers, servers, 1.0 / servers, n_blocks=1)
    if isinstance(scheme, IgnoreStragglers | StochasticBlocks):
        q, rescaled = _most_answers(scheme, servers), isinstance(scheme, StochasticBlocks)
        shared = _shared_out(problem, servers, q, servers / q if rescaled else 1.0, n_blocks=servers)
        return replace(shared, rescaled=rescaled, until=_limit(scheme, "until"), factor=_limit(scheme, "factor"))
    if isinstance(scheme, FractionalRepetition):
        return _fractional(problem, scheme, servers)
    if isinstance(scheme, CyclicCode):
        return _cyclic(problem, scheme, servers)
    raise ValueError(f"scheme must be one of uepgpu.gradient_coding, such as ReplicatedSketch(fastest=20), got {shown(scheme)}")


def _at_most(name: str, value: int, servers: int) -> int:
    if value > servers:
        raise ValueError(f"{name} must be at most the {servers} servers that there are, got {value}")
    return value


def _most_answers(scheme: Waiting, servers: int) -> int:
    """Return the greatest number of answers that the rules let the master have."""
    fastest = scheme.rule("fastest")
    return servers if fastest is None else _at_most("fastest", int(fastest), servers)


def _limit(scheme: Waiting, rule: str) -> float:
    """Return a rule about time, infinite where it does not hold."""
    value = scheme.rule(rule)
    return np.inf if value is None else float(value)


def _replicated(problem: Problem, scheme: ReplicatedSketch, servers: int) -> Placement:
    q = _most_answers(scheme, servers)
    r = replication_numbers(block_law(problem, scheme.law), servers, every_block=scheme.every_block)
    weight = np.divide(servers, q * r, out=np.zeros(r.size), where=r > 0)
    return Placement(
        draw=FASTEST,
        decode=COPIES,
        fixed=scheme.sketch == "fixed",
        n_servers=servers,
        wait=q,
        bounds=problem.bounds,
        block_of=np.repeat(np.arange(r.size), r),
        copy_weight=weight,
        work=1.0,
        law=r / servers,
        replicas=r,
        rescaled=True,
        until=_limit(scheme, "until"),
        factor=_limit(scheme, "factor"),
    )


def _sampled(problem: Problem, scheme: SampledSketch, servers: int) -> Placement:
    q = _at_most("samples", scheme.samples, servers)
    by_norm = scheme.law == GRADIENT_NORM
    k = problem.blocks
    threshold, law = (np.zeros(0, dtype=np.uint64), None) if by_norm else thresholds(block_law(problem, scheme.law))
    weight = np.zeros(k) if law is None else np.divide(1.0, q * law, out=np.zeros(k), where=law > 0)
    return Placement(
        draw=BY_GRADIENT_NORM if by_norm else SAMPLED,
        decode=COPIES,
        fixed=scheme.sketch == "fixed",
        n_servers=q,
        wait=q,
        bounds=problem.bounds,
        block_of=np.zeros(q, dtype=np.int64),
        copy_weight=weight,
        work=1.0,
        threshold=threshold,
        law=law,
    )


def _cut(problem: Problem, servers: int, pieces: int) -> Ints:
    rows = problem.shape[0]
    if servers > rows:
        raise ValueError(f"workers must be at most the {rows} rows of A for a scheme that shares out rows, got {servers}")
    return block_bounds("workers", rows, pieces)


def _shared_out(problem: Problem, servers: int, wait: int, weight: float, n_blocks: int) -> Placement:
    bounds = _cut(problem, servers, n_blocks)
    block_of = np.arange(servers) if n_blocks > 1 else np.zeros(servers, dtype=np.int64)
    return Placement(
        draw=FASTEST,
        decode=COPIES,
        fixed=False,
        n_servers=servers,
        wait=wait,
        bounds=bounds,
        block_of=block_of,
        copy_weight=np.full(n_blocks, weight),
        work=problem.blocks / servers,
    )


def _fractional(problem: Problem, scheme: FractionalRepetition, servers: int) -> Placement:
    stragglers = scheme.stragglers
    group = fractional_groups(servers, stragglers)
    n_groups = servers // (stragglers + 1)
    _cut(problem, servers, servers)
    return Placement(
        draw=FASTEST,
        decode=GROUPS,
        fixed=False,
        n_servers=servers,
        wait=_most_answers(scheme, servers) if scheme.rules_in_force else servers - stragglers,
        bounds=block_bounds("workers", problem.shape[0], n_groups),
        block_of=group,
        copy_weight=np.ones(n_groups),
        work=problem.blocks * (stragglers + 1) / servers,
        until=_limit(scheme, "until"),
        factor=_limit(scheme, "factor"),
    )


def _cyclic(problem: Problem, scheme: CyclicCode, servers: int) -> Placement:
    code = cyclic_code(servers, scheme.stragglers, construction=scheme.construction, seed=scheme.seed)
    return Placement(
        draw=FASTEST,
        decode=DUAL,
        fixed=False,
        n_servers=servers,
        wait=servers - scheme.stragglers,
        bounds=_cut(problem, servers, servers),
        block_of=np.arange(servers),
        copy_weight=np.zeros(servers),
        work=problem.blocks * (scheme.stragglers + 1) / servers,
        code=code.matrix,
        left_null=code.left_null,
        particular=code.particular,
    )
