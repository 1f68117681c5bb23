"""Data: coherent and incoherent rows, the tables bundled with scikit-learn, and files of the user."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import choice, flag, frozen, integer, positive, require_memory, shown, word64
from uepgpu.files import expand
from uepgpu.partition import load_matrix
from uepgpu.text.html import html_table

__all__ = ["BUNDLED", "Table", "bundled_table", "gaussian", "multivariate_t", "read_table"]

Floats = NDArray[np.float64]

BUNDLED = ("diabetes", "linnerud", "breast_cancer", "digits", "iris", "wine")
"""Tables that come with scikit-learn, without a download."""


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """A matrix and the targets of its rows.

    Attributes
    ----------
    name : str
    A : (n, d) float64
    b : (n,) float64

    Examples
    --------
    >>> table = Table("mine", np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([1.0, 1.0]))
    >>> table.A.shape, table.b.tolist()
    ((2, 2), [1.0, 1.0])
    """

    name: str
    A: Floats
    b: Floats

    def __repr__(self) -> str:
        return f"Table({self.name!r}, {self.A.shape[0]} × {self.A.shape[1]})"

    def _repr_html_(self) -> str:
        return html_table("Table", [("name", self.name), ("A", f"{self.A.shape[0]} × {self.A.shape[1]}")])

    def __post_init__(self) -> None:
        object.__setattr__(self, "A", frozen(self.A))
        object.__setattr__(self, "b", frozen(self.b))


def multivariate_t(
    *,
    rows: int,
    columns: int,
    degrees: float,
    seed: int,
    correlation: float = 0.5,
    noise: float = 1.0,
    by_norm: bool = False,
    loss: Literal["least-squares", "logistic"] = "least-squares",
) -> Table:
    """Return rows of a multivariate t law: the fewer degrees of freedom, the fewer rows that carry all the leverage.

    Parameters
    ----------
    rows, columns : int
    degrees : float
        Degrees of freedom > 0; 1 is very coherent, 30 is nearly normal.
    seed : int
        Of NumPy's Philox generator.
    correlation : float
        Columns i and j have scale ``correlation**|i - j|``; in [0, 1).
    noise : float
        b = A·1 + `noise`·normal. For logistic loss, labels are the signs of that, with A scaled row by row to unit length in it.
    by_norm : bool
        Put long rows first, so that they share blocks: as coherent as blocks of such rows can be.
    loss : "least-squares" or "logistic"

    Examples
    --------
    >>> multivariate_t(rows=6, columns=2, degrees=1.0, seed=1).A.shape
    (6, 2)
    """
    freedom = positive("degrees", degrees)
    rng = _generator(seed)
    normal = _normal_rows(rng, rows, columns, correlation)
    A = normal / np.sqrt(rng.chisquare(freedom, size=(len(normal), 1)) / freedom)
    return _explained(f"t, {degrees:g} degrees of freedom", A, rng, noise, loss, by_norm=by_norm)


def gaussian(
    *,
    rows: int,
    columns: int,
    seed: int,
    correlation: float = 0.5,
    noise: float = 1.0,
    by_norm: bool = False,
    loss: Literal["least-squares", "logistic"] = "least-squares",
) -> Table:
    """Return normal rows, all of about the same leverage; arguments as for :func:`multivariate_t`.

    Examples
    --------
    >>> table = gaussian(rows=6, columns=2, seed=1)
    >>> table.name, table.A.shape, table.b.shape
    ('normal', (6, 2), (6,))
    """
    rng = _generator(seed)
    return _explained("normal", _normal_rows(rng, rows, columns, correlation), rng, noise, loss, by_norm=by_norm)


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=word64("seed", seed)))


def _normal_rows(rng: np.random.Generator, rows: int, columns: int, correlation: float) -> Floats:
    n, d = integer("rows", rows, 1), integer("columns", columns, 1)
    rho = positive("correlation", correlation, zero=True)
    if rho >= 1:
        raise ValueError(f"correlation must be below 1, got {shown(correlation)}")
    require_memory(f"a table of {n:,} rows and {d:,} columns", 8 * (3 * n * d + 4 * d**2))
    index = np.arange(d)
    scale = np.where(np.equal.outer(index, index), 1.0, rho ** np.abs(np.subtract.outer(index, index)))
    return np.asarray(rng.normal(size=(n, d)) @ np.linalg.cholesky(scale).T)


def _explained(name: str, A: Floats, rng: np.random.Generator, noise: float, loss: str, *, by_norm: bool) -> Table:
    if flag("by_norm", by_norm):
        A = A[np.argsort(-np.linalg.norm(A, axis=1), kind="stable")]
    spread = positive("noise", noise, zero=True) * rng.normal(size=len(A))
    if choice("loss", loss, ("least-squares", "logistic")) == "logistic":
        # Rows of unit length, so that the noise flips labels of long rows too and no hyperplane separates them.
        score = (A / np.linalg.norm(A, axis=1, keepdims=True)).sum(axis=1) + spread
        return Table(name, A, np.where(score >= 0, 1.0, -1.0))
    return Table(name, A, A.sum(axis=1) + spread)


def bundled_table(name: str) -> Table:
    """Return a table that comes with scikit-learn, columns standardised and a column of ones added.

    Parameters
    ----------
    name : "diabetes", "linnerud", "breast_cancer", "digits", "iris" or "wine"
        breast_cancer has labels −1 and 1 and suits logistic loss; linnerud has its first target; class numbers of digits,
        iris and wine are targets of least squares. Constant columns are dropped.

    Raises
    ------
    ImportError
        scikit-learn is not installed.

    Examples
    --------
    >>> bundled_table("diabetes").A.shape
    (442, 11)
    """
    choice("name", name, BUNDLED)
    try:
        from sklearn import datasets
    except ImportError:
        raise ImportError(f'the table {name!r} needs scikit-learn: pip install "uepgpu[train]"') from None
    bundle = getattr(datasets, f"load_{name}")()
    values, target = np.asarray(bundle.data, dtype=np.float64), np.asarray(bundle.target, dtype=np.float64)
    values = values[:, values.std(axis=0) > 0]
    A = np.column_stack([(values - values.mean(axis=0)) / values.std(axis=0), np.ones(len(values))])
    b = target[:, 0] if target.ndim == 2 else 2 * target - 1 if name == "breast_cancer" else target
    return Table(name, A, b)


def read_table(path: str | os.PathLike[str], *, target: int = -1) -> Table:
    """Return a table from an ``.npy``, ``.npz`` or ``.csv`` file, one column of which is the target.

    Parameters
    ----------
    path : path
        CSV: comma-separated numbers; a first line without any number is taken for a header.
    target : int
        Which column, counted from 0, or from the end if negative.

    Raises
    ------
    ValueError
        Not a table of finite numbers with at least two columns; for CSV, the message names the line.
    FileNotFoundError
        The file does not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savetxt(f"{folder}/mine.csv", [[1.0, 2.0, 5.0], [3.0, 4.0, 6.0]], delimiter=",", header="x,y,z", comments="")
    ...     table = read_table(f"{folder}/mine.csv")
    >>> table.A.tolist(), table.b.tolist()
    ([[1.0, 2.0], [3.0, 4.0]], [5.0, 6.0])
    """
    file = expand("table", path)
    matrix = load_matrix("table", _read_csv(file) if file.suffix.lower() == ".csv" else str(file))
    columns = matrix.shape[1]
    if columns < 2:
        raise ValueError(f"table must have two columns at least, got shape {matrix.shape}")
    if isinstance(target, bool) or not isinstance(target, int) or not -columns <= target < columns:
        raise ValueError(f"target must be a column from {-columns} to {columns - 1}, got {shown(target)}")
    return Table(file.stem, np.delete(matrix, target, axis=1), matrix[:, target])


def _read_csv(file: Path) -> list[list[float]]:
    if not file.is_file():
        raise FileNotFoundError(f"table: no file {shown(str(file))}")
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            lines: list[list[str]] = [line for line in csv.reader(stream) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"table: cannot read {shown(str(file))}: {error}") from None
    rows: list[list[float]] = []
    for number, line in enumerate(lines):
        row = _numbers(line)
        if row is None and (number > 0 or any(_numbers([cell]) is not None for cell in line)):
            raise ValueError(f"table: row {number + 1} of {shown(str(file))} must hold numbers, got {','.join(line)[:80]!r}")
        if row is not None:
            rows.append(row)
    return rows


def _numbers(line: list[Any]) -> list[float] | None:
    try:
        return [float(cell) for cell in line]
    except ValueError:
        return None
