"""The identifiers of a simulation: the id of its tally and the id of its point.

* A **tally** is known by the SHA-256 of every field that the kernel sees, and of nothing else: seed, thresholds, windows,
  coefficients, decoding rule and what is counted. Not the latency law and the deadlines of the count domain, not matrices,
  not labels; in the deadline domain laws and deadlines enter through the thresholds that they give.
* A **point** is a tally and its evaluation: Gram matrix, workers with their law, deadlines. Points with one tally share its
  realizations. Points with the same seed share random numbers, so that their differences are estimated better than each.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uepgpu.plan import check_rounds, count_domain_refusal, decoding_rule, make_plan, resolve_decoder, resolve_tally
from uepgpu.points.notation import write_code, write_partition, write_workers

if TYPE_CHECKING:
    from uepgpu.points.point import Point

__all__ = ["Identity", "identify", "simulated_deadlines"]


MOST_TIMES = 2**20
"""Rounds times deadlines that one blob of a store has."""


@dataclass(frozen=True)
class Identity:
    """The ids of a point, and its description as text.

    Attributes
    ----------
    tally, point : str
        SHA-256, hexadecimal.
    frame : str
        JSON of the fields of a :class:`Tally` that the counts do not hold.
    code, part, workers, deadlines : str
        The description, see :mod:`uepgpu.points.notation`.
    shape : (int, int, int)
        Times, classes and sub-products of the counts; times of all rounds together.
    kind : str
        What is counted besides class patterns: ``"patterns"`` (nothing), ``"pairs"``, or of trajectories
        ``"squares of rounds R"``.
    """

    tally: str
    point: str
    frame: str
    code: str
    part: str
    workers: str
    deadlines: str
    shape: tuple[int, int, int]
    kind: str


def simulated_deadlines(point: Point) -> tuple[float, ...] | None:
    """Return the deadlines that are simulated: None where the count domain applies, which has the smaller variance.

    Rounds of trajectories depend on each other through arrivals, which are drawn.
    """
    free = point.rounds is None and count_domain_refusal(point.law, point.workers) is None
    return None if free else point.deadlines


def identify(point: Point) -> Identity:
    """Return the identity of a point.

    Raises
    ------
    ValueError
        If the point cannot be simulated, or a store cannot keep its description.
    """
    times, rounds = simulated_deadlines(point), point.rounds
    if rounds is not None and check_rounds(rounds, point.workers) * len(point.deadlines) > MOST_TIMES:
        what = f"rounds={rounds} of {len(point.deadlines):,} deadlines"
        raise ValueError(f"{what}: a store keeps at most {MOST_TIMES:,} deadlines of all rounds together")
    plan = make_plan(
        point.code, point.part, point.workers, seed=point.seed, deadlines=times, law=point.law, rounds=rounds is not None
    )
    decoder = resolve_decoder(plan, "auto")
    kind = resolve_tally(plan, decoder, "auto")
    if point.stop.exceedance_width is not None and kind != "patterns":
        raise ValueError("exceedance_width needs a code that decodes class by class: of others the mean loss is tallied alone")
    if point.stop.exceedance_width is not None and rounds is not None:
        raise ValueError("exceedance_width asks for the loss of one realization, and rounds for the mean of several: leave one out")
    rule = decoding_rule(decoder)
    trajectories = "" if rounds is None else f"\0rounds {rounds}"
    tally = hashlib.sha256(f"uepgpu sweep tally 1\0{kind}\0{plan.kernel_digest(rule)}{trajectories}".encode()).hexdigest()
    law = plan.law
    frame: dict[str, Any] = {
        "problem": plan.digest(rule),
        "code": repr(point.code),
        "decoder": decoder,
        "domain": plan.domain,
        "seed": int(plan.job.seed),
        "n_packets": plan.job.n_packets,
        "tied": not law.exchangeable,
        "packet_work": law.packet_work,
        "paradigm": point.part.paradigm,
        "class_wise": kind == "patterns",
    }
    if plan.counts_sums(rule):
        frame["sums"] = True
    if rounds is not None:
        frame["rounds"] = rounds
    code, part, workers = write_code(point.code), write_partition(point.part), write_workers(point.workers)
    deadlines = json.dumps(point.deadlines)
    hashed = hashlib.sha256(f"uepgpu sweep point 1\0{tally}\0{frame['packet_work']}\0{workers}\0{deadlines}\0".encode())
    hashed.update(np.ascontiguousarray(point.part.gram, dtype="<f8").tobytes())
    shape = ((rounds or 1) * plan.job.n_times, plan.job.n_classes, plan.job.k)
    kind = kind if rounds is None or kind != "patterns" else f"squares of rounds {rounds}"
    return Identity(tally, hashed.hexdigest(), json.dumps(frame, sort_keys=True), code, part, workers, deadlines, shape, kind)
