"""Curves of trainings as figures take them, from the table that ``uepgpu train`` writes. Needs no PyTorch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import shown
from uepgpu.files import expand
from uepgpu.files.columns import read_columns
from uepgpu.text import printable

__all__ = ["Course", "read_courses"]

Floats = NDArray[np.float64]
ROW = ("code", "paradigm", "work", "deadline")
MEASURES = ("train_accuracy", "test_accuracy")
NUMBERS = ("deadline", "replicas", "step", "time", *(f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")))


@dataclass(frozen=True, eq=False)
class Course:
    """Mean accuracy of the replicas of one training, against steps and simulated time.

    Attributes
    ----------
    code, paradigm, work : str
        ``"any"`` where it does not matter.
    deadline : float
        Infinite for exact products.
    replicas : int
    step, time : (T,) float64
        Time is nan where there is none (centralized).
    accuracy : dict of str to (3, T) float64
        ``"train"`` and ``"test"``: mean, and the ends of its 95 % interval; nan where there is none.
    """

    code: str
    paradigm: str
    work: str
    deadline: float
    replicas: int
    step: Floats
    time: Floats
    accuracy: dict[str, Floats]

    @property
    def label(self) -> str:
        """What a legend calls it: the code, and what its packets are charged where that matters."""
        return self.code if self.work == "any" else f"{self.code}, {self.work} cost"


def read_courses(path: str | os.PathLike[str]) -> list[Course]:
    """Return the curves of the ``curves.csv`` that ``uepgpu train`` wrote.

    Raises
    ------
    ValueError
        If it is no such table.
    FileNotFoundError
        If there is no such file.
    """
    file = Path(expand("results", path))
    names = (*ROW, *NUMBERS[1:])
    table = dict(zip(names, read_columns("results", file, names), strict=True))
    texts = {name: [printable(str(value)) for value in table[name]] for name in ROW}
    columns = {name: _numbers(file, name, table[name]) for name in NUMBERS}
    groups: dict[tuple[str, ...], list[int]] = {}
    for row, key in enumerate(zip(*(texts[name] for name in ROW), strict=True)):
        groups.setdefault(key, []).append(row)
    if not groups:
        raise ValueError(f"results: {shown(str(file))} has no rows")
    return [_course(key, {name: column[rows] for name, column in columns.items()}) for key, rows in groups.items()]


def _course(key: Sequence[str], of: dict[str, Floats]) -> Course:
    accuracy = {name.split("_")[0]: np.stack([of[f"{name}{end}"] for end in ("", "_low", "_high")]) for name in MEASURES}
    code, paradigm, work = key[:3]
    return Course(code, paradigm, work, float(of["deadline"][0]), int(of["replicas"][0]), of["step"], of["time"], accuracy)


def _numbers(file: Path, name: str, column: NDArray[np.str_]) -> Floats:
    try:
        return np.array([float(value) if value else np.nan for value in column.tolist()])
    except ValueError:
        bad = next(value for value in column.tolist() if value and not _is_number(value))
        raise ValueError(f"results: {shown(str(file))} must have numbers in column {name!r}, got {shown(bad)}") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
