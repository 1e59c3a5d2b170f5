"""The environment and its pipe, with a stand-in for the original (`stand_in.py`) at the far end.

What this cannot show: that the original itself understands what it is sent.
"""

import ast
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import gymnasium
import numpy as np
import psutil
import pytest
from scipy.spatial.transform import Rotation

from robowm.batch import Observation
from robowm.cli.eval import task_named
from robowm.errors import UserError
from robowm.metrics.result import read_result
from robowm.policy.controller import NullController
from robowm.sim.evaluate import EvalConfig, evaluate
from robowm.sim.google import worker
from robowm.sim.google.env import GoogleEnv, hand_in_base, middle, stage_of
from robowm.sim.google.link import Simulator
from robowm.sim.rollout import open_envs, rollout

B0 = 3  # seed of the drawers' trial whose robot is not turned
BACK = np.array([-0.1, 0, 0, 0, 0, 0, 0.25], np.float32)


@pytest.fixture
def drawer(original: None) -> Iterator[GoogleEnv]:
    env = GoogleEnv(task="open_top_drawer", size_px=32, max_steps=3)
    yield env
    env.close()


def test_what_is_seen_and_said(drawer: GoogleEnv) -> None:
    observation, info = drawer.reset(seed=B0)
    assert isinstance(drawer, gymnasium.Env) and drawer.observation_space.contains(observation)
    assert (observation["frame"] == 200).all()  # the edges of the wide picture are not in it
    np.testing.assert_allclose(observation["state"][:3], [0.5, 0, 0.8], atol=1e-6)
    assert observation["state"][7] == 0 and info["layout"] == 3 and not info["success"]
    assert info["text"] == "do OpenTopDrawerCustomInScene-v0 with {}"
    ends = []
    for _ in range(3):
        observation, reward, ended, cut_off, info = drawer.step(BACK)
        ends.append((reward, ended, cut_off))
    assert ends == [(0, False, False), (1, False, False), (1, False, True)]
    np.testing.assert_allclose(observation["state"][:3], [0.2, 0, 0.8], atol=1e-6)
    assert observation["state"][7] == pytest.approx(0.75)
    assert info["success"] and info["stage"] == "success"
    assert info["partial"] == {"opening_m": pytest.approx(0.3)}  # the original says it as text


def test_the_same_seed_is_the_same_trial(drawer: GoogleEnv) -> None:
    plain, _ = drawer.reset(seed=0)
    recoloured, info = drawer.reset(seed=9)
    again, _ = drawer.reset(seed=36)
    assert info["layout"] == 9 and (recoloured["frame"] != plain["frame"]).any()
    for name in ("frame", "state"):
        np.testing.assert_array_equal(again[name], plain[name])
    drawer.close()
    later, _ = drawer.reset(seed=0)  # another process
    np.testing.assert_array_equal(later["state"], plain["state"])


def test_what_the_original_raises_or_dies_of_is_told(drawer: GoogleEnv) -> None:
    drawer.reset(seed=0)
    with pytest.raises(RuntimeError, match="the original SIMPLER raised ValueError: no way there"):
        drawer.step(np.eye(7, dtype=np.float32)[0])
    drawer.step(BACK)  # it is still there
    with pytest.raises(RuntimeError, match="ended with code 139: Segmentation fault"):
        drawer.step(np.eye(7, dtype=np.float32)[1])
    with pytest.raises(RuntimeError, match="ended with code 139"):
        drawer.step(BACK)


def test_unknown_words_and_seeds_are_refused(original: None) -> None:
    with pytest.raises(UserError, match=r"no task 'pick_coke_cans'.*Did you mean 'pick_coke_can'"):
        GoogleEnv(task="pick_coke_cans")
    with pytest.raises(UserError, match=r"no robot 'WidowX'.*Allowed: GoogleRobot"):
        GoogleEnv(robot="WidowX")
    with pytest.raises(UserError, match="seed 1000000 is not for evaluation"):
        GoogleEnv().reset(seed=1_000_000)


class Listener(NullController):
    """Does nothing, and keeps what it is told."""

    def act(self, slots: list[int], observations: list[Observation]) -> np.ndarray:
        self.told = [*getattr(self, "told", []), *(seen.task for seen in observations)]
        return super().act(slots, observations)


def test_a_policy_is_told_the_instruction_of_the_moment(original: None) -> None:
    task = task_named("google/place_apple_in_closed_top_drawer")
    task = replace(task, make_env=partial(task.make_env, max_steps=4))
    listener = Listener(7)
    with open_envs(task, num_envs=1) as envs:
        (result,) = rollout(envs, listener, [1], task.text)
    assert result.error is None and result.layout == 1 and result.length == 4
    assert listener.told[:2] == ["open top drawer"] * 2
    assert listener.told[2].startswith("do PlaceIntoClosedTopDrawerCustomInScene-v0")
    assert "[-0.08, 0.03" in listener.told[2]


