"""Text of users in figures, shown as it is written."""

from __future__ import annotations

__all__ = ["plain"]


def plain(text: str) -> str:
    r"""Return what matplotlib shows as `text`: a dollar sign does not start a formula.

    Labels and titles also appear in tables, files and pages, which show no formulas; and a malformed one would cost the figure.

    Examples
    --------
    >>> print(plain("at $5 and $10"))
    at \$5 and \$10
    """
    return text.replace("$", r"\$")
