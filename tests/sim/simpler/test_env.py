"""The environment against ManiSkill's own; the same seed, the same episode; the expert."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robowm import recipes
from robowm.errors import UserError
from robowm.sim.evaluate import EvalConfig, evaluate
from robowm.sim.record import CAMERA, RecordConfig, record
from robowm.sim.seeds import DEMONSTRATION
from robowm.sim.simpler.env import STATE_NAMES, SimplerEnv
from robowm.sim.simpler.layouts import official, random_layouts
from robowm.sim.simpler.looks import Shift, View
from robowm.sim.simpler.scene import ENVIRONMENTS, Scene

pytestmark = pytest.mark.slow

STAY = np.array([0, 0, 0, 0, 0, 0, 1], np.float32)


def test_unknown_words_are_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no task 'spon'.*Did you mean 'spoon'"):
        SimplerEnv(task="spon")
    with pytest.raises(UserError, match=r"no robot 'Panda'.*Allowed: WidowX"):
        SimplerEnv(robot="Panda")
    with pytest.raises(UserError, match=r"no crop 'center'.*Did you mean 'centre'"):
        SimplerEnv(crop="center")
    with pytest.raises(UserError, match=r"no task 'sponn'.*Did you mean 'spoon'"):
        recipes.load("sim_eval/simpler").SUITE.task("sponn")


@pytest.fixture(scope="module")
def spoon(simpler: dict[str, str]) -> Iterator[SimplerEnv]:
    env = SimplerEnv(task="spoon", size_px=48)
    yield env
    env.close()


def play(env: SimplerEnv, seed: int, steps: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Frames and states of an episode of random actions towards the table."""
    rng = np.random.default_rng(seed)
    seen = [env.reset(seed=seed)[0]]
    for _ in range(steps):
        seen.append(env.step(rng.uniform(-1, 1, 7) - [0, 0, 0.5, 0, 0, 0, 0])[0])
    return np.stack([o["frame"] for o in seen]), np.stack([o["state"] for o in seen])


def test_an_episode_does_not_depend_on_what_ran_before(spoon: SimplerEnv) -> None:
    frames, states = play(spoon, 3)
    other_frames, _ = play(spoon, DEMONSTRATION[0])
    again_frames, again_states = play(spoon, 3)
    np.testing.assert_array_equal(frames, again_frames)
    np.testing.assert_array_equal(states, again_states)
    assert (frames[0] != other_frames[0]).any()
    fresh = SimplerEnv(task="spoon", size_px=48)
    fresh_frames, fresh_states = play(fresh, 3)
    fresh.close()
    np.testing.assert_array_equal(frames, fresh_frames)
    np.testing.assert_array_equal(states, fresh_states)


@pytest.mark.filterwarnings("ignore")  # ManiSkill's
@pytest.mark.parametrize("task", ["spoon", "eggplant"])
def test_picture_and_physics_are_maniskills_own(task: str, simpler: dict[str, str]) -> None:
    import gymnasium
    import torch

    scene = Scene(task, View(), Shift())
    scene.lay_out(official(task)[5], seed=5)
    theirs = gymnasium.make(
        ENVIRONMENTS[task],
        obs_mode="rgb+segmentation",
        num_envs=1,
        sim_backend="cpu",
        render_backend="cpu",
    ).unwrapped
    seen, _ = theirs.reset(seed=5, options={"episode_id": torch.tensor([5]), "reconfigure": True})
    pairs = [(scene.draw(), seen)]
    action = np.array([0.02, -0.01, -0.03, 0.1, 0, 0.2, -1], np.float32)
    scene.advance(action)
    seen, *_ = theirs.step(action)
    pairs.append((scene.draw(), seen))
    for ours, seen in pairs:
        picture = seen["sensor_data"]["3rd_view_camera"]["rgb"][0].numpy()
        np.testing.assert_array_equal(ours, picture)
    theirs.close()
    scene.close()


def test_state_and_action_axes(spoon: SimplerEnv) -> None:
    for axis in range(3):
        before = spoon.reset(seed=1)[0]["state"]
        action = STAY.copy()
        action[axis], action[6] = 0.5, -1
        for _ in range(2):
            observation, *_ = spoon.step(action)
        for _ in range(2):
            observation, *_ = spoon.step(np.array([0, 0, 0, 0, 0, 0, -1], np.float32))
        moved_m = observation["state"][:3] - before[:3]
        expected_m = np.eye(3)[axis] * 0.05  # two halves of 5 cm
        np.testing.assert_allclose(moved_m, expected_m, atol=0.006)
    state = dict(zip(STATE_NAMES, before, strict=True))
    assert state["fingers_m"] == pytest.approx(0.074, abs=0.003)
    assert observation["state"][-1] < 0.04
    assert state["hand_rotation_zx"] < -0.9  # the hand's x axis points down


