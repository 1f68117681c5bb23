"""A report of the shared store, and its page taken apart."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.cases.command_line import call


class Reader(HTMLParser):
    """Collects the text outside scripts and styles, elements with their attributes, and scripts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._in = tag
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._in:
            self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in:
            self.scripts[-1] += data
        else:
            self.text.append(data)


def write_page(store: Path, folder: Path) -> Path:
    """Write the report of a store by the command line."""
    file = folder / "page.html"
    with pytest.MonkeyPatch.context() as patch:
        assert call(patch, "report", str(store), "-o", str(file)) == 0
    return file


def read_page(page: Path) -> Reader:
    """Take a page apart."""
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader
