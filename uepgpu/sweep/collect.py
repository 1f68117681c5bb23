"""The loop of a sweep: ranges go to the point that is furthest from being done, until every point has stopped.

Where a point stops depends on its stop rule and its counts alone (:mod:`uepgpu.points.stop`): the rule is asked at checkpoints,
about exactly the realizations below them, and nothing beyond a checkpoint is begun before it has answered. So any number of
processes, workers, interruptions and machines end with the same integers. Points that share a tally share its ranges.
"""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from uepgpu.points.stop import MOST_REALIZATIONS
from uepgpu.store.merged import merged
from uepgpu.sweep.ranges import Ran, Range, Work, describe_work

if TYPE_CHECKING:
    from uepgpu.points.identity import Identity
    from uepgpu.points.point import Point, Sweep
    from uepgpu.points.stop import Verdict
    from uepgpu.store.store import Claim, Store, StoredMember
    from uepgpu.tally import Tally, Trajectories

__all__ = ["Collection", "Runner", "Status"]

WAIT_SECONDS = 0.2
"""Interval between two looks at whether another process has finished a range."""


class Runner(Protocol):
    """Where ranges run."""

    @property
    def slots(self) -> int:
        """How many ranges may be under way."""
        ...

    def submit(self, claim: Claim, work: Work, span: Range, progress: Callable[[int], None]) -> None:
        """Begin a range."""
        ...

    def collect(self, timeout: float) -> list[tuple[Claim, Ran]]:
        """Return the ranges that have finished; waits up to `timeout` seconds for the first."""
        ...


@dataclass(eq=False)
class Status:
    """The progress of a point, for the display.

    Attributes
    ----------
    point : Point
    realizations : int
        How many of its tally are stored.
    verdict : Verdict or None
        What its rule said last.
    """

    point: Point
    realizations: int = 0
    verdict: Verdict | None = None

    @property
    def stopped(self) -> bool:
        """Whether its rule is met."""
        return self.verdict is not None and self.verdict.stopped


@dataclass(eq=False)
class _SharedTally:
    """A tally with the points that wait for it."""

    key: int
    work: Work
    points: list[int]
    until: int = 0
    covered: int = 0
    begun: int = 0
    in_flight: int = 0


