"""Descriptions as HTML, for notebooks: a name and a table of what it consists of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from html import escape
from typing import Any, ClassVar

__all__ = ["Described", "html_table"]

LONGEST = 120
"""Characters of a value; arrays may be long."""
STYLE = "text-align:left;padding:1px 12px 1px 0;border:0"


def html_table(title: str, rows: Iterable[tuple[str, object]], note: str = "") -> str:
    """Return a small table: a title, rows of name and value, a note.

    Examples
    --------
    >>> "<th" in html_table("Workers", [("W", 30)])
    True
    """

    def shown(value: object) -> str:
        text = " ".join(str(value).split())
        return escape(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")

    body = "".join(
        f'<tr><th style="{STYLE};font-weight:normal;opacity:.7">{shown(n)}</th><td style="{STYLE}">{shown(v)}</td></tr>'
        for n, v in rows
    )
    below = f'<div style="opacity:.7">{escape(note)}</div>' if note else ""
    return f'<div><strong>{escape(title)}</strong><table style="border:0">{body}</table>{below}</div>'


class Described:
    """A frozen dataclass that notebooks show as a table of its fields.

    Examples
    --------
    >>> from uepgpu.codes import Repetition
    >>> "copies" in Repetition(2)._repr_html_()
    True
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def _repr_html_(self) -> str:
        note = " ".join((type(self).__doc__ or "").split("\n\n")[0].split())
        return html_table(type(self).__name__, self._described(), note)

    def _described(self) -> list[tuple[str, object]]:
        """Return the rows of the table."""
        return [(f.name, getattr(self, f.name)) for f in dataclasses.fields(self) if f.repr]
