"""From a job to the loop nest of a decoder, with its tables filled in. An entry of the table of decoders names one of these."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from uepgpu_kernels.automaton import Automaton, undecoded_classes
from uepgpu_kernels.cpu.draw import Cells
from uepgpu_kernels.cpu.explore import MOST_ENTRIES, explore
from uepgpu_kernels.cpu.lists import run_peel_lists
from uepgpu_kernels.cpu.lockstep import run_automaton, run_chains, run_steps
from uepgpu_kernels.cpu.masks import run_match
from uepgpu_kernels.cpu.match_lists import run_match_lists
from uepgpu_kernels.cpu.members import member_table
from uepgpu_kernels.cpu.one_by_one import run_eliminate
from uepgpu_kernels.cpu.peeled import run_peel
from uepgpu_kernels.cpu.sliced import run_sliced
from uepgpu_kernels.cpu.supports import supports_of
from uepgpu_kernels.cpu.walk_vectors import run_walk
from uepgpu_kernels.cpu.ways import way_of
from uepgpu_kernels.job import BY_TIME, Job
from uepgpu_kernels.joint import cells_of_columns
from uepgpu_kernels.network import merge_exchange
from uepgpu_kernels.steps import chain_states, steps_of

__all__ = ["Nest", "count", "eliminate", "explored", "match", "match_by_automaton", "match_by_paths", "peel"]

MOST_MASK = 64
"""Up to so many sub-products, supports are masks of one word."""
MOST_WAITING = 1024
"""Up to so many packets, peeling holds those of a tile that wait: 4 MB."""


class Nest(Protocol):
    """A loop nest with its job and tables: called with ``(first, count, stride, transitions, pairs, marginals, record)``.

    It adds realizations first, first + stride, ... to the arrays. `transitions` ((T + 1)·2^L·L,), `pairs` (T, K(K+1)/2) and
    `marginals` (T, K) are counters by the time of decoding; the last two may have no rows. `record` (count, K) takes the times
    themselves, or has no rows. All are int64.
    """

    def __call__(self, first: Any, n: int, stride: Any, /, *out: Any) -> None:
        """Add realizations to the arrays."""
        ...

    def of(self, **changes: Any) -> Nest:
        """Return the nest of a job that differs in fields that its tables do not depend on."""
        ...

    @property
    def keeps_classes(self) -> bool:
        """Whether it leaves times in the job's `class_time` where it tallies class patterns alone."""
        ...


def count(job: Job) -> Nest:
    """Decode by counting along chains of windows."""
    narrow = _walk_type(job)
    one_by_one = _with(run_chains(way_of(job)), job, _cells(job, narrow), job.capacity.astype(narrow))
    automaton = chain_states(job) if job.per_word > 1 and job.class_unit.size else None
    return _by_words(job, one_by_one, one_by_one, automaton)


def match(job: Job) -> Nest:
    """Decode by matching: by the automaton where walking it pays."""
    automaton = explored(job)
    return match_by_paths(job) if automaton is None else match_by_automaton(job, automaton)


def explored(job: Job, most_entries: int = MOST_ENTRIES) -> Automaton | None:
    """Return the matching automaton of a job's windows as :func:`uepgpu_kernels.cpu.explore.explore` does; None where K > 64."""
    return explore(job, _cells(job, _walk_type(job)), most_entries) if job.mask.size else None


