"""The folder of a run: what is finished, and the state from which an unfinished stack resumes."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.files import unreadable, write_file
from uepgpu.train.course import Curves

__all__ = ["Checkpoints", "held_description"]

NAME = "run.json"
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
        arrays = _read(self._path(number, "curves"))
        return None if arrays is None else Curves(**{name: arrays[name] for name in CURVES})

    def finish(self, number: int, curves: Curves) -> None:
        """Keep the curves of a stack, and delete its state."""
        _write(self._path(number, "curves"), {name: getattr(curves, name) for name in CURVES})
        self._path(number, "state").unlink(missing_ok=True)

    def state(self, number: int) -> dict[str, NDArray[Any]] | None:
        """Return the state from which a stack resumes, or None."""
        return _read(self._path(number, "state"))

    def keep(self, number: int, state: dict[str, NDArray[Any]]) -> None:
        """Keep the state of a stack."""
        _write(self._path(number, "state"), state)


def _write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_file(path, buffer.getvalue())


def _read(path: Path) -> dict[str, NDArray[Any]] | None:
    if not path.is_file():
        return None
    try:
        # np.load leaves a file that it opened itself open when it cannot read it.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return dict(archive)
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read ({unreadable(error)}): delete it, its stack is then trained anew") from None
