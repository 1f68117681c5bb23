"""What a training keeps is verified before it is used: other keys, shapes, numbers or formats are told in one line."""

from __future__ import annotations

import re
import zipfile

import numpy as np
import pytest

from tests.cases.command_line import call
from tests.cases.courses import DATA, settings
from uepgpu.train import Member
from uepgpu.train.checkpoint import Checkpoints
from uepgpu.train.course import Course
from uepgpu.train.networks import DIGITS

SHORT = ("--replicas", "3", "--epochs", "1", "--evaluate-every", "20", "--threads", "1")


def uepgpu(monkeypatch, *words, code=0):
    assert call(monkeypatch, "train", *map(str, words)) == code


@pytest.fixture
def no_figures(monkeypatch):
    """Drawing takes longer than training here."""
    monkeypatch.setattr("uepgpu.commands.train._figures", lambda courses, name: {})


SPOILT = {
    "missing keys": lambda path, arrays: np.savez(path, **{k: v for k, v in arrays.items() if k != "bias1"}),
    "another shape": lambda path, arrays: np.savez(path, **arrays | {"weight0": np.ones((1, 1, 1), np.float32)}),
    "other numbers": lambda path, arrays: np.savez(path, **arrays | {"bias0": arrays["bias0"] + 1}),
    "no checksum": lambda path, arrays: np.savez(path, **{k: v for k, v in arrays.items() if k != "checksum"}),
    "a text": lambda path, arrays: path.write_text("a diary"),
    "encrypted": lambda path, arrays: path.write_bytes(_encrypted(path.read_bytes())),
    "compressed in another way": lambda path, arrays: _bzipped(path),
}


def _encrypted(content):
    """Set the bit of every member that says so, in its own header and in the table of contents."""
    content = bytearray(content)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + at] |= 1
            place = content.find(mark, place + 1)
    return bytes(content)


def _bzipped(path):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_state_that_is_not_that_of_the_stack_is_told_in_one_line(tmp_path, monkeypatch, capsys, no_figures, spoil):
    words = ("digits", "--codes", "ew", "--deadline", "1", "--stack", "3", *SHORT, "--out", tmp_path)
    _stopped(monkeypatch, words)
    (path,) = (tmp_path / "stacks").glob("*-state.npz")
    with np.load(path) as archive:
        arrays = dict(archive)
    spoil(path, arrays)
    capsys.readouterr()
    uepgpu(monkeypatch, *words, code=2)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert re.search(r"0000-state\.npz cannot be read \(.*\): delete it, its stack is then trained anew", err)
    path.unlink()
    uepgpu(monkeypatch, *words)


def _stopped(monkeypatch, words):
    """Train until a state is kept, then stop."""
    keep = Checkpoints.keep

    def keep_and_stop(store, number, state):
        keep(store, number, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("uepgpu.train.run.SECONDS_BETWEEN_CHECKPOINTS", 0)
        patched.setattr(Checkpoints, "keep", keep_and_stop)
        uepgpu(monkeypatch, *words, code=130)


def test_curves_that_were_damaged_are_told_in_one_line(tmp_path, monkeypatch, capsys, no_figures):
    words = ("digits", "--codes", "centralized", *SHORT, "--out", tmp_path)
    uepgpu(monkeypatch, *words)
    (path,) = (tmp_path / "stacks").glob("*-curves.npz")
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **arrays | {"final": arrays["final"] * 0.5})
    capsys.readouterr()
    uepgpu(monkeypatch, *words, code=2)
    assert "0000-curves.npz cannot be read (its checksum does not fit)" in capsys.readouterr().err


def test_a_stack_takes_no_state_of_another_shape():
    stack = Course(DATA, DIGITS, [Member(None, 0)], settings()).stack
    state = stack.state()
    for spoilt in (state | {"weight0": state["weight0"][:, :1]}, {k: v for k, v in state.items() if k != "bias1"}):
        with pytest.raises(ValueError, match=r"the state of a stack must hold (weight0|bias1) of shape"):
            stack.restore(spoilt)