class Stumbler(NullController):
    """Opens the drawer, then asks for what the original refuses."""

    def act(self, slots: list[int], observations: list[Observation]) -> np.ndarray:
        self.steps = getattr(self, "steps", 0) + 1
        return np.stack([BACK if self.steps < 4 else np.eye(7, dtype=np.float32)[0]])


def test_a_crash_after_the_criterion_held_is_no_success(original: None) -> None:
    with open_envs(task_named("google/open_top_drawer"), num_envs=1) as envs:
        (result,) = rollout(envs, Stumbler(7), [0], max_retries=0)
    assert result.error == (
        "the simulator raised RuntimeError: the original SIMPLER raised ValueError: no way there"
    )
    assert result.partial == {"opening_m": pytest.approx(0.3)}
    assert (result.success, result.stage) == (False, None)


def test_an_evaluation_in_two_processes(original: None, tmp_path: Path) -> None:
    task = task_named("google/pick_coke_can")
    task = replace(task, max_steps=3, make_env=partial(task.make_env, max_steps=3))
    config = EvalConfig(episodes=3, baseline_episodes=0, videos=0, size_px=32)
    evaluate("null", task, tmp_path / "eval.json", config, num_envs=2)
    read = read_result(tmp_path / "eval.json")
    assert [(e.layout, e.length, e.success, e.error) for e in read.episodes] == [
        *((number, 3, False, None) for number in range(3))
    ]
    assert read.episodes[0].stage == "dropped" and read.episodes[0].partial == {"grasped": 1.0}
    assert read.assets == "original" and "sapien 2.2.2" in read.settings["original"]
    assert json.loads((tmp_path / "eval.json").read_text())["suite"] == "google/pick_coke_can"


def test_nothing_is_left_behind(original: None) -> None:
    simulator = Simulator(os.environ["ROBOWM_SIMPLER_PYTHON"])
    simulator.close()
    assert simulator._process.returncode == 0
    code = (
        "import os, signal; from robowm.sim.google.env import GoogleEnv; env = GoogleEnv(); "
        "env.reset(seed=0); print(env._simulator._process.pid, flush=True); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).wait(timeout=30)


def test_messages_survive_the_pipe_and_cut_ones_are_none() -> None:
    pipe = io.BytesIO()
    worker.send(pipe, {"ask": "step", "action": [0.1, float(np.float32(1 / 3))]}, b"\x00\xff")
    whole = pipe.getvalue()
    assert worker.receive(io.BytesIO(whole)) == (
        {"ask": "step", "action": [0.1, float(np.float32(1 / 3))], "body_bytes": 2},
        b"\x00\xff",
    )
    for length in (0, 3, 10, len(whole) - 1):
        assert worker.receive(io.BytesIO(whole[:length])) is None


def test_the_worker_is_readable_by_python_3_10_and_needs_nothing_of_ours() -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(Path(worker.__file__).read_text(), feature_version=(3, 10))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).split(".")[0])
    theirs = {"numpy", "gymnasium", "mani_skill2_real2sim", "sapien"}
    assert imported - set(sys.stdlib_module_names) == theirs


def test_the_hand_is_told_in_the_frame_of_the_base() -> None:
    turn = Rotation.from_euler("xyz", [0.3, -0.5, 2.9])
    relative = Rotation.from_euler("xyz", [1.0, 0.2, -0.4])
    place = np.array([0.4, -0.2, 0.9])
    base = np.array([1.0, 2, 3, *np.roll(turn.as_quat(), 1)])
    hand = np.array([*(base[:3] + turn.apply(place)), *np.roll((turn * relative).as_quat(), 1)])
    for sign in (1, -1):  # both quaternions are the same rotation
        found = hand_in_base(base, hand * [1, 1, 1, *[sign] * 4])
        np.testing.assert_allclose(found[:3], place, atol=1e-12)
        np.testing.assert_allclose(found[3:], relative.as_quat(canonical=True), atol=1e-12)


def test_the_middle_of_the_picture_and_how_far_it_came() -> None:
    picture = np.zeros((512, 640, 3), np.uint8)
    picture[:, 64:320] = 100
    small = middle(picture, 16)
    assert small.shape == (16, 16, 3)
    assert (small[:, :8] == 100).all() and (small[:, 8:] == 0).all()
    assert stage_of(True, {}) == "success" and stage_of(False, {"opening_m": 0.1}) is None
    assert stage_of(False, {"grasped": 1, "held": 0}) == "dropped"
    assert stage_of(False, {"grasped": 1, "held": 1}) == "misplaced"
    assert stage_of(False, {"moved": 1}) == "misplaced"
