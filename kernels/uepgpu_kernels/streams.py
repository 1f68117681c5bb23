"""The one table of random streams: what every 32-bit word that the library draws is for.

A word is that of Philox4x32-10 with the seed as key and (realization low, realization high, block, stream) as counter: word i of a
stream is word i mod 4 of block i div 4. Streams are named apart within one kind of study; studies of different kinds
never share a realization.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = [
    "BLOCKS",
    "COEFFICIENTS",
    "FACTORS",
    "LAYOUT",
    "MESSAGES",
    "NUMBERED",
    "ORDER",
    "PACKETS",
    "RACKS",
    "SERVERS",
    "STATES",
    "STREAMS",
    "SUPPORTS",
    "TRACES",
    "Stream",
    "purpose_of",
    "streams_markdown",
]

LAYOUT = 2
"""Number of the layout. Realizations that were drawn under different numbers are different ones and never merge."""

PACKETS, ORDER, COEFFICIENTS, SUPPORTS = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)
FACTORS = np.uint64(4)
RACKS, TRACES, MESSAGES = np.uint64(6), np.uint64(7), np.uint64(8)
SERVERS, BLOCKS, STATES = np.uint64(4), np.uint64(5), np.uint64(9)

NUMBERED = 12
"""Up to so many sub-products, a drawn support is one word: its number among the supports of its size."""


class Stream(NamedTuple):
    """A stream of one kind of study."""

    number: np.uint64
    name: str
    study: str
    purpose: str  # what a word is for
    layout: str  # which word is whose


CODED, DESCENT, TRAINING = "coded products", "gradient coding", "training"

STREAMS = (
    Stream(
        PACKETS,
        "packets",
        CODED,
        "windows: a word for m packets in the count domain; by deadlines a word a packet, its arrival too",
        "packet w has word ⌊w/m⌋ in the count domain, place w mod m of it; word w by deadlines",
    ),
    Stream(
        ORDER,
        "order",
        CODED,
        "one word a place: the order of arrival, or who has which latency of a round; Fisher-Yates from the last place down",
        "place i has word i",
    ),
    Stream(
        COEFFICIENTS,
        "coefficients",
        CODED,
        "coefficients: a bit each over GF(2), a byte over GF(256), a word over the prime and for real numbers",
        "sub-product k of packet w has bit, byte or word Kw + k, from the lowest end of words",
    ),
    Stream(
        SUPPORTS,
        "supports",
        CODED,
        f"drawn supports: one word a packet up to K = {NUMBERED}, its number; else one a member, Floyd's method",
        f"packet w has word w up to K = {NUMBERED}; else words 4⌈K/4⌉w on, as many as its degree",
    ),
    Stream(
        FACTORS,
        "factors",
        CODED,
        "one word a packet and block: coefficients of factored encodings, N blocks of A, then P of B",
        "block j of packet w has word (N + P)w + j",
    ),
    Stream(
        RACKS,
        "racks",
        CODED,
        "one word a rack: whether it is dark or slow",
        "rack c has word c",
    ),
    Stream(
        TRACES,
        "traces",
        CODED,
        "two words a round: whether the replay of a trace starts anew, and at which row",
        "round ρ has words 2ρ and 2ρ + 1",
    ),
    Stream(
        MESSAGES,
        "messages",
        CODED,
        "one word a worker that sends several messages: when they arrive; Erlang: one a worker and deadline, how many come by it",
        "worker w has word w; Erlang: worker w of W has word Wd + w for deadline d",
    ),
    Stream(
        ORDER,
        "server order",
        DESCENT,
        "one word a server and iteration: whose latencies of a shuffled trace it has, Fisher-Yates from the last place down",
        "place i of R has word 4⌈R/4⌉t + i in iteration t",
    ),
    Stream(
        SERVERS,
        "servers",
        DESCENT,
        "one word a server and iteration: its latency, and whether its answer is lost; of servers alike the least is the fastest",
        "server r of R has word 4⌈R/4⌉t + r in iteration t",
    ),
    Stream(
        BLOCKS,
        "blocks",
        DESCENT,
        "one word a drawn block and iteration: which block it is",
        "draw i of q has word 4⌈q/4⌉t + i in iteration t",
    ),
    Stream(
        RACKS,
        "server racks",
        DESCENT,
        "one word a rack and iteration: whether it is dark or slow",
        "rack c of C has word 4⌈C/4⌉t + c in iteration t",
    ),
    Stream(
        TRACES,
        "server traces",
        DESCENT,
        "two words an iteration: whether the replay of a trace starts anew, and at which row",
        "iteration t has words 2t and 2t + 1",
    ),
    Stream(
        STATES,
        "server states",
        DESCENT,
        "one word a server and iteration: which state it is in",
        "server r of R has word 4⌈R/4⌉t + r in iteration t",
    ),
    Stream(
        STATES,
        "worker states",
        TRAINING,
        "one word a worker and step: which state it is in, of the realization of slot 0 in step 0",
        "worker w of W has word 4⌈W/4⌉s + w in step s",
    ),
)
"""Every stream, by kind of study and number. Entries never change under one layout number."""


def purpose_of(number: int) -> str:
    """Return what a word of a stream of coded products is for."""
    return next(stream.purpose for stream in STREAMS if stream.study == CODED and stream.number == number)


def streams_markdown() -> str:
    """Return the table as Markdown, for docs/mathematics.md §10.

    Examples
    --------
    >>> print(streams_markdown().splitlines()[9])
    | 6 | coded products | racks | one word a rack: whether it is dark or slow | rack c has word c |
    """
    head = ["stream", "study", "name", "a word is for", "which word"]
    rows = [[str(int(s.number)), s.study, s.name, s.purpose, s.layout] for s in STREAMS]
    lines = [head, ["---"] * len(head), *rows]
    return f"Layout {LAYOUT}.\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
