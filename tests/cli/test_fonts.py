"""Characters that the usual font does not have: other fonts are tried, and what none has is said once."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

from tests.cases.command_line import call
from tests.cases.specifications import SMALL
from uepgpu.figures import to_bytes
from uepgpu.figures.fonts import _families, fitted_fonts

NOBODYS = "\U0010abcd\U0010abce"
"""At the far end of the private use area: no font has them."""


def figure(*texts: str) -> Figure:
    made = Figure(figsize=(2, 2))
    for number, text in enumerate(texts):
        made.text(0.1, 0.2 * number, text)
    return made


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_characters_that_no_font_has_are_said_once(form: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        content = to_bytes(figure(f"first {NOBODYS[0]}", f"second {NOBODYS}", "third"), form)
    assert len(content) > 500
    (only,) = caught
    assert str(only.message) == f"no font that is installed has the characters {NOBODYS!r}, which the figure shows as boxes"


def test_a_font_that_has_the_character_is_used() -> None:
    usual = set(FT2Font(font_manager.findfont("DejaVu Sans")).get_charmap())
    other = FT2Font(font_manager.findfont("STIXGeneral", fallback_to_default=False))
    character = chr(min(c for c in set(other.get_charmap()) - usual if chr(c).isprintable()))
    made = figure(character, "a usual word")
    first, second = made.texts
    with fitted_fonts(made):
        assert first.get_fontfamily() == ["sans-serif", *_families(frozenset(character))[0]]
        assert second.get_fontfamily() == ["sans-serif"]
    assert first.get_fontfamily() == ["sans-serif"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert to_bytes(made, "png") != to_bytes(figure("\N{REPLACEMENT CHARACTER}", "a usual word"), "png")


def test_the_command_line_says_it_in_one_line_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.toml").write_text(SMALL.replace('"EW"', f'"{NOBODYS} EW"'), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.simplefilter("ignore", DeprecationWarning)  # of one library about another, which nobody is shown
        assert call(monkeypatch, "sweep", "small.toml", "--backend", "numpy") == 0
    err = capsys.readouterr().err
    assert err.startswith("uepgpu: warning: no font that is installed has the characters ")
    assert err.count("\n") == 1
    assert Path("uepgpu-small/loss.png").is_file()


@pytest.mark.parametrize("words", [("sweep", "small.toml"), ("sweep", "gradient-coding"), ("train", "digits")])
def test_a_backend_of_matplotlib_that_is_none_is_refused_before_anything_runs(tmp_path: Path, words: tuple[str, ...]) -> None:
    import subprocess
    import sys

    from tests.cases.command_line import environment

    if words[0] == "train":
        pytest.importorskip("torch")
    (tmp_path / "small.toml").write_text(SMALL)
    done = subprocess.run(
        [sys.executable, "-m", "uepgpu", *words, "--out", "x"],
        cwd=tmp_path,
        env=environment() | {"MPLBACKEND": "nonsense"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "uepgpu: the environment variable MPLBACKEND must name a backend of matplotlib, got 'nonsense'\n"
    assert os.listdir(tmp_path) == ["small.toml"]
