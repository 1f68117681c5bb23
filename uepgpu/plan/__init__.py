"""From a description to the arrays that samplers, decoders and backends see."""

from __future__ import annotations

from uepgpu.plan.decoders import DECODERS, decoding_rule, resolve_decoder, resolve_tally
from uepgpu.plan.plan import FOREVER, Plan, count_domain_refusal, make_plan, refusal

__all__ = [
    "DECODERS",
    "FOREVER",
    "Plan",
    "count_domain_refusal",
    "decoding_rule",
    "make_plan",
    "refusal",
    "resolve_decoder",
    "resolve_tally",
]
