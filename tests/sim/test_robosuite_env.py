"""The environment: reproducible, upright, silent, and the same physics as robosuite's own step."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from robowm import recipes
from robowm.errors import UserError
from robowm.sim.robosuite_env import ACTION_NAMES, STATE_NAMES, TASKS, RobosuiteEnv
from robowm.sim.scene import Scene, require_egl

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def env() -> Iterator[RobosuiteEnv]:
    env = RobosuiteEnv(task="Lift")
    yield env
    env.close()


def play(env: RobosuiteEnv, seed: int, steps: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Frames and states of an episode of random actions that close the hand on the way."""
    rng = np.random.default_rng(seed)
    seen = [env.reset(seed=seed)[0]]
    for _ in range(steps):
        seen.append(env.step(rng.uniform(-1, 1, 7).astype(np.float32))[0])
    return np.stack([o["frame"] for o in seen]), np.stack([o["state"] for o in seen])


def test_gymnasium_accepts_it() -> None:
    env = gymnasium.make("robowm/Lift-v0", size_px=16).unwrapped
    check_env(env)
    assert env.action_space.shape == (len(ACTION_NAMES),) == (7,)
    assert env.observation_space["state"].shape == (len(STATE_NAMES),)
    env.close()


def test_an_episode_does_not_depend_on_what_ran_before(env: RobosuiteEnv) -> None:
    frames, states = play(env, 3)
    other_frames, _ = play(env, 5)
    again_frames, again_states = play(env, 3)
    np.testing.assert_array_equal(frames, again_frames)
    np.testing.assert_array_equal(states, again_states)
    assert (frames[0] != other_frames[0]).any()
    fresh = RobosuiteEnv(task="Lift")
    fresh_frames, fresh_states = play(fresh, 3)
    fresh.close()
    np.testing.assert_array_equal(frames, fresh_frames)
    np.testing.assert_array_equal(states, fresh_states)


@pytest.mark.parametrize("robot", ["Panda", "UR5e"])
def test_physics_is_that_of_robosuites_own_step(robot: str) -> None:
    scene = Scene("Lift", robot, control_hz=10)
    actions = np.random.default_rng(0).uniform(-1.2, 1.2, (6, 7))  # out of range: both clip
    ours, theirs = [], []
    scene.lay_out(11)
    for action in actions:
        scene.advance(action)
        ours.append(scene.data.qpos.copy())
    scene.lay_out(11)
    for action in actions:
        scene.env.step(action)
        theirs.append(scene.data.qpos.copy())
    scene.close()
    np.testing.assert_array_equal(ours, theirs)


def test_numpys_global_generator_is_left_alone(env: RobosuiteEnv) -> None:
    np.random.seed(7)
    expected = np.random.uniform(size=3)
    np.random.seed(7)
    env.reset(seed=1)
    np.testing.assert_array_equal(np.random.uniform(size=3), expected)


def test_the_picture_is_upright(env: RobosuiteEnv) -> None:
    frame = env.reset(seed=0)[0]["frame"].astype(int)
    wall, table = frame[:8].mean(), frame[-16:].mean()
    assert table > 220 > 180 > wall  # a white table before a grey wall
    red = (frame[..., 0] > frame[..., 1] + 60) & (frame[..., 0] > frame[..., 2] + 60)
    rows, columns = np.nonzero(red)
    assert 8 < len(rows) < 100
    cube_y_m = env._built()[0].privileged().objects["cube"].pos_m[1]
    # the camera faces the robot: the world's +y is to its right
    assert np.sign(columns.mean() - 31.5) == np.sign(cube_y_m)


def test_state_is_in_metres_and_a_rotation(env: RobosuiteEnv) -> None:
    state = dict(zip(STATE_NAMES, env.reset(seed=2)[0]["state"], strict=True))
    assert -0.3 < state["hand_x_m"] < 0.1
    assert 0.9 < state["hand_z_m"] < 1.1
    assert 0.02 < state["gripper_gap_m"] < 0.12
    x, y = ([state[f"hand_rotation_{row}{column}"] for row in "xyz"] for column in "xy")
    assert np.linalg.norm(x) == pytest.approx(1, abs=1e-5)
    assert np.dot(x, y) == pytest.approx(0, abs=1e-5)


def test_action_axes_are_those_of_the_state(env: RobosuiteEnv) -> None:
    for axis in range(3):
        before = env.reset(seed=4)[0]["state"]
        action = np.zeros(7, np.float32)
        action[axis], action[6] = 1, -1
        for _ in range(4):
            after = env.step(action)[0]["state"]
        moved_m = after[:3] - before[:3]
        assert np.argmax(np.abs(moved_m)) == axis
        assert 0.03 < moved_m[axis] < 0.2
        assert after[9] > before[9] + 0.01  # and the hand opened


