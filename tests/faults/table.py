"""The table of docs/reliability.md, made from the record of what the scripts found."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.cases.requirements import ROOT
from tests.faults.tally import PROMISES

__all__ = ["DOCUMENT", "RECORD", "added", "read_record", "with_table"]

DOCUMENT, RECORD = ROOT / "docs" / "reliability.md", ROOT / "docs" / "reliability.json"
BEGIN, END = "<!-- made by python -m tests.faults -->", "<!-- end -->"
Record = dict[str, dict[str, Any]]


def read_record() -> Record:
    """Return what the scripts found, by script; empty if none has run."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}


def added(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what several processes of one script found, rows of one fault added up."""
    rows: dict[str, dict[str, Any]] = {}
    for row in (row for part in parts for row in part["rows"]):
        whole = rows.setdefault(row["fault"], {**row, "tried": 0, "outcomes": {}, "broken": {}, "examples": []})
        whole["tried"] += row["tried"]
        whole["examples"] += row["examples"]
        for name in ("outcomes", "broken"):
            whole[name] = dict(Counter(whole[name]) + Counter(row[name]))
    return {"seconds": sum(part["seconds"] for part in parts), "rows": list(rows.values())}


def with_table(text: str, record: Record) -> str:
    """Return a document with the table between its marks made anew."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{table(record)}\n\n{END}{after}"


def table(record: Record) -> str:
    """Return the table: a sentence with the sums, then a row a fault."""
    rows = [(name, row) for name, section in record.items() for row in section["rows"]]
    broken = sum((Counter(row["broken"]) for _, row in rows), Counter[str]())
    sums = ", ".join(f"{broken[promise]} {promise}" for promise in PROMISES)
    lines = [
        f"{sum(row['tried'] for _, row in rows):,} trials: {sums}.",
        "",
        "| fault | tried | outcome | broken | script |",
        "| --- | ---: | --- | ---: | --- |",
    ]
    for name, row in rows:
        said = [f"{n:,} {what}" for what, n in Counter(row["outcomes"]).most_common()]
        said += [f"{n:,} **{what}**" for what, n in Counter(row["broken"]).most_common()]
        outcome = "; ".join(filter(None, [", ".join(said), row["figures"]]))
        lines.append(f"| {row['fault']} | {row['tried']:,} | {outcome} | {sum(row['broken'].values())} | `{name}` |")
    return "\n".join(lines)