def test_doing_nothing_fails_at_the_last_step_and_says_where(spoon: SimplerEnv) -> None:
    spoon.reset(seed=30)
    ends = []
    for _ in range(60):
        *_, ended, cut_off, info = spoon.step(STAY)
        ends.append((ended, cut_off))
    assert ends == [(False, False)] * 59 + [(False, True)]
    assert not info["success"] and info["layout"] == 6
    assert info["stage"] == "never reached" and not info["partial"]["moved"]


@pytest.mark.parametrize("seed", [5, DEMONSTRATION[1]])
def test_the_expert_solves_official_and_random_layouts(seed: int, simpler: dict[str, str]) -> None:
    env = SimplerEnv(task="carrot", size_px=16, draw=False)
    _, info = env.reset(seed=seed)
    steps = 0
    while not info["expert_done"] and steps < 60:
        action = env.expert_action()
        assert env.action_space.contains(action)
        *_, info = env.step(action)
        steps += 1
    env.close()
    assert info["success"] and steps < 45
    partial = info["partial"]
    assert partial["grasped_5_steps"] and partial["moved"] and info["stage"] == "success"
    assert partial["first_close_off_m"] < 0.015
    assert info["layout"] == (5 if seed == 5 else -1)


@pytest.mark.parametrize("seed", [4, 16])
def test_an_eggplant_that_falls_through_the_sink_is_laid_again(
    seed: int, simpler: dict[str, str]
) -> None:
    env = SimplerEnv(task="eggplant", draw=False, layouts="random")
    scene = env._built()
    first, second = islice(random_layouts("eggplant", seed), 2)
    scene.lay_out(first, seed)
    assert scene.privileged().source.pos_m[2] < -1  # the first falls
    scene.lay_out(second, seed)
    expected_m = scene.privileged().source.pos_m
    env.reset(seed=seed)
    np.testing.assert_array_equal(env.privileged().source.pos_m, expected_m)
    env.close()


def test_a_shift_changes_the_picture_and_nothing_else(
    spoon: SimplerEnv, simpler: dict[str, str]
) -> None:
    plain, _ = spoon.reset(seed=2)
    for change in ({"light": 1.0}, {"camera_jitter": 1.0}, {"distractors": 2}):
        shifted = SimplerEnv(replace(spoon.config, **change))
        seen, _ = shifted.reset(seed=2)
        again, _ = shifted.reset(seed=2)
        shifted.close()
        np.testing.assert_array_equal(seen["state"], plain["state"])
        np.testing.assert_array_equal(seen["frame"], again["frame"])
        different = np.abs(seen["frame"].astype(int) - plain["frame"]).max(-1) > 8
        assert different.mean() > 0.005
        assert ("distractors" in change) == (different.mean() < 0.2)


def test_record_and_evaluate_as_with_any_suite(simpler: dict[str, str], tmp_path: Path) -> None:
    task = recipes.load("sim_eval/simpler").SUITE.task("carrot")
    card = record(task, tmp_path / "demonstrations", RecordConfig(1, size_px=48), workers=1)
    assert card["seeds"][0] in DEMONSTRATION and card["settings"]["assets"] == simpler["assets"]
    from robowm.episodes import Episodes

    episodes = Episodes(tmp_path / "demonstrations")
    assert episodes.fps == 5 and episodes.frames(0, CAMERA).shape[1:] == (48, 48, 3)
    assert 15 < episodes.lengths[0] < 60  # ends when the expert has done, not when time is up
    config = EvalConfig(episodes=1, baseline_episodes=0, videos=0, size_px=48)
    report = evaluate("null", replace(task, max_steps=60), tmp_path / "eval.json", config, 1)
    written: dict[str, Any] = json.loads((tmp_path / "eval.json").read_text())
    assert written["settings"]["assets"] == simpler["assets"]
    assert set(written["versions"]) >= {"mani-skill", "sapien"}
    (episode,) = report["episodes"]
    assert episode["length"] == 60 and not episode["success"]
    assert episode["stage"] == "never reached" and episode["layout"] == 0
    assert "first_close_off_m" not in episode["partial"]
