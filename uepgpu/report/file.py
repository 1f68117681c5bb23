"""A report as a file, from Python."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from uepgpu.checks import real_array
from uepgpu.files import Kind, check_file
from uepgpu.report.page import build_page
from uepgpu.results.opened import Results, chosen, in_words_of_python

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["PAGE", "plotly_source", "write_report"]

PAGE = Kind(("html",), b"<!DOCTYPE html>", b"<title>uepgpu report: ")


def plotly_source() -> str:
    """Return the source of plotly.js.

    Raises
    ------
    ValueError
        If plotly is not installed; with the remedy.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ValueError(f'a report needs plotly ({error}): pip install "uepgpu[report]"') from None
    return str(get_plotlyjs())


def write_report(
    results: Results | str | os.PathLike[str], path: str | os.PathLike[str], *, at: ArrayLike = (), force: bool = False
) -> Path:
    """Write one self-contained, interactive HTML file of what was simulated, and return its path.

    Parameters
    ----------
    results : Results or path
        What :func:`uepgpu.run_sweep` or :func:`uepgpu.open_store` returned, or the file of a store.
    path : path
        A .html file; an earlier report is replaced.
    at : array_like of float
        Deadlines of charts of a few deadlines. Default: those that the specification shows, or a few.
    force : bool
        Replace a file that is no earlier report.

    Raises
    ------
    ValueError
        If plotly is not installed, `at` is none of the deadlines, or the file is another one than an earlier report.
    OSError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile, uepgpu as uep
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     uep.write_report(uep.run_sweep("paper", realizations=1000), f"{folder}/report.html").name
    'report.html'

    References
    ----------
    docs/reports.md.
    """
    inputs = () if isinstance(results, Results) else (os.fspath(results),)
    found = chosen(results)
    file = check_file("path", os.fspath(path), (PAGE,), force=force, inputs=inputs)
    times = tuple(real_array("at", at).ravel().tolist())
    with in_words_of_python():
        page = build_page(found.name, found.sections, plotly_source(), times)
    file.write(page.encode())
    return file.path
