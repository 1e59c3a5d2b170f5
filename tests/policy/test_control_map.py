"""The map to controls: it finds what is linear, says how sure it is, and survives the disk."""

from pathlib import Path

import numpy as np
import pytest

from robowm.errors import UserError
from robowm.policy.control_map import ControlMap, Labelled, with_neighbours
from robowm.policy.linear import Linear

EPISODES, LENGTH, DIM = 6, 20, 5
AXES = ("x_m", "y_m", "gripper")


def shown(noise: float = 0.05, seed: int = 0) -> Labelled:
    """Latents that are linear in actions, as flow is in joint speeds."""
    rng = np.random.default_rng(seed)
    rows = EPISODES * LENGTH
    actions = rng.normal(size=(rows, len(AXES)))
    mixing = np.random.default_rng(7).normal(size=(len(AXES), DIM))
    latents = actions @ mixing + noise * rng.normal(size=(rows, DIM))
    episode = np.repeat(np.arange(EPISODES), LENGTH)
    valid = np.arange(rows) % LENGTH != LENGTH - 1
    latents[~valid] = 0
    return Labelled(latents.astype(np.float32), valid, actions.astype(np.float32), episode)


def test_actions_come_back_from_latents_and_latents_from_actions() -> None:
    given, fresh = shown(), shown(seed=1)
    fitted = ControlMap.fit(given, "arm", AXES)
    assert all(error["r2"] > 0.95 for error in fitted.held_out().values())
    one = slice(0, LENGTH - 1)
    actions, _ = fitted.decode(fresh.latents[one])
    assert np.abs(actions - fresh.actions[one]).mean() < 0.15
    again, _ = fitted.decode(fitted.encode(fresh.actions[one]))
    assert np.abs(again - fresh.actions[one]).mean() < 0.15


def test_its_standard_deviation_is_that_of_its_errors() -> None:
    fitted = ControlMap.fit(shown(noise=0.5), "arm", AXES, neighbours=0)
    fresh = shown(noise=0.5, seed=2)
    mean, width = fitted.to_actions.predict(fresh.latents[fresh.valid].astype(np.float64))
    inside = np.abs(mean - fresh.actions[fresh.valid]) < width
    assert 0.55 < inside.mean() < 0.8  # 0.68 of a normal distribution


def test_it_is_less_sure_of_what_it_never_saw() -> None:
    fitted = ControlMap.fit(shown(), "arm", AXES)
    usual, strange = shown(seed=3).latents[: LENGTH - 1], np.full((4, DIM), 50, np.float32)
    assert (fitted.decode(strange)[1] > 2 * fitted.decode(usual)[1].max(0)).all()


def test_held_out_error_is_honest() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 40)), rng.normal(size=(60, 2))
    fitted = Linear.fit(x, y, np.repeat(np.arange(6), 10))
    assert (fitted.held_out_r2 < 0.1).all()  # nothing to find, however many inputs
    single = Linear.fit(x, x[:, :2] * 3, np.zeros(60, np.int64))
    assert (single.held_out_r2 > 0.5).all()


def test_neighbours_stay_in_their_episode() -> None:
    values = np.arange(6.0)[:, None]
    found = with_neighbours(values, np.array([0, 0, 0, 4, 4, 4]), 1)
    assert found.tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 2], [3, 3, 4], [3, 4, 5], [4, 5, 5]]


def test_it_survives_the_disk(tmp_path: Path) -> None:
    fitted = ControlMap.fit(shown(), "arm", AXES)
    fitted.save(tmp_path)
    loaded = ControlMap.load(tmp_path)
    assert (loaded.embodiment, loaded.axes, loaded.neighbours) == ("arm", AXES, 1)
    latents = shown(seed=4).latents[:LENGTH]
    for one, other in zip(fitted.decode(latents), loaded.decode(latents), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(UserError, match="no map to controls"):
        ControlMap.load(tmp_path / "nowhere")


def test_too_few_transitions_are_refused() -> None:
    few = shown()
    none = Labelled(few.latents, np.zeros_like(few.valid), few.actions, few.episode)
    with pytest.raises(UserError, match="0 demonstrated transitions have a latent action"):
        ControlMap.fit(none, "arm", AXES)
