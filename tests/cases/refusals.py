"""Bad values: one ``ValueError`` on one line that names the argument, its value and what is allowed."""

from __future__ import annotations

import re

import pytest

import uepgpu as uep

VARIANCES = (10.0, 1.0, 0.1)
GAMMA = (0.40, 0.35, 0.25)
RXC = uep.Partition.model("rxc", left_variances=VARIANCES, right_variances=VARIANCES, classes=(3, 3, 3))
CXR = uep.Partition.model("cxr", left_variances=VARIANCES, right_variances=VARIANCES, classes=(1, 1, 1))


def cases(**groups):
    """Parameters of a test from {name: (call, piece, piece, ...)}; the message must hold the pieces in this order."""
    return [pytest.param(case[0], case[1:], id=f"{group}: {name}") for group, some in groups.items() for name, case in some.items()]


def refused(call, pieces):
    """The call raises such a ``ValueError``."""
    with pytest.raises(ValueError, match=".*".join(re.escape(p) for p in pieces)) as caught:
        call()
    assert "\n" not in str(caught.value)  # one clear line
    assert "np." not in str(caught.value)  # values as the user wrote them, not as NumPy's repr
