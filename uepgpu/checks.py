"""Checks of arguments that several descriptions share."""

from __future__ import annotations

import difflib
import math
import os
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "MOST_SHOWN",
    "WORD64",
    "bool_array",
    "choice",
    "closest",
    "deadlines_array",
    "field_class",
    "finite",
    "flag",
    "free_memory",
    "frozen",
    "instance",
    "integer",
    "integer_array",
    "positive",
    "probability",
    "probability_vector",
    "real_array",
    "realization_range",
    "require_memory",
    "shown",
    "shown_bytes",
    "sizes",
    "thread_count",
    "word64",
]

Scalar = TypeVar("Scalar", bound=np.generic)

UNKNOWN = 4 * 2**30
"""What is taken to be free where the system does not say."""
CGROUP = Path("/sys/fs/cgroup")

WORD64 = "an integer from 0 to 2**64 - 1"
"""What seeds and numbers of realizations are."""

MOST_INTEGER = 2**64
"""Of every whole number that is asked for: seeds, realizations and sizes are below it."""
MOST_REALIZATIONS = 2**53
"""Of one call: a hundred million a second take three years."""
MOST_THREADS = 1024
MOST_SHOWN = 100
"""Characters of a value that a message repeats: it is to stay one line that can be read."""


def shown(value: Any) -> str:
    """Return `value` as a message shows it: on one line, cut if long, NumPy scalars like Python's numbers."""
    # NumPy's old style writes 0.5 for np.float64(0.5), also within lists and tuples.
    with np.printoptions(legacy="1.25", threshold=20, edgeitems=3, linewidth=MOST_SHOWN):
        try:
            text = " ".join(repr(value).split())
        except Exception:  # an int of more digits than Python converts, or whatever an object's own description raises
            text = f"a value of type {type(value).__name__} that cannot be shown"
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


# --- numbers and words ------------------------------------------------------------------------------------------------


def _number(value: Any) -> float:
    """Return a real number as a float and NaN for anything else, which every check of a range refuses."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def finite(name: str, value: Any) -> float:
    """Return `value` if it is a finite number, else raise ``ValueError``."""
    number = _number(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number, got {shown(value)}")
    return number


def positive(name: str, value: Any, *, zero: bool = False) -> float:
    """Return `value` if it is a finite number > 0 (>= 0 with `zero`), else raise ``ValueError``."""
    number = _number(value)
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise ValueError(f"{name} must be a finite number {'>= 0' if zero else '> 0'}, got {shown(value)}")
    return number


def instance(name: str, value: Any, kind: type) -> None:
    """Raise ``ValueError`` unless `value` is one of this package's `kind`."""
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be a uepgpu.{kind.__name__}, got {shown(value)}")


def word64(name: str, value: Any) -> int:
    """Return `value` as an int if it is a seed or the number of a realization, else raise ``ValueError``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < 2**64:
        raise ValueError(f"{name} must be {WORD64}, got {shown(value)}")
    return int(value)


def realization_range(first_realization: Any, realizations: Any) -> tuple[int, int]:
    """Return a range of realization numbers, its first and its length, checked to stay below 2^64."""
    n = integer("realizations", realizations, 1)
    if n > MOST_REALIZATIONS:
        raise ValueError(f"realizations must be at most 2^53 in one call, which take years, got {n}")
    first = integer("first_realization", first_realization, 0)
    if first + n > 2**64:
        raise ValueError(f"first_realization + realizations must be at most 2^64, got {first} + {n}")
    return first, n


def probability(name: str, value: Any, *, zero: bool = True, one: bool = True) -> float:
    """Return `value` if it lies in [0, 1], without the ends that are excluded, else raise ``ValueError``."""
    number = _number(value)
    if not 0 <= number <= 1 or (number == 0 and not zero) or (number == 1 and not one):
        raise ValueError(f"{name} must be a probability in {'[' if zero else '('}0, 1{']' if one else ')'}, got {shown(value)}")
    return number


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool if it is one, else raise ``ValueError``: no number, no text."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def integer(name: str, value: Any, least: int, most: int = MOST_INTEGER) -> int:
    """Return `value` as an int if it is an integer from `least` to `most`, else raise ``ValueError``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        allowed = f">= {least}" if most == MOST_INTEGER else f"from {least} to {most:,}"
        raise ValueError(f"{name} must be an integer {allowed}{_beyond(value)}, got {shown(value)}")
    return int(value)


