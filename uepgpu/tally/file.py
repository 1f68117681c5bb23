"""Counts in files: NumPy's .npz with a JSON header."""

from __future__ import annotations

import io
import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from uepgpu.files import unreadable, write_file
from uepgpu.tally.counts import ARRAYS, Counts

__all__ = ["read_counts", "write_counts"]

FORMAT = 3
READABLE = (2, FORMAT)
"""Format 2 says nothing of what is possible."""

Kind = TypeVar("Kind", bound=Counts)


def write_counts(counts: Counts, path: str | os.PathLike[str]) -> None:
    """Write counts to a file in an existing folder, whole or not at all."""
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"no folder {str(target.parent)!r} to write {target.name!r} in")
    plain = {f.name: getattr(counts, f.name) for f in fields(counts) if f.name not in ARRAYS}
    arrays = {name: a for name in ARRAYS if (a := getattr(counts, name)) is not None}
    content = io.BytesIO()
    np.savez_compressed(content, header=np.array(json.dumps({"format": FORMAT, **plain})), **arrays)
    write_file(target, content.getvalue())


def read_counts(path: str | os.PathLike[str], kind: type[Kind]) -> Kind:
    """Return the counts of a file, as the class `kind`; ``ValueError`` for any other file."""
    with open(path, "rb") as raw:
        try:
            with np.load(raw, allow_pickle=False) as file:
                header: dict[str, Any] = json.loads(str(file["header"]))
                arrays: dict[str, Any] = {key: file.get(key) for key in ARRAYS}
            if header.pop("format") not in READABLE:
                raise ValueError(f"it is of another format than {FORMAT}; read it with the version that wrote it")
            header["ranges"] = tuple((int(a), int(b)) for a, b in header["ranges"])
            return kind(**header, **arrays)
        except Exception as error:  # whatever numpy, zipfile and json make of a foreign file
            text = f"{os.fspath(path)!r} is no tally written by Tally.save: {type(error).__name__}: {unreadable(error)}"
            raise ValueError(text) from error
