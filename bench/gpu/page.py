"""The record as a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.gpu.sections import Section

__all__ = ["page"]

HIDDEN = ("section", "what", "ok", "at", "pretended", "traceback", "text")
LONGEST = 160
"""Characters of a cell; the rows in record.json have everything."""


def page(sections: Mapping[str, Section], rows: Sequence[Mapping[str, Any]], head: str, *, pretended: bool = False) -> str:
    """Return the page: what failed, then a table for each part."""
    failed = [row for row in rows if row["ok"] is False]
    passed = sum(row["ok"] is True for row in rows)
    lines = [
        f"# uepgpu on a {'pretended device, no GPU' if pretended else 'GPU'}",
        "",
        head,
        "",
        f"{passed} checks passed, {len(failed)} failed.",
        "",
    ]
    if failed:
        lines += ["## What failed", "", *_table(["section", "what", "why"], [_failure(row) for row in failed]), ""]
    for title in dict.fromkeys(section.title for section in sections.values()):
        mine = [row for row in rows if sections[row["section"]].title == title]
        lines += [f"## {title}{', pretended' if pretended else ''}", "", *_part(mine), ""]
    return "\n".join(lines)


def _failure(row: Mapping[str, Any]) -> list[str]:
    why = row.get("error") or row.get("text") or ", ".join(f"{k} {v}" for k, v in row.items() if k not in HIDDEN)
    return [row["section"], row["what"], _cell(why)]


def _part(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return tables of rows that have the same figures, and texts as they are."""
    if not rows:
        return ["Not run."]
    lines: list[str] = []
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(key for key in row if key not in HIDDEN), []).append(row)
    for keys, group in groups.items():
        if len(group) == 1 and len(keys) > 12:  # versions of packages
            lines += [f"* {group[0]['what']}: " + ", ".join(f"{key} {group[0][key]}" for key in keys), ""]
            continue
        cells = [[row["what"], _verdict(row["ok"]), *(_cell(row[key]) for key in keys)] for row in group]
        lines += [*_table(["", "", *(key.replace("_", " ") for key in keys)], cells), ""]
    for row in rows:
        if row.get("text"):
            lines += [f"{row['what']}:", "", "```", row["text"], "```", ""]
    return lines[:-1]


def _verdict(ok: bool | None) -> str:
    return "" if ok is None else "passed" if ok else "**failed**"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        value = ", ".join(f"{key} {_cell(x)}" for key, x in value.items())
    text = " ".join(str("" if value is None else value).split()).replace("|", "\\|")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
