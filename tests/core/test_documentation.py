"""Documentation keeps its promises: public names have examples, and what is cited exists."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import uepgpu
from tests.cases.requirements import ROOT, missing

MODULES = ("uepgpu", "uepgpu.codes", "uepgpu.latency", "uepgpu.theory", "uepgpu.design", "uepgpu.gradient_coding", "uepgpu.replay")
NESTED = ("uepgpu.gradient_coding.theory",)
CLASSES = (*uepgpu.Tally.__mro__[:2], uepgpu.Partition)
"""Classes whose methods are public names too."""

FOLDERS = ("uepgpu", "kernels", "tests", "bench", "tools", "docs", ".ci")
SUFFIXES = (".py", ".md", ".toml", ".css", ".js")
PATH = re.compile(r"`((?:uepgpu|kernels|tests|bench|tools|docs|\.ci)/[\w./-]*)`")


# --- examples --------------------------------------------------------------------------------------------------------


def public(module: str) -> Iterator[tuple[str, Any]]:
    """Yield the public classes and functions of a module with their names."""
    loaded = importlib.import_module(module)
    for name in loaded.__all__:
        thing = getattr(loaded, name)
        if inspect.isclass(thing) or inspect.isroutine(thing):
            yield f"{module}.{name}", thing


def methods(kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods that a class defines, with their names."""
    for name, thing in vars(kind).items():
        plain = getattr(thing, "__func__", thing)
        if inspect.isfunction(plain) and not name.startswith("_"):
            yield f"{kind.__name__}.{name}", plain


def has_example(thing: Any) -> bool:
    """Whether a docstring has an example; that of a class or of its constructor."""
    texts = [thing.__doc__, getattr(thing, "__init__", None).__doc__ if inspect.isclass(thing) else None]
    return any(">>> " in text for text in texts if text)


def test_every_public_name_has_an_example():
    named = [pair for module in (*MODULES, *NESTED) for pair in public(module)]
    named += [pair for kind in CLASSES for pair in methods(kind)]
    assert len(named) > 60
    assert [name for name, thing in named if not has_example(thing)] == []


def test_every_public_name_of_training_has_an_example():
    if importlib.util.find_spec("torch") is None:
        missing('PyTorch is not installed: pip install "uepgpu[train]"', "UEPGPU_REQUIRE_TORCH")
    named = list(public("uepgpu.train"))
    assert named
    assert [name for name, thing in named if not has_example(thing)] == []


def test_names_without_an_example_are_found():
    class Bare:
        """No example."""

        def told(self):
            """Return 1.

            >>> 1
            1
            """

        def silent(self):
            pass

    assert not has_example(Bare)
    assert [name for name, thing in methods(Bare) if has_example(thing)] == ["Bare.told"]
    assert [name for name, thing in methods(Bare) if not has_example(thing)] == ["Bare.silent"]


# --- citations -------------------------------------------------------------------------------------------------------


def sources() -> list[Path]:
    """Return every text file of the project."""
    found = [p for folder in FOLDERS for p in (ROOT / folder).rglob("*") if p.suffix in SUFFIXES and "__pycache__" not in p.parts]
    return sorted([*found, *ROOT.glob("*.md"), ROOT / "pyproject.toml"])


def sections(document: str) -> set[str]:
    """Return the numbers of a document's sections."""
    return set(re.findall(r"^#+ (\d+)\b", document, re.MULTILINE))


def anchors(document: str) -> set[str]:
    """Return the anchors of a document: what GitHub makes of its headings."""
    headings = re.findall(r"^#+ (.+)$", document, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken(text: str, path: Path) -> list[str]:
    """Return the citations in the text of a file that lead nowhere."""
    plain = re.sub(r"\s+(#\s+)?", " ", text)  # a citation may run on in the next line, of a comment too
    wrong = []
    for name, numbers in re.findall(r"\bdocs/([\w.-]+\.md)`?((?:,? (?:and |to )?§\d+)*)", plain):
        document = ROOT / "docs" / name
        if not document.is_file():
            wrong.append(f"docs/{name}")
            continue
        known = sections(document.read_text(encoding="utf-8"))
        wrong += [f"docs/{name} §{n}" for n in re.findall(r"\d+", numbers) if n not in known]
    for name in re.findall(r"(?<![\w./-])([\w-]+\.md)\b", plain):  # by its bare name
        if not any((place / name).is_file() for place in (ROOT, ROOT / "docs", path.parent)):
            wrong.append(name)
    if path.suffix != ".md":
        return wrong
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        document = path.parent / name if name else None
        exists = document is None or document.exists()
        if exists and anchor:
            exists = anchor in anchors(text if document is None else document.read_text(encoding="utf-8"))
        if not exists:
            wrong.append(target)
    # NAME stands for the reader's own in recipes.
    return wrong + [path for path in PATH.findall(text) if "NAME" not in path and not (ROOT / path).exists()]


def test_every_citation_resolves():
    wrong = {p: broken(p.read_text(encoding="utf-8"), p) for p in sources() if p != Path(__file__)}
    assert len(wrong) > 300
    assert {path: found for path, found in wrong.items() if found} == {}


@pytest.mark.parametrize(
    "text, found",
    [
        ("as in docs/mathematics.md §3 to §6 and docs/sweeps.md", []),
        ("docs/mathematics.md\n    §99: deep", ["docs/mathematics.md §99"]),
        ("docs/mathematics.md §3, §5 and §77", ["docs/mathematics.md §77"]),
        ("see docs/nowhere.md", ["docs/nowhere.md"]),
        ("see NOTES.md §2", ["NOTES.md"]),
        ("[a](docs/sweeps.md#stop-rules), [b](https://example.org/x.md)", []),
        ("[a](docs/sweeps.md#start-rules)", ["docs/sweeps.md#start-rules"]),
        ("# Some heading, here\n[a](#some-heading-here) [b](#other)", ["#other"]),
        ("[a](docs/none.png)", ["docs/none.png"]),
        ("`uepgpu/monte_carlo.py`, `uepgpu/commands/NAME.py`", []),
        ("`uepgpu/nowhere.py`", ["uepgpu/nowhere.py"]),
    ],
)
def test_citations_that_lead_nowhere_are_found(text, found):
    assert broken(text, ROOT / "README.md") == found
