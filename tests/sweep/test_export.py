"""Exports agree with each other, replace nothing of others, and name what they lack."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cases.requirements import ROOT
from tests.cases.sweeps import collect, sweep
from uepgpu.commands.export import run_export
from uepgpu.results.export import dataset
from uepgpu.store.stored import read_points


def test_exports_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parquet, xr = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("xarray")
    pytest.importorskip("h5py")
    collect(tmp_path / "s.db", sweep())
    files = {name: str(tmp_path / f"x.{name}") for name in ("csv", "parquet", "netcdf")}
    assert run_export(str(tmp_path / "s.db"), **files) == 0
    assert capsys.readouterr().out.count(": 9 rows\n") == 2
    points = read_points(tmp_path / "s.db")
    expected = dataset(points)
    assert expected.sizes == {"point": 3, "step": 3}
    with (tmp_path / "x.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [float(r["normalized_loss"]) for r in table] == expected.normalized_loss.values.ravel().tolist()
    assert [r["point"] for r in table] == np.repeat(expected.point.values, 3).tolist()
    rows = parquet.read_table(files["parquet"]).to_pylist()
    assert [r["loss_high"] for r in rows] == expected.loss_high.values.ravel().tolist()
    assert {r["normalized_loss_exact"] for r in rows if r["series"] == "nested"} == {None}
    for name in ("normalized_loss_sd", "normalized_loss_q90"):
        assert {r[name] for r in rows if r["series"] == "nested"} == {None}
        assert [np.nan if r[name] is None else r[name] for r in rows] == pytest.approx(expected[name].values.ravel(), nan_ok=True)
        assert any(r[name] for r in rows)
    with xr.open_dataset(files["netcdf"], engine="h5netcdf") as read:
        assert read.load().normalized_loss.identical(expected.normalized_loss)
        assert np.isnan(read.normalized_loss_exact.sel(point=points[1].id).values).all()
    assert run_export(str(tmp_path / "s.db"), csv=None, parquet=None, netcdf=None) == 2
    assert run_export(str(tmp_path / "s.db"), csv=str(tmp_path / "x.csv" / "x.csv"), parquet=None, netcdf=None) == 2


def test_exports_replace_no_store_and_no_specification(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, other, spec = tmp_path / "s.db", tmp_path / "other.CSV", tmp_path / "spec.toml"
    collect(store, sweep(realizations=100))
    other.write_bytes(store.read_bytes())
    spec.write_text("realizations = 5\n")
    (tmp_path / "link.csv").symlink_to(store)
    held = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    nothing: dict[str, str | None] = {"csv": None, "parquet": None, "netcdf": None}
    cases = [
        ({"csv": store}, "--csv must end in .csv, got"),
        ({"parquet": spec}, "--parquet must end in .parquet, got"),
        ({"netcdf": tmp_path / "x"}, "--netcdf must end in .nc or .netcdf, got"),
        ({"csv": other}, "is a store or another SQLite file"),
        ({"csv": tmp_path / "link.csv"}, "is an input of this call"),
        ({"csv": tmp_path / "x.csv", "parquet": tmp_path / "x.csv"}, "--parquet must end in .parquet, got"),
    ]
    for targets, message in cases:
        assert run_export(str(store), **(nothing | {name: str(path) for name, path in targets.items()})) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.count("\n") == 1
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == held
    # What an export wrote, another may replace.
    for _ in range(2):
        assert run_export(str(store), **(nothing | {"csv": str(tmp_path / "x.csv")})) == 0


def test_export_without_its_libraries_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    collect(tmp_path / "s.db", sweep(realizations=100))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run_export(str(tmp_path / "s.db"), csv=None, parquet=str(tmp_path / "x.parquet"), netcdf=None) == 2
    err = capsys.readouterr().err
    assert 'pip install "uepgpu[export]"' in err
    assert err.count("\n") == 1


def _columns_of_the_page(heading: str) -> set[str]:
    """Return the names in the first column of the tables below a heading of docs/files.md."""
    page = (ROOT / "docs/files.md").read_text(encoding="utf-8")
    (section,) = (part for part in page.split("\n## ")[1:] if part.startswith(heading))
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_the_page_of_files_names_every_column_and_table() -> None:
    from uepgpu.commands import best
    from uepgpu.gradient_coding import table as descents
    from uepgpu.results import answers, export, table
    from uepgpu.store import tables

    for heading, columns in {
        "`table.csv` of a sweep": (*table.COLUMNS, *export.EXTRA, *export.OF_THE_BOUND, *export.OF_THE_ROUND),
        "`uepgpu best --csv`": best.COLUMNS,
        "`design.csv`": answers.COLUMNS,
        "`table.csv` of gradient coding": descents.COLUMNS,
        "`store.db`": (*map(tables.name_of, (*tables.TABLES, tables.Inventory)), "meta", "owner", "claim"),
    }.items():
        assert _columns_of_the_page(heading) == set(columns), heading


def test_the_page_of_files_names_every_column_of_a_training() -> None:
    pytest.importorskip("torch")
    from uepgpu.train.results import curves_csv, reached_csv

    trained = {name for text in (curves_csv([]), reached_csv([], [])) for name in text.strip().split(",")}
    assert _columns_of_the_page("`curves.csv`") == trained
