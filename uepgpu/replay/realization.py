"""From a description and a realization number to everything that happened in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from uepgpu.checks import deadlines_array, integer, word64
from uepgpu.plan import DECODERS, check_rounds, decoding_rule, make_plan, problem_of_round, resolve_decoder
from uepgpu.replay.draws import Packet, draw
from uepgpu.replay.told import Action, Evaluation, Moment, Replay, Step, Window
from uepgpu.theory.received import received_law

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from uepgpu.codes import Code
    from uepgpu.partition import Partition
    from uepgpu.plan import Plan
    from uepgpu.workers import Workers

__all__ = ["replay", "trajectory"]


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
    round: int | None = None,
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
    round : int, optional
        Of a trajectory, from 0: workers with states or a trace, and deadlines. :func:`trajectory` replays several.

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
    if round is not None:
        check_rounds(integer("round", round, 0) + 1, workers)
        if deadlines is None:
            raise ValueError(f"round={round} needs deadlines: rounds depend on each other through arrivals")
    plan = make_plan(code, part, workers, seed=seed, deadlines=deadlines, rounds=round is not None)
    if evaluate is not None and plan.domain == "deadline":
        raise ValueError("evaluate is for the count domain: with deadlines, arrival times are drawn and losses need no weights")
    return _told(code, part, workers, plan, resolve_decoder(plan, decoder), number, round, None, evaluate)


def trajectory(
    code: Code,
    part: Partition,
    workers: Workers,
    *,
    realization: int,
    seed: int,
    deadlines: ArrayLike,
    rounds: int,
    decoder: str = "auto",
) -> tuple[Replay, ...]:
    """Replay every round of one of the trajectories that :func:`uepgpu.simulate` tallies with `rounds`.

    Parameters
    ----------
    code, part, workers, realization, seed, deadlines, decoder
        As for :func:`replay`.
    rounds : int
        How many, >= 1.

    Raises
    ------
    ValueError
        Whatever :func:`uepgpu.simulate` refuses; a realization out of range.

    Examples
    --------
    >>> import uepgpu as uep
    >>> states = uep.Markov([[0.5, 0.5], [0.2, 0.8]], [uep.latency.Exponential(2.0), uep.latency.Exponential(0.2)])
    >>> part = uep.Partition.model("cxr", left_variances=[4, 1], right_variances=[1, 1], classes=(1, 1))
    >>> code, workers = uep.codes.ExpandingWindow((0.5, 0.5)), uep.Workers(4, states=states, omega=1.0, work="unit")
    >>> told = trajectory(code, part, workers, realization=3, seed=7, deadlines=[1.0], rounds=3)
    >>> [(one.states, one.moments[0].received, one.moments[0].classes) for one in told]
    [(None, 3, (1, 2)), ((0, 0, 1, 1), 2, (1, 2)), ((1, 0, 0, 1), 2, (1,))]
    """
    number = word64("realization", realization)
    check_rounds(rounds, workers)
    plan = make_plan(code, part, workers, seed=seed, deadlines=deadlines, rounds=True)
    rule, told = resolve_decoder(plan, decoder), list[Replay]()
    for r in range(rounds):
        before = told[-1].next_states if told else None
        told.append(_told(code, part, workers, plan, rule, number, r, before, None))
    return tuple(told)


def _told(
    code: Code,
    part: Partition,
    workers: Workers,
    plan: Plan,
    rule: str,
    number: int,
    round: int | None,
    left: tuple[int, ...] | None,
    evaluate: ArrayLike | None,
) -> Replay:
    """Return a realization, or a round of it, of a plan; `left` are the states that the round before left, if they are known."""
    job = plan.of_round(round or 0).job
    entry = DECODERS[rule]
    draws = draw(job, number, coefficients=entry.coefficients, before=left)
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
        problem=problem_of_round(plan.digest(decoding_rule(rule)), round or 0),
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
        round=round,
        states=draws.states,
        next_states=draws.next_states,
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