def test_an_episode_is_cut_off_at_max_steps() -> None:
    env = RobosuiteEnv(task="Stack", size_px=16, max_steps=3)
    env.reset(seed=0)
    ends = [env.step(np.zeros(7, np.float32))[2:4] for _ in range(3)]
    env.close()
    assert ends == [(False, False), (False, False), (False, True)]


def test_jitter_moves_the_camera_and_nothing_else() -> None:
    still, jittered = RobosuiteEnv(size_px=32), RobosuiteEnv(size_px=32, camera_jitter=1.0)
    first, again = jittered.reset(seed=1)[0], None
    for seed in (1, 2):
        plain, moved = still.reset(seed=seed)[0], jittered.reset(seed=seed)[0]
        np.testing.assert_array_equal(plain["state"], moved["state"])
        assert np.abs(plain["frame"].astype(int) - moved["frame"]).mean() > 3
    again = jittered.reset(seed=1)[0]
    np.testing.assert_array_equal(first["frame"], again["frame"])
    still.close()
    jittered.close()


@pytest.mark.parametrize("what", ["light_jitter", "texture_jitter"])
def test_looks_vary_by_seed_and_nothing_else_does(env: RobosuiteEnv, what: str) -> None:
    other = RobosuiteEnv(task="Lift", **{what: 1.0})
    frames = {}
    for seed in (1, 2):
        plain, varied = env.reset(seed=seed)[0], other.reset(seed=seed)[0]
        np.testing.assert_array_equal(plain["state"], varied["state"])
        assert np.abs(plain["frame"].astype(int) - varied["frame"]).mean() > 1
        frames[seed] = varied["frame"]
    assert np.abs(frames[1].astype(int) - frames[2]).mean() > 4
    np.testing.assert_array_equal(other.reset(seed=1)[0]["frame"], frames[1])
    other.close()


def test_a_varied_task_is_the_task_under_other_looks() -> None:
    suite = recipes.load("sim_eval/robosuite").SUITE
    assert suite.tasks.keys() == {*TASKS, *(f"{task}_varied" for task in TASKS)}
    for task in TASKS:
        plain, varied = suite.task(task), suite.task(f"{task}_varied")
        assert varied.name == f"{plain.name}_varied" and varied.text == plain.text
        one, other = plain.make_env().config, varied.make_env().config
        assert other == replace(one, light_jitter=1.0, texture_jitter=1.0)


@pytest.mark.parametrize("task", sorted(set(TASKS) - {"Lift"}))
def test_the_same_seed_gives_the_same_trajectory_in_every_task(task: str) -> None:
    env = RobosuiteEnv(task=task, size_px=16)
    frames, states = play(env, 3, steps=4)
    play(env, 5, steps=2)
    again_frames, again_states = play(env, 3, steps=4)
    env.close()
    np.testing.assert_array_equal(frames, again_frames)
    np.testing.assert_array_equal(states, again_states)


def test_missing_egl_is_one_line_that_names_the_package() -> None:
    assert require_egl() == {}
    with pytest.raises(UserError, match=r"EGL: libNoEGL.so.*apt install libegl1") as caught:
        require_egl("libNoEGL.so")
    assert "\n" not in str(caught.value)


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no robot 'panda'.*Did you mean 'Panda'"):
        RobosuiteEnv(robot="panda")
    with pytest.raises(UserError, match=r"no task 'Lifts'.*Did you mean 'Lift'"):
        RobosuiteEnv(task="Lifts")


def test_nothing_is_printed() -> None:
    program = (
        "from robowm.sim.robosuite_env import RobosuiteEnv\n"
        "env = RobosuiteEnv(size_px=16)\n"
        "env.reset(seed=0)"  # left open: exit must be quiet too
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_a_shaken_camera_sways_about_its_place_and_says_by_how_much() -> None:
    shaken = RobosuiteEnv(task="Lift", size_px=32, camera_shake=1.0)
    still_hand = np.zeros(7, np.float32)
    _, info = shaken.reset(seed=4)
    assert not info["camera_sway"].any()
    sways, frames = [], []
    for _ in range(30):
        observation, *_, info = shaken.step(still_hand)
        sways.append(info["camera_sway"])
        frames.append(observation["frame"])
    again = shaken.reset(seed=4)[1]["camera_sway"]
    steps = np.diff(np.stack(sways), axis=0)
    shaken.close()
    assert not again.any()
    assert 0.001 < np.abs(steps[:, :3]).mean() < 0.02  # metres in 0.1 s
    assert 0.001 < np.abs(steps[:, 3:]).mean() < 0.03  # radians in 0.1 s
    assert np.abs(np.stack(sways)[:, :3]).max() < 0.1
    moved = np.abs(np.diff(np.stack(frames).astype(int), axis=0)).mean(axis=(1, 2, 3))
    assert (moved > 1).mean() > 0.8
