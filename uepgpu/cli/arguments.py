"""Types of arguments that commands share, with their readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from uepgpu.checks import WORD64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import Token

__all__ = ["Realizations", "Seed", "Threads"]


def _integer(text: str, least: int, most: int | None) -> int | None:
    """Read an integer written as 100000, 1e5 or 1_000_000; None if it is not one in range."""
    try:
        value = int(text)
    except ValueError:
        try:
            real = float(text)
        except ValueError:
            return None
        if not real.is_integer():
            return None
        value = int(real)
    return value if value >= least and (most is None or value <= most) else None


def _reader(least: int, most: int | None, allowed: str) -> Any:
    def read(type_: Any, tokens: Sequence[Token]) -> int:
        value = _integer(tokens[0].value, least, most)
        if value is None:
            raise ValueError(f"{tokens[0].keyword} must be {allowed}, got {tokens[0].value!r}")
        return value

    return read


Realizations = Annotated[
    int,
    Parameter(
        converter=_reader(1, 2**63 - 1, "an integer from 1 to 2**63 - 1 such as 100000, 1e5 or 1_000_000"),
        allow_leading_hyphen=True,
    ),
]
Seed = Annotated[int, Parameter(converter=_reader(0, 2**64 - 1, WORD64), allow_leading_hyphen=True)]
Threads = Annotated[int, Parameter(converter=_reader(1, None, "an integer >= 1"), allow_leading_hyphen=True)]
