"""Pieces of HTML: escaped text, tables, definition lists."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

__all__ = ["details", "escape", "facts", "json_script", "table"]


def escape(text: object) -> str:
    """Return text that HTML shows as it is."""
    return html.escape(str(text), quote=True)


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers_from: int = 1) -> str:
    """Return a table that scrolls in itself; cells from column `numbers_from` on are numbers."""

    def cells(row: Sequence[str]) -> str:
        first = f'<th scope="row">{escape(row[0])}</th>'
        rest = "".join(f"<td{' class=number' if i >= numbers_from else ''}>{escape(cell)}</td>" for i, cell in enumerate(row) if i)
        return f"<tr>{first}{rest}</tr>"

    head = "".join(
        f'<th scope="col"{" class=number" if i >= numbers_from else ""}>{escape(name)}</th>' for i, name in enumerate(header)
    )
    body = "\n".join(map(cells, rows))
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Return names with what they are."""
    return "<dl>" + "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs) + "</dl>"


def details(summary: str, content: str, *, printed: bool = False) -> str:
    """Return content that opens when it is asked for; `printed` says whether it is on paper too."""
    return f"<details{' class=printed' if printed else ''}><summary>{escape(summary)}</summary>{content}</details>"


def json_script(name: str, data: Any) -> str:
    """Return data for the page's script; no label in it can end the element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/json" id="{name}">{text}</script>'
