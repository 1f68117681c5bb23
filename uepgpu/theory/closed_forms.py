"""Expected losses and decoding probabilities: arguments in, Datasets out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uepgpu.checks import deadlines_array, instance, shown
from uepgpu.codes import Code
from uepgpu.codes.cost import warn_of_default
from uepgpu.codes.law import packets_law, support_law
from uepgpu.partition import Partition
from uepgpu.text.variables import dataset as labelled
from uepgpu.theory import chain, disjoint
from uepgpu.theory.count_laws import CountLaw, ProductForm
from uepgpu.theory.in_turn import JointCounts
from uepgpu.theory.laws import deadline_counts, received_counts
from uepgpu.theory.structure import Structure, code_name, no_closed_form, window_structure
from uepgpu.workers import Workers

if TYPE_CHECKING:
    import xarray as xr

    from uepgpu.codes.supports import SupportLaw

__all__ = ["Problem", "decoding_probability", "loss", "product_form"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def loss(
    code: Code,
    part: Partition,
    workers: Workers | None = None,
    *,
    deadlines: ArrayLike | None = None,
    received: ArrayLike | range | None = None,
) -> xr.Dataset:
    """Return the exact expected loss ‖C - Ĉ‖² of zero-filling.

    Parameters
    ----------
    code : Code
        What packets combine.
    part : Partition
        The product. Only its Gram matrix matters: for real matrices the loss is that of these matrices, for a model an
        expectation over them.
    workers : Workers, optional
        Needed for `deadlines`. Without it W = max(received).
    deadlines : array_like of float, shape (points,)
        Times, >= 0 and non-decreasing. Give either this or `received`.
    received : array_like of int, shape (points,)
        Numbers N >= 0 of received packets: N packets drawn by the code, or those of N workers chosen uniformly if packets
        are tied to workers (N <= W then). Latencies, work and speeds do not enter.

    Returns
    -------
    Dataset
        float64 variables over ``deadline`` or ``received``: ``loss``; ``normalized_loss``, divided by ``part.norm2`` (0 if
        that is 0); ``loss_bound``, for cxr the published bound M Σ_k ‖X_k‖² Pr[X_k undecoded], for rxc the loss.

    Raises
    ------
    ValueError
        Bad deadlines or received counts, or a code that does not fit the partition or the number of workers.
    NotImplementedError
        There is no closed form; the message names what has none.

    Examples
    --------
    >>> import uepgpu as uep
    >>> v = (10, 1, 0.1)
    >>> part = uep.Partition.model("rxc", left_variances=v, right_variances=v, shape=(300, 900, 300), classes=(3, 3, 3))
    >>> code = uep.codes.ExpandingWindow((0.40, 0.35, 0.25))
    >>> workers = uep.Workers(30, omega=1.0, work="unit")
    >>> uep.theory.loss(code, part, workers, deadlines=[0.15, 0.6]).normalized_loss.values.round(4).tolist()
    [0.7511, 0.0099]

    References
    ----------
    docs/mathematics.md §3 to §6; Tegin et al., arXiv 2103.02928.
    """
    problem = Problem.make(code, part, workers, deadlines, received)
    if problem.law.field in disjoint.ORDER:
        raise no_closed_form(code, f"the loss over the finite field {problem.law.field} (windows decode in part)")
    q, value = _undecoded_and_loss(problem, part)
    value = np.maximum(value, 0.0)  # a Gram matrix is positive semidefinite up to rounding only
    bound = value
    if part.paradigm == "cxr":
        bound = part.n_subproducts * (q[:, problem.structure.unit_of] @ part.energy)
    norm2 = part.norm2
    return problem.dataset(
        part,
        {
            "loss": ((problem.dim,), value),
            "normalized_loss": ((problem.dim,), value / norm2 if norm2 > 0 else np.zeros_like(value)),
            "loss_bound": ((problem.dim,), bound),
        },
    )


def decoding_probability(
    code: Code,
    part: Partition,
    workers: Workers | None = None,
    *,
    deadlines: ArrayLike | None = None,
    received: ArrayLike | range | None = None,
) -> xr.Dataset:
    """Return Pr[all sub-products of a class are decoded], exactly.

    Parameters
    ----------
    code, part, workers, deadlines, received
        As for :func:`loss`.

    Returns
    -------
    Dataset
        float64 variables over (``deadline`` or ``received``, ``class``), classes counted from 1: ``probability``, and
        ``failure``, the probability that the class is not decoded. Each keeps its digits where it is small, down to 1e-300.

    Raises
    ------
    ValueError, NotImplementedError
        As for :func:`loss`. Disjoint windows over a finite field do have a closed form here.

    Examples
    --------
    >>> import uepgpu as uep
    >>> part = uep.Partition.model("cxr", left_variances=[10] * 9, right_variances=[1] * 9, classes=(3, 3, 3))
    >>> code = uep.codes.NonOverlappingWindow((0.40, 0.35, 0.25))
    >>> uep.theory.decoding_probability(code, part, received=[6, 9]).probability.values.round(4).tolist()
    [[0.4557, 0.3529, 0.1694], [0.7682, 0.6627, 0.3993]]
    >>> [f"{x:.3g}" for x in uep.theory.decoding_probability(code, part, received=[150]).failure.values[0]]
    ['2.68e-30', '2.87e-25', '2.35e-16']

    References
    ----------
    docs/mathematics.md §3; Vukobratovic and Stankovic, IEEE Trans. Commun. 2012.
    """
    problem = Problem.make(code, part, workers, deadlines, received)
    structure, counts = problem.structure, problem.counts
    units = [np.unique(structure.unit_of[part.classes == label]) for label in range(1, part.n_classes + 1)]
    if problem.law.field in disjoint.ORDER and any(
        np.unique(part.classes[structure.unit_of == unit]).size > 1 for unit in range(structure.n_units)
    ):
        # Over a small field a part of a window can be decoded without the rest.
        raise no_closed_form(code, f"windows of several classes over the finite field {problem.law.field}")
    failure = np.ones((problem.points.size, part.n_classes))
    value = np.zeros_like(failure)
    if structure.kind == "chain":
        behind, prefix = chain.decoded_prefix(chain.last_saturated(product_form(counts), structure.sizes))
    for column, members in enumerate(units):
        if members[-1] == structure.n_units:
            continue  # a sub-product in no window
        if structure.kind == "chain":
            failure[:, column], value[:, column] = behind[:, members[-1]], prefix[:, members[-1]]
        else:
            both = disjoint.all_decoded(counts, structure.sizes, members.tolist(), problem.law.field)
            failure[:, column], value[:, column] = both
    dims = (problem.dim, "class")
    variables = {"probability": (dims, value), "failure": (dims, failure)}
    return problem.dataset(part, variables, {"class": np.arange(1, part.n_classes + 1)})


@dataclass(frozen=True, eq=False)
class Problem:
    """What every function of the closed forms starts from."""

    code: Code
    law: SupportLaw
    structure: Structure
    counts: CountLaw
    dim: str
    points: Floats | Ints
    n_workers: int
    time_unit: str | None = None

    @classmethod
    def make(cls, code: Code, part: Partition, workers: Workers | None, deadlines: Any, received: Any) -> Problem:
        """Check the arguments; find the structure of the code's law and the law of the counts."""
        instance("part", part, Partition)
        if workers is not None:
            instance("workers", workers, Workers)
        if (deadlines is None) == (received is None):
            given = "neither" if deadlines is None else "both"
            raise ValueError(f"exactly one of deadlines and received must be given, got {given}")
        if deadlines is not None:
            if workers is None:
                raise ValueError("workers must be given for deadlines: their number and latency law decide what has arrived")
            times = deadlines_array(deadlines)
            law = packets_law(code, part, workers)
            warn_of_default(code, law, workers)
            structure = _structure(law, code)
            counts = deadline_counts(law, structure, workers, times, code)
            return cls(code, law, structure, counts, "deadline", times, workers.count, workers.time_unit)
        numbers = _received_array(received)
        law, n_workers = _received_law(code, part, workers, numbers)
        if law.by_message is not None:
            raise no_closed_form(code, "a number of messages in turn, of which those of fast workers come first,")
        structure = _structure(law, code)
        return cls(code, law, structure, received_counts(law, structure, numbers), "received", numbers, n_workers)

    def dataset(self, part: Partition, variables: dict[str, Any], coords: dict[str, Any] | None = None) -> xr.Dataset:
        """Return the variables with coordinates and attributes."""
        attributes = {
            "code": code_name(self.code),
            "paradigm": part.paradigm,
            "encoding": self.law.encoding,
            "coefficients": self.law.field,
            "classes": list(part.class_sizes),
            "workers": self.n_workers,
        }
        return labelled(variables, {self.dim: self.points} | (coords or {}), attributes, self.time_unit)


