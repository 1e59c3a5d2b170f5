"""95 % intervals by resampling whole episodes: frames of one episode are not independent."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

DRAWS = 2000
TAIL_PERCENT = 2.5


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % percentile bootstrap interval.

    Attributes:
        value: on all episodes.
        low, high: the interval; None where there are fewer than two episodes to resample.
    """

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval is above zero (without one: the value)."""
        return bool((self.value if self.low is None else self.low) > 0)


def episode_sums(values: np.ndarray, episode: np.ndarray) -> np.ndarray:
    """Sums of each column over each episode, with the count of rows as an extra last column.

    Args:
        values: float (N, M).
        episode: (N,), which episode a row belongs to.

    Returns:
        float64 (episodes, M + 1), in the order of np.unique(episode).
    """
    values = np.asarray(values, np.float64).reshape(len(episode), -1)
    names, index = np.unique(episode, return_inverse=True)
    sums = np.zeros((len(names), values.shape[1] + 1))
    np.add.at(sums, index, np.column_stack([values, np.ones(len(values))]))
    return sums


def bootstrap(
    sums: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    draws: int = DRAWS,
    seed: int = 0,
) -> Estimate:
    """A statistic of summed quantities, with the interval from resampled episodes.

    Args:
        sums: float64 (episodes, M), what each episode adds; as `episode_sums` gives.
        statistic: from totals (..., M) to (...); a mean is `t[..., 0] / t[..., -1]`.
        draws: how many resamples; with one seed the same episodes are drawn, so two statistics
            of the same sums are compared in pairs.
        seed: of the resamples.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(sums.sum(0)))
        if len(sums) < 2:
            return Estimate(value)
        shares = np.full(len(sums), 1 / len(sums))
        counts = np.random.default_rng(seed).multinomial(len(sums), shares, size=draws)
        drawn = statistic(counts @ sums)
    drawn = drawn[np.isfinite(drawn)]  # a resample of still episodes has no moving pixel
    if not len(drawn):
        return Estimate(value)
    low, high = np.percentile(drawn, [TAIL_PERCENT, 100 - TAIL_PERCENT])
    return Estimate(value, float(low), float(high))


def mean_estimate(values: np.ndarray, episode: np.ndarray) -> Estimate:
    """The mean over rows of values (N,), resampled by episode."""
    return bootstrap(episode_sums(values, episode), lambda t: t[..., 0] / t[..., -1])