def match_by_automaton(job: Job, automaton: Automaton) -> Nest:
    """Decode by walking what :func:`explored` returned; class patterns alone need no vectors if no state is missing."""
    narrow = _walk_type(job)
    cells, following = _cells(job, narrow), automaton.following.astype(np.uint16).ravel()
    classes = undecoded_classes(automaton, job).astype(np.uint8) << np.arange(job.n_classes, dtype=np.uint8)
    open_classes = classes.sum(axis=1).astype(np.uint8)
    undecoded = (~automaton.decoded).astype("<u8").view(np.uint8).reshape(-1, 8).T[: (job.k + 7) // 8]
    walk = _with(run_walk(way_of(job)), job, cells, following, np.ascontiguousarray(undecoded))
    if not np.all(automaton.following[:-1] < len(automaton.following) - 1):
        return walk
    patterns = _with(run_automaton(way_of(job)), job, cells, following, open_classes, np.empty(0, dtype=narrow))
    return _by_words(job, patterns, walk, (automaton.following, undecoded_classes(automaton, job)))


def match_by_paths(job: Job) -> Nest:
    """Decode by alternating paths, packet by packet."""
    return _listed(job, (run_match if job.k <= MOST_MASK else run_match_lists)(way_of(job)), supports_of(job))


def peel(job: Job) -> Nest:
    """Decode by peeling."""
    small = job.k <= MOST_MASK and job.n_packets <= MOST_WAITING
    return _listed(job, (run_peel if small else run_peel_lists)(way_of(job)), supports_of(job))


def eliminate(job: Job) -> Nest:
    """Decode by elimination over the job's finite field."""
    if job.field == 0 or job.generator.shape[0] > 0:
        return _listed(job, run_eliminate(way_of(job)))
    return _listed(job, run_sliced(1 if job.field == 1 else 8, way_of(job)), member_table(job))


def _listed(job: Job, entry: Any, *tables: Any) -> Nest:
    return _with(entry, job, _cells(job, np.dtype(np.uint32)), *tables)


def _by_words(job: Job, patterns: Nest, each: Nest, automaton: tuple[Any, Any] | None) -> Nest:
    """Return a nest that tallies patterns word by word where that automaton allows, else by `patterns`; the rest by `each`."""
    steps = None if automaton is None else steps_of(job, *automaton)
    if steps is not None:
        patterns = _with(run_steps, job, steps)

    return _Either(patterns, each, job.order == BY_TIME and job.class_unit.size > 0)


class _Bound(NamedTuple):
    """A loop nest with its job and tables."""

    entry: Any
    job: Job
    tables: tuple[Any, ...]

    def __call__(self, first: Any, n: int, stride: Any, *out: Any) -> None:
        self.entry(self.job, first, n, stride, *self.tables, *out)

    def of(self, **changes: Any) -> _Bound:
        """Return the nest of a job that differs in what its tables do not depend on."""
        return self._replace(job=self.job._replace(**changes))

    @property
    def keeps_classes(self) -> bool:
        """Return False: some entries do not."""
        return False


class _Either(NamedTuple):
    """A nest for class patterns alone, and one for all else."""

    patterns: Nest
    each: Nest
    keeps_classes: bool  # those of patterns by time do

    def __call__(self, first: Any, n: int, stride: Any, transitions: Any, pairs: Any, marginals: Any, record: Any) -> None:
        simple = len(pairs) == len(marginals) == len(record) == 0
        (self.patterns if simple else self.each)(first, n, stride, transitions, pairs, marginals, record)

    def of(self, **changes: Any) -> _Either:
        """Return the nests of such a job."""
        return _Either(self.patterns.of(**changes), self.each.of(**changes), self.keeps_classes)


def _with(entry: Any, job: Job, *tables: Any) -> Nest:
    return _Bound(entry, job, tables)


def _walk_type(job: Job) -> np.dtype[Any]:
    """Return the narrowest integers that hold windows, numbers of packets and of sub-products."""
    most = max(job.n_packets + 1, job.k, int(job.cell_window.max()), job.support.shape[0] - 1)
    return np.dtype(np.uint8 if most <= 255 else np.uint16)


def _cells(job: Job, least: np.dtype[Any]) -> Cells:
    """Return what cells stand for, in the narrowest integers from `least` up."""
    most = int(job.cell_window.max())
    shift = most.bit_length()
    # Windows that are never drawn have no cell, and still their place in the walk.
    label = np.arange(max(most + 1, job.support.shape[0]), dtype=least)
    together = cells_of_columns(job.cell_window.shape[1], job.per_word)[: len(job.alias)]
    if job.order != BY_TIME:
        return Cells(job.cell_window.astype(least), shift, least.type(0), label, merge_exchange(0), together)
    key = (job.cell_time.astype(np.uint32) << shift) | job.cell_window
    greatest = int(key.max())
    if job.arrival.size or job.messages > 1:  # times take the place of works
        greatest = max(greatest, (job.n_times << shift) | most)
    narrow = np.promote_types(least, np.min_scalar_type(greatest))
    return Cells(key.astype(narrow), shift, narrow.type((1 << shift) - 1), label, merge_exchange(job.n_packets), together)
