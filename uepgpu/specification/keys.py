"""What a key of a specification is: its name, type, default, meaning and an example, for readers, the reference and the schema."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "DEADLINES",
    "FILE",
    "FLAG",
    "INDICES",
    "LAW",
    "NUMBER",
    "NUMBERS",
    "REQUIRED_KEY",
    "SEED",
    "TABLE",
    "TEXT",
    "TEXTS",
    "WHOLE",
    "WHOLES",
    "Key",
    "Section",
    "Type",
    "either",
    "list_of",
    "names",
    "one_of",
    "or_list",
    "table_of",
]

REQUIRED_KEY = "required"


@dataclass(frozen=True)
class Type:
    """A type of values.

    Attributes
    ----------
    words : str
        As the reference calls it.
    schema : dict
        As JSON Schema.
    """

    words: str
    schema: dict[str, Any] = field(hash=False)


def table_of(name: str) -> Type:
    """Return the type of the tables of a section."""
    return Type("table", {"$ref": f"#/$defs/{name}"})


def list_of(item: Type, words: str) -> Type:
    """Return the type of non-empty lists."""
    return Type(words, {"type": "array", "items": item.schema, "minItems": 1})


def one_of(*values: str) -> Type:
    """Return the type of one of some strings."""
    *others, last = [f'`"{value}"`' for value in values]
    return Type(" or ".join(filter(None, (", ".join(others), last))), {"enum": list(values)})


def either(*types: Type) -> Type:
    """Return the type of values that have one of some types."""
    return Type(" or ".join(t.words for t in types), {"anyOf": [t.schema for t in types]})


def or_list(item: Type) -> Type:
    """Return the type of one value, or of a list that is a grid."""
    return Type(f"{item.words}, or a list of such: a grid", {"anyOf": [item.schema, list_of(item, "").schema]})


NUMBER = Type("number", {"type": "number"})
WHOLE = Type("integer", {"type": "integer"})
SEED = Type("integer", {"type": "integer", "minimum": 0})
FLAG = Type("true or false", {"type": "boolean"})
TEXT = Type("string", {"type": "string", "minLength": 1})
FILE = Type("path", {"type": "string", "minLength": 1})
NUMBERS = list_of(NUMBER, "list of numbers")
WHOLES = list_of(WHOLE, "list of integers")
TEXTS = list_of(TEXT, "list of strings")
INDICES = list_of(Type("", {"type": "array", "items": {"type": "integer"}, "minItems": 1}), "list of lists of sub-product numbers")
TABLE = Type("table", {"type": "object"})
DEADLINES = Type(
    "list of times, or `{ start, stop, step }`",
    {
        "anyOf": [
            {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 1},
            {
                "type": "object",
                "properties": {name: {"type": "number"} for name in ("start", "stop", "step")},
                "required": ["stop", "step"],
                "additionalProperties": False,
            },
        ]
    },
)
LAW = Type("law", {"$ref": "#/$defs/law"})


@dataclass(frozen=True)
class Key:
    """A key of a table.

    Attributes
    ----------
    name : str
    type : Type
    default : str
        As TOML; or words: ``"required"``, ``"none"``, what is taken instead.
    meaning : str
    example : str
        A value, as TOML.
    """

    name: str
    type: Type
    default: str
    meaning: str
    example: str

    @property
    def value(self) -> Any:
        """The example's value."""
        return tomllib.loads(f"x = {self.example}")["x"]

    @property
    def default_value(self) -> Any:
        """The default where it is a value; None where it is words."""
        try:
            return tomllib.loads(f"x = {self.default}")["x"]
        except tomllib.TOMLDecodeError:
            return None


@dataclass(frozen=True)
class Section:
    """A table of a specification.

    Attributes
    ----------
    heading : str
    intro : str
        Markdown.
    keys : tuple of Key
    kinds : dict
        For tables that name a class (a code, a law): the name to the class, whose fields are keys.
    """

    heading: str
    intro: str
    keys: tuple[Key, ...]
    kinds: dict[str, type] = field(default_factory=dict, hash=False)


def names(keys: tuple[Key, ...]) -> tuple[str, ...]:
    """Return the names of keys.

    Examples
    --------
    >>> names((Key("count", WHOLE, "required", "W", "30"),))
    ('count',)
    """
    return tuple(key.name for key in keys)
