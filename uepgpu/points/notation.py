"""Descriptions as JSON text and back: codes, partitions (by their Gram matrix), workers and laws, exact to the last bit.

The text is canonical: equal descriptions give equal text, in every version that reads this notation. Matrices are left out;
a partition read back has all that theory, estimates and replay need, and ``matrices`` None.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

import numpy as np

from uepgpu.codes import Code
from uepgpu.latency import Latency, Trace
from uepgpu.partition import Partition
from uepgpu.specification.names import CODES, LAUNCHES, LAWS
from uepgpu.workers import Markov, Racks, Workers

__all__ = ["read_code", "read_partition", "read_workers", "write_code", "write_partition", "write_workers"]


def _plain(value: Any) -> Any:
    """Return `value` as JSON takes it."""
    if isinstance(value, np.ndarray):
        little = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        return {"dtype": little.dtype.str, "shape": list(value.shape), "base64": base64.b64encode(little.tobytes()).decode()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, set | frozenset):
        return sorted(_plain(v) for v in value)
    if isinstance(value, list | tuple | range):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"a store can keep numbers, texts, lists and arrays, got {type(value).__name__}")


def _value(data: Any, *, as_tuple: bool = True) -> Any:
    if isinstance(data, dict):
        raw = np.frombuffer(base64.b64decode(data["base64"]), dtype=np.dtype(data["dtype"])).reshape(data["shape"])
        return raw.astype(raw.dtype.newbyteorder("="))
    if isinstance(data, list):
        return tuple(_value(v) for v in data) if as_tuple else [_value(v) for v in data]
    return data


def _text(data: dict[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def _fields(thing: Any) -> dict[str, Any]:
    return {f.name: _plain(getattr(thing, f.name)) for f in dataclasses.fields(thing)}


def _name(thing: Any, kinds: dict[str, type], what: str) -> str:
    for name, kind in kinds.items():
        if type(thing) is kind:
            return name
    raise ValueError(
        f"a store keeps the {what} {', '.join(kinds)}, got {type(thing).__name__}: it has no text that could rebuild it"
    )


def write_code(code: Code) -> str:
    """Return a code as text.

    Examples
    --------
    >>> from uepgpu.codes import Repetition
    >>> write_code(Repetition(copies=2)), read_code(write_code(Repetition(copies=2)))
    ('{"copies":2,"name":"repetition"}', Repetition(copies=2))
    """
    return _text({"name": _name(code, CODES, "codes"), **_fields(code)})


def read_code(text: str) -> Code:
    """Return the code that :func:`write_code` wrote."""
    data = json.loads(text)
    kind = CODES[data.pop("name")]
    code = kind(**{key: _value(value) for key, value in data.items()})
    assert isinstance(code, Code)
    return code


MOST_RECORDED = 2**26
"""Latencies of a trace that is kept as text: 700 MB of it."""

_LATER = ("racks", "backup", "states", "messages", "progress")
"""Fields that the text has only where they are given: descriptions without them keep the text that they had before."""
_SPECIAL = ("latency", "time_unit", *_LATER)
"""Fields that are written in a way of their own, and a label, which is no part of who a point is."""


def write_workers(workers: Workers) -> str:
    """Return workers and their law as text."""
    if workers.states is not None:
        states = {"transition": _plain(workers.states.transition), "laws": [_law(law) for law in workers.states.laws]}
        data = {f.name: _plain(getattr(workers, f.name)) for f in dataclasses.fields(workers) if f.name not in _SPECIAL}
        return _text(data | {"states": states})
    latency = _laws(workers) if isinstance(workers.latency, tuple) else _law(workers.latency)
    data = {f.name: _plain(getattr(workers, f.name)) for f in dataclasses.fields(workers) if f.name not in _SPECIAL}
    if workers.backup is not None:
        data["backup"] = {"name": _name(workers.backup, LAUNCHES, "second tries"), **_fields(workers.backup)}
    if workers.racks is not None:
        slow = None if workers.racks.latency is None else _law(workers.racks.latency)
        data["racks"] = _fields(dataclasses.replace(workers.racks, latency=None)) | {"latency": slow}
    if workers.messages > 1:
        data |= {"messages": workers.messages, "progress": workers.progress}
    return _text(data | {"latency": latency})


def _law(law: Any) -> dict[str, Any]:
    name = _name(law, LAWS, "laws")
    fields = {f.name: getattr(law, f.name) for f in dataclasses.fields(law)}
    if isinstance(law, Trace):
        size = law.n_rounds * law.n_workers
        if size > MOST_RECORDED:
            raise ValueError(f"a store keeps traces of at most {MOST_RECORDED:,} latencies, got {size:,}")
        if law.block is None:  # the text that traces had before there were blocks
            del fields["block"]
        fields["latencies"] = np.concatenate([rows for _, rows in law.slices()])
    return {"law": name} | {key: _law(value) if isinstance(value, Latency) else _plain(value) for key, value in fields.items()}


def _laws(workers: Workers) -> dict[str, Any]:
    """Return the law of every worker: the different ones, and which each has."""
    return {"laws": [_law(law) for law in workers.laws], "of": workers.law_of().tolist()}


def read_workers(text: str) -> Workers:
    """Return the workers that :func:`write_workers` wrote."""
    data = json.loads(text)
    if "states" in data:
        states = data.pop("states")
        made = Markov(_value(states["transition"]), [_made(law) for law in states["laws"]])
        return Workers(states=made, **{key: _value(value) for key, value in data.items()})
    latency = data.pop("latency")
    if "backup" in data:
        backup = data.pop("backup")
        data["backup"] = LAUNCHES[backup.pop("name")](**backup)
    if "racks" in data:
        racks = data.pop("racks")
        data["racks"] = Racks(racks["of"], racks["probability"], None if racks["latency"] is None else _made(racks["latency"]))
    if "of" in latency:
        laws = [_made(law) for law in latency["laws"]]
        every: Any = [laws[i] for i in latency["of"]]
    else:
        every = _made(latency)
    return Workers(latency=every, **{key: value if key in _LATER else _value(value) for key, value in data.items()})


def _made(data: dict[str, Any]) -> Any:
    fields = {key: value for key, value in data.items() if key != "law"}
    return LAWS[data["law"]](**{key: _made(value) if _is_law(value) else _value(value) for key, value in fields.items()})


def _is_law(value: Any) -> bool:
    return isinstance(value, dict) and "law" in value


_PARTITION = ("paradigm", "shape", "classes", "gram", "row_level", "col_level")


def write_partition(part: Partition) -> str:
    """Return a partition as text, without its matrices; a diagonal Gram matrix as its diagonal."""
    data = {name: _plain(getattr(part, name)) for name in _PARTITION}
    if part.paradigm == "rxc":
        data["gram"] = _plain(part.energy)
    return _text(data)


def read_partition(text: str) -> Partition:
    """Return the partition that :func:`write_partition` wrote."""
    data = {key: _value(value) for key, value in json.loads(text).items()}
    if data["gram"].ndim == 1:
        data["gram"] = np.diag(data["gram"])
    return Partition(**data)
