"""What the variables of Datasets are called and measured in: ``long_name`` and ``units``, which xarray puts on axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NAMES", "TIME", "dataset", "described"]

TIME = "unit of the latency law"
"""What times are measured in where it has no name."""
ENERGY = "squared unit of the product"

NAMES: dict[str, tuple[str, str]] = {
    # along what
    "deadline": ("deadline", TIME),
    "received": ("packets received", "1"),
    "time": ("time", TIME),
    "step": ("number of the deadline", "1"),
    "point": ("point", ""),
    "class": ("importance class", "1"),
    "subproduct": ("sub-product", "1"),
    "quantile": ("level of the quantile", "1"),
    "target": ("normalized loss that is asked for", "1"),
    "iteration": ("iteration", "1"),
    "realization": ("number of the realization", "1"),
    "candidate": ("candidate", "1"),
    "round": ("round", "1"),
    "lag": ("rounds between", "1"),
    "x": ("normalized loss that is exceeded", "1"),
    "value": ("value of the loss", "1"),
    # losses
    "loss": ("expected squared error of the product", ENERGY),
    "loss_sd": ("standard deviation of the loss of one realization", ENERGY),
    "loss_sd_independent": ("standard deviation of the mean loss of independent rounds", ENERGY),
    "expected_loss_sd": ("standard deviation of the mean over rounds of the loss expected by the number received", ENERGY),
    "expected_loss_sd_independent": ("the same of independent rounds", ENERGY),
    "correlation": ("correlation of the losses of two rounds", "1"),
    "expected_correlation": ("correlation of the losses expected by the number received", "1"),
    "loss_bound": ("upper bound of the loss, cross terms left out", ENERGY),
    "bound_tail": ("lower bound of the normalized loss of any code", "1"),
    "bound_exchangeable": ("lower bound of the normalized loss of exchangeable packets", "1"),
    "exceedance": ("probability that the value is exceeded", "1"),
    "objective": ("objective", "1"),
    "baseline": ("objective of what was given", "1"),
    "score": ("score", "1"),
    # decoding
    "probability": ("probability", "1"),
    "failure": ("probability of a failure", "1"),
    "decoding_probability": ("probability that all of the class is decoded", "1"),
    "condition": ("condition number of decoding", "1"),
    "decodable": ("decodable realizations", "1"),
    "flagged": ("share of realizations that are flagged", "1"),
    "ill_conditioned": ("realizations that floating point cannot decode", "1"),
    "arrived": ("packets that arrived", "1"),
    "packets": ("packets that are launched", "1"),
    "launched": ("packets that are launched", "1"),
    # waiting
    "mean": ("expected time", TIME),
    "sd": ("standard deviation of the time", TIME),
    "mean_error": ("error of the numerical integration", TIME),
    "never": ("probability that it never happens", "1"),
    "quantile_time": ("quantile of the time", TIME),
    "quantile_low": ("lower end of the 95 % interval of the quantile of the time", TIME),
    "quantile_high": ("upper end of the 95 % interval of the quantile of the time", TIME),
    "cdf": ("probability that it has happened", "1"),
    "workers": ("number of workers", "1"),
    # gradient coding
    "error": ("relative error of the iterate", "1"),
    "residual": ("relative residual", "1"),
    "gradient_error": ("relative error of the gradient", "1"),
    "error_at_deadline": ("relative error of the iterate at the deadline", "1"),
    "copies": ("copies of the block that were received", "1"),
    "weight": ("weight of a copy of the block", "1"),
    # what describes a point of a store
    "realizations": ("realizations", "1"),
    "seconds": ("seconds that simulating took", "s"),
    "omega": ("load normalisation Ω", "1"),
}
ENDS = {
    "_stderr": "standard error of the {}",
    "_low": "lower end of the 95 % interval of the {}",
    "_high": "upper end of the 95 % interval of the {}",
    "_exact": "{}, exact",
}
NORMALIZED = "normalized_"


def named(name: str) -> tuple[str, str]:
    """Return long name and unit of a variable; of one that is not known its name, and no unit.

    Examples
    --------
    >>> named("normalized_loss_low")
    ('lower end of the 95 % interval of the normalized expected squared error of the product', '1')
    """
    if name in NAMES:
        return NAMES[name]
    for end, words in ENDS.items():
        if name.endswith(end):
            of, unit = named(name.removesuffix(end))
            return words.format(of), unit
    of_level, _, level = name.rpartition("_q")
    if level.replace(".", "").isdigit():
        of, unit = named(of_level)
        return f"{level} % quantile of the {of}", unit
    if name.startswith(NORMALIZED):
        return f"normalized {named(name.removeprefix(NORMALIZED))[0]}", "1"
    return name.replace("_", " "), ""


def described(found: xr.Dataset, time_unit: str | None = None) -> xr.Dataset:
    """Give every variable of a Dataset its ``long_name`` and ``units``, and return it; `time_unit` is that of times."""
    for name in found.variables:
        long_name, unit = named(str(name))
        unit = time_unit if unit == TIME and time_unit is not None else unit
        found[name].attrs |= {"long_name": long_name} | ({"units": unit} if unit else {})
    return found


def dataset(
    variables: Mapping[str, Any],
    coords: Mapping[str, Any] | None = None,
    attrs: Mapping[str, Any] | None = None,
    time_unit: str | None = None,
) -> xr.Dataset:
    """Return a Dataset whose variables say what they are and what they are measured in.

    Parameters
    ----------
    variables, coords, attrs : mapping
        As for xarray.Dataset.
    time_unit : str, optional
        What times are measured in: that of the workers.

    Examples
    --------
    >>> dataset({"loss": ("deadline", [0.5])}, {"deadline": [1.0]}).loss.long_name
    'expected squared error of the product'
    """
    import xarray as xr

    return described(xr.Dataset(variables, coords, attrs), time_unit)
