"""Schemes of distributed gradient descent: what servers hold, whom the master waits for, how it uses the answers.

Where the master need not wait for given servers, it stops by a rule: ``fastest=q``, the q fastest answers; ``until=t``, the answers
by time t; ``factor=c``, those by c times the time of the first. Of several rules the first that is met counts, and an iteration
ends once all servers have answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from uepgpu.checks import choice, flag, integer, word64
from uepgpu.gradient_coding.exact_codes import CONSTRUCTIONS
from uepgpu.gradient_coding.laws import GRADIENT_NORM, LAWS, Law, check_law
from uepgpu.gradient_coding.waiting import Waiting
from uepgpu.text.html import Described

__all__ = [
    "CyclicCode",
    "ExactGradient",
    "FractionalRepetition",
    "IgnoreStragglers",
    "ReplicatedSketch",
    "SampledSketch",
    "Scheme",
    "StochasticBlocks",
]


@dataclass(frozen=True, repr=False)
class ReplicatedSketch(Waiting):
    """Block leverage score sampling by replication: no draw, no decoding; stragglers do the sampling (docs/mathematics.md §8).

    Block ι is held by r_ι of the R servers, r/R nearest to the law. The master takes the q fastest answers, or those that another
    rule lets it have, and weights an answer by R / (q r_ι), q being how many they are. Of servers that are all alike this is a
    uniform sample without replacement, and the gradient unbiased if every block is held (and somebody answers); of unequal servers
    it favours the blocks of fast ones. Servers that hold the same block send the same gradient, so that a repeated block counts
    with its multiplicity.

    Parameters
    ----------
    fastest : int, optional
        q, 1..R.
    law : "leverage", "uniform" or sequence of K probabilities
    every_block : bool
        Whether each block is held at least once. Otherwise blocks without a server are never received, and the gradient is biased;
        results count such blocks (``unheard``).
    sketch : "fresh" or "fixed"
        A fresh sketch in each iteration, or the servers of the first iteration in all of them, which must then be waited for:
        not with `until` or `factor`.
    until, factor : float, optional
        Time > 0, and multiple >= 1 of the time of the first answer, at which the master stops waiting.

    Examples
    --------
    >>> import uepgpu as uep
    >>> from uepgpu import gradient_coding as gc
    >>> problem = gc.Problem([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], [1.0, 2.0, 3.0, 4.0], blocks=2)
    >>> draws = gc.draw_sketches(problem, gc.ReplicatedSketch(fastest=2), uep.Workers(6), realizations=3, seed=7)
    >>> draws.weight.values.tolist()  # R / (q r), blocks being held by 4 and by 2 of the 6 servers
    [0.75, 1.5]
    >>> draws.copies.values[:, 0].tolist()
    [[1, 1], [1, 1], [2, 0]]
    """

    fastest: int | None = None
    law: Law = "leverage"
    every_block: bool = True
    sketch: Literal["fresh", "fixed"] = "fresh"

    def __post_init__(self) -> None:
        self.check_rules(needed=True)
        object.__setattr__(self, "law", check_law(self.law))
        flag("every_block", self.every_block)
        choice("sketch", self.sketch, ("fresh", "fixed"))
        if self.sketch == "fixed" and (self.until is not None or self.factor is not None):
            raise ValueError("sketch='fixed' waits for the servers of the first iteration: give fastest, without until and factor")


@dataclass(frozen=True)
class SampledSketch(Described):
    """Sampling with replacement by the master, as in the theory: q drawn blocks go to q servers, and all are waited for.

    Answers weigh 1/(q Π_ι): unbiased where the law gives every block whose rows are not zero at least 2⁻³², the step of draws. A
    block that it leaves out is never heard of, and the gradient is biased; results count such blocks (``unheard``).

    Parameters
    ----------
    samples : int
        q, 1..R.
    law : "leverage", "uniform", "gradient-norm" or sequence of K probabilities
        ``"gradient-norm"`` has the least variance and must know all block gradients: an oracle to compare with.
    sketch : "fresh" or "fixed"

    Examples
    --------
    >>> import uepgpu as uep
    >>> from uepgpu import gradient_coding as gc
    >>> problem = gc.Problem([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], [1.0, 2.0, 3.0, 4.0], blocks=2)
    >>> draws = gc.draw_sketches(problem, gc.SampledSketch(4, law=(0.75, 0.25)), uep.Workers(6), realizations=1, seed=7)
    >>> draws.weight.values.round(3).tolist()  # 1 / (q Π)
    [0.333, 1.0]
    """

    samples: int
    law: Law = "leverage"
    sketch: Literal["fresh", "fixed"] = "fresh"

    def __post_init__(self) -> None:
        integer("samples", self.samples, 1)
        object.__setattr__(self, "law", check_law(self.law, names=(*LAWS, GRADIENT_NORM)))
        choice("sketch", self.sketch, ("fresh", "fixed"))
        if self.law == GRADIENT_NORM and self.sketch == "fixed":
            raise ValueError("law='gradient-norm' changes with the iterate and needs sketch='fresh'")


@dataclass(frozen=True)
class ExactGradient(Described):
    """Gradient descent: rows are shared out over all R servers, and all are waited for.

    Examples
    --------
    >>> import uepgpu as uep
    >>> from uepgpu import gradient_coding as gc
    >>> problem = gc.Problem([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], [1.0, 2.0, 3.0, 4.0], blocks=2)
    >>> run = gc.descend(problem, gc.ExactGradient(), uep.Workers(4), iterations=3, realizations=2, seed=7)
    >>> bool(run.gradient_error[0] < 1e-12)
    True
    """


@dataclass(frozen=True, repr=False)
class IgnoreStragglers(Waiting):
    """Rows are shared out over R servers; the sum of the q answers is taken for the gradient: biased by a factor of q/R.

    Parameters
    ----------
    fastest, until, factor
        As for :class:`ReplicatedSketch`.

    Examples
    --------
    >>> import uepgpu as uep
    >>> from uepgpu import gradient_coding as gc
    >>> problem = gc.Problem([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], [1.0, 2.0, 3.0, 4.0], blocks=2)
    >>> draws = gc.draw_sketches(problem, gc.IgnoreStragglers(3), uep.Workers(4), realizations=1, seed=7)
    >>> draws.weight.values.tolist(), int(draws.copies.sum())
    ([1.0, 1.0, 1.0, 1.0], 3)
    """

    fastest: int | None = None

    def __post_init__(self) -> None:
        self.check_rules(needed=True)


@dataclass(frozen=True, repr=False)
class StochasticBlocks(Waiting):
    """Uncoded stochastic block gradient: as :class:`IgnoreStragglers`, times R/q for q answers: unbiased if servers are alike.

    Parameters
    ----------
    fastest, until, factor
        As for :class:`ReplicatedSketch`.

    Examples
    --------
    >>> import uepgpu as uep
    >>> from uepgpu import gradient_coding as gc
    >>> problem = gc.Problem([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], [1.0, 2.0, 3.0, 4.0], blocks=2)
    >>> draws = gc.draw_sketches(problem, gc.StochasticBlocks(2), uep.Workers(4), realizations=1, seed=7)
    >>> draws.weight.values.tolist(), int(draws.copies.sum())
    ([2.0, 2.0, 2.0, 2.0], 2)
    """

    fastest: int | None = None

    def __post_init__(self) -> None:
        self.check_rules(needed=True)


@dataclass(frozen=True, repr=False)
class FractionalRepetition(Waiting):
    """The exact gradient from any R − s servers: s + 1 servers of a group hold the same s + 1 of R blocks.

    Parameters
    ----------
    stragglers : int
        s; s + 1 must divide R.
    fastest, until, factor
        As for :class:`ReplicatedSketch`; then groups of which nobody has answered are missing from the gradient. By default R − s
        answers are waited for, with which none is.

    Examples
    --------
    >>> import uepgpu as uep
    >>> from uepgpu import gradient_coding as gc
    >>> problem = gc.Problem([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], [1.0, 2.0, 3.0, 4.0], blocks=2)
    >>> run = gc.descend(problem, gc.FractionalRepetition(1), uep.Workers(4), iterations=3, realizations=2, seed=7)
    >>> bool(run.gradient_error[0] < 1e-12)
    True
    """

    stragglers: int
    fastest: int | None = None

    def __post_init__(self) -> None:
        integer("stragglers", self.stragglers, 0)
        self.check_rules(needed=False)


@dataclass(frozen=True)
class CyclicCode(Described):
    """The exact gradient from any R − s servers by a cyclic gradient code, decoded anew in every iteration.

    Parameters
    ----------
    stragglers : int
        s < R; server i holds blocks i..i + s of R.
    construction, seed
        As for :func:`uepgpu.gradient_coding.cyclic_code`.

    Examples
    --------
    >>> import uepgpu as uep
    >>> from uepgpu import gradient_coding as gc
    >>> problem = gc.Problem([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], [1.0, 2.0, 3.0, 4.0], blocks=2)
    >>> run = gc.descend(problem, gc.CyclicCode(1), uep.Workers(4), iterations=3, realizations=2, seed=7)
    >>> bool(run.gradient_error[0] < 1e-9)
    True
    """

    stragglers: int
    construction: Literal["auto", "circulant", "random"] = "auto"
    seed: int = 1

    def __post_init__(self) -> None:
        integer("stragglers", self.stragglers, 0)
        choice("construction", self.construction, CONSTRUCTIONS)
        word64("seed", self.seed)


Scheme = ReplicatedSketch | SampledSketch | ExactGradient | IgnoreStragglers | StochasticBlocks | FractionalRepetition | CyclicCode
