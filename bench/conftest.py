"""Prints the ratio tables of a benchmark run at its end."""

from __future__ import annotations

import pytest

TABLES = []


@pytest.fixture
def table():
    """Collect a table: a title and lines."""
    return lambda title, lines: TABLES.append((title, lines))


def pytest_terminal_summary(terminalreporter):
    for title, lines in TABLES:
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
