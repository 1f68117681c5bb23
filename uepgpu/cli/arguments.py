"""Types of arguments that commands share, with their readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from uepgpu.commands.outcome import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import Token

__all__ = ["Count", "Dots", "Piped", "Realizations", "Seed", "Threads", "number", "numbers", "whole_numbers", "word64", "words"]


def _integer(text: str) -> int | str:
    """Return an integer written as 100000, 1e5 or 1_000_000; the text if it is none."""
    try:
        return int(text)
    except ValueError:
        try:
            real = float(text)
        except ValueError:
            return text
        return int(real) if real.is_integer() else text


def _reader(least: int, most: int, allowed: str) -> Any:
    def read(type_: Any, tokens: Sequence[Token]) -> int:
        value = _integer(tokens[0].value)
        if isinstance(value, str) or not least <= value <= most:
            raise ValueError(f"{tokens[0].keyword} must be {allowed}, got {_shown(tokens[0].value)}")
        return value

    return read


def word64(name: str = "") -> Any:
    """Return the reader of an integer from 0 to 2^64 - 1; `name` is what errors call an argument that is no option."""

    def read(type_: Any, tokens: Sequence[Token]) -> int:
        from uepgpu import checks

        return checks.word64(name or tokens[0].keyword or "", _integer(tokens[0].value))

    return read


Realizations = Annotated[
    int,
    Parameter(
        converter=_reader(1, 2**63 - 1, "an integer from 1 to 2**63 - 1 such as 100000, 1e5 or 1_000_000"),
        allow_leading_hyphen=True,
    ),
]
Seed = Annotated[int, Parameter(converter=word64(), allow_leading_hyphen=True)]
Count = Annotated[int, Parameter(converter=_reader(1, 2**31 - 1, "an integer from 1 to 2**31 - 1"), allow_leading_hyphen=True)]
Dots = Annotated[int, Parameter(converter=_reader(20, 2400, "an integer from 20 to 2400"), allow_leading_hyphen=True)]
Piped = Annotated[str, Parameter(allow_leading_hyphen=True)]
"""A file, or ``-`` for standard output."""
Threads = Annotated[int, Parameter(converter=_reader(1, 1024, "an integer from 1 to 1024"), allow_leading_hyphen=True)]


def words(text: str) -> tuple[str, ...]:
    """Return words that are written with commas between them."""
    return tuple(word.strip() for word in text.split(","))


def number(option: str, text: str, allowed: str) -> float:
    """Return a number, or end with the line that says what is `allowed`."""
    try:
        return float(text)
    except ValueError:
        raise _wrong(option, allowed, text) from None


def numbers(option: str, text: str) -> tuple[float, ...]:
    """Return numbers that are written with commas between them."""
    try:
        return tuple(float(word) for word in words(text))
    except ValueError:
        raise _wrong(option, "numbers with commas between", text) from None


def whole_numbers(option: str, text: str) -> tuple[int, ...]:
    """Return whole numbers that are written with commas between them."""
    try:
        return tuple(int(word) for word in words(text))
    except ValueError:
        raise _wrong(option, "whole numbers with commas between", text) from None


def _wrong(option: str, allowed: str, text: str) -> Failure:
    return Failure(f"{option} must be {allowed}, got {_shown(text)}")


def _shown(text: str) -> str:
    from uepgpu.checks import shown  # loads NumPy, which help does not need

    return shown(text)