def _beyond(value: Any) -> str:
    return " and at most 2^64" if isinstance(value, int) and value > MOST_INTEGER else ""


def thread_count(value: Any) -> int:
    """Return a number of CPU threads, else raise ``ValueError``."""
    return integer("threads", value, 1, MOST_THREADS)


def choice(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Return `value` if it is one of `allowed`, else raise ``ValueError`` listing them."""
    if not isinstance(value, str) or value not in allowed:
        hint = closest(value, allowed) if isinstance(value, str) else ""
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {shown(value)}{hint}")
    return str(value)


# --- arrays -----------------------------------------------------------------------------------------------------------


def field_class(value: Any) -> Any:
    """Return the class of an array, or of arrays in a list, whose elements belong to a finite field, as in `galois`; else None."""
    kind = type(value)
    if hasattr(kind, "order") and hasattr(kind, "irreducible_poly"):
        return kind
    found = (field_class(item) for item in value) if isinstance(value, list | tuple) else ()
    return next((inner for inner in found if inner is not None), None)


def _array(name: str, value: Any, what: str) -> NDArray[Any]:
    """Return `value` as an array of whatever dtype, else raise ``ValueError``; `what` says what it must hold."""
    if (kind := field_class(value)) is not None:
        raise ValueError(
            f"{name} must hold {what}, got elements of {kind.__name__}: numpy.asarray makes integers of an array if they are meant"
        )
    if np.ma.isMaskedArray(value) and np.ma.is_masked(value):
        raise ValueError(
            f"{name} must not have masked entries, got {int(np.ma.getmaskarray(value).sum())} of them: fill them first"
        )
    try:
        return np.asarray(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must hold {what} in rows of one length, got {shown(value)}") from None


def real_array(name: str, value: Any) -> NDArray[np.float64]:
    """Return a new float64 array of `value`, NaN and infinities included.

    Raises
    ------
    ValueError
        If it is ragged, masked, complex, or holds anything but real numbers.
    """
    array = _array(name, value, "real numbers")
    if array.dtype.kind == "c":
        raise ValueError(f"{name} must be real, got dtype {array.dtype}: {shown(value)}")
    objects = array.dtype.kind == "O" and array.size > 0 and all(isinstance(x, Real) for x in array.flat)  # Fraction, large int
    if not objects and array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype}: {shown(value)}")
    try:
        return np.array(array, dtype=np.float64)
    except OverflowError:
        raise ValueError(f"{name} must hold numbers within the range of float64, got {shown(value)}") from None


def integer_array(name: str, value: Any) -> NDArray[np.int64]:
    """Return a new int64 array of `value`, else raise ``ValueError``: no rounding, no wrapping, no bools, never empty."""
    array = _array(name, value, "integers")
    if array.dtype.kind not in "iu" or array.size == 0:
        raise ValueError(f"{name} must hold integers, got {shown(value)}")
    if array.dtype.kind == "u" and int(array.max()) > np.iinfo(np.int64).max:
        raise ValueError(f"{name} must hold integers below 2^63, got {shown(value)}")
    return array.astype(np.int64)


def bool_array(name: str, value: Any) -> NDArray[np.bool_]:
    """Return a new read-only bool array of a bool array, else raise ``ValueError``."""
    return frozen(_array(name, value, "bools").astype(np.bool_))


def sizes(name: str, value: Any, total: int, what: str) -> NDArray[np.int64]:
    """Return sizes >= 1 that sum to `total` as int64, shape (n,), else raise ``ValueError``."""
    array = integer_array(name, value)
    # Each size is bounded before they are added up: a sum of int64 wraps.
    if array.ndim != 1 or np.any(array < 1) or np.any(array > total) or array.sum() != total:
        given = tuple(array.tolist()) if array.ndim == 1 else value
        raise ValueError(f"{name} must be sizes >= 1 that sum to {what}, got {shown(given)}")
    return array


def frozen(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return a read-only copy."""
    copy = np.array(array)
    copy.setflags(write=False)
    return copy


def probability_vector(name: str, value: Iterable[Any]) -> tuple[float, ...]:
    """Return `value` as a tuple of probabilities that sum to 1 (within 1e-9), else raise ``ValueError``."""
    array = real_array(name, value if isinstance(value, np.ndarray | str) or not np.iterable(value) else list(value))
    if array.ndim != 1:
        raise ValueError(f"{name} must be a sequence of probabilities, got {shown(value)}")
    vector = tuple(array.tolist())
    if not vector or not all(0 <= x <= 1 for x in vector):
        raise ValueError(f"{name} must be a non-empty sequence of probabilities in [0, 1], got {shown(vector)}")
    if abs(sum(vector) - 1) > 1e-9:
        raise ValueError(f"{name} sums to {sum(vector):.12g}, it must sum to 1 (got {shown(vector)})")
    return vector


def deadlines_array(deadlines: ArrayLike, name: str = "deadlines") -> NDArray[np.float64]:
    """Return deadlines as a 1-D float64 array: non-empty, finite, >= 0 and non-decreasing, else raise ``ValueError``."""
    array = np.atleast_1d(real_array(name, deadlines))
    if np.asarray(deadlines).dtype.kind == "b":
        raise ValueError(f"{name} must be times, got {shown(deadlines)}")
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a non-empty one-dimensional sequence of times, got shape {array.shape}")
    if not np.all(np.isfinite(array)) or np.any(array < 0):
        bad = array[~(np.isfinite(array) & (array >= 0))][0]
        raise ValueError(f"{name} must be finite and >= 0, got {shown(bad)}")
    falls = np.flatnonzero(np.diff(array) < 0)
    if falls.size:
        before, after = array[falls[0]], array[falls[0] + 1]
        raise ValueError(f"{name} must not decrease: sort them first (got {shown(after)} after {shown(before)})")
    return array


def closest(word: str, allowed: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the allowed word most like `word`, or nothing."""
    match = difflib.get_close_matches(word, list(allowed), n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""


# --- memory -----------------------------------------------------------------------------------------------------------


def free_memory() -> int:
    """Return the bytes that this process may still take: what the system has free, less if a container allows less.

    Examples
    --------
    >>> free_memory() > 0
    True
    """
    free = _meminfo()
    try:
        allowed, taken = ((CGROUP / f"memory.{name}").read_text() for name in ("max", "current"))
        return free if allowed.strip() == "max" else max(min(free, int(allowed) - int(taken)), 0)
    except (OSError, ValueError):  # no container, or one of another kind
        return free


def _meminfo() -> int:
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):  # not Linux
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return UNKNOWN


def require_memory(what: str, size: int) -> None:
    """Raise ``ValueError`` if `what` takes more memory than is free.

    Parameters
    ----------
    what : str
        What needs it: the beginning of the message.
    size : int
        Bytes.

    Examples
    --------
    >>> require_memory("a matrix of 10 rows", 800)
    """
    free = free_memory()
    if size > free:
        raise ValueError(f"{what} needs {shown_bytes(size)} of memory, and {shown_bytes(free)} are free")


def shown_bytes(size: int) -> str:
    """Return a number of bytes as people read it.

    Examples
    --------
    >>> shown_bytes(800), shown_bytes(3 * 2**29), shown_bytes(10**30)
    ('800 bytes', '1.5 GiB', '8.67e+11 EiB')
    """
    value, unit = float(size) if size < 2**1000 else float("inf"), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.3g} {unit}"
