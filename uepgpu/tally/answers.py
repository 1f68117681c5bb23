"""What a tally answers besides means: the law of the loss of one realization, and what a loss takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from uepgpu.partition import Partition
from uepgpu.tally import completion, distribution, inverse
from uepgpu.tally.counts import Counts
from uepgpu.workers import Workers

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Answers"]


class Answers(Counts):
    """Counts that answer questions; fields as for the base class."""

    # --- the law of the loss ----------------------------------------------------------------------------------------

    def loss_distribution(
        self, part: Partition, *, workers: Workers | None = None, deadlines: ArrayLike | None = None
    ) -> xr.Dataset:
        """Return the law of the loss of one realization, for codes that decode class by class.

        Parameters
        ----------
        part, workers, deadlines
            As for :meth:`loss`.

        Returns
        -------
        xarray.Dataset
            ``probability``, ``stderr``, ``low``, ``high`` (95 %) of each loss over (``deadline`` or ``received``, ``outcome``). The
            coordinates ``loss`` and ``normalized_loss`` over ``outcome`` are the losses that are possible, ascending. Intervals are
            exact binomial ones (Clopper-Pearson); for mixtures of received counts Student's t where an outcome has been seen to
            happen and not to happen at least 30 times.

        Raises
        ------
        ValueError
            If the code does not decode class by class: pairs of sub-products do not determine a distribution; else as
            for :meth:`loss`.

        Examples
        --------
        >>> import uepgpu as uep
        >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
        >>> code, workers = uep.codes.ExpandingWindow((0.5, 0.5)), uep.Workers(6, omega=1.0, work="unit")
        >>> tally = uep.simulate(code, part, workers, deadlines=[0.5, 1.0], realizations=1000, seed=7)
        >>> law = tally.loss_distribution(part)
        >>> law.normalized_loss.values.round(3).tolist(), law.probability.values.round(3).tolist()
        ([0.0, 0.333, 1.0], [[0.246, 0.528, 0.226], [0.58, 0.374, 0.046]])

        References
        ----------
        docs/mathematics.md §5.
        """
        return distribution.loss_distribution(self, part, workers, deadlines)

    def loss_quantile(
        self, part: Partition, q: ArrayLike, *, workers: Workers | None = None, deadlines: ArrayLike | None = None
    ) -> xr.Dataset:
        """Return quantiles of the loss of one realization, for codes that decode class by class.

        Returns
        -------
        xarray.Dataset
            ``loss``, ``loss_low``, ``loss_high`` (95 %) and ``normalized_`` of each over (``deadline`` or ``received``,
            ``quantile``). An interval reaches from the quantile of the upper bound of Pr[loss <= v] to that of the lower one, each
            bound failing in at most 2.5 % of cases: what order statistics give, as losses take few values.

        Raises
        ------
        ValueError
            As for :meth:`loss_distribution`; q outside [0, 1].

        Examples
        --------
        >>> import uepgpu as uep
        >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
        >>> code, workers = uep.codes.ExpandingWindow((0.5, 0.5)), uep.Workers(6, omega=1.0, work="unit")
        >>> tally = uep.simulate(code, part, workers, deadlines=[0.5, 1.0], realizations=1000, seed=7)
        >>> found = tally.loss_quantile(part, [0.1, 0.5, 0.95])
        >>> found.normalized_loss.values.round(3).tolist(), found.normalized_loss_high.values.round(3).tolist()
        ([[0.0, 0.333, 1.0], [0.0, 0.0, 0.333]], [[0.0, 0.333, 1.0], [0.0, 0.0, 1.0]])

        References
        ----------
        docs/mathematics.md §5.
        """
        return distribution.loss_quantile(self, part, q, workers, deadlines)

    def exceedance(
        self, part: Partition, x: ArrayLike, *, workers: Workers | None = None, deadlines: ArrayLike | None = None
    ) -> xr.Dataset:
        """Return the probability that the normalized loss of one realization exceeds x, for codes that decode class by class.

        Parameters
        ----------
        part, workers, deadlines
            As for :meth:`loss`.
        x : float or sequence of float
            Normalized losses >= 0. A loss that equals x but for rounding (1e-12 of it) does not exceed it.

        Returns
        -------
        xarray.Dataset
            ``probability``, ``stderr``, ``low``, ``high`` (95 %) over (``deadline`` or ``received``, ``x``); intervals as for
            :meth:`loss_distribution`.

        Raises
        ------
        ValueError
            As for :meth:`loss_distribution`; an x that is negative or not finite.

        Examples
        --------
        >>> import uepgpu as uep
        >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
        >>> code, workers = uep.codes.ExpandingWindow((0.5, 0.5)), uep.Workers(6, omega=1.0, work="unit")
        >>> tally = uep.simulate(code, part, workers, deadlines=[0.5, 1.0], realizations=1000, seed=7)
        >>> found = tally.exceedance(part, 0.1)
        >>> found.probability.values.round(3).tolist(), found.low.values.round(3).tolist(), found.high.values.round(3).tolist()
        ([[0.754], [0.42]], [[0.726], [0.389]], [[0.78], [0.451]])

        References
        ----------
        docs/mathematics.md §5.
        """
        return distribution.exceedance(self, part, x, workers, deadlines)

    def loss_sd(self, part: Partition, *, workers: Workers | None = None, deadlines: ArrayLike | None = None) -> xr.Dataset:
        """Return the standard deviation of the loss of one realization, for codes that decode class by class.

        Returns
        -------
        xarray.Dataset
            ``loss_sd``, ``loss_sd_stderr``, ``loss_sd_low``, ``loss_sd_high`` (95 %) and ``normalized_`` of each, over ``deadline``
            or ``received``. The interval follows from bounds of the mean square distance from the estimated mean and of the mean,
            in which class patterns seen fewer than 30 times have exact binomial bounds of their own.

        Raises
        ------
        ValueError
            As for :meth:`loss_distribution`.

        Examples
        --------
        >>> import uepgpu as uep
        >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
        >>> code, workers = uep.codes.ExpandingWindow((0.5, 0.5)), uep.Workers(6, omega=1.0, work="unit")
        >>> tally = uep.simulate(code, part, workers, deadlines=[0.5, 1.0], realizations=1000, seed=7)
        >>> found = tally.loss_sd(part)
        >>> found.normalized_loss_sd.values.round(3).tolist(), found.normalized_loss_sd_stderr.values.round(4).tolist()
        ([0.351, 0.242], [0.0054, 0.0087])

        References
        ----------
        docs/mathematics.md §5.
        """
        return distribution.loss_sd(self, part, workers, deadlines)

    # --- inverse questions ------------------------------------------------------------------------------------------

    def deadline_for(self, part: Partition, *, loss: ArrayLike, workers: Workers | None = None) -> xr.Dataset:
        """Return the earliest deadline by which the mean normalized loss is at most `loss`.

        Parameters
        ----------
        part : Partition
            Any with the same classes.
        loss : float or sequence of float
            Normalized losses >= 0.
        workers : Workers, optional
            Count domain only, and needed there: their latency law gives a loss at every deadline, and the answer is where it
            reaches the target. In the deadline domain the answer is one of the simulated deadlines.

        Returns
        -------
        xarray.Dataset
            ``deadline``, ``deadline_low``, ``deadline_high`` over ``target``; inf where no deadline will do. The interval (95 %)
            holds the deadlines at which the interval of the loss holds the target. In the deadline domain it is (low, high]: of the
            simulated deadlines `low` is the last that is too early (0 if none is), and `high` the first that is late enough.

        Raises
        ------
        ValueError
            As for :meth:`loss`; workers missing or too many; a loss that is negative or not finite.

        Examples
        --------
        >>> import uepgpu as uep
        >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
        >>> code, workers = uep.codes.ExpandingWindow((0.5, 0.5)), uep.Workers(6, omega=1.0, work="unit")
        >>> counted = uep.simulate(code, part, workers, realizations=1000, seed=7)
        >>> found = counted.deadline_for(part, loss=0.2, workers=workers)
        >>> [round(found[name].item(), 3) for name in ("deadline", "deadline_low", "deadline_high")]
        [0.896, 0.879, 0.914]
        >>> timed = uep.simulate(code, part, workers, deadlines=[0.5, 0.8, 1.1], realizations=1000, seed=7)
        >>> found = timed.deadline_for(part, loss=0.2)
        >>> [found[name].item() for name in ("deadline", "deadline_low", "deadline_high")]
        [1.1, 0.8, 1.1]

        References
        ----------
        docs/mathematics.md §5.
        """
        return inverse.deadline_for(self, part, loss, workers)

    def workers_for(self, part: Partition, *, loss: ArrayLike, workers: Workers, deadline: float) -> xr.Dataset:
        """Return the least number of workers whose mean normalized loss at a deadline is at most `loss`.

        One tally of the count domain, of packets that are not tied to workers, serves every smaller number of workers.

        Parameters
        ----------
        part : Partition
            Any with the same classes.
        loss : float or sequence of float
            Normalized losses >= 0.
        workers : Workers
            Latency, load and cost; the count is replaced by 1..W in turn. With ``omega="fair"`` more workers may be worse: the
            answer is the least number that will do.
        deadline : float
            >= 0.

        Returns
        -------
        xarray.Dataset
            ``workers``, ``workers_low``, ``workers_high`` (95 %) over ``target``; inf where the W that were simulated are too few.

        Raises
        ------
        ValueError
            As for :meth:`loss`; a tally of the deadline domain, or of packets tied to workers.

        Examples
        --------
        >>> import uepgpu as uep
        >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
        >>> code, workers = uep.codes.ExpandingWindow((0.5, 0.5)), uep.Workers(12, omega=1.0, work="unit")
        >>> tally = uep.simulate(code, part, workers, realizations=1000, seed=7)
        >>> found = tally.workers_for(part, loss=0.2, workers=workers, deadline=0.5)
        >>> [found[name].item() for name in ("workers", "workers_low", "workers_high")]
        [10.0, 10.0, 10.0]

        References
        ----------
        docs/mathematics.md §5.
        """
        return inverse.workers_for(self, part, loss, workers, deadline)

    def completion_time(
        self,
        *,
        workers: Workers,
        until: str | int | float = "all",
        part: Partition | None = None,
        quantiles: ArrayLike = (0.5, 0.9, 0.99),
        times: ArrayLike | None = None,
    ) -> xr.Dataset:
        """Return the law of the time until enough is decoded, if the master waits for it; count domain only.

        Parameters
        ----------
        workers : Workers
            Any that :meth:`loss` takes.
        until : "all", int or float
            What is waited for: all sub-products; the class of that number, from 1; a normalized loss of at most that, in [0, 1).
        part : Partition, optional
            For a loss: its Gram matrix says what is lost.
        quantiles, times
            As for :func:`uepgpu.theory.completion_time`.

        Returns
        -------
        xarray.Dataset
            As of :func:`uepgpu.theory.completion_time`: ``mean``, ``sd``, ``never``, ``mean_error``, ``quantile_time`` over
            ``quantile`` and ``cdf`` over ``time``; with ``mean_stderr`` and 95 % intervals ``mean_low``, ``mean_high``,
            ``quantile_low``, ``quantile_high``, ``cdf_low``, ``cdf_high``.

        Raises
        ------
        ValueError
            In the deadline domain; as for :meth:`loss`; for a code that does not decode class by class, until a loss.

        Examples
        --------
        >>> import uepgpu as uep
        >>> part = uep.Partition.model("cxr", left_variances=[4, 1, 1], right_variances=[1, 1, 1], classes=(1, 2))
        >>> code, workers = uep.codes.ExpandingWindow((0.5, 0.5)), uep.Workers(6, omega=1.0, work="unit")
        >>> tally = uep.simulate(code, part, workers, realizations=1000, seed=7)
        >>> found = tally.completion_time(workers=workers, until=1)
        >>> exact = uep.theory.completion_time(code, part, workers, until=1)
        >>> round(found["mean"].item(), 3), round(found["mean_stderr"].item(), 3), round(exact["mean"].item(), 3)
        (0.33, 0.006, 0.329)
        """
        return completion.completion_time(self, part, workers, until, quantiles, times)
