"""The table of decoders: what each needs and who runs it; which one a plan is decoded with, and what its tally holds."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from uepgpu.checks import choice
from uepgpu.plan.plan import BY_COEFFICIENTS, Plan
from uepgpu_kernels.job import SUB_BATCHES

__all__ = ["CHOICES", "DECODERS", "TALLIES", "Decoder", "decoding_rule", "largest", "resolve_decoder", "resolve_tally"]

TALLIES = ("auto", "pairs", "marginals")
MOST_TALLY_BYTES = 128 * 2**20
"""A tally's largest array must fit in this."""

CUBIC = {"numpy": 1024, "numba": 1024, "cuda": 64}
"""A realization costs K³ and its rows K², beyond which there is no patience; where threads of a device decode alone, supports are
64-bit masks."""


@dataclass(frozen=True)
class Decoder:
    """A decoder: what it needs, and who runs it.

    Implementations are named as "module:attribute" and imported when used. `reference`, `cpu` and `cuda` say there what they take.

    Attributes
    ----------
    title : str
        What it does, as in "decoding by counting".
    refusal : callable
        Takes a plan and returns why this decoder cannot decode it, or None. K is checked separately.
    limits : mapping of str to int or None
        The greatest K on each backend; None: any.
    too_many : str
        What is said of a K beyond every limit, with ``{most}`` and ``{k}``.
    rule : str
        The name under which tallies merge: decoders of one rule decide alike.
    automatic : bool
        Whether ``"auto"`` may choose it: it is exact.
    class_wise : bool
        Whether it decodes classes as a whole where the plan says that they are.
    coefficients : bool
        Whether it looks at coefficients.
    reference, cpu, cuda : str
        NumPy's decoder, and the loop nests of Numba and CUDA.
    teller : str
        The class that decodes packet by packet and tells what it does, for replays.
    """

    title: str
    refusal: Callable[[Plan], str | None]
    limits: Mapping[str, int | None]
    too_many: str
    rule: str
    automatic: bool
    class_wise: bool
    coefficients: bool
    reference: str
    cpu: str
    cuda: str
    teller: str

    def most(self) -> int | None:
        """Return the greatest K on any backend; None: there is no limit."""
        return largest(self.limits.values())

    def implementation(self, target: str) -> Any:
        """Return what runs it: `target` is "reference", "cpu", "cuda" or "teller"."""
        module, _, attribute = getattr(self, target).partition(":")
        return getattr(importlib.import_module(module), attribute)


def _needs_chains(plan: Plan) -> str | None:
    if plan.chains is not None:
        return None
    return (
        "decoder='count' needs generic coefficients and windows that are disjoint or nested in chains (NOW, EW, MDS, uncoded, "
        "repetition); use 'match', 'eliminate' or 'auto'"
    )


def _needs_generic(plan: Plan) -> str | None:
    field = plan.law.field
    if field == "generic":
        return None
    return f"decoder='match' is exact for generic coefficients only, not {field!r}; use 'eliminate' or 'auto'"


def _needs_nonzero(plan: Plan) -> str | None:
    field = plan.law.field
    if field not in ("gf2", "gf256") or plan.law.generator is not None:
        return None
    return f"decoder='peel' needs coefficients that are never zero, not {field!r}; use 'eliminate' or 'auto'"


def _any(plan: Plan) -> str | None:
    return None


_BEYOND_ROWS = "goes up to K = {most} sub-products, got K = {k}"

