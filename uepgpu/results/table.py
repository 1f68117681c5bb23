"""The curves of a sweep as a table with one row per deadline, and as CSV."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from uepgpu.files import table_kind
from uepgpu.results.curve import LEVELS
from uepgpu.text import write_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from uepgpu.results.curve import Curve

__all__ = ["COLUMNS", "OF_THE_LAW", "TABLE", "rows", "to_csv"]

OF_THE_LAW = ("normalized_loss_sd", *(f"normalized_loss_q{100 * q:g}" for q in LEVELS))
"""Columns on the loss of one realization, or trajectory: its standard deviation, and of realizations quantiles."""
COLUMNS = (
    "series",
    "code",
    "paradigm",
    "partition",
    "encoding",
    "window",
    "work",
    "workers",
    "omega",
    "gamma",
    "domain",
    "rounds",
    "deadline",
    "loss",
    "loss_stderr",
    "loss_low",
    "loss_high",
    "normalized_loss",
    "normalized_loss_stderr",
    "normalized_loss_low",
    "normalized_loss_high",
    "normalized_loss_exact",
    *OF_THE_LAW,
    "realizations",
    "seed",
    "backend",
)
"""Columns of ``table.csv``. ``window`` is empty unless the encoding is factored, ``gamma`` for codes without window
probabilities, ``rounds`` for single rounds, ``normalized_loss_exact`` where there is no closed form, those of
:data:`OF_THE_LAW` for codes that do not decode class by class."""

TABLE = table_kind(COLUMNS)

Value = str | int | float


def rows(curves: Sequence[Curve]) -> Iterator[dict[str, Value]]:
    """Yield one row per curve and deadline, with the keys of :data:`COLUMNS`."""
    for curve in curves:
        point = curve.point
        shared: dict[str, Value] = {
            "series": point.series,
            "code": point.code_name,
            "paradigm": point.part.paradigm,
            "partition": point.partition,
            "encoding": point.encoding,
            "window": point.window,
            "work": point.workers.work,
            "workers": point.workers.count,
            "omega": point.workers.resolved_omega(point.part.n_subproducts),
            "gamma": " ".join(map(repr, getattr(point.code, "gamma", ()))),
            "domain": curve.domain,
            "rounds": "" if point.rounds is None else point.rounds,
            "realizations": curve.realizations,
            "seed": point.seed,
            "backend": curve.backend,
        }
        for d, deadline in enumerate(point.deadlines):
            yield shared | {
                "deadline": deadline,
                "loss": float(curve.loss[d]),
                "loss_stderr": float(curve.loss_stderr[d]),
                "loss_low": float(curve.loss_low[d]),
                "loss_high": float(curve.loss_high[d]),
                "normalized_loss": float(curve.normalized[d]),
                "normalized_loss_stderr": float(curve.normalized_stderr[d]),
                "normalized_loss_low": float(curve.normalized_low[d]),
                "normalized_loss_high": float(curve.normalized_high[d]),
                "normalized_loss_exact": "" if curve.exact is None else float(curve.exact[d]),
                **_of_the_law(curve, d),
            }


def _of_the_law(curve: Curve, d: int) -> dict[str, Value]:
    found: dict[str, Value] = dict.fromkeys(OF_THE_LAW, "")
    if curve.sd is not None:
        found[OF_THE_LAW[0]] = float(curve.sd[d])
    if curve.quantiles is not None:
        found |= zip(OF_THE_LAW[1:], map(float, curve.quantiles[d]), strict=True)
    return found


def to_csv(curves: Sequence[Curve]) -> str:
    """Return the table as CSV; floats keep all their digits, and no label is a formula."""
    text = io.StringIO()
    write_table(text, COLUMNS, rows(curves))
    return text.getvalue()
