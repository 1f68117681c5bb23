"""The on-disk cache of compiled loop nests: sealed files, and no trouble that ends a program.

Numba's own cache looks at the file of the entry point alone and would keep a stale kernel when a body changes. Here the
key also holds a digest of every source file of this package. Numba numbers the files of compiled code, so that two processes
that compile at once may take one name for different kernels; here every name is used once.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

from uepgpu_kernels.sealed import FOLDER, Unsafe, private_folder, read_sealed, seal, source_digest, warn_once, writing

__all__ = ["FOLDER", "SourceCache", "Unsafe", "cache_of", "private_folder", "warn_once"]

HEADER = f"uepgpu kernel 1, numba {numba.__version__}\n".encode()


class SealedFiles(IndexDataCacheFile):
    """An index, and files of compiled code whose names are used once. A lost race for the index costs one compilation."""

    def __init__(self, folder: str | Path, stem: str) -> None:
        super().__init__(str(folder), stem, None)  # type: ignore[no-untyped-call]
        self._index_name = f"{stem}.index"
        self._index_path = os.path.join(str(folder), self._index_name)

    def save(self, key: Any, data: Any) -> None:
        """Store `data` in a new file, and only then in the index; an index that cannot be read is made anew."""
        try:
            overloads = self._load_index()
        except (OSError, Unsafe, ValueError):  # loading has warned of it
            overloads = {}
        name, old = f"{Path(self._index_name).stem}.{uuid.uuid4().hex}.nbc", overloads.get(key)
        self._save_data(name, data)
        self._save_index(overloads | {key: name})
        if old is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._data_path(old))  # type: ignore[no-untyped-call]

    def _load_index(self) -> dict[Any, str]:
        found = self._read(self._index_name)
        return {} if found is None else dict(found)

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._save_data(self._index_name, overloads)

    def _load_data(self, name: str) -> Any:
        return self._read(name)

    def _save_data(self, name: str, data: Any) -> None:
        text = self._dump(data)  # type: ignore[no-untyped-call]
        with self._open_for_write(self._data_path(name)) as file:  # type: ignore[no-untyped-call]
            file.write(HEADER + seal(name, text) + text)

    def _read(self, name: str) -> Any:
        """Return what was written under a name; None if nothing was, or by another version of Numba."""
        data = read_sealed(self._data_path(name), HEADER)  # type: ignore[no-untyped-call]
        return None if data is None else pickle.loads(data)

    @contextlib.contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[IO[bytes]]:
        with writing(filepath) as file:
            yield file


class SourceCache(FunctionCache):
    """Numba's cache of one entry, in files that are safe to read. `name` tells apart entries that one factory makes."""

    def __init__(self, function: Callable[..., None], name: str) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self.name = name
        self._cache_file = SealedFiles(private_folder(self._cache_path), self._impl.filename_base)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code of a signature, or None if it is not stored or unusable: it can be compiled."""
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception as error:
            warn_once("a compiled kernel on disk cannot be used", error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store compiled code, where that is possible."""
        try:
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        except OSError as error:
            warn_once("compiled kernels cannot be stored", error)

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        # Numba's key hashes the closure, where a compiled callee looks new in every process; the digest covers it instead.
        return sig, codegen.magic_tuple(), self.name, source_digest()


def cache_of(function: Callable[..., None], name: str) -> SourceCache | None:
    """Return the cache of an entry; None, with a warning, where no folder can be written or others may write it."""
    try:
        return SourceCache(function, name)
    except (OSError, RuntimeError, Unsafe) as error:  # Numba raises RuntimeError where it has no folder to write to
        warn_once("there is no folder for compiled kernels", error)
        return None
