"""Intervals over training seeds and layouts: a bootstrap on two levels, and what few seeds allow.

Every training run of an arm is evaluated on the same layouts, so layouts are drawn once for all
runs and arms (crossed, as Owen's pigeonhole bootstrap, 2007), never afresh inside a run: that would
forget that a hard layout is hard for all of them.

Three training seeds are few. Drawing three with replacement hardly ever goes beyond the best and
the worst of them, and leaves out a third of their variance: where seeds differ much, the plain
percentile interval covers less than 90 % of the time, not 95. So the interval that is reported
takes the layouts' share of the variance from the bootstrap, the seeds' share from the usual n - 1
estimate, and Student's t with Welch and Satterthwaite's degrees of freedom. The plain one stands
beside it. `tests/metrics/test_hierarchical.py` measures the coverage of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from robowm.metrics.bootstrap import DRAWS, TAIL_PERCENT, Estimate
from robowm.metrics.intervals import CONFIDENCE

Outcomes = Sequence[np.ndarray]
"""Of one arm: a task each, bool or float (runs, layouts), runs in the same order in every task."""


@dataclass(frozen=True)
class RunsEstimate:
    """A mean over tasks, runs and layouts, or the difference of two arms' means.

    Attributes:
        value: every task counts the same.
        layouts: percentile bootstrap over layouts: other layouts, these very policies.
        plain: percentile bootstrap over runs and layouts; None when no arm has two runs.
        runs: other training runs and other layouts, by Student's t; None likewise.
        degrees: of freedom of that t; None likewise.
    """

    value: float
    layouts: Estimate
    plain: Estimate | None
    runs: Estimate | None
    degrees: float | None


def over_runs(
    first: Outcomes,
    second: Outcomes | None = None,
    matched: bool = False,
    draws: int = DRAWS,
    seed: int = 0,
) -> RunsEstimate:
    """The mean of `first`, or `first` minus `second` on the same layouts, with its intervals.

    Args:
        first, second: outcomes; both with the same layouts of the same tasks, in the same order.
            An arm of one run adds nothing to the seeds' share: its interval is of that policy.
        matched: run i of both arms was trained on the same draw of data, so runs, too, are pairs.
        draws: resamples.
        seed: of the resamples.

    Raises:
        ValueError: the shapes do not fit together.
    """
    arms = [[np.asarray(task, np.float64) for task in arm] for arm in (first, second) if arm]
    _check(arms)
    if matched:
        arms = [[a - b for a, b in zip(*arms, strict=True)]]
    rng = np.random.default_rng(seed)
    counts = [task.shape[1] for task in arms[0]]
    weights = [rng.multinomial(n, np.full(n, 1 / n), size=draws) / n for n in counts]
    value, variances = 0.0, []  # a pair each: variance of the mean, degrees of freedom
    centre, drawn = np.zeros(draws), np.zeros(draws)
    for sign, arm in zip((1, -1), arms, strict=False):
        runs = len(arm[0])
        means = np.mean([task.mean(1) for task in arm], axis=0)
        scores = np.mean([w @ task.T for w, task in zip(weights, arm, strict=True)], axis=0)
        chosen = rng.multinomial(runs, np.full(runs, 1 / runs), size=draws) / runs
        value += sign * float(means.mean())
        centre += sign * scores.mean(1)
        drawn += sign * (scores * chosen).sum(1)
        if runs > 1:
            variances.append((float(means.var(ddof=1)) / runs, runs - 1))
    layouts = _percentiles(value, centre)
    if not variances:
        return RunsEstimate(value, layouts, None, None, None)
    variances.append((float(centre.var()), sum(counts) - len(counts)))
    runs_estimate, degrees = _student(value, variances)
    return RunsEstimate(value, layouts, _percentiles(value, drawn), runs_estimate, degrees)


def _student(value: float, variances: list[tuple[float, int]]) -> tuple[Estimate, float]:
    total = sum(variance for variance, _ in variances)
    parts = sum(variance**2 / max(df, 1) for variance, df in variances)
    if not parts:
        return Estimate(value, value, value), float(min(df for _, df in variances))
    degrees = total**2 / parts
    reach = float(student.ppf((1 + CONFIDENCE) / 2, degrees) * np.sqrt(total))
    return Estimate(value, value - reach, value + reach), degrees


def _percentiles(value: float, drawn: np.ndarray) -> Estimate:
    low, high = np.percentile(drawn, [TAIL_PERCENT, 100 - TAIL_PERCENT])
    return Estimate(value, float(low), float(high))


def _check(arms: list[list[np.ndarray]]) -> None:
    shapes = [[task.shape for task in arm] for arm in arms]
    layouts = [[shape[-1] for shape in arm] for arm in shapes]
    one_count = all(len({shape[0] for shape in arm}) == 1 for arm in shapes)
    if not one_count or any(other != layouts[0] for other in layouts) or 0 in layouts[0]:
        raise ValueError(f"expected (runs, layouts) of the same layouts in every arm, got {shapes}")
