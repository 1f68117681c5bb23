"""People's words in figures: shown as they are written."""

from __future__ import annotations

__all__ = ["plain"]


def plain(text: str) -> str:
    r"""Return what matplotlib shows as `text`: a dollar sign is one, and begins no formula.

    Labels and titles stand in tables, files and pages too, where nothing reads formulas; and a broken one would cost the figure.

    Examples
    --------
    >>> print(plain("at $5 and $10"))
    at \$5 and \$10
    """
    return text.replace("$", r"\$")
