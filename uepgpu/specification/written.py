"""Tables of a specification that are given from Python: as TOML would give them, and as TOML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["plain", "to_toml"]


def plain(value: Any) -> Any:
    """Return tables, lists and numbers as TOML would give them; objects of this library stay."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple | range) else value


def to_toml(data: Mapping[str, Any]) -> str:
    """Return a mapping as TOML, one line for each key; objects of this library as text that says what they are.

    Examples
    --------
    >>> print(to_toml({"deadlines": [0.5], "workers": {"count": 30, "omega": "fair"}}), end="")
    deadlines = [0.5]
    workers = { count = 30, omega = "fair" }
    """
    return "".join(f"{_key(name)} = {_value(value)}\n" for name, value in data.items())


def _key(name: Any) -> str:
    return str(name) if re.fullmatch(r"[\w-]+", str(name), re.ASCII) else json.dumps(str(name))


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items())} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value if isinstance(value, str) else repr(value), ensure_ascii=False)
