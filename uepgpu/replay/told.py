"""What a replay tells: frozen values, from windows and words to what is lost when."""

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
    """A window as kernels number them.

    Attributes
    ----------
    number : int
    support : tuple of int or None
        Its sub-products; None where packets draw them.
    degree : int or None
        How many sub-products a packet draws.
    of_code : tuple of int
        Which of the code's windows it is, counted from 1: equal ones are one.
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
        The sub-products that became decodable.
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
    """What is there at one deadline, or after so many packets.

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
    """A realization of the count domain at a deadline: its losses weighted by the law of how many packets have come.

    Attributes
    ----------
    deadline : float
    probabilities : tuple of float
        Pr[N(t) = 0..W].
    loss, normalized_loss : float
        What the realization contributes to the tally's mean.
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
        ``"real"`` is elimination of given float64 coefficients.
    field : str
        Of the coefficients.
    n_packets, n_subproducts : int
        W and K.
    subproduct_class : tuple of int
        Class of each sub-product.
    deadlines : tuple of float or None
    order_rule : str
        How the order of arrival comes about.
    windows : tuple of Window
    streams : tuple of Stream
    packets : tuple of Packet
    order : tuple of int
        Packets that arrive, in order.
    steps : tuple of Step
    decoded_at : tuple of int or None
        Index of the time by which X_k is decoded; None if it never is.
    moments : tuple of Moment
    evaluations : tuple of Evaluation
    """

    code: str
    problem: str
    seed: int
    realization: int
    domain: str
    decoder: str
    field: str
    n_packets: int
    n_subproducts: int
    subproduct_class: tuple[int, ...]
    deadlines: tuple[float, ...] | None
    order_rule: str
    windows: tuple[Window, ...]
    streams: tuple[Stream, ...]
    packets: tuple[Packet, ...]
    order: tuple[int, ...]
    steps: tuple[Step, ...]
    decoded_at: tuple[int | None, ...]
    moments: tuple[Moment, ...]
    evaluations: tuple[Evaluation, ...]

    def decode_times(self) -> NDArray[np.int64]:
        """Return `decoded_at` as :func:`uepgpu.monte_carlo.decode_times` does, shape (K,): the number of times means never."""
        never = len(self.moments)
        return np.array([never if t is None else t for t in self.decoded_at], dtype=np.int64)