DECODERS: dict[str, Decoder] = {
    "count": Decoder(
        title="counting",
        refusal=_needs_chains,
        limits={"numpy": None, "numba": None, "cuda": 64},
        too_many="",
        rule="generic",
        automatic=True,
        class_wise=True,
        coefficients=False,
        reference="uepgpu_kernels.reference.decode:count",
        cpu="uepgpu_kernels.cpu.nests:count",
        cuda="uepgpu_kernels.cuda.decode:count",
        teller="uepgpu.replay.count:Counting",
    ),
    "match": Decoder(
        title="matching",
        refusal=_needs_generic,
        limits=CUBIC,
        too_many=_BEYOND_ROWS,
        rule="generic",
        automatic=True,
        class_wise=True,
        coefficients=False,
        reference="uepgpu_kernels.reference.decode:match",
        cpu="uepgpu_kernels.cpu.nests:match",
        cuda="uepgpu_kernels.cuda.decode:match",
        teller="uepgpu.replay.match:Matching",
    ),
    "eliminate": Decoder(
        title="elimination",
        refusal=_any,
        limits=CUBIC | {"cuda": 256},
        too_many=_BEYOND_ROWS,
        rule=BY_COEFFICIENTS,
        automatic=True,
        class_wise=True,
        coefficients=True,
        reference="uepgpu_kernels.reference.decode:eliminate",
        cpu="uepgpu_kernels.cpu.nests:eliminate",
        cuda="uepgpu_kernels.cuda.decode:eliminate",
        teller="uepgpu.replay.eliminate:Elimination",
    ),
    "peel": Decoder(
        title="peeling",
        refusal=_needs_nonzero,
        limits={"numpy": None, "numba": None, "cuda": 64},
        too_many="",
        rule="peel",
        automatic=False,
        class_wise=False,
        coefficients=False,
        reference="uepgpu_kernels.reference.decode:peel",
        cpu="uepgpu_kernels.cpu.nests:peel",
        cuda="uepgpu_kernels.cuda.decode:peel",
        teller="uepgpu.replay.peel:Peeling",
    ),
}
"""Every decoder by the name that tallies record, the cheapest first."""

CHOICES = ("auto", *DECODERS)
"""What the argument ``decoder`` may be."""


def largest(limits: Iterable[int | None]) -> int | None:
    """Return the greatest limit; None means that there is none.

    Examples
    --------
    >>> largest([64, 256]), largest([64, None])
    (256, None)
    """
    known = list(limits)
    return None if None in known else max(limit for limit in known if limit is not None)


def resolve_decoder(plan: Plan, decoder: str) -> str:
    """Return the name of the entry that decodes a plan: ``"auto"`` is the cheapest exact one.

    Raises
    ------
    ValueError
        If the decoder is not exact for the plan's coefficients (peeling excepted), or K is beyond its limit.
    """
    choice("decoder", decoder, CHOICES)
    reason = None
    for name, entry in DECODERS.items():
        if decoder == name or (decoder == "auto" and entry.automatic):
            reason = entry.refusal(plan) or _beyond(name, plan.job.k)
            if reason is None:
                return name
    assert reason is not None
    raise ValueError(reason)


def _beyond(name: str, k: int) -> str | None:
    entry = DECODERS[name]
    most = entry.most()
    return None if most is None or k <= most else f"decoder={name!r} {entry.too_many.format(most=most, k=k)}"


def resolve_tally(plan: Plan, decoder: str, tally: str) -> str:
    """Return what is tallied besides class patterns: nothing (``"patterns"``), ``"pairs"`` or ``"marginals"``.

    `decoder` is what :func:`resolve_decoder` returned.

    Raises
    ------
    ValueError
        If that does not fit in 128 MiB; the message has the sizes.
    """
    choice("tally", tally, TALLIES)
    job = plan.job
    if tally == "auto":
        tally = "patterns" if plan.class_wise and DECODERS[decoder].class_wise else "pairs"
    width = {"patterns": 1 << job.n_classes, "pairs": job.k * (job.k + 1) // 2, "marginals": job.k}[tally]
    size = 8 * SUB_BATCHES * job.n_times * max(width, 1 << job.n_classes)
    if size > MOST_TALLY_BYTES:
        remedy = " Pass tally='marginals', which is enough for rxc losses, or ask" if tally == "pairs" else " Ask"
        raise ValueError(
            f"the tally would take {size / 2**20:,.0f} MiB ({tally} of K = {job.k} sub-products: {width:,} counters at each of "
            f"{job.n_times} times in {SUB_BATCHES} sub-batches), more than the limit of {MOST_TALLY_BYTES // 2**20} MiB."
            f"{remedy} for fewer times"
        )
    return tally


def decoding_rule(decoder: str) -> str:
    """Return the name under which tallies of equal rules merge: counting and matching decide alike."""
    return DECODERS[decoder].rule
