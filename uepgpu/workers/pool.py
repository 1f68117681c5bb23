"""Workers: how many there are, how fast they answer, what a packet costs them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from uepgpu.checks import choice, integer, positive, probability, shown
from uepgpu.latency import Exponential, Latency, Trace
from uepgpu.text.html import html_table
from uepgpu.workers.backup import Backup, Chance, Relaunch
from uepgpu.workers.laws import checked_latency, checked_speeds, checked_time_unit, distinct_laws
from uepgpu.workers.load import answered, positive_array, unit_time
from uepgpu.workers.racks import Racks
from uepgpu.workers.states import Markov, law_of_states
from uepgpu.workers.together import Progress, check_together, checked_progress
from uepgpu.workers.work import DEFAULT_WORK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Workers"]

MOST_WORKERS = 1_000_000
"""What closed forms answer within seconds; simulations take fewer."""


@dataclass(frozen=True)
class Workers:
    """A pool of workers, each of which returns one packet, or several.

    A packet of work r from a worker of speed s has arrived by time t with probability
    (1 - loss_probability) F(Ω s t / r), where r = 1 if `work` is ``"unit"`` (docs/mathematics.md §4); of a
    :class:`~uepgpu.latency.Staged` law only computing scales so.

    Parameters
    ----------
    count : int
        Number of workers W, >= 1.
    latency : Latency, sequence of Latency, or Trace
        Law F of the time that one unit of work takes; a sequence gives every worker its own, W of them, and a trace the recorded
        latencies of all.
    omega : float or "fair"
        Load normalisation Ω. By default 1: a unit of work takes the latency that is given. ``"fair"`` means K / W, so that all
        workers together do the same work however many share it; latencies are then stretched by W / K. Messages do not enter.
    work : "true" or "unit"
        ``"true"`` charges a packet the number r of block products that it takes, ``"unit"`` charges one. Left to the default it
        warns where that makes a code hopeless (:class:`uepgpu.codes.CostWarning`).
    loss_probability : float
        Chance ε that a packet is lost in the channel, in [0, 1).
    speeds : sequence of float, optional
        Relative speed of each worker, > 0, W of them. Default: all 1.
    racks : Racks, optional
        Workers that are struck together. Default: none.
    backup : Backup or Relaunch, optional
        A second try at packets that have not come by an age. Default: none.
    states : Markov, optional
        States that workers pass through from round to round, with a law each, in the place of `latency`. Default: none.
    messages : int
        Packets m that every worker returns in turn, 1 to 1000; all are computed afresh, and lost one by one.
    progress : "linear" or "erlang"
        When they come: the j-th at j times the time of the first (of unequal work: when that of the first j is done), or each after
        a fresh exponential time. ``"linear"`` where m = 1.
    time_unit : str, optional
        What latencies and deadlines are measured in, say ``"ms"``: a label of axes and tables, never compared.

    Raises
    ------
    ValueError
        If an argument is out of its range; the message names it.

    Examples
    --------
    >>> workers = Workers(30, latency=Exponential(1.0))
    >>> round(float(workers.arrival(1.0, n_subproducts=9, work=3)), 4)  # 1 - exp(-Ω t / r), Ω t / r = 1 / 3
    0.2835
    >>> fair = Workers(30, latency=Exponential(1.0), omega="fair")
    >>> round(float(fair.arrival(1.0, n_subproducts=9, work=3)), 4)  # Ω t / r = 0.3 · 1 / 3
    0.0952
    """

    count: int
    latency: Latency | Sequence[Latency] | Trace = field(default_factory=Exponential)
    omega: float | Literal["fair"] = 1.0
    work: Literal["true", "unit"] = DEFAULT_WORK
    loss_probability: float = 0.0
    speeds: Sequence[float] | None = None
    racks: Racks | None = field(default=None, kw_only=True)
    backup: Backup | Relaunch | None = field(default=None, kw_only=True)
    states: Markov | None = field(default=None, kw_only=True)
    messages: int = field(default=1, kw_only=True)
    progress: Progress = field(default="linear", kw_only=True)
    time_unit: str | None = field(default=None, kw_only=True, compare=False)

    def __post_init__(self) -> None:
        integer("count (number of workers W)", self.count, 1, MOST_WORKERS)
        if self.states is not None:
            given = (self.racks, self.backup)
            object.__setattr__(self, "latency", law_of_states(self.states, self.latency, alone=given == (None, None)))
        object.__setattr__(self, "latency", checked_latency(self.latency, self.count))
        if isinstance(self.omega, str) and self.omega != "fair":
            raise ValueError(f"omega must be a number > 0 or 'fair', got {shown(self.omega)}")
        if not isinstance(self.omega, str):
            positive("omega", self.omega)
        choice("work", self.work, ("true", "unit"))
        probability("loss_probability", self.loss_probability, one=False)
        check_together(self.count, self.latency, self.racks, self.backup)
        others = {name: getattr(self, name) for name in ("backup", "states")}
        object.__setattr__(self, "progress", checked_progress(self.messages, self.progress, self.latency, self.racks, others))
        checked_time_unit(self.time_unit)
        if self.speeds is not None:
            object.__setattr__(self, "speeds", checked_speeds(self.speeds, self.count))

    def resolved_omega(self, n_subproducts: int) -> float:
        """Return Ω as a number: K / W for ``"fair"``.

        Examples
        --------
        >>> Workers(30).resolved_omega(9), Workers(30, omega="fair").resolved_omega(9)
        (1.0, 0.3)
        """
        return n_subproducts / self.count if self.omega == "fair" else float(self.omega)

    @property
    def identical(self) -> bool:
        """Whether all workers have the same speed and the same law."""
        if isinstance(self.latency, Trace):
            return False
        return (self.speeds is None or len(set(self.speeds)) == 1) and len(self.laws) == 1

    @property
    def independent(self) -> bool:
        """Whether packets arrive independently of each other: workers answer so, and return one each."""
        return self.messages == 1 and not isinstance(self.latency, Trace) and (self.racks is None or self.racks.probability == 0)

    @property
    def n_packets(self) -> int:
        """Number of packets W m that all workers return."""
        return self.count * self.messages

    @property
    def shuffled(self) -> bool:
        """Whether latencies are given to workers at random, each for one packet, so that it does not matter who sends it."""
        return self.messages == 1 and isinstance(self.latency, Trace) and self.latency.shuffle

    @property
    def alike(self) -> bool:
        """Whether the arrivals of all packets are independent and have one law, so that whose packet comes first is a fair draw."""
        return self.identical and self.independent

    @property
    def scalable(self) -> bool:
        """Whether another number of such workers is described by another `count` alone."""
        return self.speeds is None and self.racks is None and isinstance(self.latency, Latency)

    @cached_property
    def laws(self) -> tuple[Latency, ...]:
        """The different laws, in the order in which workers have them."""
        return self._laws[0]

    def law_of(self) -> NDArray[np.int64]:
        """Return which of :attr:`laws` each worker has, shape (W,).

        Examples
        --------
        >>> fast, slow = Exponential(2.0), Exponential(1.0)
        >>> workers = Workers(3, latency=[fast, slow, fast])
        >>> workers.law_of().tolist(), workers.laws == (fast, slow)
        ([0, 1, 0], True)
        """
        return self._laws[1]

    @cached_property
    def _laws(self) -> tuple[tuple[Latency, ...], NDArray[np.int64]]:
        if isinstance(self.latency, Latency):
            return (self.latency,), np.zeros(self.count, dtype=np.int64)
        if isinstance(self.latency, Trace):
            return self.latency.columns(), np.arange(self.count)
        return distinct_laws(tuple(self.latency))

    def kinds(self) -> tuple[list[tuple[float, int]], NDArray[np.int64]]:
        """Return the different (speed, number of the law), slowest first, and which of them each worker is, shape (W,).

        Examples
        --------
        >>> Workers(3, speeds=[1.0, 0.5, 1.0]).kinds()
        ([(0.5, 0), (1.0, 0)], array([1, 0, 1]))
        """
        found, number = np.unique(np.stack([self.speed(), self.law_of()]), axis=1, return_inverse=True)
        return [(float(speed), int(law)) for speed, law in found.T], number.ravel()

    def describe_latency(self) -> str:
        """Return the law or laws as people read them, and how many messages follow it.

        Examples
        --------
        >>> Workers(3, latency=[Exponential(2.0), Exponential(1.0), Exponential(2.0)]).describe_latency()
        '2 × Exponential(rate=2.0), 1 × Exponential(rate=1.0)'
        """
        more = "" if self.messages == 1 else f", {self.messages} messages each ({self.progress})"
        if isinstance(self.latency, Trace):
            return f"{self.latency!r}{more}"
        if len(self.laws) == 1:
            return f"{self.laws[0]!r}{more}"
        return ", ".join(f"{n} × {law!r}" for law, n in zip(self.laws, np.bincount(self.law_of()).tolist(), strict=True)) + more

    def _repr_html_(self) -> str:
        rows = [
            ("number W", self.count),
            ("latency", self.describe_latency()),
            ("load normalisation Ω", self.omega),
            ("work", self.work),
        ]
        default = {f.name: f.default for f in fields(self)}
        others = ("loss_probability", "speeds", "racks", "backup", "states", "time_unit")
        more = [(name, value) for name in others if (value := getattr(self, name)) != default[name]]
        return html_table("Workers", [*rows, *more])

    def first(self, count: int) -> Workers:
        """Return the first `count` <= W of these workers.

        Examples
        --------
        >>> Workers(3, speeds=[1.0, 0.5, 2.0]).first(2).speeds
        (1.0, 0.5)
        """
        integer("count", count, 1, self.count)
        latency = self.latency.first(count) if isinstance(self.latency, Trace) else self.latency
        latency = latency if isinstance(latency, Latency | Trace) else latency[:count]
        racks = None if self.racks is None else replace(self.racks, of=self.racks.of[:count])
        return replace(self, count=count, latency=latency, speeds=None if self.speeds is None else self.speeds[:count], racks=racks)

    def speed(self) -> NDArray[np.float64]:
        """Return the speeds, shape (W,).

        Examples
        --------
        >>> Workers(3).speed().tolist(), Workers(2, speeds=[2, 0.5]).speed().tolist()
        ([1.0, 1.0, 1.0], [2.0, 0.5])
        """
        return np.ones(self.count) if self.speeds is None else np.asarray(self.speeds, dtype=np.float64)

    def charge(self, work: ArrayLike) -> NDArray[np.float64]:
        """Return the work that is charged for packets of true work `work`: itself, or ones.

        Examples
        --------
        >>> Workers(3).charge([1, 3]).tolist(), Workers(3, work="unit").charge([1, 3]).tolist()
        ([1.0, 3.0], [1.0, 1.0])
        """
        array = positive_array("work", work)
        return array if self.work == "true" else np.ones_like(array)

    def arrival(
        self,
        time: ArrayLike,
        n_subproducts: int,
        work: ArrayLike,
        speed: ArrayLike = 1.0,
        law: int = 0,
        *,
        struck: bool | None = None,
    ) -> NDArray[np.float64]:
        """Return Pr[a packet has arrived by `time`].

        `time`, the true work r `work` and `speed` broadcast; `law` is a number in :attr:`laws`. `struck` says whether the worker's
        rack is; by default that is averaged over.

        Examples
        --------
        >>> Workers(30, omega=1.0).arrival([0.5, 1.0], n_subproducts=9, work=1).round(4).tolist()
        [0.3935, 0.6321]
        """
        if struck is None and self.racks is not None:
            given = (self.arrival(time, n_subproducts, work, speed, law, struck=s) for s in (False, True))
            return self._over_racks(*given)
        got, late = self._copy(n_subproducts, work, speed, law, bool(struck))
        return got(time) if self.backup is None else self.backup.arrived(got, late, time)

    def absence(
        self,
        time: ArrayLike,
        n_subproducts: int,
        work: ArrayLike,
        speed: ArrayLike = 1.0,
        law: int = 0,
        *,
        struck: bool | None = None,
    ) -> NDArray[np.float64]:
        """Return Pr[a packet has not arrived by `time`], accurate in the tail; arguments as for :meth:`arrival`.

        Examples
        --------
        >>> Workers(30, omega=1.0).absence([1.0, 100.0], n_subproducts=9, work=1).tolist()
        [0.36787944117144233, 3.720075976020836e-44]
        """
        if struck is None and self.racks is not None:
            given = (self.absence(time, n_subproducts, work, speed, law, struck=s) for s in (False, True))
            return self._over_racks(*given)
        _, late = self._copy(n_subproducts, work, speed, law, bool(struck))
        return late(time) if self.backup is None else self.backup.absent(late, time)

    def launched(self, n_subproducts: int, work: ArrayLike, speed: ArrayLike = 1.0, law: int = 0) -> NDArray[np.float64]:
        """Return the expected number of copies of a packet that are launched: 1 without backup, else 1 + Pr[late at its age].

        Examples
        --------
        >>> pool = Workers(30, omega=1.0, backup=Backup(after=1.0))
        >>> pool.launched(n_subproducts=9, work=[1, 2]).round(4).tolist()
        [1.3679, 1.6065]
        """
        again: NDArray[np.float64] | float = 0.0
        if self.backup is not None:
            late = [self._copy(n_subproducts, work, speed, law, struck)[1](self.backup.after) for struck in (False, True)]
            again = self._over_racks(*late)
        return np.broadcast_to(1.0 + again, np.broadcast_shapes(np.shape(work), np.shape(speed)))

    def _over_racks(self, standing: NDArray[np.float64], struck: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a probability from those given that the rack stands and that it is struck."""
        chance = 0.0 if self.racks is None else self.racks.probability
        return (1.0 - chance) * standing + chance * struck

    def _copy(self, n_subproducts: int, work: ArrayLike, speed: ArrayLike, law: int, struck: bool) -> tuple[Chance, Chance]:
        """Return the chances of one copy, by the time since its launch: that it has arrived, and that it has not."""
        chosen = self.laws[law] if not struck or self.racks is None else self.racks.latency
        if chosen is None:  # dark

            def shape(time: ArrayLike) -> tuple[int, ...]:
                return np.broadcast_shapes(np.shape(time), np.shape(work), np.shape(speed))

            return lambda time: np.zeros(shape(time)), lambda time: np.ones(shape(time))
        lost, answer = self.loss_probability, partial(answered, chosen, lambda t: self.unit_time(t, n_subproducts, work, speed))
        return lambda time: (1.0 - lost) * answer(time, late=False), lambda time: lost + (1.0 - lost) * answer(time, late=True)

    def unit_time(self, time: ArrayLike, n_subproducts: int, work: ArrayLike, speed: ArrayLike) -> NDArray[np.float64]:
        """Return Ω s t / r, the time that one unit of work may take.

        Examples
        --------
        >>> Workers(30, omega="fair").unit_time([0.5, 1.0], n_subproducts=9, work=3, speed=2.0).tolist()
        [0.1, 0.2]
        """
        return unit_time(self.count, self.omega, time, n_subproducts, self.charge(work), speed)