@dataclass(eq=False)
class Collection:
    """A sweep being collected into a store.

    Parameters
    ----------
    store : Store
    sweep : Sweep
    identities : sequence of Identity
        Of its points.
    options : dict, optional
        What the command line changed in the specification.
    """

    store: Store
    sweep: Sweep
    identities: Sequence[Identity]
    options: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.status = [Status(point) for point in self.sweep.points]
        self.members: list[StoredMember] = self.store.add_sweep(self.sweep, self.identities, self.options)
        known = self.store.verdicts(self.members)
        self.added = 0
        self.kernel_seconds = 0.0
        self.ranges = 0
        self._shared: dict[int, _SharedTally] = {}
        self._queue: list[tuple[float, int, int]] = []
        self._queued: set[int] = set()
        self._asleep: list[int] = []
        for i, (member, identity) in enumerate(zip(self.members, self.identities, strict=True)):
            self.status[i].verdict = self._trusted(member, known.get((member.point, member.rule)))
            work = self._shared.get(member.tally) or _SharedTally(
                member.tally, describe_work(identity, self.sweep.points[i].seed), []
            )
            work.points.append(i)
            self._shared[member.tally] = work
        stored = self.store.all_covered()
        for shared in self._shared.values():
            for i in shared.points:
                self.status[i].realizations = stored.get(shared.key, 0)
            self._advance(shared)

    def _trusted(self, member: StoredMember, verdict: Verdict | None) -> Verdict | None:
        """Return a verdict if the realizations are there that it was about: a damaged store may have lost them."""
        if verdict is None or self.store.covered(member.tally, verdict.realizations) == verdict.realizations:
            return verdict
        self.store.forget(member)
        return None

    # --- the loop -------------------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether every point has stopped."""
        return not any(s.in_flight for s in self._shared.values()) and not self._queue and not self._asleep

    def run(
        self,
        runner: Runner,
        *,
        stopping: Callable[[], bool] = lambda: False,
        progress: Callable[[Point, int], None] = lambda point, count: None,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Collect until every point has stopped, or `stopping` says so and the ranges that run have finished.

        Parameters
        ----------
        runner : Runner
        stopping : callable
            Asked before a range is begun.
        progress : callable
            Called with a point and the number of realizations that have been done, while ranges run.
        tick : callable
            Called after every step, for a display.
        """
        in_flight = 0
        while True:
            while in_flight < runner.slots and not stopping() and self._begin(runner, progress):
                in_flight += 1
            tick()
            self.store.beat()
            if in_flight:
                for claim, ran in runner.collect(WAIT_SECONDS):
                    in_flight -= 1
                    self._end(claim, ran)
            elif stopping() or self.finished:
                return
            else:
                time.sleep(WAIT_SECONDS)  # others run what is left
                self._wake()

    def _begin(self, runner: Runner, progress: Callable[[Point, int], None]) -> bool:
        """Begin a range of the tally that is furthest from done; return whether there was one."""
        while self._queue:
            _, _, key = heapq.heappop(self._queue)
            self._queued.discard(key)
            shared = self._shared[key]
            claim = self.store.claim(key, shared.until)
            if claim is None:
                if shared.in_flight == 0:
                    self._refresh(shared)
                continue
            shared.in_flight += 1
            shared.begun = max(shared.begun, claim.stop)
            point = self.sweep.points[shared.points[0]]

            def report(count: int, point: Point = point) -> None:
                self.store.beat()
                progress(point, count)

            runner.submit(claim, shared.work, Range(claim.start, claim.stop, claim.size), report)
            if claim.size is not None and claim.stop < shared.until:
                self._push(shared)  # else nothing is left to claim before this one ends
            return True
        return False

    def _end(self, claim: Claim, ran: Ran) -> None:
        shared = self._shared[claim.tally]
        shared.in_flight -= 1
        if shared.in_flight == 0:
            shared.begun = 0  # what is done is stored, and a first part only of what was begun may be
        problem = json.loads(self.identities[shared.points[0]].frame)["problem"]
        if ran.tally.problem != problem:
            self.store.release(claim)
            raise ValueError(
                f"{self.sweep.points[shared.points[0]].describe()}: a worker has simulated another problem ({ran.provenance}), "
                "probably because its version of uepgpu or numpy differs. Its range is not stored; run one version everywhere"
            )
        if self.store.finish(claim, ran.tally, ran.provenance, ran.size):
            self.added += ran.tally.realizations
            self.kernel_seconds += ran.tally.seconds
            self.ranges += 1
        self._refresh(shared)

    def _refresh(self, shared: _SharedTally) -> None:
        """Look at what is stored of a tally, by any process: advance it, queue it, or wait for the others."""
        shared.covered = self.store.covered(shared.key, shared.until)
        for i in shared.points:
            self.status[i].realizations = max(self.status[i].realizations, shared.covered)
        if shared.covered == shared.until:
            self._advance(shared)
        elif self.store.claimable(shared.key, shared.until):
            self._push(shared)
        elif shared.in_flight == 0 and shared.key not in self._asleep:
            self._asleep.append(shared.key)

    def _wake(self) -> None:
        asleep, self._asleep = self._asleep, []
        for key in asleep:
            self._refresh(self._shared[key])

    def _push(self, shared: _SharedTally) -> None:
        if shared.key not in self._queued:
            open_points = [i for i in shared.points if not self.status[i].stopped]
            done = min((self._fraction(i, max(shared.covered, shared.begun)) for i in open_points), default=0.0)
            heapq.heappush(self._queue, (done, open_points[0], shared.key))
            self._queued.add(shared.key)

    def _fraction(self, i: int, at: int) -> float:
        """Return how much of its way a point has behind it with `at` realizations, going by what its rule said last."""
        verdict = self.status[i].verdict
        if verdict is None:
            return at / self.sweep.points[i].stop.realizations
        return verdict.fraction * max(at / verdict.realizations, 1.0)

    def tally(self, i: int) -> Tally | Trajectories | None:
        """Return everything that is stored of point number `i`; None if nothing is."""
        counted = self.store.counted(self.members[i].tally, MOST_REALIZATIONS)
        return None if counted is None else merged(json.loads(self.identities[i].frame), self.sweep.points[i], counted)

    # --- stop rules -----------------------------------------------------------------------------------------------

    def _advance(self, shared: _SharedTally) -> None:
        """Ask the rules of a tally's points at every checkpoint that is reached; queue the tally for the next one."""
        while True:
            open_points = {i: self._next_checkpoint(i) for i in shared.points if not self.status[i].stopped}
            if not open_points:
                return
            shared.until = min(open_points.values())
            shared.covered = self.store.covered(shared.key, shared.until)
            if shared.covered < shared.until:
                self._push(shared)
                return
            self._ask(shared, [i for i, n in open_points.items() if n == shared.until])

    def _next_checkpoint(self, i: int) -> int:
        verdict, rule = self.status[i].verdict, self.sweep.points[i].stop
        at = rule.next_checkpoint(0 if verdict is None else verdict.realizations)
        return rule.realizations if at is None else at

    def _ask(self, shared: _SharedTally, points: list[int]) -> None:
        """Ask the rules of some points at the checkpoint that is reached; another process may have done so."""
        counted = None
        for i in points:
            point, verdict = self.sweep.points[i], self.store.verdict(self.members[i])
            if verdict is None or verdict.realizations < shared.until:
                counted = counted or self.store.counted(shared.key, shared.until)
                assert counted is not None
                assert len(counted.ranges) == 1, "a rule is asked about all realizations below its checkpoint"
                tally = merged(json.loads(self.identities[i].frame), point, counted)
                verdict = point.stop.judge(tally, point.part, point.workers, point.deadlines, counted.seconds)
                self.store.judge(self.members[i], verdict)
            self.status[i].verdict = verdict
        self.store.join(shared.key, shared.until)
