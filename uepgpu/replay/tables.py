"""A replay as tables of text, for terminals and pipes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uepgpu.plan import DECODERS
from uepgpu.replay.draws import Packet, Stream
from uepgpu.replay.told import Replay, Window

__all__ = ["TextTable", "compact", "rounds_table", "tables"]

PRIME = 2**31 - 1


@dataclass(frozen=True)
class TextTable:
    """A titled table; cells of the last columns may be long.

    Attributes
    ----------
    title, note : str
    header : tuple of str
    rows : tuple of tuples of str
    left : int
        How many columns, counted from the last, hold text; the others hold numbers.
    """

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1


def compact(numbers: Sequence[int]) -> str:
    """Return ascending numbers with runs joined, as 0-2 5 7-8."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return " ".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" if len(r) > 2 else f"{r[0]} {r[1]}" for r in runs) or "–"


def tables(told: Replay) -> Iterator[TextTable]:
    """Yield the tables of a replay, in the order in which things happen."""
    yield _windows(told)
    yield from (_words(told, stream) for stream in told.streams)
    yield _packets(told)
    if any(p.coefficients is not None for p in told.packets):
        yield _coefficients(told)
    yield _steps(told)
    yield _moments(told)
    if told.evaluations:
        yield _evaluations(told)


def rounds_table(told: Sequence[Replay], chosen: Sequence[int]) -> TextTable:
    """Return the table of a trajectory, a row for every round, with what is received and lost by some of its deadlines."""
    times = told[0].deadlines
    assert times is not None
    by = [f"t = {times[d]:g}" for d in chosen]

    def row(one: Replay) -> tuple[str, ...]:
        moments = [one.moments[d] for d in chosen]
        received = (str(m.received) for m in moments)
        return (
            str(one.round),
            *received,
            *(f"{m.normalized_loss:.6g}" for m in moments),
            compact(moments[-1].classes),
            _shared_in_round(one),
        )

    header = ("round", *(f"received, {t}" for t in by), *(f"lost, {t}" for t in by), f"classes decoded, {by[-1]}", "workers")
    note = "lost: ‖C − Ĉ‖² over ‖C‖². Rounds are counted from 0; --round tells one in full. In round 0 states are averaged over."
    return TextTable("The trajectory, round by round", note, header, tuple(map(row, told)), left=2)


def _shared_in_round(one: Replay) -> str:
    """Return who is in which state, or which round of a trace is met."""
    if one.next_states is not None and one.states is None:
        return "–"
    if one.states is None:
        return "; ".join(one.shared)
    states = one.states
    return "; ".join(f"{s}: {compact([w for w, own in enumerate(states) if own == s])}" for s in sorted(set(states)))


def _windows(told: Replay) -> TextTable:
    def row(w: Window) -> tuple[str, ...]:
        chance = "fixed" if w.probability is None else f"{w.probability:.6g}"
        what = f"{w.degree} drawn ones" if w.support is None else compact(w.support)
        return (str(w.number), compact(w.of_code), chance, compact(sorted(set(w.work))), what)

    note = "Numbered as in kernels; equal windows of the code are merged. work: block products that a packet takes."
    return TextTable(
        "Windows", note, ("window", "of the code", "probability", "work", "sub-products"), tuple(map(row, told.windows))
    )


