"""Intervals over training seeds: against formulas, by enumeration, and by how often they cover."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from robowm.metrics.hierarchical import over_runs


def test_with_one_run_it_is_the_bootstrap_of_all_resamples() -> None:
    row = np.array([[1, 0, 0, 1, 1]], float)
    found = over_runs([row], draws=40_000)
    means = [row[0, list(chosen)].mean() for chosen in product(range(5), repeat=5)]
    low, high = np.percentile(means, [2.5, 97.5])
    assert (found.layouts.low, found.layouts.high) == pytest.approx((low, high))
    assert found.value == 0.6 and found.runs is None and found.plain is None


def test_runs_without_spread_of_layouts_are_students_t() -> None:
    rates = np.array([0.2, 0.5, 0.6, 0.9])
    found = over_runs([np.tile(rates[:, None], (1, 30))])  # every layout the same
    low, high = student.interval(0.95, 3, rates.mean(), rates.std(ddof=1) / 2)
    assert found.degrees == pytest.approx(3)
    assert found.runs is not None
    assert (found.runs.low, found.runs.high) == pytest.approx((low, high))


def test_differences_without_spread_of_layouts_are_welchs_test() -> None:
    from scipy.stats import ttest_ind

    first, second = np.array([0.5, 0.7, 0.9]), np.array([0.1, 0.15, 0.2, 0.3])
    found = over_runs([np.tile(first[:, None], 9)], [np.tile(second[:, None], 9)])
    welch = ttest_ind(first, second, equal_var=False)
    assert found.runs is not None and found.degrees == pytest.approx(welch.df)
    interval = welch.confidence_interval(0.95)
    assert (found.runs.low, found.runs.high) == pytest.approx((interval.low, interval.high))


def test_matched_runs_are_the_paired_t_test() -> None:
    from scipy.stats import ttest_rel

    first, second = np.array([0.5, 0.7, 0.9]), np.array([0.3, 0.55, 0.65])
    found = over_runs([np.tile(first[:, None], 9)], [np.tile(second[:, None], 9)], matched=True)
    interval = ttest_rel(first, second).confidence_interval(0.95)
    assert found.runs is not None
    assert (found.runs.low, found.runs.high) == pytest.approx((interval.low, interval.high))


def test_every_task_counts_the_same_and_exchanging_arms_changes_the_sign() -> None:
    rng = np.random.default_rng(0)
    first = [rng.random((3, n)) < 0.6 for n in (10, 40)]
    second = [rng.random((3, n)) < 0.4 for n in (10, 40)]
    one, other = over_runs(first, second), over_runs(second, first)
    gaps = [a.mean() - b.mean() for a, b in zip(first, second, strict=True)]
    assert one.value == pytest.approx(np.mean(gaps))
    assert other.value == -one.value
    assert one.runs is not None and other.runs is not None
    assert (other.runs.low, other.runs.high) == pytest.approx((-one.runs.high, -one.runs.low))


def test_a_layout_that_is_hard_for_all_cancels_in_pairs() -> None:
    hard = np.random.default_rng(1).random(50) < 0.5
    first, second = np.tile(hard, (3, 1)), np.tile(hard, (3, 1))
    second[:, :5] = False
    paired = over_runs([first], [second]).layouts
    alone = over_runs([first]).layouts
    assert paired.high - paired.low < 0.6 * (alone.high - alone.low)


def trained(mean: float, spread: float, hard: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """bool (3, layouts): three trainings of one arm that differ by `spread`."""
    runs = rng.normal(mean, spread, (3, 1))
    return runs - hard + rng.normal(size=(3, len(hard))) > 0


@pytest.mark.parametrize(
    ("spread", "least", "plain_least", "plain_most"),
    [(0.0, 0.95, 0.95, 1.0), (0.5, 0.93, 0.82, 0.93)],
)
def test_how_often_three_seeds_cover(
    spread: float, least: float, plain_least: float, plain_most: float
) -> None:
    """Seeds that differ much: Student's t keeps its word, the plain percentiles do not."""
    rng = np.random.default_rng(3)
    scale = np.sqrt(1 + spread**2 + 0.8**2)
    truth = norm.cdf(0.3 / scale) - norm.cdf(-0.2 / scale)
    trials = 400
    covered = plain = 0
    for _ in range(trials):
        hard = rng.normal(0, 0.8, 50)
        arms = [[trained(mean, spread, hard, rng)] for mean in (0.3, -0.2)]
        found = over_runs(*arms, draws=300)
        assert found.runs is not None and found.plain is not None
        covered += found.runs.low <= truth <= found.runs.high
        plain += found.plain.low <= truth <= found.plain.high
    assert covered / trials >= least
    assert plain_least <= plain / trials <= plain_most


@pytest.mark.parametrize(
    "arms",
    [
        ([np.ones((2, 3))], [np.ones((2, 4))]),
        ([np.ones((2, 3)), np.ones((1, 3))],),
        ([np.ones((2, 0))],),
    ],
)
def test_other_layouts_or_missing_runs_are_refused(arms: tuple) -> None:
    with pytest.raises(ValueError, match="same layouts"):
        over_runs(*arms)
