"""Intervals and the paired test against published values."""

import numpy as np
import pytest

from robowm.metrics.intervals import paired_test, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_is_the_published_interval(
    successes: int, trials: int, low: float, high: float
) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)
    assert wilson(trials - successes, trials) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_no_trials_say_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def outcomes(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = np.repeat([True, True, False, False], [both, first, second, neither])
    b = np.repeat([True, False, True, False], [both, first, second, neither])
    return a, b


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17:2635, table II, method 10
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((20, 12, 2, 16), 0.0562, 0.3292),
    ],
)
def test_difference_interval_is_the_published_one(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    result = paired_test(*outcomes(*counts))
    assert result["difference"] == pytest.approx(0.2)
    assert result["difference_interval"] == pytest.approx((low, high), abs=5e-5)


def test_p_value_is_the_binomial_tail_counted_by_hand() -> None:
    # 1 of 6 discordant pairs: 2 * (C(6,0) + C(6,1)) / 2**6
    result = paired_test(*outcomes(both=10, first=1, second=5, neither=3))
    assert result["p_value"] == pytest.approx(2 * 7 / 64)
    counts = [result[key] for key in ("both", "only_first", "only_second", "neither")]
    assert counts == [10, 1, 5, 3]
    assert result["difference"] == pytest.approx(-4 / 19)


def test_exchanging_the_two_changes_only_the_sign() -> None:
    first, second = outcomes(20, 9, 3, 18)
    one, other = paired_test(first, second), paired_test(second, first)
    assert one["p_value"] == other["p_value"]
    assert one["difference"] == -other["difference"]
    low, high = one["difference_interval"]
    assert other["difference_interval"] == pytest.approx((-high, -low))
    assert low < one["difference"] < high


def test_equal_outcomes_differ_by_nothing() -> None:
    same = np.array([True, False] * 10)
    result = paired_test(same, same)
    assert (result["p_value"], result["difference"]) == (1.0, 0.0)
    low, high = result["difference_interval"]
    assert low == pytest.approx(-high)


def test_the_interval_covers_the_true_difference() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        ease = rng.uniform(size=40)
        first, second = ease < 0.7, (ease < 0.5) ^ (rng.uniform(size=40) < 0.1)
        truth = 0.7 - (0.5 * 0.9 + 0.5 * 0.1)
        low, high = paired_test(first, second)["difference_interval"]
        covered += low <= truth <= high
    assert 0.91 <= covered / 400 <= 0.995


def test_unequal_lists_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        paired_test(np.ones(3, bool), np.ones(4, bool))
