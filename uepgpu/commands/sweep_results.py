"""What a sweep leaves beside its store: the table and the figure, made anew only when something has changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uepgpu import __version__
from uepgpu.files import Folder
from uepgpu.files.kinds import PNG
from uepgpu.results.curve import Curve
from uepgpu.results.table import TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uepgpu.points.identity import Identity
    from uepgpu.points.point import Point
    from uepgpu.sweep.collect import Collection

__all__ = ["FILES", "MOST_DRAWN", "curves_of", "write_results"]

FILES = {"table.csv": TABLE, "loss.png": PNG}
"""What is written into the folder of the results."""
MOST_DRAWN = 1000
"""Curves of a figure, the best of them named: more take minutes to draw."""
KEPT_AT_ONCE = 200
MOST_KNOWN = 1000

_ARRAYS = tuple(f.name for f in dataclasses.fields(Curve) if f.name not in ("point", "realizations", "domain", "backend"))

CONTENTS = " ".join(_ARRAYS)
"""A curve that was kept with other arrays is made again."""


def curves_of(collection: Collection) -> list[Curve]:
    """Return the curves of the points that have a finished range; those that are kept in the store are not made again."""
    store, curves = collection.store, []
    fresh: list[tuple[int, str, str]] = []
    known: dict[tuple[str, ...], Any] = {}
    for i, (member, point) in enumerate(zip(collection.members, collection.sweep.points, strict=True)):
        ranges = store.ranges(member.tally)
        if not ranges:
            continue
        state = f"uepgpu {__version__}, {CONTENTS}: {ranges}"
        text = store.kept_curve(member.point, state)
        if text is not None:
            data = json.loads(text)
            arrays: dict[str, Any] = {name: None if data[name] is None else np.array(data[name]) for name in _ARRAYS}
            curves.append(Curve(point, data["realizations"], data["domain"], data["backend"], **arrays))
            continue
        from uepgpu.results.curve import curve_of
        from uepgpu.sweep.run import Result

        tally = collection.tally(i)
        assert tally is not None
        curve = curve_of(Result(point, tally), partial(_exact, known, collection.identities[i]))
        curves.append(curve)
        kept = {name: None if (a := getattr(curve, name)) is None else a.tolist() for name in _ARRAYS}
        kept |= {"realizations": curve.realizations, "domain": curve.domain, "backend": curve.backend}
        fresh.append((member.point, state, json.dumps(kept)))
        if len(fresh) >= KEPT_AT_ONCE:
            store.keep_curves(fresh)
            fresh.clear()
    if fresh:
        store.keep_curves(fresh)
    return curves


def _exact(known: dict[tuple[str, ...], Any], identity: Identity, point: Point) -> Any:
    """Return the exact loss of a point; points that differ by their seed or stop rule share it."""
    from uepgpu.results.curve import exact_loss

    key = (identity.code, identity.part, identity.workers, identity.deadlines)
    if key not in known:
        if len(known) >= MOST_KNOWN:
            known.clear()
        known[key] = exact_loss(point)
    return known[key]


def write_results(collection: Collection, curves: Sequence[Curve], folder: Folder) -> list[Path]:
    """Write ``table.csv`` and ``loss.png`` unless they are there as they would be; return the files that are there.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    from uepgpu.results.table import to_csv

    table = to_csv(curves).encode()
    files = [folder.outputs["table.csv"].path]
    if not files[0].is_file() or files[0].read_bytes() != table:
        folder.write("table.csv", table)
    if len(curves) > MOST_DRAWN:
        return files
    files.append(folder.outputs["loss.png"].path)
    made_from = hashlib.sha256(
        f"{__version__}\0{collection.sweep.title}\0{collection.sweep.time_unit or ''}\0".encode() + table
    ).hexdigest()
    place = str(files[1].resolve())
    there = hashlib.sha256(files[1].read_bytes()).hexdigest() if files[1].is_file() else None
    if there is None or collection.store.kept_output(place) != f"{made_from} {there}":
        from uepgpu.figures import draw, to_png

        figure = to_png(draw(curves, collection.sweep.title))
        folder.write("loss.png", figure)
        collection.store.keep_output(place, f"{made_from} {hashlib.sha256(figure).hexdigest()}")
    return files
