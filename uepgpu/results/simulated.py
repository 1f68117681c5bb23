"""What results are made from: a point together with its tally, or trajectories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from uepgpu.tally import Tally, Trajectories

if TYPE_CHECKING:
    import xarray as xr

    from uepgpu.points.point import Point

__all__ = ["OneRound", "Simulated", "decoding_of", "every_round", "knows_law", "law_of", "loss_of"]


class Simulated(Protocol):
    """A point and what was simulated of it."""

    @property
    def point(self) -> Point:
        """The point."""
        ...

    @property
    def tally(self) -> Tally | Trajectories:
        """Its tally, or trajectories."""
        ...


@dataclass(frozen=True, eq=False)
class OneRound:
    """A round of trajectories."""

    point: Point
    tally: Tally


def every_round(simulated: Simulated) -> list[OneRound]:
    """Return the rounds of trajectories; none of a point of single rounds."""
    tally = simulated.tally
    return [OneRound(simulated.point, one) for one in tally] if isinstance(tally, Trajectories) else []


def loss_of(simulated: Simulated, **options: Any) -> xr.Dataset:
    """Return the mean loss of a point; `options` are for tallies of the count domain. Of trajectories the mean over rounds."""
    tally, part = simulated.tally, simulated.point.part
    return tally.mean_loss(part) if isinstance(tally, Trajectories) else tally.loss(part, **options)


def decoding_of(simulated: Simulated, **options: Any) -> xr.Dataset:
    """Return the decoding probability of classes; of trajectories the mean over rounds."""
    tally = simulated.tally
    return tally.mean_decoding_probability() if isinstance(tally, Trajectories) else tally.decoding_probability(**options)


def knows_law(simulated: Simulated) -> bool:
    """Return whether the law of the loss of a realization is known: neither of means over rounds nor from pairs."""
    return isinstance(simulated.tally, Tally) and simulated.tally.class_wise


def law_of(simulated: Simulated) -> Tally:
    """Return the tally of a point whose law is known."""
    assert isinstance(simulated.tally, Tally)
    return simulated.tally
