"""The folder of a run: what is finished, and the state from which an unfinished stack resumes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.files import FAULTS, checksum, read_archive, unreadable, write_file
from uepgpu.train.course import Curves

__all__ = ["Checkpoints", "held_description"]

NAME = "run.json"
CHECKSUM = "checksum"
CURVES = ("steps", "train", "test", "final", "final_train")


def held_description(folder: Path) -> dict[str, Any] | None:
    """Return the description of the run that a folder holds, or None.

    Raises
    ------
    ValueError
        It cannot be read.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        description = json.loads(path.read_text())
        if not isinstance(description, dict):
            raise ValueError("no description of a run")
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}): choose another folder with --out") from None
    return description


class Checkpoints:
    """Curves of finished stacks and the state of an unfinished one, in ``OUT/stacks``, for one description of a run.

    Parameters
    ----------
    folder : Path
    description : dict
        Everything that decides the results; JSON.

    Raises
    ------
    ValueError
        The folder holds another run.
    """

    def __init__(self, folder: Path, description: dict[str, Any]) -> None:
        self.folder = folder
        self.description = description
        other = held_description(folder)
        if other is not None and other != (mine := json.loads(json.dumps(description))):
            names = sorted(k for k in {*other, *mine} if other.get(k) != mine.get(k))
            raise ValueError(
                f"{str(folder)!r} holds a run with another {', '.join(names)}: choose another folder with --out, or delete it"
            )

    def begin(self) -> None:
        """Write the description."""
        write_file(self.folder / NAME, json.dumps(self.description, indent=1).encode())

    def _path(self, number: int, kind: str) -> Path:
        return self.folder / "stacks" / f"{number:04d}-{kind}.npz"

    def curves(self, number: int) -> Curves | None:
        """Return the curves of a stack, or None if it is not finished."""
        arrays = self._read(number, "curves")
        return None if arrays is None else Curves(**{name: arrays[name] for name in CURVES})

    def finish(self, number: int, curves: Curves) -> None:
        """Keep the curves of a stack, and delete its state."""
        self._write(number, "curves", {name: getattr(curves, name) for name in CURVES})
        self._path(number, "state").unlink(missing_ok=True)

    def state(self, number: int) -> dict[str, NDArray[Any]] | None:
        """Return the state from which a stack resumes, or None."""
        return self._read(number, "state")

    def keep(self, number: int, state: dict[str, NDArray[Any]]) -> None:
        """Keep the state of a stack."""
        self._write(number, "state", state)

    def _write(self, number: int, kind: str, arrays: dict[str, NDArray[Any]]) -> None:
        buffer = io.BytesIO()
        signed = arrays | {CHECKSUM: np.array(self._checksum(number, kind, arrays))}
        np.savez(buffer, **signed)  # type: ignore[arg-type]
        write_file(self._path(number, kind), buffer.getvalue())

    def _read(self, number: int, kind: str) -> dict[str, NDArray[Any]] | None:
        path = self._path(number, kind)
        if not path.is_file():
            return None
        try:
            arrays = read_archive(path)
            if str(arrays.pop(CHECKSUM, None)) != self._checksum(number, kind, arrays):
                raise ValueError("its checksum does not fit")
        except FAULTS as error:
            raise ValueError(f"{path} cannot be read ({unreadable(error)}): delete it, its stack is then trained anew") from None
        return arrays

    def _checksum(self, number: int, kind: str, arrays: dict[str, NDArray[Any]]) -> str:
        """Return what tells that arrays are those of this stack of this run, all of them."""
        return checksum(json.dumps([self.description, number, kind], sort_keys=True), arrays)
