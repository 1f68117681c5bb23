"""How Sphinx builds this folder into a site: ``python -m sphinx -W -b html docs site``. Nothing here needs a network."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]
# Kernels of notebooks run in processes of their own, which have to find the project too.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "kernels"), os.environ.get("PYTHONPATH", "")]))

import uepgpu  # noqa: E402 - after its place is known

project = "uepgpu"
author = "The uepgpu authors"
copyright = author
version = release = uepgpu.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "jupyter_execute", ".jupyter_cache"]
html_theme = "furo"
html_title = f"uepgpu {release}"
html_copy_source = False
html_show_sphinx = False

myst_heading_anchors = 4  # those that GitHub makes, so that links hold in both places

nb_execution_mode = "auto"  # notebooks are kept without their output
nb_execution_raise_on_error = True
nb_execution_timeout = 120

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures would repeat what the docstrings say
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False  # words of descriptions of types are no references


class Commands(Directive):
    """A section for every command of ``uepgpu`` with its own ``--help``, asked while the site is built."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        from rich.console import Console

        from uepgpu.cli import call  # noqa: F401 - it registers every command
        from uepgpu.cli.app import app

        sections: list[nodes.Node] = []
        for name in ["", *sorted(name for name in app if not name.startswith("-"))]:
            text = io.StringIO()
            app.help_print([name] if name else [], console=Console(file=text, width=96))
            title = f"uepgpu {name}".strip()
            section = nodes.section(ids=[nodes.make_id(title)], names=[nodes.fully_normalize_name(title)])
            section += nodes.title(text=title)
            shown = "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines())
            section += nodes.literal_block(shown, shown, language="text")
            self.state.document.note_implicit_target(section)
            sections.append(section)
        return sections


def link_citations(app: Any, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Make links of what docstrings cite as ``docs/mathematics.md §4``."""
    lines[:] = [re.sub(r"`{0,2}docs/([\w-]+)\.md`{0,2}((?: §\d+)?)", r":doc:`\1\2 </\1>`", line) for line in lines]


def setup(app: Any) -> dict[str, bool]:
    """Register the directive, and what is done to docstrings."""
    app.add_directive("commands", Commands)
    app.connect("autodoc-process-docstring", link_citations)
    return {"parallel_read_safe": True}