def _structure(law: SupportLaw, code: Code) -> Structure:
    structure = window_structure(law, code)
    if structure.kind == "chain" and law.field in disjoint.ORDER:
        raise no_closed_form(code, f"a chain of nested windows (EW) over the finite field {law.field}")
    return structure


def _received_array(received: Any) -> Ints:
    array = np.atleast_1d(np.asarray(received))
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu" or np.any(array < 0):
        raise ValueError(f"received must be a non-empty one-dimensional sequence of integers >= 0, got {shown(received)}")
    return array.astype(np.int64)


def _received_law(code: Code, part: Partition, workers: Workers | None, received: Ints) -> tuple[SupportLaw, int]:
    most = int(received.max())
    if workers is None:
        n_workers = max(most, 1)
        try:
            return support_law(code, part, n_workers), n_workers
        except ValueError as error:
            raise ValueError(f"{error}; W was taken from max(received) = {most}: give workers to say how many there are") from None
    law = packets_law(code, part, workers)
    if law.tied and most > workers.n_packets:
        what = f"workers W = {workers.count}" if workers.messages == 1 else f"packets W m = {workers.n_packets} of workers"
        raise ValueError(f"received must be at most the number of {what} that packets are tied to, got {most}")
    return law, workers.count


def product_form(counts: CountLaw) -> ProductForm | JointCounts:
    """Return the law of the counts of a chain, which has product form or is a table."""
    assert isinstance(counts, ProductForm | JointCounts)  # deadline_counts refuses the rest for chains
    return counts


def _undecoded_and_loss(problem: Problem, part: Partition) -> tuple[Floats, Floats]:
    """Pr[unit undecoded], last that of the rest in no window, shape (points, units + 1); and the expected loss, shape (points,)."""
    structure, counts = problem.structure, problem.counts
    member = (structure.unit_of[:, None] == np.arange(structure.n_units + 1)).astype(np.float64)
    gram = member.T @ part.gram @ member
    if structure.kind == "chain":
        last = chain.last_saturated(product_form(counts), structure.sizes)
        # With ℓ* = j all later units are missing together, so even negative cross terms leave a sum of positive terms.
        missing = np.array([gram[j:, j:].sum() for j in range(structure.n_units + 1)])
        return _with_rest(chain.decoded_prefix(last)[0]), last @ np.maximum(missing, 0.0)
    q = _with_rest(disjoint.undecoded(counts, structure.sizes))
    value = q @ np.diagonal(gram) + 2 * q[:, :-1] @ gram[:-1, -1]
    rows, cols = np.nonzero(np.triu(gram[:-1, :-1], 1))
    if rows.size:
        pairs = list(zip(rows.tolist(), cols.tolist(), strict=True))
        value = value + 2 * disjoint.both_undecoded(counts, structure.sizes, pairs) @ gram[rows, cols]
    return q, value


def _with_rest(q: Floats) -> Floats:
    return np.concatenate([q, np.ones((q.shape[0], 1))], axis=1)
