"""The reference of specifications is what the readers take: every key, default and example, and the schema."""

from __future__ import annotations

import copy
import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cases.requirements import ROOT
from tests.oracles.json_schema import follows, validate
from uepgpu.points.stop import StopRule
from uepgpu.specification import axes, describe
from uepgpu.specification.fields import SpecError
from uepgpu.specification.keys import REQUIRED_KEY, names
from uepgpu.specification.load import SPECS, bundled_specs
from uepgpu.specification.reference import SECTIONS, page, schema
from uepgpu.specification.study import SOURCES, parse_study
from uepgpu.specification.wanted import parse_wanted
from uepgpu.sweep.spec import STOP_KEYS, parse_spec

GAMMA = [0.40, 0.35, 0.25]
TILES = {"paradigm": "rxc", "left_variances": [10, 1, 0.1], "right_variances": [10, 1, 0.1], "classes": [3, 3, 3]}
THREE = {"paradigm": "rxc", "left_variances": [10, 1, 0.1], "right_variances": [1], "classes": [1, 1, 1]}
"""Three sub-products, for what gives one value per worker."""
LAWS = {"shift": "shifted-exponential", "shape": "weibull", "scale": "pareto", "mu": "log-normal", "sigma": "log-normal"}
LAWS |= {"rate": "exponential", "time": "deterministic", "samples": "empirical", "column": "empirical"}
LAWS |= dict.fromkeys(("compute", "send", "start"), "staged")
LAWS |= dict.fromkeys(("latencies", "replay", "shuffle", "block", "round", "worker", "latency"), "trace")
CODES = {"copies": "repetition", "c": "lt", "delta": "lt", "supports": "windows", "probabilities": "windows", "work": "generator"}
CODES |= {"matrix": "generator", "field": "generator", "coefficients": "ew"}
SCHEMES = {"fastest": "replicated-sketch", "law": "replicated-sketch", "every_block": "replicated-sketch"}
SCHEMES |= {"sketch": "replicated-sketch", "samples": "sampled-sketch", "stragglers": "cyclic-code"}
SCHEMES |= {"until": "replicated-sketch", "factor": "replicated-sketch"}
SCHEMES |= {"construction": "cyclic-code", "seed": "cyclic-code"}
COLUMNS = {"latencies": "trace.csv", "round": "step", "worker": "node", "latency": "seconds"}
SCHEMA = json.loads(schema())
PAIRS = [(section, key) for section, table in SECTIONS.items() for key in table.keys]


def identified(pair: Any) -> str:
    return f"{pair[0]}: {pair[1].name}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that examples name."""
    place = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(1)
    np.save(place / "left.npy", rng.normal(size=(6, 18)))
    np.save(place / "right.npy", rng.normal(size=(18, 6)))
    np.save(place / "generator.npy", (rng.random((12, 9)) < 0.5) | np.eye(12, 9, dtype=bool) | np.eye(12, 9, -9, dtype=bool))
    (place / "trace.csv").write_text("step,node,seconds\n" + "".join(f"{r},{w},{r + w}\n" for r in range(2) for w in range(3)))
    (place / "times.csv").write_text("seconds\n0.1\n0.4\n")
    (place / "table.csv").write_text("x,y,z\n" + "".join(f"{a},{b},{c:.3f}\n" for a, b, c in rng.integers(-9, 9, (30, 3))))
    return place


