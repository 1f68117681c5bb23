"""The law of which units are undecoded together, and of the loss that follows from it.

In a chain the units behind ℓ* are undecoded, so there are L + 1 patterns (docs/mathematics.md §3). Disjoint windows have
2^units patterns; units of one law, one size and one energy, whose cross terms vanish, are exchangeable, and only how many of
them are undecoded matters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uepgpu.theory import chain, disjoint
from uepgpu.theory.arrays import convolve
from uepgpu.theory.closed_forms import product_form
from uepgpu.theory.count_laws import ProductForm
from uepgpu.theory.structure import no_closed_form

if TYPE_CHECKING:
    from uepgpu.partition import Partition
    from uepgpu.theory.closed_forms import Problem
    from uepgpu.theory.count_laws import CountLaw

__all__ = ["MOST_PATTERNS", "distinct_losses", "loss_law"]

Floats = NDArray[np.float64]
Pattern = tuple[int, ...]
"""How many units of every group are undecoded."""

MOST_PATTERNS = 1 << 14
"""Patterns of disjoint windows that are listed within seconds."""
MOST_PRODUCTS = 2e11
"""Multiplications that convolving the counts of disjoint windows may take: minutes."""
SAME = 1e-12
"""Relative difference below which two losses are one: rounding of the sums behind them."""


def loss_law(problem: Problem, part: Partition) -> tuple[Floats, Floats]:
    """Return the possible losses, ascending, shape (V,), and their probabilities, shape (points, V).

    Every probability is a sum of products of probabilities, so that it is accurate where it is small.

    Raises
    ------
    NotImplementedError
        The patterns have no closed form, or there are too many of them.
    """
    if problem.law.field in disjoint.ORDER:
        raise no_closed_form(
            problem.code, f"the law of the loss over the finite field {problem.law.field} (windows decode in part)"
        )
    structure = problem.structure
    member = (structure.unit_of[:, None] == np.arange(structure.n_units + 1)).astype(np.float64)
    gram = member.T @ part.gram @ member  # the last unit is what no window holds: it is always missing
    if structure.kind == "chain":
        pmf = chain.last_saturated(product_form(problem.counts), structure.sizes)
        values = np.array([gram[j:, j:].sum() for j in range(structure.n_units + 1)])
    else:
        values, pmf = _disjoint(problem, gram)
    return _distinct(np.maximum(values, 0.0), pmf)


def distinct_losses(losses: Floats) -> Floats:
    """Return the losses ascending, each once: what only rounding tells apart is one loss."""
    ordered = np.sort(losses)
    return np.asarray(ordered[_first(ordered)])


def _first(ordered: Floats) -> NDArray[np.int64]:
    """Return where losses that differ begin."""
    return np.flatnonzero(np.append(True, np.diff(ordered) > SAME * ordered[1:]))


def _distinct(values: Floats, pmf: Floats) -> tuple[Floats, Floats]:
    """Sort losses and add up the probabilities of equal ones."""
    order = np.argsort(values, kind="stable")
    first = _first(values[order])
    return values[order][first], np.add.reduceat(pmf[:, order], first, axis=1)


def _disjoint(problem: Problem, gram: Floats) -> tuple[Floats, Floats]:
    sizes, counts = problem.structure.sizes, problem.counts
    groups = _groups(problem, gram)
    number = math.prod(len(group) + 1 for group in groups)
    if number > MOST_PATTERNS:
        what = f"the law of the loss with {number:,} patterns of decoded windows (at most {MOST_PATTERNS:,} are listed)"
        raise no_closed_form(problem.code, what)
    if isinstance(counts, ProductForm):
        cost = float(problem.points.size) * (counts.cap + 1.0) ** 2 * number * (sum(map(len, groups)) > 1)
        if cost > MOST_PRODUCTS:
            raise no_closed_form(problem.code, f"the law of the loss of {len(sizes)} windows at {problem.n_workers:,} workers")
        found = list(_product_patterns(counts, sizes.tolist(), groups))
    elif len(sizes) <= 2:
        groups = [[u] for u in range(len(sizes))]
        found = list(_expected_patterns(counts, sizes.tolist()))
    else:
        raise no_closed_form(problem.code, f"the joint law of {len(sizes)} drawn windows at workers of different speeds")
    missing = [[u for group, n in zip(groups, pattern, strict=True) for u in group[:n]] for pattern, _ in found]
    values = [float(gram[np.ix_(units := [*those, len(sizes)], units)].sum()) for those in missing]
    return np.array(values), np.stack([p for _, p in found], axis=1)


def _groups(problem: Problem, gram: Floats) -> list[list[int]]:
    """Return the units, those of which only the number undecoded matters together."""
    groups: dict[object, list[int]] = {}
    off = np.count_nonzero(gram - np.diag(np.diagonal(gram)), axis=1)
    for u, size in enumerate(problem.structure.sizes.tolist()):
        alone = (u,) if off[u] else ()
        # Energies that rounding alone tells apart are equal: 12 digits.
        groups.setdefault((size, problem.counts.kind(u), f"{gram[u, u]:.12e}", alone), []).append(u)
    return list(groups.values())


def _product_patterns(counts: ProductForm, sizes: list[int], groups: list[list[int]]) -> Iterator[tuple[Pattern, Floats]]:
    """Yield every pattern with its probability, shape (points,), by convolving the counts of what is decoded and what is not."""
    length = counts.cap + 1
    factors = [[_factor(counts, group, n, sizes[group[0]], length) for n in range(len(group) + 1)] for group in groups]
    rest = counts.others(range(len(sizes)), counts.cap)

    def visit(level: int, joint: Floats, pattern: Pattern) -> Iterator[tuple[Pattern, Floats]]:
        if level == len(groups):
            yield pattern, np.asarray((joint * rest[:, : joint.shape[1]]).sum(axis=1))
            return
        for n, factor in enumerate(factors[level]):
            yield from visit(level + 1, convolve(joint, factor, length), (*pattern, n))

    yield from visit(0, np.ones((counts.reach.shape[0], 1)), ())


def _factor(counts: ProductForm, group: list[int], n: int, size: int, length: int) -> Floats:
    """Return by the packets of a group the weight of exactly n of its units being undecoded, shape (points, packets + 1)."""
    weight = counts.weight(group[0], counts.most(group[0]))
    short, enough = weight[:, :size], weight.copy()
    enough[:, :size] = 0.0
    result = np.full((weight.shape[0], 1), float(math.comb(len(group), n)))
    for own in [short] * n + [enough] * (len(group) - n):
        result = convolve(result, own, length)
    return result


def _expected_patterns(counts: CountLaw, sizes: list[int]) -> Iterator[tuple[Pattern, Floats]]:
    for pattern in np.ndindex(*(2,) * len(sizes)):
        factors = []
        for u, undecoded in enumerate(pattern):
            enough = (np.arange(counts.most(u) + 1) >= sizes[u]).astype(np.float64)
            factors.append(1.0 - enough if undecoded else enough)
        yield pattern, counts.expect(range(len(sizes)), factors)
