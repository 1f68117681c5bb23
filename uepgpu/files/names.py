"""Names of files as people write them."""

from __future__ import annotations

import os
from pathlib import Path

from uepgpu.checks import shown

__all__ = ["expand"]

LONGEST_NAME = 255
"""Bytes of a name in a folder; also what Linux, macOS and Windows allow."""
LONGEST_PATH = 4000


def expand(option: str, name: str | os.PathLike[str]) -> Path:
    """Return the path of a name that people wrote, ``~`` expanded.

    Parameters
    ----------
    option : str
        What messages call it, say ``--out``.
    name : str or path

    Raises
    ------
    ValueError
        If no file can have that name: it is empty, too long, not UTF-8, holds a null character or another user who is not there.

    Examples
    --------
    >>> expand("--out", "~nobody-of-that-name/x")
    Traceback (most recent call last):
        ...
    ValueError: --out must not begin with ~ and a user who is not there, got '~nobody-of-that-name/x'
    """
    try:
        text = os.fsdecode(name)
    except TypeError:
        raise ValueError(f"{option} must be a name, got {shown(name)}") from None
    if not text.strip():
        raise ValueError(f"{option} must be a name, got {shown(text)}")
    if "\0" in text:
        raise ValueError(f"{option} must be a name without null characters, got {shown(text)}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{option} must be a name in UTF-8, got {shown(text)}") from None
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"{option} must not begin with ~ and a user who is not there, got {shown(text)}") from None
    if len(str(path).encode()) > LONGEST_PATH or any(len(part.encode()) > LONGEST_NAME for part in path.parts):
        allowed = f"{LONGEST_NAME} bytes at most, {LONGEST_PATH} with its folders"
        raise ValueError(f"{option} must be a name of {allowed}, got {shown(text)}")
    return path
