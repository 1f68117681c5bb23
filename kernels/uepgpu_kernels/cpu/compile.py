"""How the loop nests are compiled, and the on-disk cache of the result.

Numba's own cache looks at the file of the entry point alone and would keep a stale kernel when a body changes. Here the
cache key also holds a digest of every source file of this package. And Numba numbers the files of compiled code, so that two
processes that compile at once may take one name for different kernels; here every name is used once.
"""

from __future__ import annotations

import functools
import hashlib
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile

__all__ = ["allocation", "entry", "stage"]

stage = njit(nogil=True, _nrt=False)
"""A step that entries call; it is compiled into them. It allocates nothing, and so counts no references: with counts, each call
would lock and unlock every array of its arguments, a job's 18 among them, in half a microsecond."""

allocation = njit(nogil=True)
"""A step that allocates arrays."""


@functools.cache
def source_digest() -> str:
    """Return the SHA-256 of every source file of the package."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


class _OwnFiles(IndexDataCacheFile):
    """Files of compiled code that nothing else ever writes. A lost race for the index costs a compilation, nothing more."""

    def _data_name(self, number: int) -> str:
        return f"{Path(self._index_name).stem}.{uuid.uuid4().hex}.nbc"


class _SourceCache(FunctionCache):
    name = ""

    def __init__(self, function: Callable[..., None]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        shared = self._cache_file
        self._cache_file = _OwnFiles(shared._cache_path, Path(shared._index_name).stem, shared._source_stamp)  # type: ignore[no-untyped-call]

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        # Numba's key hashes the closure, where a compiled callee looks new in every process; the digest covers it instead.
        return sig, codegen.magic_tuple(), self.name, source_digest()


def entry(function: Callable[..., None], name: str = "") -> Any:
    """Compile a function that Python calls: without the GIL, cached on disk where a folder for it can be written.

    `name` tells apart entries that one factory makes.
    """
    dispatcher: Any = njit(nogil=True)(function)
    if getattr(numba.config, "DISABLE_JIT", 0):
        return dispatcher
    try:
        cache = _SourceCache(function)
    except RuntimeError as error:  # numba: no folder to write to
        warnings.warn(f"kernels are compiled anew in every process: {error}", RuntimeWarning, stacklevel=2)
        return dispatcher
    cache.name = name
    dispatcher._cache = cache
    return dispatcher
