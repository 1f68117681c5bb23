"""Counts in files: NumPy's .npz with a JSON header."""

from __future__ import annotations

import io
import json
import os
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

from uepgpu.checks import shown
from uepgpu.files import checksum, expand, read_archive, unreadable, write_file
from uepgpu.tally.counts import ARRAYS, Counts

__all__ = ["read_counts", "write_counts"]

FORMAT = 3
"""What is written; format 2, which has no checksum and says nothing of what is possible, is read too."""

Kind = TypeVar("Kind", bound=Counts)


def write_counts(counts: Counts, path: str | os.PathLike[str]) -> None:
    """Write counts to a file in an existing folder, whole or not at all."""
    target = expand("path", path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"no folder {shown(str(target.parent))} to write {shown(target.name)} in")
    header = {f.name: getattr(counts, f.name) for f in fields(counts) if f.name not in ARRAYS} | {"format": FORMAT}
    if counts.time_unit is None:  # earlier versions read what has no label
        del header["time_unit"]
    arrays = {name: a for name in ARRAYS if (a := getattr(counts, name)) is not None}
    header["checksum"] = checksum(json.dumps(header, sort_keys=True), arrays)
    content = io.BytesIO()
    np.savez_compressed(content, header=np.array(json.dumps(header)), **arrays)
    write_file(target, content.getvalue())


def read_counts(path: str | os.PathLike[str], kind: type[Kind]) -> Kind:
    """Return the counts of a file, as the class `kind`; ``ValueError`` for any other file."""
    file = expand("path", path)
    if not file.is_file():
        raise FileNotFoundError(f"no file {shown(str(file))}")
    try:
        arrays: dict[str, Any] = read_archive(file)
        header: dict[str, Any] = json.loads(str(arrays.pop("header")))
        if header["format"] not in (2, FORMAT):
            raise ValueError(f"it is of another format than {FORMAT}; read it with the version that wrote it")
        if header["format"] == FORMAT and header.pop("checksum") != checksum(json.dumps(header, sort_keys=True), arrays):
            raise ValueError("its checksum does not fit: it has been changed or damaged")
        del header["format"]
        header["ranges"] = tuple((int(a), int(b)) for a, b in header["ranges"])
        missing: dict[str, Any] = {name: None for name in ARRAYS if name not in arrays}
        return kind(**header, **arrays, **missing)
    except Exception as error:  # whatever numpy, zipfile and json make of a foreign file
        text = f"{shown(str(file))} is no tally written by Tally.save: {type(error).__name__}: {unreadable(error)}"
        raise ValueError(text) from error
