"""From a description and a realization number to everything that happened in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from uepgpu.checks import deadlines_array, word64
from uepgpu.plan import DECODERS, decoding_rule, make_plan, resolve_decoder
from uepgpu.replay.draws import Packet, draw
from uepgpu.replay.told import Action, Evaluation, Moment, Replay, Step, Window
from uepgpu.theory.received import received_law

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from uepgpu.codes import Code
    from uepgpu.partition import Partition
    from uepgpu.plan import Plan
    from uepgpu.workers import Workers

__all__ = ["replay"]


class _Decoder(Protocol):
    """A teller: made from a job, it takes packets in one by one."""

    @property
    def rank(self) -> int | None: ...

    def take(self, packet: Packet) -> tuple[Action, frozenset[int]]: ...


ORDER_RULES = (
    "as numbered: packets are exchangeable, so any order will do",
    "a random permutation: packets belong to workers",
    "by deadline; those of one deadline as numbered, which cannot change what is decoded by it",
)
"""By the number of the rule in a job."""


def replay(
    code: Code,
    part: Partition,
    workers: Workers,
    *,
    realization: int,
    seed: int,
    deadlines: ArrayLike | None = None,
    decoder: str = "auto",
    evaluate: ArrayLike | None = None,
) -> Replay:
    """Replay one of the realizations that :func:`uepgpu.simulate` tallies.

    Parameters
    ----------
    code, part, workers, seed, deadlines, decoder
        As for :func:`uepgpu.simulate`: with deadlines the deadline domain, else the count domain.
    realization : int
        Its number, 0..2^64-1.
    evaluate : array_like of float, optional
        Count domain only: deadlines at which its losses are weighted by the number of packets received.

    Returns
    -------
    Replay

    Raises
    ------
    ValueError
        Whatever :func:`uepgpu.simulate` refuses; a realization out of range; `evaluate` in the deadline domain.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, classes=(3, 3, 3))
    >>> code = uep.codes.ExpandingWindow(gamma=(0.40, 0.35, 0.25))
    >>> told = replay(code, part, uep.Workers(30, omega=1.0, work="unit"), realization=5, seed=7)
    >>> told.order[:4], [told.packets[w].window for w in told.order[:4]]
    ((0, 1, 2, 3), [1, 2, 1, 1])
    >>> print(told.steps[3].action.describe())
    packet 3 of window 1; ranks 0/3 3/6 4/9
    >>> told.decoded_at
    (8, 8, 8, 8, 8, 18, 8, 18, 18)
    """
    number = word64("realization", realization)
    plan = make_plan(code, part, workers, seed=seed, deadlines=deadlines)
    if evaluate is not None and plan.domain == "deadline":
        raise ValueError("evaluate is for the count domain: with deadlines, arrival times are drawn and losses need no weights")
    rule = resolve_decoder(plan, decoder)
    job = plan.job
    entry = DECODERS[rule]
    draws = draw(job, number, coefficients=entry.coefficients)
    state: _Decoder = entry.implementation("teller")(job)
    steps: list[Step] = []
    decoded: frozenset[int] = frozenset()
    decoded_at: list[int | None] = [None] * job.k
    for position, w in enumerate(draws.order):
        packet = draws.packets[w]
        before = state.rank
        action, now = state.take(packet)
        fresh = tuple(sorted(now - decoded))
        assert packet.time is not None
        for x in fresh:
            decoded_at[x] = packet.time
        gained = bool(fresh) if state.rank is None else state.rank != before
        steps.append(Step(position, w, packet.time, state.rank, gained, action, fresh))
        decoded = now
    moments = _moments(plan, part, decoded_at, [s.time for s in steps])
    return Replay(
        code=repr(code),
        problem=plan.digest(decoding_rule(rule)),
        seed=int(job.seed),
        realization=number,
        domain=plan.domain,
        decoder=rule,
        field={"gf2": "GF(2)", "gf256": "GF(256)", "real": "given real numbers"}.get(plan.law.field, "generic real numbers"),
        n_packets=job.n_packets,
        messages=workers.messages,
        n_subproducts=job.k,
        subproduct_class=tuple(int(c) + 1 for c in job.class_of),
        deadlines=None if plan.deadlines is None else tuple(plan.deadlines.tolist()),
        order_rule=ORDER_RULES[job.order],
        windows=_windows(plan),
        streams=draws.streams,
        packets=draws.packets,
        order=draws.order,
        shared=draws.shared,
        steps=tuple(steps),
        decoded_at=tuple(decoded_at),
        moments=moments,
        evaluations=() if evaluate is None else _evaluations(plan, workers, moments, deadlines_array(evaluate).tolist()),
    )


def _windows(plan: Plan) -> tuple[Window, ...]:
    law, job = plan.law, plan.job
    result = []
    for s in range(job.degree.size or len(job.support)):
        if law.supports is None:
            mine = [s]
            support, degree = None, int(job.degree[s])
        else:
            mine = [i for i, row in enumerate(law.supports) if np.array_equal(row, job.support[s] != 0)]
            support, degree = tuple(np.flatnonzero(job.support[s]).tolist()), None
        chance = None if law.probabilities is None else float(sum(law.probabilities[mine]))
        work = tuple(int(law.work[i]) for i in mine)
        result.append(Window(s, support, degree, tuple(i + 1 for i in mine), chance, work))
    return tuple(result)


def _moments(plan: Plan, part: Partition, decoded_at: list[int | None], arrivals: list[int]) -> tuple[Moment, ...]:
    result = []
    for time in range(plan.job.n_times):
        undecoded = [x for x, at in enumerate(decoded_at) if at is None or at > time]
        # The squared norm of the sum of what is missing (docs/mathematics.md §5); rounding must not make it negative.
        loss = max(float(sum(part.gram[i, j] for i in undecoded for j in undecoded)), 0.0)
        lacking = {int(plan.job.class_of[x]) + 1 for x in undecoded}
        result.append(
            Moment(
                time,
                None if plan.deadlines is None else float(plan.deadlines[time]),
                sum(1 for t in arrivals if t <= time),
                tuple(c for c in range(1, plan.job.n_classes + 1) if c not in lacking),
                tuple(undecoded),
                loss,
                loss / part.norm2 if part.norm2 > 0 else 0.0,
            )
        )
    return tuple(result)


def _evaluations(plan: Plan, workers: Workers, moments: tuple[Moment, ...], deadlines: list[float]) -> tuple[Evaluation, ...]:
    law = plan.law
    chances = received_law(workers, np.asarray(deadlines), law.n_subproducts, int(law.occurring_work[0]))
    result = []
    for t, chance in zip(deadlines, chances.tolist(), strict=True):
        loss, normalized = (
            float(sum(p * getattr(m, name) for p, m in zip(chance, moments, strict=True))) for name in ("loss", "normalized_loss")
        )
        result.append(Evaluation(t, tuple(chance), loss, normalized))
    return tuple(result)
