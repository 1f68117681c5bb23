"""The reference of specifications: a page of Markdown and a JSON Schema, both from the tables of keys."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from uepgpu.specification.keys import REQUIRED_KEY, Key, Section
from uepgpu.specification.study import SCHEMES
from uepgpu.specification.study_keys import STUDY_SECTIONS
from uepgpu.specification.sweep_keys import SWEEP_SECTIONS, TYPES_OF_AXES

__all__ = ["SECTIONS", "page", "schema"]

SECTIONS: dict[str, Section] = {
    **SWEEP_SECTIONS,
    **STUDY_SECTIONS,
    "scheme": replace(STUDY_SECTIONS["scheme"], kinds=SCHEMES),
}
"""Every table of a specification, by the name that the schema gives it."""

_OF_TOP = ("gamma",)
"""Fields that need no value of their own: the top of the file may give it."""
_NAMED_BY = {"law": "law", "code": "name", "backup": "name", "scheme": "name"}
"""The key that names the class."""
_IN_FILES = {"empirical": ("column",), "trace": ("round", "worker", "latency")}
"""Keys of laws that name the columns of a file, beside the fields of the class."""

INTRO = """# Specifications

A specification is a TOML file: what `uepgpu sweep`, `uepgpu design` and `uep.run_sweep` run. This page lists every key; it is
made from the tables that the readers use, by `uepgpu spec --reference`.

* `uepgpu spec` lists the bundled specifications, `uepgpu spec paper > mine.toml` starts one of your own;
* `uepgpu spec mine.toml --check` reads one and says what it asks for, or what is wrong with it in one line;
* `uepgpu spec --schema > uepgpu.json` writes a JSON Schema, with which editors complete and check keys: put
  `#:schema ./uepgpu.json` into the first line (Taplo, Even Better TOML).

Integers may be written as `1e5`. Paths are relative to the specification. A default in `code` is a value, other defaults are words.
"""


def page() -> str:
    """Return the reference as Markdown.

    Examples
    --------
    >>> page().splitlines()[0]
    '# Specifications'
    """
    parts = [INTRO, "## Sweeps and designs\n"]
    parts += [part for name in SWEEP_SECTIONS for part in _section(name)]
    parts.append('## Gradient coding\n\nSpecifications with `kind = "gradient-coding"`; `uepgpu sweep` runs them too.\n')
    parts += [part for name in STUDY_SECTIONS for part in _section(name)]
    return "\n".join(parts)


def _section(name: str) -> Iterator[str]:
    section = SECTIONS[name]
    yield f"### {section.heading}\n"
    yield f"{section.intro}\n"
    if name in _NAMED_BY:
        yield "| name | what it is | keys |\n| --- | --- | --- |"
        for kind_name, kind in section.kinds.items():
            yield f"| `{kind_name}` | {_summary(kind)} | {', '.join(f'`{key}`' for key in _keys_of(name, kind_name)) or '–'} |"
        yield ""
    if name == "grid":
        yield "| axis | a value is | example |\n| --- | --- | --- |"
        for key in section.keys:
            yield f"| `{key.name}` | {TYPES_OF_AXES[key.name][0].words} | {_code(key.example)} |"
        yield ""
        return
    yield "| key | type | default | meaning | example |\n| --- | --- | --- | --- | --- |"
    for key in section.keys[-1:] if name == "zip" else section.keys:
        default = f"`{key.default}`" if key.default_value is not None else key.default
        yield f"| `{key.name}` | {key.type.words} | {default} | {key.meaning} | {_code(f'{key.name} = {key.example}')} |"
    yield ""


def _code(text: str) -> str:
    return f"`{text}`"


def _summary(kind: type) -> str:
    """Return the first sentence of a class's docstring, without roles of Sphinx."""
    text = " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())
    return re.sub(r":\w+:`(\w+)`", r"`\1`", text).replace("``", "`").replace("|", "\\|")


def _keys_of(section: str, name: str) -> tuple[str, ...]:
    """Return the keys that a table with that name takes besides the name."""
    fields = tuple(f.name for f in dataclasses.fields(SECTIONS[section].kinds[name]))
    return (*fields, *(_IN_FILES.get(name, ()) if section == "law" else ()))


# --- schema -----------------------------------------------------------------------------------------------------------


def schema() -> str:
    """Return a JSON Schema (draft 2020-12) of specifications.

    Examples
    --------
    >>> sorted(json.loads(schema()))
    ['$defs', '$schema', 'description', 'else', 'if', 'then', 'title', 'type']
    """
    tables = {name: _named(name) if name in _NAMED_BY else _table(SECTIONS[name].keys) for name in SECTIONS}
    tables["law"]["anyOf"].append({"$ref": "#/$defs/each"})
    return json.dumps(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "uepgpu specification",
            "description": "What uepgpu sweep and uepgpu design run.",
            "type": "object",
            "if": {"required": ["kind"]},
            "then": {"$ref": "#/$defs/study"},
            "else": {"$ref": "#/$defs/sweep"},
            "$defs": tables,
        },
        indent=1,
        ensure_ascii=False,
    )


def _table(keys: tuple[Key, ...]) -> dict[str, Any]:
    required = [key.name for key in keys if key.default == REQUIRED_KEY]
    return {
        "type": "object",
        "properties": {k.name: _property(k) for k in keys},
        "required": required,
        "additionalProperties": False,
    }


def _property(key: Key) -> dict[str, Any]:
    about: dict[str, Any] = {"description": key.meaning.replace("`", "")} if key.meaning else {}
    return key.type.schema | about | ({"default": key.default_value} if key.default_value is not None else {})


def _named(section: str) -> dict[str, Any]:
    """Return the schema of a name, or of a table that names a class and gives its fields."""
    known = {key.name: key for key in SECTIONS[section].keys}
    by = _NAMED_BY[section]
    bare: list[str] = []
    tables: list[dict[str, Any]] = []
    for name, kind in SECTIONS[section].kinds.items():
        missing = (dataclasses.MISSING, dataclasses.MISSING)
        required = [f.name for f in dataclasses.fields(kind) if (f.default, f.default_factory) == missing and f.name not in _OF_TOP]
        if not required:
            bare.append(name)
        properties = {by: {"const": name}} | {key: _property(known[key]) for key in _keys_of(section, name)}
        tables.append({"type": "object", "properties": properties, "required": [by, *required], "additionalProperties": False})
    return {"anyOf": [{"enum": bare}, *tables] if bare else tables}
