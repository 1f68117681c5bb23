"""The sweeps of a store as people look at them: which points belong together in a figure."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uepgpu.checks import closest, shown
from uepgpu.store.opening import reading
from uepgpu.store.rows import Rows
from uepgpu.store.stored import StoredPoint, StoredSweep, points_of, sweeps_of

__all__ = ["Section", "fitting", "joined", "names_of", "only_section", "only_series", "read_sections"]


@dataclass(frozen=True, eq=False)
class Section:
    """A sweep with what has been simulated of it.

    Attributes
    ----------
    title : str
    sweep : StoredSweep
        Its specification, as it was last run.
    points : tuple of StoredPoint
        Those with a finished range, in the order of the specification; no two of one panel with one label.
    missing : int
        How many of its points have none.
    """

    title: str
    sweep: StoredSweep
    points: tuple[StoredPoint, ...]
    missing: int


def read_sections(store: Path | str, *, sweep: str | None = None) -> list[Section]:
    """Return the sweeps of a store that have a finished range, oldest first.

    Points of an earlier specification of a sweep that the latest one does not have are a section of their own.

    Parameters
    ----------
    store : path
    sweep : str, optional
        Only the one of that name.

    Raises
    ------
    ValueError
        If the store cannot be read, has no such sweep, or nothing has been simulated.
    """
    with reading(store) as rows:
        return _sections(rows, sweep)


def _sections(rows: Rows, sweep: str | None) -> list[Section]:
    latest: dict[str, list[StoredSweep]] = {}
    for row in sweeps_of(rows):
        latest.setdefault(row.name, []).append(row)
    if sweep is not None and sweep not in latest:
        known = ", ".join(latest) or "none"
        raise ValueError(f"store {str(rows.path)!r} has no sweep {sweep!r}{closest(sweep, list(latest))}, only {known}")
    result = []
    for name, versions in latest.items():
        if sweep not in (None, name):
            continue
        # One sweep at a time: two of them may have a point in common.
        mine = left = list(points_of(rows, name))
        for age, row in enumerate(reversed(versions)):
            place = {point_id: i for i, point_id in enumerate(row.points)}
            here = sorted((p for p in left if p.id in place), key=lambda p: place[p.id])
            left = [p for p in left if p.id not in place]
            if here:
                title = row.title if age == 0 else f"{row.title} (points of an earlier specification)"
                missing = len(set(place) - {p.id for p in mine})
                result.append(Section(title, row, _distinct(here), missing if age == 0 else 0))
    if not result:
        raise ValueError(f"store {str(rows.path)!r} holds no finished range yet: run `uepgpu sweep` first")
    return result


def _distinct(points: Sequence[StoredPoint]) -> tuple[StoredPoint, ...]:
    """Tell points of one panel and label apart by their ids."""
    seen = Counter((*p.point.panel, p.point.series) for p in points)
    return tuple(
        p
        if seen[*p.point.panel, p.point.series] == 1
        else dataclasses.replace(p, point=dataclasses.replace(p.point, series=f"{p.point.series} [{p.short_id}]"))
        for p in points
    )


def only_section(sections: Sequence[Section]) -> Section:
    """Return the sweep of a store that has one, as its latest specification has it; ``ValueError`` if there are several."""
    names = list(dict.fromkeys(s.sweep.name for s in sections))
    if len(names) > 1:
        raise ValueError(f"the store has several sweeps, choose one with --sweep: {', '.join(names)}")
    return sections[0]


def names_of(stores: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return what stores are called: their files without suffix, or where two have one name, their folders, paths, or numbers.

    Examples
    --------
    >>> names_of(["a/one.db", "b/two.db"]), names_of(["a/store.db", "b/store.db"])
    (['one', 'two'], ['a', 'b'])
    """
    paths = [Path(store) for store in stores]
    counted = [f"{p.stem} {i}" for i, p in enumerate(paths, start=1)]
    ways = ([p.stem for p in paths], [p.parent.name for p in paths], [*map(str, stores)], counted)
    return next(names for names in ways if len(set(names)) == len(names))


def joined(sections: Mapping[str, Section]) -> Section:
    """Return the points of several stores as one section, as if one sweep had them.

    A label that two stores have for different points of one panel gets the name of its store.

    Parameters
    ----------
    sections : dict of str to Section
        At least one; the section that is meant of each store, by the store's name.

    Raises
    ------
    ValueError
        If two of them hold realizations of one point: they have to be merged first; or their deadlines are in different units.
    """
    first = next(iter(sections.values()))
    if len(sections) == 1:
        return first
    units = {section.sweep.time_unit: store for store, section in sections.items()}
    if len(units) > 1:
        said = ", ".join(f"{shown(unit) if unit else 'a unit without name'} in {store}" for unit, store in units.items())
        raise ValueError(f"the stores measure deadlines differently: {said}; give all of them one time_unit")
    owner: dict[str, str] = {}
    users: dict[tuple[str, ...], set[str]] = {}
    for store, section in sections.items():
        for p in section.points:
            if owner.setdefault(p.id, store) != store:
                raise ValueError(
                    f"{owner[p.id]} and {store} both hold {p.point.describe()} ({p.short_id}): "
                    "merge them first, with `uepgpu combine A.db B.db -o C.db`"
                )
            users.setdefault((*p.point.panel, p.point.series), set()).add(store)
    points = tuple(
        p
        if len(users[*p.point.panel, p.point.series]) == 1
        else dataclasses.replace(p, point=dataclasses.replace(p.point, series=f"{p.point.series} [{store}]"))
        for store, section in sections.items()
        for p in section.points
    )
    title = "; ".join(dict.fromkeys(section.title for section in sections.values()))
    return Section(title, first.sweep, points, sum(section.missing for section in sections.values()))


def only_series(points: Sequence[StoredPoint], patterns: Sequence[str]) -> tuple[StoredPoint, ...]:
    """Return the points whose label is one of the patterns, in which ``*``, ``?`` and ``[...]`` are wildcards.

    A pattern that is a label means that label alone, whatever brackets it has.

    Raises
    ------
    ValueError
        If a pattern fits no label.
    """
    wanted = fitting(list(dict.fromkeys(p.point.series for p in points)), patterns)
    return tuple(p for p in points if p.point.series in wanted)


def fitting(labels: Sequence[str], patterns: Sequence[str]) -> set[str]:
    """Return the labels that fit one of the patterns, as :func:`only_series` takes them; all where there is no pattern."""
    wanted: set[str] = set() if patterns else set(labels)
    for pattern in patterns:
        fits = {pattern} if pattern in labels else {label for label in labels if fnmatch.fnmatchcase(label, pattern)}
        if not fits:
            known = ", ".join(labels[:20]) + (", …" if len(labels) > 20 else "")
            raise ValueError(f"--series must fit a label, got {shown(pattern)}{closest(pattern, labels)}; there are {known}")
        wanted |= fits
    return wanted
