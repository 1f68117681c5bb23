"""The compiled text of kernels, without a device: to inspect, to check, to emulate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np

from uepgpu_kernels.cuda import decode
from uepgpu_kernels.cuda.choose import warped_shape
from uepgpu_kernels.cuda.kernel import kernel_of
from uepgpu_kernels.cuda.shape import Maker, Shape
from uepgpu_kernels.cuda.stage import cuda, simulated
from uepgpu_kernels.cuda.tables import Tables
from uepgpu_kernels.job import AT_RANDOM, BY_INDEX, BY_PERMUTATION, BY_TIME, ERLANG, IN_BLOCKS

__all__ = [
    "VARIANTS",
    "Signature",
    "compile_for",
    "compile_function",
    "compile_function_for",
    "compile_ptx",
    "compile_shape",
    "signature_of",
]

Signature = tuple[tuple[str, str], ...]

_WORDS = Shape(
    nest="by_words",
    decoder=decode.automaton,
    kind="patterns",
    order=BY_INDEX,
    k=0,
    n_packets=0,
    n_windows=0,
    n_classes=3,
    field=0,
    drawn=False,
    given=False,
    targets=0,
    grouped=False,
    per_word=0,
    fine=False,
    bins=1024,
    states=10000,
)
_STREAMED = _WORDS._replace(nest="streamed", per_word=1, states=0)
_SORTED = _STREAMED._replace(nest="sorted", order=BY_TIME, n_packets=32, states=1024)
_LISTED = _WORDS._replace(nest="listed", k=9, n_packets=64, per_word=4, states=0)
_LARGE = _LISTED._replace(k=64, n_packets=128, kind="pairs", bins=0, per_word=1)
_MIDDLE = _LARGE._replace(k=32, n_packets=64)


def _of(base: Shape, decoder: Maker, order: int = BY_INDEX, **changes: Any) -> Shape:
    per_word = base.per_word if order == BY_INDEX else 1
    return base._replace(decoder=decoder, order=order, per_word=per_word)._replace(**changes)


VARIANTS: dict[str, Shape] = {
    "uep30": _WORDS,
    "uep30-deadlines": _SORTED._replace(nest="binned", states=3072),
    "by-words-4-classes": _WORDS._replace(n_classes=4, bins=4096, states=4096),
    "streamed-count-8-windows": _of(_STREAMED, decode.count, n_windows=8, n_classes=4, per_word=2, bins=2048),
    "streamed-match-12-windows": _STREAMED,
    "sorted-count-8-windows": _of(_SORTED, decode.count, BY_TIME, n_windows=8, states=0, bins=2048),
    "sorted-match-12-windows": _SORTED,
    "sorted-many-deadlines": _SORTED._replace(fine=True, bins=8192),
    "sorted-racks": _SORTED._replace(grouped=True, racked=True),
    "sorted-trace": _SORTED._replace(traced=True, replay=AT_RANDOM),
    "count-messages": _of(_LISTED, decode.count, BY_TIME, n_packets=128, n_windows=3, grouped=True, racked=True, several=True),
    "match-erlang-messages": _of(_LISTED, decode.match, BY_TIME, n_packets=128, grouped=True, several=True, progress=ERLANG),
    "count-fixed": _of(_LISTED, decode.count, BY_PERMUTATION, n_windows=3, grouped=True),
    "count-times": _of(_LISTED, decode.count, kind="times", n_windows=3, bins=0),
    "count-pairs": _of(_LISTED, decode.count, BY_TIME, kind="pairs", n_windows=3, bins=2048),
    "automaton-fixed": _of(_LISTED, decode.automaton, BY_PERMUTATION, grouped=True),
    "match": _of(_LISTED, decode.match),
    "match-drawn-pairs": _of(_LISTED, decode.match, BY_TIME, kind="pairs", drawn=True, bins=2048),
    "peel-drawn-pairs": _of(_LISTED, decode.peel, kind="pairs", drawn=True, bins=2048),
    "peel-marginals": _of(_LISTED, decode.peel, BY_PERMUTATION, kind="marginals"),
    "eliminate-prime": _of(_LISTED, decode.eliminate),
    "eliminate-gf2": _of(_LISTED, decode.eliminate, BY_TIME, field=1),
    "eliminate-gf256": _of(_LISTED, decode.eliminate, field=2),
    "eliminate-given": _of(_LISTED, decode.eliminate, BY_PERMUTATION, given=True, grouped=True),
    "eliminate-sums": _of(_LISTED, decode.eliminate, BY_TIME, given=True, targets=10, grouped=True),
    "count-k32": _of(_MIDDLE, decode.count, BY_TIME, n_windows=3),
    "count-shuffled-trace-k32": _of(_MIDDLE, decode.count, BY_TIME, n_windows=3, grouped=True, traced=True, shuffled=True),
    "match-racks-k32": _of(_MIDDLE, decode.match, BY_TIME, grouped=True, racked=True),
    "match-k32": _of(_MIDDLE, decode.match),
    "rounds-states": _SORTED._replace(rounds=True, state_bits=2, fine=True),
    "rounds-shuffled-trace": _SORTED._replace(rounds=True, traced=True, replay=IN_BLOCKS, shuffled=True),
    "rounds-count-states": _of(_LISTED, decode.count, BY_TIME, n_windows=3, rounds=True, state_bits=2),
    "rounds-match-states-k32": _of(_MIDDLE, decode.match, BY_TIME, grouped=True, rounds=True, state_bits=4),
    "count-k64": _of(_LARGE, decode.count, n_windows=64),
    "match-k64": _of(_LARGE, decode.match, BY_TIME),
    "match-drawn-k64": _of(_LARGE, decode.match, drawn=True),
    "peel-drawn-k64": _of(_LARGE, decode.peel, drawn=True),
    "eliminate-prime-k64": warped_shape(_of(_LARGE, decode.eliminate, kind="patterns")),
    "eliminate-prime-k256": warped_shape(_of(_LARGE, decode.eliminate, kind="marginals", k=256, n_packets=512, drawn=True)),
}
"""The documented set: the UEP-30 job in both domains, then every nest, decoder, field, order and kind of tally, K up to 256."""

_NAMES = ("seed", "first", "count", "n_times", "n_bins", "t", "out", "record")


def _types(shape: Shape) -> tuple[Any, ...]:
    """Return the Numba types of a kernel's arguments."""
    scalars: dict[str, Any] = dict.fromkeys(("width", "n_packets", "n_blocks", "halvings"), np.int64)
    scalars |= {"first_state": np.uint64, "inner": np.uint64, "n_rounds": np.uint64, "n_works": np.uint32}
    arrays: dict[str, Any] = {
        "bucket": np.uint64,
        "mask": np.uint64,
        "generator": np.uint64,
        "walk": np.uint64,
        "together": np.uint64,
        "decoded": np.uint64,
        "arrival": np.uint16,
    }
    arrays |= {"unit_of": np.int32, "class_unit": np.int32}
    tables = Tables._make(
        scalars[name](0) if name in scalars else np.zeros(1, dtype=arrays.get(name, np.uint32)) for name in Tables._fields
    )
    example = (
        *(np.uint64(0), np.uint64(0), np.uint64(0), np.uint32(0), np.uint32(0)),
        *(tables, np.zeros(1, dtype=np.uint64), np.zeros(1, dtype=np.uint32)),
    )
    typeof: Any = numba.typeof
    return tuple(typeof(x) for x in example)


