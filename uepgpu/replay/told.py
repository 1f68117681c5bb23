"""The result of a replay as frozen values, from windows and words to losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from uepgpu.replay.draws import Packet, Stream

__all__ = ["Action", "Evaluation", "Moment", "Replay", "Step", "Window"]


class Action(Protocol):
    """What a decoder made of a packet: a frozen data class beside its teller."""

    def describe(self) -> str:
        """Return a line for people."""
        ...


@dataclass(frozen=True)
class Window:
    """A window, numbered as in kernels.

    Attributes
    ----------
    number : int
    support : tuple of int or None
        Its sub-products; None where packets draw them.
    degree : int or None
        How many sub-products a packet draws.
    of_code : tuple of int
        Which of the code's windows it is, counted from 1; equal ones are merged.
    probability : float or None
        Of a packet to draw it; None where windows are tied to workers.
    work : tuple of int
        True work r of a packet, by the code's window.
    """

    number: int
    support: tuple[int, ...] | None
    degree: int | None
    of_code: tuple[int, ...]
    probability: float | None
    work: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """What the decoder did with one packet.

    Attributes
    ----------
    position : int
        In the order of arrival, from 0.
    packet, time : int
        As in :class:`~uepgpu.replay.draws.Packet`.
    rank : int or None
        After it; None for peeling.
    gained : bool
        Whether the packet raised the rank, or for peeling revealed something.
    action : Counted, Matched, Eliminated or Peeled
    decoded : tuple of int
        The sub-products that became decodable, alone or as terms of a sum.

    Examples
    --------
    >>> import uepgpu as uep
    >>> from uepgpu.replay import replay
    >>> part = uep.Partition.model("cxr", left_variances=[4, 1], right_variances=[1, 1], classes=(1, 1))
    >>> code, workers = uep.codes.ExpandingWindow((0.5, 0.5)), uep.Workers(3, omega=1.0, work="unit")
    >>> steps = replay(code, part, workers, realization=0, seed=2).steps
    >>> [(step.packet, step.rank, step.gained, step.decoded) for step in steps]
    [(0, 1, True, (0,)), (1, 2, True, (1,)), (2, 2, False, ())]
    """

    position: int
    packet: int
    time: int
    rank: int | None
    gained: bool
    action: Action
    decoded: tuple[int, ...]


@dataclass(frozen=True)
class Moment:
    """The state at one deadline, or after a number of packets.

    Attributes
    ----------
    time : int
        Index of the deadline, or the number of packets received.
    deadline : float or None
    received : int
        Packets received by then.
    classes : tuple of int
        Classes (from 1) that are wholly decoded.
    undecoded : tuple of int
        Sub-products that are not.
    loss, normalized_loss : float
        ‖C − Ĉ‖², and over ‖C‖²; for a model their expectation given what is undecoded.

    Examples
    --------
    >>> import uepgpu as uep
    >>> from uepgpu.replay import replay
    >>> part = uep.Partition.model("cxr", left_variances=[4, 1], right_variances=[1, 1], classes=(1, 1))
    >>> code, workers = uep.codes.ExpandingWindow((0.5, 0.5)), uep.Workers(3, omega=1.0, work="unit")
    >>> moments = replay(code, part, workers, realization=0, seed=2).moments
    >>> [(moment.received, moment.classes, moment.loss) for moment in moments]
    [(0, (), 5.0), (1, (1,), 1.0), (2, (1, 2), 0.0), (3, (1, 2), 0.0)]
    """

    time: int
    deadline: float | None
    received: int
    classes: tuple[int, ...]
    undecoded: tuple[int, ...]
    loss: float
    normalized_loss: float


@dataclass(frozen=True)
class Evaluation:
    """A realization of the count domain at a deadline: its losses weighted by the law of the number of received packets.

    Attributes
    ----------
    deadline : float
    probabilities : tuple of float
        Pr[N(t) = 0..W].
    loss, normalized_loss : float
        What the realization contributes to the tally's mean.

    Examples
    --------
    >>> import uepgpu as uep
    >>> from uepgpu.replay import replay
    >>> part = uep.Partition.model("cxr", left_variances=[4, 1], right_variances=[1, 1], classes=(1, 1))
    >>> code, workers = uep.codes.ExpandingWindow((0.5, 0.5)), uep.Workers(3, omega=1.0, work="unit")
    >>> (evaluation,) = replay(code, part, workers, realization=0, seed=2, evaluate=[1.0]).evaluations
    >>> [round(p, 3) for p in evaluation.probabilities], round(evaluation.loss, 3)
    ([0.05, 0.257, 0.441, 0.253], 0.506)
    """

    deadline: float
    probabilities: tuple[float, ...]
    loss: float
    normalized_loss: float


@dataclass(frozen=True)
class Replay:
    """One realization. Packets and sub-products are counted from 0, classes from 1.

    Attributes
    ----------
    code : str
    problem : str
        SHA-256 of the tally that it is a part of.
    seed, realization : int
    domain : "count" or "deadline"
    decoder : str
    field : str
        Of the coefficients.
    n_packets, n_subproducts : int
        W and K; W m where workers return m messages each.
    messages : int
        Packets that every worker returns.
    subproduct_class : tuple of int
        Class of each sub-product.
    deadlines : tuple of float or None
    order_rule : str
        How the order of arrival is determined.
    windows : tuple of Window
    streams : tuple of Stream
    packets : tuple of Packet
    order : tuple of int
        Packets that arrive, in order.
    shared : tuple of str
        What happened to several packets at once: racks that are struck, the round of a trace, states.
    steps : tuple of Step
    decoded_at : tuple of int or None
        Index of the time by which X_k is decoded; None if it never is.
    moments : tuple of Moment
    evaluations : tuple of Evaluation
    round : int or None
        Of a trajectory, from 0.
    states, next_states : tuple of int, or None
        Of every worker in this round and in the next, where there are states. In round 0 only the next ones are drawn.

    Examples
    --------
    >>> import uepgpu as uep
    >>> from uepgpu.replay import replay
    >>> part = uep.Partition.model("cxr", left_variances=[4, 1], right_variances=[1, 1], classes=(1, 1))
    >>> code, workers = uep.codes.ExpandingWindow((0.5, 0.5)), uep.Workers(3, omega=1.0, work="unit")
    >>> told = replay(code, part, workers, realization=0, seed=2)
    >>> told.decoder, told.order, told.decoded_at
    ('count', (0, 1, 2), (1, 2))
    """

    code: str
    problem: str
    seed: int
    realization: int
    domain: str
    decoder: str
    field: str
    n_packets: int
    messages: int
    n_subproducts: int
    subproduct_class: tuple[int, ...]
    deadlines: tuple[float, ...] | None
    order_rule: str
    windows: tuple[Window, ...]
    streams: tuple[Stream, ...]
    packets: tuple[Packet, ...]
    order: tuple[int, ...]
    shared: tuple[str, ...]
    steps: tuple[Step, ...]
    decoded_at: tuple[int | None, ...]
    moments: tuple[Moment, ...]
    evaluations: tuple[Evaluation, ...]
    round: int | None = None
    states: tuple[int, ...] | None = None
    next_states: tuple[int, ...] | None = None

    def decode_times(self) -> NDArray[np.int64]:
        """Return `decoded_at` as :func:`uepgpu.monte_carlo.decode_times` does, shape (K,): the number of times means never."""
        never = len(self.moments)
        return np.array([never if t is None else t for t in self.decoded_at], dtype=np.int64)
