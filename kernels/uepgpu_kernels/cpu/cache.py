"""The on-disk cache of compiled loop nests: a folder of one's own, sealed files, and no trouble that ends a program.

Numba's own cache looks at the file of the entry point alone and would keep a stale kernel when a body changes. Here the
key also holds a digest of every source file of this package. Numba numbers the files of compiled code, so that two processes
that compile at once may take one name for different kernels; here every name is used once. What is read is executed: so only
files are read that this user owns and nobody else may write, and whose digest is that of what was written under their name.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import stat
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

__all__ = ["SourceCache", "Unsafe", "cache_of", "private_folder", "warn_once"]

FOLDER = f"uepgpu-kernels-{os.getuid() if hasattr(os, 'getuid') else ''}"
"""One for each user: a second user would find the folder of the first one and refuse it."""

HEADER = f"uepgpu kernel 1, numba {numba.__version__}\n".encode()

_said: set[str] = set()
"""Warnings that this process has given, so that not every kernel repeats them."""


class Unsafe(Exception):
    """A folder or file that another user could have written."""


def warn_once(what: str, error: BaseException) -> None:
    """Warn of the first problem of a kind; kernels are compiled in any case."""
    if what not in _said:
        _said.add(what)
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        warnings.warn(f"{what}, so kernels are compiled ({reason})", RuntimeWarning, stacklevel=2)


@functools.cache
def source_digest() -> str:
    """Return the SHA-256 of every source file of the package."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def check_owner(status: os.stat_result, path: str | Path) -> None:
    """Raise unless this user owns what has `status` and nobody else may write it; other systems than POSIX do not say."""
    if not hasattr(os, "getuid"):
        return
    if status.st_uid != os.getuid():
        raise Unsafe(f"{path} belongs to another user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Unsafe(f"{path} may be written by other users")


def private_folder(parent: str | Path) -> Path:
    """Return the folder of kernels in Numba's cache folder, made if it is not there.

    A folder of its own, since Numba's is made with whatever the umask leaves to others. Where others may write the parent, they
    can put a folder of theirs in its place: that is seen by its owner.

    Raises
    ------
    Unsafe
        If another user owns it or may write it, or it is no folder.
    OSError
        If it cannot be made.
    """
    folder = Path(parent) / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise Unsafe(f"{folder} is a link")
    check_owner(status, folder)
    return folder


def _seal(name: str, data: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\0" + data).digest()


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
            file.write(HEADER + _seal(name, text) + text)

    def _read(self, name: str) -> Any:
        """Return what was written under a name; None if nothing was, or by another version of Numba."""
        path = self._data_path(name)  # type: ignore[no-untyped-call]
        try:
            with open(path, "rb") as file:
                check_owner(os.fstat(file.fileno()), path)
                content = file.read()
        except FileNotFoundError:
            return None
        head, newline, rest = content.partition(b"\n")
        if head.startswith(b"uepgpu kernel ") and newline and head + newline != HEADER:
            return None
        seal, data = rest[:32], rest[32:]
        if head + newline != HEADER or seal != _seal(name, data):
            raise ValueError(f"{path} is not what was written there")
        return pickle.loads(data)

    @contextlib.contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[IO[bytes]]:
        """Write a file that none but this user may write, whatever the umask is, and put it in place when it is whole."""
        unfinished = f"{filepath}.tmp.{uuid.uuid4().hex[:16]}"
        try:
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                yield file
            os.replace(unfinished, filepath)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
            raise


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
