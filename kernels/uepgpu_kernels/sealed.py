"""Files of compiled code: a folder of one's own, and what is read is what was written there.

What is read is executed. So only files are read that this user owns and nobody else may write, and whose digest is that of
what was written under their name.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

__all__ = ["FOLDER", "Unsafe", "check_owner", "private_folder", "read_sealed", "seal", "source_digest", "warn_once", "writing"]

FOLDER = f"uepgpu-kernels-{os.getuid() if hasattr(os, 'getuid') else ''}"
"""One for each user: a second user would find the folder of the first one and refuse it."""

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
    root = Path(__file__).parent
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


def seal(name: str, data: bytes) -> bytes:
    """Return the digest that stands before data in the file of that name."""
    return hashlib.sha256(name.encode() + b"\0" + data).digest()


def read_sealed(path: str | Path, header: bytes) -> bytes | None:
    """Return what was written to a file; None if there is none, or if it was written with another header.

    Raises
    ------
    Unsafe
        If another user could have written it.
    ValueError
        If it is not what was written there.
    OSError
        If it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            check_owner(os.fstat(file.fileno()), path)
            content = file.read()
    except FileNotFoundError:
        return None
    head, newline, rest = content.partition(b"\n")
    if head.startswith(b"uepgpu kernel ") and newline and head + newline != header:
        return None
    digest, data = rest[:32], rest[32:]
    if head + newline != header or digest != seal(Path(path).name, data):
        raise ValueError(f"{path} is not what was written there")
    return data


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[IO[bytes]]:
    """Write a file that none but this user may write, whatever the umask is, and put it in place when it is whole."""
    unfinished = f"{path}.tmp.{uuid.uuid4().hex[:16]}"
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
        raise
