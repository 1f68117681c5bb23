"""From a description to the arrays that samplers, decoders and backends see."""

from __future__ import annotations

from uepgpu.plan.decoders import CHOICES, DECODERS, Decoder, decoding_rule, largest, resolve_decoder, resolve_tally
from uepgpu.plan.plan import FOREVER, Plan, count_domain_refusal, make_plan
from uepgpu.plan.possible import possible_counts
from uepgpu.plan.trajectories import check_rounds, problem_of_round

__all__ = [
    "CHOICES",
    "DECODERS",
    "FOREVER",
    "Decoder",
    "Plan",
    "check_rounds",
    "count_domain_refusal",
    "decoding_rule",
    "largest",
    "make_plan",
    "possible_counts",
    "problem_of_round",
    "resolve_decoder",
    "resolve_tally",
]
