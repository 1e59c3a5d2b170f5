"""How sure a success rate is, and whether two of them differ."""

from typing import Any

import numpy as np
from scipy.stats import binomtest

CONFIDENCE = 0.95


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion; (0, 1) when there were no trials."""
    if trials == 0:
        return 0.0, 1.0
    interval = binomtest(successes, trials).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def paired_test(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """Compare two lists of outcomes on the same seeds.

    The p-value is McNemar's exact one: under the hypothesis of no difference, the episodes that
    only one of the two solved fall to either side like a fair coin. The interval of the
    difference of rates is Newcombe's method 10 (1998), which takes the pairing into account.

    Args:
        first: bool (N,), outcomes of the first, one a seed.
        second: bool (N,), outcomes of the second on the same seeds, in the same order.

    Returns:
        `both`, `only_first`, `only_second`, `neither` (counts of episodes), `p_value` (two-sided),
        `difference` (rate of the first minus rate of the second), `difference_interval` (95 %).
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(
            f"expected two lists of one length >= 1, got {first.shape} and {second.shape}"
        )
    both = int((first & second).sum())
    only_first = int((first & ~second).sum())
    only_second = int((~first & second).sum())
    neither = len(first) - both - only_first - only_second
    discordant = only_first + only_second
    p_value = binomtest(only_first, discordant, 0.5).pvalue if discordant else 1.0
    return {
        "both": both,
        "only_first": only_first,
        "only_second": only_second,
        "neither": neither,
        "p_value": float(p_value),
        "difference": (only_first - only_second) / len(first),
        "difference_interval": _newcombe_10(both, only_first, only_second, neither),
    }


def _newcombe_10(both: int, only_first: int, only_second: int, neither: int) -> tuple[float, float]:
    n = both + only_first + only_second + neither
    rate_1, rate_2 = (both + only_first) / n, (both + only_second) / n
    low_1, high_1 = wilson(both + only_first, n)
    low_2, high_2 = wilson(both + only_second, n)
    margins = (
        (both + only_first)
        * (only_second + neither)
        * (both + only_second)
        * (only_first + neither)
    )
    excess = float(both * neither - only_first * only_second)
    if excess > 0:  # a continuity correction where the two go together
        excess = max(excess - n / 2, 0)
    phi = excess / np.sqrt(margins) if margins else 0.0

    def reach(up: float, down: float) -> float:
        return float(np.sqrt(max(up**2 - 2 * phi * up * down + down**2, 0.0)))

    difference = rate_1 - rate_2
    low = difference - reach(rate_1 - low_1, high_2 - rate_2)
    high = difference + reach(high_1 - rate_1, rate_2 - low_2)
    return max(low, -1.0), min(high, 1.0)
