"""Gradient coding by iterative block leverage score sampling, and its baselines (docs/mathematics.md §8).

Describe data and loss (:class:`Problem`), a scheme (:class:`ReplicatedSketch`, …) and the servers (:class:`uepgpu.Workers`);
then :func:`descend` runs many realizations of gradient descent, and :func:`completion_time` says how long they take.
:mod:`uepgpu.gradient_coding.theory` has the closed forms.

Sources: Charalambides, Pilanci, Hero, *Gradient Coding with Iterative Block Leverage Score Sampling* (arXiv 2308.03096).
"""

from __future__ import annotations

from uepgpu.gradient_coding import theory
from uepgpu.gradient_coding.completion import completion_time
from uepgpu.gradient_coding.data import Table, bundled_table, gaussian, multivariate_t, read_table
from uepgpu.gradient_coding.descent import descend, draw_sketches
from uepgpu.gradient_coding.exact_codes import CodeMatrix, cyclic_code, fractional_groups
from uepgpu.gradient_coding.laws import block_law
from uepgpu.gradient_coding.problem import Problem
from uepgpu.gradient_coding.replication import distortion, induced_law, replication_numbers
from uepgpu.gradient_coding.schemes import (
    CyclicCode,
    ExactGradient,
    FractionalRepetition,
    IgnoreStragglers,
    ReplicatedSketch,
    SampledSketch,
    Scheme,
    StochasticBlocks,
)
from uepgpu.gradient_coding.scores import approximate_block_scores, block_scores, misestimation

__all__ = [
    "CodeMatrix",
    "CyclicCode",
    "ExactGradient",
    "FractionalRepetition",
    "IgnoreStragglers",
    "Problem",
    "ReplicatedSketch",
    "SampledSketch",
    "Scheme",
    "StochasticBlocks",
    "Table",
    "approximate_block_scores",
    "block_law",
    "block_scores",
    "bundled_table",
    "completion_time",
    "cyclic_code",
    "descend",
    "distortion",
    "draw_sketches",
    "fractional_groups",
    "gaussian",
    "induced_law",
    "misestimation",
    "multivariate_t",
    "read_table",
    "replication_numbers",
    "theory",
]
