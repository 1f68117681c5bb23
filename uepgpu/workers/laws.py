"""The laws of a pool of workers: one for all, one each, or a recorded trace."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import positive, real_array, shown
from uepgpu.latency import Latency, Trace
from uepgpu.text import printable

__all__ = ["check_foreign", "checked_latency", "checked_speeds", "checked_time_unit", "distinct_laws"]

ASKED = np.array([-1.0, 0.0, 1e-6, 1e-3, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0, 1e4, 1e8])
"""Times at which a law of one's own is asked whether it is one."""
SLACK = 1e-9
LONGEST_UNIT = 40
"""Characters of the name of a unit: it stands on axes and in headers of tables."""


def check_foreign(law: Latency) -> None:
    """Raise ``ValueError`` if a law that is not of this library gives what no law can give, at any of a few times.

    Both methods must take an array of times and return one of that shape; F is 0 before time 0, does not decrease, and F + (1 - F)
    is 1.
    """
    if type(law).__module__.startswith("uepgpu."):
        return
    found = {}
    for name in ("cdf", "sf"):
        with np.errstate(all="ignore"):
            try:
                values = np.asarray(getattr(law, name)(ASKED.copy()), dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise ValueError(f"latency.{name} must take an array of times, that of {shown(law)} raised {error}") from error
        if values.shape != ASKED.shape:
            raise ValueError(f"latency.{name} must return one value per time, shape {ASKED.shape}, got shape {values.shape}")
        wrong = ~((values >= -SLACK) & (values <= 1 + SLACK))  # NaN too
        if wrong.any():
            at = int(wrong.argmax())
            raise ValueError(f"latency.{name} must be a probability, got {values[at]:g} at time {ASKED[at]:g}")
        found[name] = values
    if found["cdf"][0] > SLACK:
        raise ValueError(f"latency.cdf must be 0 before time 0, got {found['cdf'][0]:g} at time {ASKED[0]:g}")
    down = np.diff(found["cdf"]) < -SLACK
    if down.any():
        raise ValueError(
            f"latency.cdf must not decrease, but it does between times {ASKED[down.argmax()]:g} and {ASKED[down.argmax() + 1]:g}"
        )
    apart = np.abs(found["cdf"] + found["sf"] - 1.0)
    if apart.max() > 1e-6:
        at = int(apart.argmax())
        raise ValueError(
            f"latency.sf must be 1 - cdf, got {found['sf'][at]:g} where cdf is {found['cdf'][at]:g}, at time {ASKED[at]:g}"
        )


def checked_latency(latency: Any, count: int) -> Latency | tuple[Latency, ...] | Trace:
    """Return a law, W of them as a tuple, or a trace of W workers.

    Raises
    ------
    ValueError
        It is none of these.
    """
    if isinstance(latency, Trace):
        if latency.n_workers != count:
            raise ValueError(f"latency must be a trace of all workers: {count} workers, got a trace of {latency.n_workers}")
        return latency
    # A class has these methods too, but they need an instance.
    if isinstance(latency, Latency) and not isinstance(latency, type):
        check_foreign(latency)
        return latency
    if isinstance(latency, str | type) or not isinstance(latency, Iterable):
        raise ValueError(f"latency must be a law from uepgpu.latency or have methods cdf and sf, got {shown(latency)}")
    laws = tuple(latency)
    for law in laws:
        if isinstance(law, type) or not isinstance(law, Latency):
            raise ValueError(f"latency must be a law, or a sequence of one law per worker, got {shown(law)} among them")
    for law in {id(law): law for law in laws}.values():
        check_foreign(law)
    if len(laws) != count:
        raise ValueError(f"latency must give one law per worker: {count} workers, got {len(laws)} laws")
    return laws


def checked_speeds(speeds: Any, count: int) -> tuple[float, ...]:
    """Return the speed of each of `count` workers.

    Raises
    ------
    ValueError
        They are not W numbers > 0.
    """
    array = real_array("speeds", speeds)
    if array.ndim != 1:
        raise ValueError(f"speeds must be a sequence of one speed per worker, got {shown(speeds)}")
    found = tuple(positive("speeds", s) for s in array.tolist())
    if len(found) != count:
        raise ValueError(f"speeds must give one speed per worker: {count} workers, got {len(found)} speeds")
    return found


def distinct_laws(laws: tuple[Latency, ...]) -> tuple[tuple[Latency, ...], NDArray[np.int64]]:
    """Return the different laws in order of first occurrence, and which of them each worker has."""
    numbers: dict[object, int] = {}
    number = [numbers.setdefault(_key(law), len(numbers)) for law in laws]
    first = np.unique(number, return_index=True)[1]
    return tuple(laws[i] for i in first.tolist()), np.array(number, dtype=np.int64)


def _key(law: Latency) -> object:
    """Return what equal laws share: themselves where they can be compared, else their identity."""
    try:
        hash(law)
    except TypeError:
        return id(law)
    return law


def checked_time_unit(name: Any) -> str | None:
    """Return the name of a unit of time, or None; ``ValueError`` unless it is a short text on one line."""
    if name is None or (isinstance(name, str) and name.strip() and len(name) <= LONGEST_UNIT and printable(name) == name):
        return name
    raise ValueError(f"time_unit must be a text of at most {LONGEST_UNIT} characters such as 'ms', got {shown(name)}")
