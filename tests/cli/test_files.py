"""Outputs replace earlier outputs of their kind and nothing else; what is at a name is the old file or the whole new one."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.cases.command_line import call
from tests.cases.stores import shared_store
from uepgpu.files import Kind, check_file, expand, new_file, write_file
from uepgpu.files.writing import _prefix

TEXT = Kind(("txt",), b"uepgpu text")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_store(tmp_path_factory)


def listing(folder: Path) -> dict[str, bytes | str]:
    """What is in a folder: the content of files, the targets of links."""
    return {p.name: os.readlink(p) if p.is_symlink() else p.read_bytes() for p in folder.iterdir() if not p.is_dir()}


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "--out must be a name, got ''"),
        ("a\0b", "--out must be a name without null characters"),
        ("o\udcff", "--out must be a name in UTF-8"),
        ("~nobody-of-that-name/x", "a user who is not there"),
        ("a" * 256, "255 bytes at most"),
        ("a/" * 2500 + "b", "255 bytes at most, 4000 with its folders"),
    ],
)
def test_a_name_that_no_file_can_have_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^--out must") as caught:
        expand("--out", name)
    assert message in str(caught.value)
    assert len(str(caught.value)) <= 300


# --- what is replaced -------------------------------------------------------------------------------------------------


def test_only_an_earlier_output_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    check_file("-o", str(path), (TEXT,)).write(b"uepgpu text 1")
    check_file("-o", str(path), (TEXT,)).write(b"uepgpu text 2")
    path.write_bytes(b"a diary")
    with pytest.raises(ValueError, match="is there and is no earlier output of this kind; --force replaces it"):
        check_file("-o", str(path), (TEXT,))
    check_file("-o", str(path), (TEXT,), force=True).write(b"uepgpu text 3")
    assert listing(tmp_path) == {"x.txt": b"uepgpu text 3"}


def test_inputs_stores_and_devices_are_not_replaced_by_force_either(tmp_path: Path) -> None:
    for name, content in (("in.txt", b"uepgpu text"), ("store.txt", b"SQLite format 3\0...")):
        (tmp_path / name).write_bytes(content)
    os.link(tmp_path / "in.txt", tmp_path / "hard.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    for name, message in (
        ("in.txt", "is an input"),
        ("hard.txt", "is an input"),
        ("store.txt", "is a store"),
        ("pipe.txt", "special file"),
    ):
        with pytest.raises(ValueError, match=message):
            check_file("-o", str(tmp_path / name), (TEXT,), force=True, inputs=(tmp_path / "in.txt",))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "diary").write_bytes(b"uepgpu text of somebody else")
    (tmp_path / "x.txt").symlink_to("diary")
    with pytest.raises(ValueError, match="no earlier output"):
        check_file("-o", str(tmp_path / "x.txt"), (TEXT,))
    check_file("-o", str(tmp_path / "x.txt"), (TEXT,), force=True).write(b"uepgpu text")
    assert listing(tmp_path) == {"diary": b"uepgpu text of somebody else", "x.txt": b"uepgpu text"}


def test_a_file_that_comes_meanwhile_is_left_alone(tmp_path: Path) -> None:
    output = check_file("-o", str(tmp_path / "x.txt"), (TEXT,))
    (tmp_path / "x.txt").write_bytes(b"a diary")
    with pytest.raises(OSError, match="no earlier output"):
        output.write(b"uepgpu text")
    assert listing(tmp_path) == {"x.txt": b"a diary"}


# --- how it is written ------------------------------------------------------------------------------------------------


def test_writers_do_not_meet_and_readers_see_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    contents = [bytes([i]) * 200_000 for i in range(4)]
    write_file(path, contents[0])
    writers = [threading.Thread(target=lambda c=c: [write_file(path, c) for _ in range(20)]) for c in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_bytes() in contents
    for writer in writers:
        writer.join()
    assert os.listdir(tmp_path) == ["x.txt"]


def test_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "x", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom uepgpu.files import new_file\n"
        "with new_file(Path(sys.argv[1]) / 'x.txt') as part:\n    part.write_bytes(b'half')\n    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=False, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".uepgpu-")
    with new_file(tmp_path / "y.txt") as part:
        assert part in set(tmp_path.iterdir())
        assert left not in set(tmp_path.iterdir())
        write_file(tmp_path / "z.txt", b"z")
        assert part.exists()
        part.write_bytes(b"y")
    assert listing(tmp_path) == {"y.txt": b"y", "z.txt": b"z"}


def test_a_name_of_full_length_can_be_written(tmp_path: Path) -> None:
    name = "n" * 251 + ".txt"
    check_file("-o", str(tmp_path / name), (TEXT,)).write(b"uepgpu text")
    assert list(listing(tmp_path)) == [name]


# --- commands ---------------------------------------------------------------------------------------------------------


OUTPUTS = {
    "plot png": ("plot", "{store}", "--sweep", "{sweep}", "--series", "*", "-o", "x.png"),
    "plot svg": ("plot", "{store}", "--sweep", "{sweep}", "-o", "x.svg"),
    "plot pdf": ("plot", "{store}", "--sweep", "{sweep}", "-o", "x.pdf"),
    "report": ("report", "{store}", "-o", "x.html"),
    "csv": ("export", "{store}", "--csv", "x.csv"),
    "parquet": ("export", "{store}", "--parquet", "x.parquet"),
    "netcdf": ("export", "{store}", "--netcdf", "x.nc"),
}


@pytest.mark.parametrize("words", OUTPUTS.values(), ids=OUTPUTS)
def test_a_command_replaces_its_earlier_output_and_no_other_file(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    from uepgpu.store.stored import read_sweeps

    if words[0] == "report":
        pytest.importorskip("plotly")
    if words[-2] in ("--parquet", "--netcdf"):
        pytest.importorskip("pyarrow")
        pytest.importorskip("h5netcdf")
    monkeypatch.chdir(tmp_path)
    words = tuple(word.format(store=store, sweep=read_sweeps(store)[0].name) for word in words)
    for _ in range(2):
        assert call(monkeypatch, *words) == 0
    written = Path(words[-1])
    (content,) = listing(tmp_path).values()
    assert isinstance(content, bytes)
    # The beginning alone, as another program's file of that format has, is not enough.
    written.write_bytes(content[:8] + b" of another program")
    capsys.readouterr()
    assert call(monkeypatch, *words) == 2
    assert "is no earlier output of this kind" in capsys.readouterr().err
    assert listing(tmp_path) == {words[-1]: content[:8] + b" of another program"}
    assert call(monkeypatch, *words, "--force") == 0
    assert written.read_bytes()[:8] == content[:8]


def test_multiply_does_not_write_onto_a_factor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("A.npy", np.ones((9, 9)))
    np.save("B.npy", np.eye(9))
    Path("link.npy").symlink_to("A.npy")
    before = listing(tmp_path)
    for name, message in (("A.npy", "is an input of this call"), ("./B.npy", "is an input"), ("link.npy", "is an input")):
        words = ("A.npy", "B.npy", "--code", "mds", "--deadline", "1", "--realizations", "2", "--backend", "numpy", "-o", name)
        for force in ((), ("--force",)):
            assert call(monkeypatch, "multiply", *words, *force) == 2
            assert message in capsys.readouterr().err
            assert listing(tmp_path) == before


def test_bench_and_sweep_do_not_write_onto_a_store(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("victim.db", "victim.json", "table.csv"):
        Path(name).write_bytes(store.read_bytes())
    before = listing(tmp_path)
    for words, message in (
        (("bench", "--json", "victim.db"), "--json must end in .json"),
        (("bench", "--json", "victim.json", "--force"), "is a store or another SQLite file"),
        (("sweep", "paper", "--out", ".", "--force"), "is a store or another SQLite file"),
        (("sweep", "paper", "--out", "new", "--store", "new/table.csv"), "is an input of this call"),
    ):
        assert call(monkeypatch, *words) == 2
        assert message in capsys.readouterr().err
        assert listing(tmp_path) == before


def test_a_table_of_somebody_else_in_the_folder_of_the_results_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text("name,phone\nA,1\n")
    for spec in ("paper", "gradient-coding"):
        assert call(monkeypatch, "sweep", spec, "--out", ".", "--realizations", "1") == 2
        assert "'table.csv' is there and is no earlier output of this kind" in capsys.readouterr().err
    assert listing(tmp_path) == {"table.csv": b"name,phone\nA,1\n"}


def test_temporary_names_are_told_by_machine_and_process() -> None:
    assert str(os.getpid()) in _prefix(os.getpid()).split("-")