def sweep_with(section: str, key: str, value: Any) -> dict[str, Any]:
    """Return a specification of a sweep in which a key of a section has a value."""
    small = section in ("workers", "law", "each", "racks", "states", "backup")
    workers: dict[str, Any] = {"count": 3} if small else {"count": 12} | ({"work": "unit"} if key == "blocks" else {})
    partition: dict[str, Any] = dict(THREE if small else TILES)
    series: dict[str, Any] = {"code": {"name": "ew"}}
    data: dict[str, Any] = {"deadlines": [0.3, 0.6], "gamma": GAMMA, "series": [series]}
    if section == "workers":
        workers |= {key: value} | ({"messages": 2} if key == "progress" else {})
        if key == "count":
            partition = dict(TILES)
    elif section == "law":
        law: dict[str, Any] = {"law": LAWS[key]}
        law |= {"shape": 2.0} if law["law"] in ("weibull", "pareto") else {}
        law |= {"compute": "exponential"} if law["law"] == "staged" else {}
        law |= COLUMNS if law["law"] == "trace" and key != "latencies" else {}
        law |= {"samples": "times.csv"} if key == "column" else {}
        law |= {"replay": "blocks"} if key == "block" else {"block": 2.0} if value == "blocks" else {}
        workers["latency"] = law | {key: value}
    elif section == "each":
        workers["latency"] = {"each": ["exponential", {"law": "weibull", "shape": 2.0}], "counts": [2, 1]} | {key: value}
    elif section == "racks":
        workers["racks"] = {"of": [0, 1, 1], "probability": 0.2, key: value}
    elif section == "states":
        workers["states"] = {"transition": [[0.5, 0.5], [0.2, 0.8]], "laws": ["exponential", "exponential"], key: value}
    elif section == "backup":
        workers["backup"] = {"name": "relaunch", key: value}
    elif section == "partition":
        partition = partition_with(key, value)
    elif section == "series":
        series[key] = value
    elif section == "code":
        series["code"] = code_with(key, value)
        workers["count"] = 18 if series["code"]["name"] == "repetition" else 12
    elif section == "optimize":
        workers |= {"count": 30, "work": "unit"}
        series["optimize"] = {"gamma": [0.3, 0.6], key: value} | {
            "q": {"objective": "quantile"},
            "x": {"objective": "exceedance"},
        }.get(key, {})
    elif section == "stop":
        pair = {"exceeding": {"exceedance_width": 0.1}, "exceedance_width": {"exceeding": 0.1}}
        data["stop"] = {key: value} | pair.get(key, {})
    elif section in ("grid", "zip"):
        data[section] = {key: value}
        if key == "labels":
            data[section] |= {"seed": [1, 2]}
        if key in ("rows", "cols", "order", "blocks"):
            partition = partition_with(key, 3)
            del partition[key]
        if key == "blocks":
            del partition["classes"]
        if key == "copies":
            series["code"], workers["count"] = {"name": "repetition"}, 18
        if key in ("gamma_b", "window"):
            series["code"] |= {"encoding": "factored"} | ({"window": "nested"} if key == "gamma_b" else {})
        if key == "code":
            del series["code"]
    elif section == "design":
        data["design"] = {key: value} | {"q": {"objective": "quantile"}, "x": {"objective": "exceedance"}}.get(key, {})
    if key == "rounds":
        workers["states"] = {"transition": [[0.5, 0.5], [0.2, 0.8]], "laws": ["exponential", "exponential"]}
    data |= {"workers": workers, "partitions": {"mine": partition}}
    return data | {key: value} if section == "sweep" else data


def partition_with(key: str, value: Any) -> dict[str, Any]:
    if key in ("a", "b", "rows", "cols", "order"):
        return {"paradigm": "rxc", "a": "left.npy", "b": "right.npy", "rows": 3, "cols": 3, "classes": [3, 3, 3], key: value}
    if key == "blocks":
        return {"paradigm": "cxr", "a": "left.npy", "b": "right.npy", "classes": [3, 3, 3], key: value}
    return TILES | {key: value}


def code_with(key: str, value: Any) -> dict[str, Any]:
    name = CODES.get(key, "ew")
    code: dict[str, Any] = {"name": name}
    if name == "windows":
        code |= {"supports": [[0, 1], [2, 3, 4, 5, 6, 7, 8]], "probabilities": [0.1, 0.9]}
    if name == "generator":
        code["matrix"] = "generator.npy"
    if key in ("window", "gamma_b"):
        code |= {"encoding": "factored"} | ({"window": "nested"} if key == "gamma_b" else {})
    return code | {key: value}


def study_with(section: str, key: str, value: Any) -> dict[str, Any]:
    """Return a specification of gradient coding in which a key of a section has a value."""
    source: dict[str, Any] = {"source": "gaussian", "rows": 60, "columns": 3, "seed": 5}
    series: dict[str, Any] = {"scheme": "exact-gradient"}
    data: dict[str, Any] = {
        "kind": "gradient-coding",
        "iterations": 10,
        "blocks": 6,
        "deadlines": [5, 20, 60],
        "workers": {"count": 12},
    }
    if section == "data":
        source |= {"source": "multivariate-t", "degrees": 3.0} if key == "degrees" else {}
        source = {"source": "file", "path": "table.csv"} if key in ("path", "target", "source") else source
        source = {"source": "scikit-learn"} if key == "name" else source
        source |= {key: value} | ({"ridge": 1.0} if key == "loss" else {})
    elif section == "study-series":
        series[key] = value
    elif section == "scheme":
        needed = {"replicated-sketch": "fastest", "sampled-sketch": "samples", "cyclic-code": "stragglers"}[SCHEMES[key]]
        series["scheme"] = {"name": SCHEMES[key], needed: 3, key: value}
    data |= {"data": {"mine": source}, "series": [series]}
    return data | {key: value} if section == "study" else data


def read(section: str, data: dict[str, Any], folder: Path) -> Any:
    """Return what is read of a specification, as text that says everything that counts."""
    data = copy.deepcopy(data)
    if section in ("study", "pool", "data", "study-series", "scheme"):
        study = parse_study(data, name="x", folder=folder)
        return [
            (study.title, study.show, study.show_iterations),
            *(
                (
                    p.series,
                    p.data,
                    p.problem.A.tolist(),
                    p.problem.b.tolist(),
                    p.problem.blocks,
                    p.problem.loss,
                    p.problem.ridge,
                    repr(p.scheme),
                    repr(p.workers),
                    p.iterations,
                    p.step,
                    p.decay,
                    p.deadlines,
                    p.realizations,
                    p.seed,
                )
                for p in study.points
            ),
        ]
    wanted = repr(parse_wanted(data))
    sweep = parse_spec(data, name="x", folder=folder)
    return [
        (sweep.title, sweep.show, wanted),
        *(
            (
                p.series,
                p.partition,
                repr(p.code),
                p.part.gram.tolist(),
                p.part.classes.tolist(),
                str(p.part.row_level),
                str(p.part.col_level),
                repr(p.workers),
                p.deadlines,
                repr(p.stop),
                p.seed,
            )
            for p in sweep.points
        ),
    ]


