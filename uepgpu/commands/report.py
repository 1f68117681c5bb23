"""What ``uepgpu report`` does: from a store to one HTML file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from uepgpu.commands.outcome import exits, refusing, writing
from uepgpu.files import check_file
from uepgpu.report.file import PAGE, plotly_source
from uepgpu.report.page import build_page
from uepgpu.store.sections import Section, only_series, read_sections

__all__ = ["run_report"]


@exits
def run_report(
    store: str, *, output: str | None, sweep: str | None, series: Sequence[str], at: Sequence[float], force: bool = False
) -> int:
    """Write the report of a store, and return the exit code; parameters as for :func:`uepgpu.commands.plot.run_plot`."""
    with refusing():
        name = f"{Path(store).stem}.html" if output is None else output
        file = check_file("--output", name, (PAGE,), force=force, inputs=(store,))
        source = plotly_source()
        sections = _chosen(read_sections(store, sweep=sweep), series)
        page = build_page(Path(store).name, sections, source, tuple(at)).encode()
    with writing("the report", file.path):
        file.write(page)
    print(f"Report  {file.path}  ({len(page) / 1e6:.1f} MB, opens without a network)")
    return 0


def _chosen(sections: Sequence[Section], series: Sequence[str]) -> list[Section]:
    """Return the sections with the wanted series alone; one without any is left out."""
    every = [p for s in sections for p in s.points]
    wanted = {id(p) for p in only_series(every, series)}
    kept = [dataclasses.replace(s, points=tuple(p for p in s.points if id(p) in wanted)) for s in sections]
    return [s for s in kept if s.points]
