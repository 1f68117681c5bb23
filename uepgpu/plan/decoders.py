"""Which decoder a plan is decoded with, and what its tally holds."""

from __future__ import annotations

from uepgpu.checks import choice
from uepgpu.plan.plan import Plan
from uepgpu_kernels.job import SUB_BATCHES

__all__ = ["BITMASK_LIMIT", "DECODERS", "ELIMINATION_LIMIT", "TALLIES", "resolve_decoder", "resolve_tally"]

DECODERS = ("auto", "count", "match", "eliminate", "peel")
TALLIES = ("auto", "pairs", "marginals")
BITMASK_LIMIT = 64
ELIMINATION_LIMIT = 256
MOST_TALLY_BYTES = 128 * 2**20
"""A tally's largest array must fit in this."""


def resolve_decoder(plan: Plan, decoder: str) -> str:
    """Return the kernel's decoder: ``"auto"`` is the cheapest exact one.

    Raises
    ------
    ValueError
        If the decoder is not exact for the plan's coefficients (peeling excepted), or K is beyond its limit.
    """
    choice("decoder", decoder, DECODERS)
    field, k = plan.law.field, plan.job.k
    if decoder == "auto":
        if field == "generic":
            decoder = "count" if plan.chains is not None else "match" if k <= BITMASK_LIMIT else "eliminate"
        else:
            decoder = "eliminate"
    if decoder == "count" and plan.chains is None:
        raise ValueError(
            "decoder='count' needs generic coefficients and windows that are disjoint or nested in chains (NOW, EW, MDS, uncoded, "
            "repetition); use 'match', 'eliminate' or 'auto'"
        )
    if decoder == "match" and field != "generic":
        raise ValueError(f"decoder='match' is exact for generic coefficients only, not {field!r}; use 'eliminate' or 'auto'")
    if decoder == "peel" and field in ("gf2", "gf256"):
        raise ValueError(f"decoder='peel' needs coefficients that are never zero, not {field!r}; use 'eliminate' or 'auto'")
    if decoder in ("match", "peel") and k > BITMASK_LIMIT:
        raise ValueError(
            f"decoder={decoder!r} holds sub-products in a 64-bit mask: K <= {BITMASK_LIMIT}, got K = {k}; use 'eliminate'"
        )
    if decoder == "eliminate" and k > ELIMINATION_LIMIT:
        raise ValueError(f"decoder='eliminate' goes up to K = {ELIMINATION_LIMIT} sub-products, got K = {k}")
    return "real" if decoder == "eliminate" and plan.float_elimination else decoder


def resolve_tally(plan: Plan, decoder: str, tally: str) -> str:
    """Return what is tallied besides class patterns: nothing (``"patterns"``), ``"pairs"`` or ``"marginals"``.

    Raises
    ------
    ValueError
        If that does not fit in 128 MiB; the message has the sizes.
    """
    choice("tally", tally, TALLIES)
    job = plan.job
    if tally == "auto":
        whole = plan.class_wise and decoder in ("count", "match", "eliminate")
        tally = "patterns" if whole else "pairs"
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
    return "generic" if decoder in ("count", "match") else decoder