def with_key(section: str, key: str, value: Any) -> dict[str, Any]:
    study = section in ("study", "pool", "data", "study-series", "scheme")
    return study_with(section, key, value) if study else sweep_with(section, key, value)


def test_the_page_is_what_the_tables_of_keys_make() -> None:
    assert (ROOT / "docs" / "specification.md").read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("pair", PAIRS, ids=identified)
def test_every_example_is_read(pair: Any, folder: Path) -> None:
    section, key = pair
    if key.name == "name" and section == "data":
        pytest.importorskip("sklearn", reason="a table of scikit-learn")
    data = with_key(section, key.name, key.value)
    found = read(section, data, folder)
    assert len(found) > 1
    validate(data, SCHEMA)


@pytest.mark.parametrize("pair", [p for p in PAIRS if p[1].default_value is not None], ids=identified)
def test_a_key_that_is_left_out_has_its_default(pair: Any, folder: Path) -> None:
    section, key = pair
    given = with_key(section, key.name, key.default_value)
    missing = without(given, key.name, key.default_value)
    assert missing != given
    first, second = read(section, given, folder), read(section, missing, folder)
    if section in ("code", "scheme"):  # what is given is in the label
        first, second = ([(None, *point[1:]) for point in found] for found in (first, second))
    assert first == second
    other = key.value
    if other != key.default_value:
        assert read(section, with_key(section, key.name, other), folder) != first


def without(data: Any, key: str, value: Any) -> Any:
    """Return the tables without a key that has a value."""
    if isinstance(data, dict):
        return {k: without(v, key, value) for k, v in data.items() if (k, v) != (key, value)}
    return [without(v, key, value) for v in data] if isinstance(data, list) else data


@pytest.mark.parametrize("section", SECTIONS)
def test_a_key_that_is_in_no_table_is_refused(section: str, folder: Path) -> None:
    key = SECTIONS[section].keys[0]
    data = with_key(section, key.name, key.value)
    read(section, data, folder)
    with pytest.raises(SpecError, match="unknown key 'gamme'"):
        read(section, with_key(section, "gamme", 1) if section not in ("law", "code", "scheme") else strange(section), folder)
    with pytest.raises(AssertionError):
        validate(with_key(section, "gamme", 1) if section not in ("law", "code", "scheme") else strange(section), SCHEMA)


def strange(section: str) -> dict[str, Any]:
    """Return a specification whose law, code or scheme has a key that none has."""
    if section == "scheme":
        return study_with("study-series", "scheme", {"name": "exact-gradient", "gamme": 1})
    if section == "law":
        return sweep_with("workers", "latency", {"law": "exponential", "gamme": 1})
    return sweep_with("series", "code", {"name": "mds", "gamme": 1})


def test_the_tables_have_every_key_that_readers_take_from_elsewhere() -> None:
    for section in ("law", "code", "backup", "scheme", "racks", "states"):
        taken = {f.name for kind in SECTIONS[section].kinds.values() for f in dataclasses.fields(kind)}
        taken |= {"column", "round", "worker", "latency"} if section == "law" else set()
        assert set(names(SECTIONS[section].keys)) == taken, section
    cut = {
        "paradigm",
        "classes",
        "row_levels",
        "col_levels",
        *describe.MODEL_KEYS,
        *(k for ks in describe.MATRIX_KEYS.values() for k in ks),
    }
    assert set(names(SECTIONS["partition"].keys)) == cut
    assert names(SECTIONS["grid"].keys) == axes.AXES
    assert set(STOP_KEYS) == {f.name for f in dataclasses.fields(StopRule)}
    assert set(names(SECTIONS["data"].keys)) == {"source", "loss", "ridge", "blocks", *(k for ks in SOURCES.values() for k in ks)}


@pytest.mark.parametrize("pair", [p for p in PAIRS if p[1].default == REQUIRED_KEY], ids=identified)
def test_what_is_required_is_missed(pair: Any, folder: Path) -> None:
    section, key = pair
    if key.name in ("kind", "each"):
        return  # what names the kind of the table: one without it is another
    data = without(with_key(section, key.name, key.value), key.name, key.value)
    with pytest.raises(SpecError, match=f"{key.name} is missing"):
        read(section, data, folder)


@pytest.mark.parametrize("name", bundled_specs())
def test_bundled_specifications_follow_the_schema(name: str) -> None:
    data = tomllib.loads((SPECS / f"{name}.toml").read_text(encoding="utf-8"))
    validate(data, SCHEMA)
    assert not follows(data | {"series": []}, SCHEMA)
    assert not follows(data | {"deadlines": "soon"}, SCHEMA)
    assert not follows(data | {"workers": data["workers"] | {"latency": "weibul"}}, SCHEMA)