def _words(told: Replay, stream: Stream) -> TextTable:
    low, high = told.realization & 0xFFFFFFFF, told.realization >> 32
    note = (
        f"{stream.purpose}. Philox4x32-10, key = seed {told.seed}, counter = ({low}, {high}, block, {stream.number}); "
        "word i is word i mod 4 of block i div 4."
    )
    words = stream.words
    rows = tuple(
        (
            str((stream.first + i) // 4),
            compact(range(stream.first + i, stream.first + min(i + 4, len(words)))),
            "  ".join(f"{w:08x}" for w in words[i : i + 4]),
        )
        for i in range(0, len(words), 4)
    )
    return TextTable(f"Stream {stream.number}: words drawn", note, ("block", "words", "hexadecimal"), rows)


def _packets(told: Replay) -> TextTable:
    def arrival(p: Packet) -> str:
        if told.deadlines is None:
            return f"{p.time}."
        if p.time is None:
            return f"never by {told.deadlines[-1]:g}"
        since = f"({told.deadlines[p.time - 1]:g}, " if p.time else "[0, "
        return f"{since}{told.deadlines[p.time]:g}]"

    def row(p: Packet) -> tuple[str, ...]:
        end = "2^32" if p.end == 2**32 else f"{p.end:08x}"
        return (str(p.number), f"{p.word:08x}", f"{p.least:08x} ≤ word < {end}", str(p.window), arrival(p), compact(p.support))

    m = told.messages
    means = "" if told.deadlines is None else " and arrival" if m == 1 else ", and whether it is lost"
    note = f"A packet's word lies between two thresholds, which give its window{means}."
    if told.streams[0].words_per_packet == 0:
        note = "A word decides several packets: it lies between two thresholds, which give the windows of all of them."
    if m > 1:
        note += f" Packets {m}w to {m}w + {m - 1} are the messages of worker w, in turn."
    note += "".join(f" {said[0].upper()}{said[1:]}." for said in told.shared)
    header = ("packet", "word", "thresholds", "window", "arrives", "sub-products")
    return TextTable(f"Packets, {'one' if m == 1 else m} a worker", note, header, tuple(map(row, told.packets)))


def _coefficients(told: Replay) -> TextTable:
    def shown(x: int) -> str:
        # Residues that stand for negative integers are shown as such; for drawn coefficients either form is right.
        return str(x - PRIME if x > PRIME // 2 else x)

    rows = tuple(
        (str(p.number), "  ".join(f"X{i}: {shown(p.coefficients[i])}" for i in p.support))
        for p in told.packets
        if p.coefficients is not None
    )
    modulo = told.decoder == "eliminate" and told.field in ("generic real numbers", "given real numbers")
    where = "Integers modulo 2^31 - 1, from -(2^30 - 1) to 2^30 - 1" if modulo else f"{told.field[0].upper()}{told.field[1:]}"
    return TextTable("Coefficients", f"{where}.", ("packet", "coefficients"), rows)


def _steps(told: Replay) -> TextTable:
    def when(time: int) -> str:
        return str(time) if told.deadlines is None else f"{told.deadlines[time]:g}"

    rows = tuple(
        (
            str(s.position + 1),
            str(s.packet),
            when(s.time),
            str(told.packets[s.packet].window),
            "–" if s.rank is None else f"{s.rank}{' ↑' if s.gained else '  '}",
            compact(s.decoded),
            s.action.describe(),
        )
        for s in told.steps
    )
    time = "received" if told.deadlines is None else "by t"
    note = f"Order of arrival: {told.order_rule}. decodes: sub-products that became decodable. ↑: the rank rose."
    header = ("step", "packet", time, "window", "rank", "decodes", "what the decoder did")
    return TextTable(f"Decoding by {DECODERS[told.decoder].title}, packet by packet", note, header, rows, left=2)


def _moments(told: Replay) -> TextTable:
    rows = tuple(
        (
            str(m.time) if m.deadline is None else f"{m.deadline:g}",
            *(() if m.deadline is None else (str(m.received),)),
            f"{m.loss:.6g}",
            f"{m.normalized_loss:.6g}",
            compact(m.classes),
            compact(m.undecoded),
        )
        for m in told.moments
    )
    first = ("received",) if told.deadlines is None else ("deadline", "received")
    note = "loss: ‖C − Ĉ‖², with zero for what is undecoded; for a model its expectation."
    title = "What is decoded and lost, " + ("by packets received" if told.deadlines is None else "by deadline")
    return TextTable(title, note, (*first, "loss", "normalized", "classes decoded", "sub-products undecoded"), rows, left=2)


def _evaluations(told: Replay) -> TextTable:
    def likely(chances: tuple[float, ...]) -> str:
        best = max(range(len(chances)), key=chances.__getitem__)
        return f"{best} (probability {chances[best]:.3g})"

    rows = tuple(
        (f"{e.deadline:g}", f"{e.loss:.6g}", f"{e.normalized_loss:.6g}", likely(e.probabilities)) for e in told.evaluations
    )
    note = "The losses above weighted by Pr[N(t) = N] of the latency law: what this realization adds to the mean."
    return TextTable("Loss by deadline", note, ("deadline", "loss", "normalized", "likeliest N"), rows)
