"""What codes have in common: the protocol, encodings and their work, options, the law of a list of windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import choice, shown
from uepgpu.codes.foreign import check_law
from uepgpu.codes.supports import COEFFICIENTS, Field, SupportLaw, largest_remainders, term_rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uepgpu.partition import Partition
    from uepgpu.workers import Workers

__all__ = [
    "ENCODINGS",
    "Bools",
    "Code",
    "Coefficients",
    "Encoding",
    "check_code",
    "check_options",
    "packets_law",
    "resolve_encoding",
    "support_law",
    "windows_law",
]

Bools = NDArray[np.bool_]
Encoding = Literal["auto", "free", "factored", "stacked"]
Coefficients = Literal["generic", "gf2", "gf256"]
ENCODINGS = ("auto", "free", "factored", "stacked")


@runtime_checkable
class Code(Protocol):
    """Whatever can say which supports its packets have: a code of one's own needs just this method.

    Examples
    --------
    >>> from uepgpu import Partition, codes, theory
    >>> class HalfAndHalf:
    ...     def law(self, partition, n_workers):
    ...         first = partition.classes == 1
    ...         return codes.Windows([first.nonzero()[0], range(len(first))], (0.5, 0.5)).law(partition, n_workers)
    >>> part = Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> theory.decoding_probability(HalfAndHalf(), part, received=[3]).probability.values.round(4).tolist()
    [[1.0, 0.5]]
    """

    def law(self, partition: Partition, n_workers: int) -> SupportLaw:
        """Return the law of supports for this partition and number of workers W."""
        ...


def check_code(code: object) -> None:
    """Raise ``ValueError`` unless `code` is a code."""
    if isinstance(code, type) or not isinstance(code, Code):
        raise ValueError(f"code must be one from uepgpu.codes or have a method law(partition, n_workers), got {shown(code)}")


def support_law(code: Code, partition: Partition, n_workers: int, messages: int = 1) -> SupportLaw:
    """Return the law of a code for this partition and number of workers; all callers outside codes use this function.

    Workers that send several messages count so often.

    Raises
    ------
    ValueError
        If `code` is not a code, does not fit, or returns something else.
    """
    check_code(code)
    law = code.law(partition, n_workers)
    if not isinstance(law, SupportLaw):
        raise ValueError(f"code.law must return a SupportLaw, but that of {shown(code)} returned {shown(law)}")
    if not type(code).__module__.startswith("uepgpu.codes."):
        check_law(law, partition.n_subproducts, n_workers)
    if law.by_message is not None and len(law.by_message) != messages:
        raise ValueError(
            f"{shown(code)} needs workers of messages={len(law.by_message)}, and what serves them, got messages={messages}"
        )
    return law


def packets_law(code: Code, partition: Partition, workers: Workers) -> SupportLaw:
    """Return the law of a code for all packets of these workers.

    Raises
    ------
    ValueError
        As for :func:`support_law`.

    Examples
    --------
    >>> from uepgpu import Partition, Workers, codes
    >>> part = Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
    >>> packets_law(codes.Uncoded(), part, Workers(3)).window.tolist()
    [0, 1, 2]
    """
    try:
        return support_law(code, partition, workers.n_packets, workers.messages)
    except ValueError as error:
        if workers.messages == 1:
            raise
        several = f"with messages={workers.messages} per worker there are {workers.n_packets} packets"
        raise ValueError(f"{error}; {several}") from None


def resolve_encoding(encoding: str, partition: Partition) -> str:
    """Return the encoding that ``"auto"`` stands for, or the given one if the paradigm allows it."""
    if encoding == "auto":
        return "free" if partition.paradigm == "rxc" else "stacked"
    if partition.paradigm == "cxr" and encoding != "stacked":
        raise ValueError(f"encoding must be 'stacked' or 'auto' for a cxr partition, got {shown(encoding)}")
    return encoding


def _window_work(support: Bools, encoding: str, partition: Partition) -> int:
    """Return the true work r of a packet over `support`, shape (K,)."""
    if encoding == "factored":
        return 1
    if encoding == "free":
        return term_rank(support.reshape(partition.shape))
    return int(np.count_nonzero(support))


def windows_law(
    supports: Sequence[Bools],
    probabilities: Sequence[float],
    partition: Partition,
    n_workers: int,
    encoding: str,
    windows: str,
    coefficients: Field,
) -> SupportLaw:
    """Return the law of packets that draw a window, or of workers who have a fixed one."""
    array = np.array(supports, dtype=np.bool_)
    work = np.array([_window_work(s, encoding, partition) for s in array], dtype=np.int64)
    law = np.array(probabilities, dtype=np.float64)
    if windows == "drawn":
        return SupportLaw(partition.n_subproducts, work, coefficients, encoding, supports=array, probabilities=law)
    window = np.repeat(np.arange(law.size), largest_remainders(law, n_workers))
    return SupportLaw(partition.n_subproducts, work, coefficients, encoding, supports=array, window=window)


def check_options(encoding: str, windows: str, coefficients: str) -> None:
    """Raise ``ValueError`` for an unknown option, or for options that exclude each other."""
    choice("encoding", encoding, ENCODINGS)
    choice("windows", windows, ("drawn", "fixed"))
    choice("coefficients", coefficients, COEFFICIENTS)
    if encoding == "factored" and coefficients != "generic":
        raise ValueError(
            f"coefficients must be 'generic' for encoding='factored', got {coefficients!r}: products of finite-field factors "
            "are not uniform coefficients"
        )