def signature_of(shape: Shape) -> Signature:
    """Return (name, Numba type) of each argument of a kernel."""
    signature: list[tuple[str, str]] = []
    for name, kind in zip(_NAMES, _types(shape), strict=True):
        if name == "t":
            signature += [(f"t.{field}", str(x)) for field, x in zip(Tables._fields, kind.types, strict=True)]
        else:
            signature.append((name, str(kind)))
    return tuple(signature)


def compile_shape(shape: Shape, cc: tuple[int, int] = (9, 0)) -> tuple[str, Signature]:
    """Return the PTX of the kernel of one shape, and its arguments as for :func:`compile_ptx`."""
    return compile_function(kernel_of(shape).py_func, _types(shape), cc), signature_of(shape)


def compile_function(function: Callable[..., None], types: tuple[Any, ...], cc: tuple[int, int]) -> str:
    """Return the PTX of a kernel for arguments of these types."""
    ptx, _ = cuda.compile(function, types, device=False, abi="numba", cc=cc, output="ptx")
    return str(ptx)


def compile_for(shape: Shape, capabilities: Sequence[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """Return the PTX of one shape for several compute capabilities."""
    return compile_function_for(kernel_of(shape).py_func, _types(shape), capabilities)


def compile_function_for(
    function: Callable[..., None], types: tuple[Any, ...], capabilities: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], str]:
    """Return the PTX of a kernel for arguments of these types, for several compute capabilities.

    Numba's part of the work, nearly all of it, is done once: its output does not depend on the capability.
    """
    library, _ = cuda.compiler._compile_pyfunc_with_fixup(function, types, device=False, abi="numba", cc=capabilities[0])
    return {cc: str("".join(library.get_asm_strs(cc=cc))) for cc in capabilities}


def compile_ptx(cc: tuple[int, int] = (9, 0)) -> dict[str, tuple[str, Signature]]:
    """Compile the documented set of kernels to PTX; no device is needed.

    Parameters
    ----------
    cc : (int, int)
        Compute capability, (7, 5) to (12, 0).

    Returns
    -------
    dict of name to (ptx, signature)
        `ptx` holds one ``.entry``. `signature` has (name, Numba type) of each argument in order; those called ``t.…`` are the
        fields of :class:`uepgpu_kernels.cuda.Tables`. A scalar is one PTX parameter. An array is seven: 0, 0, number of
        entries, bytes of an entry, address, shape, stride in bytes. The grid is a multiple of 32 blocks, any number of
        threads each.

    Raises
    ------
    RuntimeError
        Under the simulator, which compiles nothing.

    Examples
    --------
    >>> compiled = compile_ptx((9, 0))                      # doctest: +SKIP
    >>> text, signature = compiled["uep30-count"]           # doctest: +SKIP
    >>> signature[:2]                                       # doctest: +SKIP
    (('seed', 'uint64'), ('first', 'uint64'))
    """
    if simulated:
        raise RuntimeError("the simulator (NUMBA_ENABLE_CUDASIM=1) compiles nothing; unset it")
    return {name: compile_shape(shape, cc) for name, shape in VARIANTS.items()}
