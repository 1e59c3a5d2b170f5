"""Probes find what is there, nothing where nothing is, and never see the episode they predict."""

import numpy as np
import pytest

from robowm.metrics.bootstrap import bootstrap, episode_sums, mean_estimate
from robowm.metrics.probe import ProbeConfig, difference, grouped_folds, probe, r2_of, r2_sums

FAST = {kind: ProbeConfig(kind, folds=3, hidden=32, steps=200) for kind in ("linear", "mlp")}


def episodes(count: int = 8, length: int = 40) -> np.ndarray:
    return np.repeat(np.arange(count), length)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_what_is_in_the_feature_is_found(kind: str) -> None:
    rng = np.random.default_rng(0)
    episode, x = episodes(), rng.normal(size=(320, 6))
    y = x @ rng.normal(size=(6, 3)) * [1, 10, 0.01] + [5, 0, 0]
    found = probe(x, y, episode, FAST[kind])
    assert (found.r2 > 0.95).all()
    estimate = found.estimate()
    assert estimate.value == pytest.approx(found.r2.mean())
    assert estimate.low is not None and estimate.high is not None
    assert 0.9 < estimate.low <= estimate.value <= estimate.high <= 1


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_noise_tells_nothing(kind: str) -> None:
    rng = np.random.default_rng(1)
    found = probe(rng.normal(size=(320, 6)), rng.normal(size=(320, 2)), episodes(), FAST[kind])
    assert found.r2.max() < 0.05
    assert not found.estimate().above_zero


def test_only_the_mlp_sees_a_product() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(800, 2))
    y = x[:, :1] * x[:, 1:]
    episode = episodes(8, 100)
    linear, mlp = (probe(x, y, episode, FAST[kind]) for kind in ("linear", "mlp"))
    assert linear.r2[0] < 0.1 and mlp.r2[0] > 0.7
    assert difference(mlp, linear).above_zero and not difference(linear, mlp).above_zero


def test_a_feature_that_names_the_episode_does_not_help() -> None:
    # y is constant within an episode, and so is x: memory of the episode would score 1
    rng = np.random.default_rng(3)
    episode = episodes()
    x, y = np.eye(8)[episode], rng.normal(size=(8, 1))[episode]
    assert probe(x, y, episode).r2[0] <= 0


def test_folds_keep_episodes_whole_and_are_even() -> None:
    episode = np.repeat(np.arange(9), [50, 10, 10, 10, 10, 10, 10, 10, 10])
    fold = grouped_folds(episode, 3, seed=0)
    assert all(len(np.unique(fold[episode == e])) == 1 for e in range(9))
    assert sorted(np.bincount(fold)) == [40, 40, 50]
    with pytest.raises(ValueError, match="at least two episodes, got 1"):
        grouped_folds(np.zeros(5), 3, seed=0)


def test_r2_by_hand() -> None:
    y = np.array([[1.0, 7], [2, 7], [3, 7], [6, 7]])
    predicted = np.array([[1.0, 7], [2, 7], [3, 7], [2, 7]])
    r2 = r2_of(r2_sums(y, predicted, np.array([0, 0, 1, 1])).sum(0))
    assert r2[0] == pytest.approx(1 - 16 / 14) and np.isnan(r2[1])  # sum (y - 3)² = 14


def test_two_training_episodes_suffice() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(80, 3))
    assert probe(x, x[:, :1], episodes(2)).r2[0] > 0.99


def test_the_interval_is_of_episodes_not_of_rows() -> None:
    # 1000 rows, but only 4 episodes that differ: the mean's standard error is 1.12 / 2 at best
    values = np.repeat([0.0, 1, 2, 3], 250)
    estimate = mean_estimate(values, episodes(4, 250))
    assert estimate.value == 1.5
    assert estimate.low is not None and estimate.high is not None
    assert estimate.low < 0.8 and estimate.high > 2.2


def test_one_episode_has_no_interval() -> None:
    estimate = mean_estimate(np.arange(4.0), np.zeros(4))
    assert (estimate.value, estimate.low) == (1.5, None) and estimate.above_zero


def test_sums_and_ratio_by_hand() -> None:
    sums = episode_sums(np.array([[1.0, 2], [3, 4], [5, 6]]), np.array(["a", "b", "a"]))
    assert sums.tolist() == [[6, 8, 2], [3, 4, 1]]
    assert bootstrap(sums, lambda t: t[..., 1] / t[..., 0]).value == pytest.approx(12 / 9)
