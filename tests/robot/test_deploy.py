import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from robowm.episodes import Episodes
from robowm.errors import UserError
from robowm.robot.deploy import DeployConfig, deploy
from robowm.robot.gate import GateCode


def measured(log: Episodes) -> np.ndarray:
    return np.concatenate([log.column("observation.state", i) for i in range(len(log))])


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda tick, state: np.full(6, np.nan), "NONFINITE"),
        (lambda tick, state: np.full(6, np.inf * (-1) ** tick), "NONFINITE"),
        (lambda tick, state: state + 1000 * (-1) ** tick, "JUMP"),
        (lambda tick, state: np.full(6, 1e30), "JUMP"),
        (lambda tick, state: state[:4], "SHAPE"),
    ],
    ids=["nan", "inf", "jump", "huge", "shape"],
)
def test_a_policy_gone_wrong_moves_the_arm_nowhere(
    robot, profile, clock, out, asks, answer, code
) -> None:
    summary = deploy(asks(answer), robot, profile, out, DeployConfig(5), clock)
    assert summary.stopped.startswith("fault: 15 commands in a row refused")
    assert summary.interventions == {code: 15, "FAULT": 1}
    positions = measured(Episodes(out))
    assert len(positions) == 15
    assert np.abs(positions - positions[0]).max() < 1.0


def test_a_policy_that_is_wrong_now_and_then_is_held_through_it(
    robot, profile, clock, out, asks
) -> None:
    def sometimes(tick: int, state: np.ndarray) -> np.ndarray:
        return np.full(6, np.nan) if tick % 3 else state

    summary = deploy(asks(sometimes), robot, profile, out, DeployConfig(5), clock)
    assert summary.stopped == "completed" and summary.interventions == {"NONFINITE": 100}
    log = Episodes(out)
    assert log.column("requested_finite", 0).sum() == 50
    assert np.isfinite(log.column("requested_action", 0)).all()


@pytest.mark.parametrize("size", [40.0, 10.0])
def test_jumps_to_and_fro_stay_within_limits_and_speed(
    robot, profile, clock, out, asks, size
) -> None:
    def jumps(tick: int, state: np.ndarray) -> np.ndarray:
        return state + size * (1 if tick // 40 % 2 else -1)

    summary = deploy(asks(jumps), robot, profile, out, DeployConfig(8), clock)
    assert summary.interventions["STEP"] > 100
    positions, joints = measured(Episodes(out)), profile.joints
    assert (positions > [j.lower - 1.5 for j in joints]).all()
    assert (positions < [j.upper + 1.5 for j in joints]).all()
    over_200_ms = np.abs(positions[6:] - positions[:-6]).max(axis=0)
    # It hits the floor on its way: freed again, a joint springs by no more than its lead.
    assert (over_200_ms[:5] < [0.2 * j.max_velocity + j.max_lead for j in joints[:5]]).all()
    assert np.ptp(positions, axis=0).min() > 3  # it did move


def test_a_jump_of_one_joint_in_free_air_is_followed_no_faster_than_allowed(
    robot, profile, clock, out, asks
) -> None:
    def jumps(tick: int, state: np.ndarray) -> np.ndarray:
        return robot.config.start + np.array([25 * (-1) ** (tick // 20), 0, 0, 0, 0, 0])

    deploy(asks(jumps), robot, profile, out, DeployConfig(4), clock)
    pan = measured(Episodes(out))[:, 0]
    fastest = profile.joints[0].max_velocity
    assert np.abs(pan[6:] - pan[:-6]).max() / 0.2 < 1.1 * fastest
    assert np.ptp(pan) == pytest.approx(50, abs=3)


def test_the_log_says_what_was_observed_asked_and_sent(seeing, profile, clock, out, asks) -> None:
    asked = deploy(
        asks(lambda tick, state: state + 10),
        seeing,
        profile,
        out,
        DeployConfig(2.5, episode_s=1, task="go"),
        clock,
    )
    assert asked.episodes == 2 and asked.ticks == 75
    log = Episodes(out)
    assert log.lengths.tolist() == [30, 45] and log.tasks == ["go", "go"]
    action, requested = log.column("action", 1), log.column("requested_action", 1)
    assert (np.abs(np.diff(action, axis=0)) <= np.float32(20 / 3) + 1e-4).all()
    assert np.abs(requested - log.column("observation.state", 1) - 10).max() < 1e-3
    assert (log.column("gate_code", 0)[:5] & GateCode.STEP).all()
    times_s = np.concatenate([log.column("capture_time_s", i).ravel() for i in range(2)])
    assert times_s[0] == 0 and np.diff(times_s) == pytest.approx(1 / 30)
    assert log.frames(0, log.camera("front")).shape == (30, 16, 16, 3)
    assert log.column("sent", 0).all()


def test_stock_lerobot_opens_the_log(seeing, profile, clock, out) -> None:
    deploy("scripted", seeing, profile, out, DeployConfig(1), clock)
    dataset = LeRobotDataset("local/log", root=out, video_backend="pyav")
    assert len(dataset) == 30 and dataset[5]["action"].shape == (6,)
    assert [k for k in dataset.meta.features if k.startswith("action")] == ["action"]


def test_a_dry_run_says_so_in_the_log(robot, profile, clock, out) -> None:
    deploy("scripted", robot, profile, out, DeployConfig(2, dry_run=True), clock)
    log = Episodes(out)
    assert not log.column("sent", 0).any()
    assert (log.column("action", 0) == log.column("action", 0)[0]).all()
    assert np.ptp(measured(log), axis=0).max() < 1.0
    assert json.loads((out / "robowm.json").read_text())["summary"]["dry_run"]


def test_the_same_run_again_moves_nothing_and_another_is_refused(
    robot, profile, clock, out
) -> None:
    first = deploy("null", robot, profile, out, DeployConfig(1), clock)
    time_s = clock.time_s
    again = deploy("null", robot, profile, out, DeployConfig(1), clock)
    assert again.already_there and again.ticks == first.ticks and clock.time_s == time_s
    with pytest.raises(UserError, match="already holds a robot_log made with other settings"):
        deploy("null", robot, profile, out, DeployConfig(2), clock)


def test_sigterm_ends_the_run_and_keeps_the_log(robot, profile, clock, out, asks) -> None:
    def killed(tick: int, state: np.ndarray) -> np.ndarray:
        if tick == 40:
            os.kill(os.getpid(), signal.SIGTERM)
        return state

    before = signal.getsignal(signal.SIGTERM)
    summary = deploy(asks(killed), robot, profile, out, DeployConfig(10), clock)
    assert summary.stopped == "interrupted" and len(measured(Episodes(out))) == summary.ticks == 40
    assert not robot.is_connected and signal.getsignal(signal.SIGTERM) == before


def test_a_policy_that_raises_leaves_its_log_behind(robot, profile, clock, out, asks) -> None:
    def fails(tick: int, state: np.ndarray) -> np.ndarray:
        return state / 0 if tick < 10 else {}["key"]

    with np.errstate(divide="ignore", invalid="ignore"), pytest.raises(KeyError):
        deploy(asks(fails), robot, profile, out, DeployConfig(10), clock)
    assert len(measured(Episodes(out))) == 10 and not robot.is_connected


def test_kill_9_while_the_log_is_written_leaves_no_half_dataset(robot, profile, clock, out) -> None:
    script = f"""
        import os, signal
        from pathlib import Path
        from robowm import recipes
        from robowm.episodes import EpisodeWriter
        from robowm.robot.deploy import DeployConfig, deploy
        from robowm.robot.config_so101_emulated import SO101EmulatedConfig
        from robowm.robot.so101_emulated import SO101Emulated

        class ManualClock:
            time_s = 0.0
            def now_s(self): return self.time_s
            def sleep_until(self, deadline_s): self.time_s = max(self.time_s, deadline_s)

        add, added = EpisodeWriter.add, []
        def killed(self, columns, task):
            if added: os.kill(os.getpid(), signal.SIGKILL)
            added.append(add(self, columns, task))
        EpisodeWriter.add = killed
        clock = ManualClock()
        robot = SO101Emulated(SO101EmulatedConfig(image_px=0), clock=clock.now_s)
        profile = recipes.load("real_robot/so101_emulated").ROBOT
        deploy("null", robot, profile, Path({str(out)!r}), DeployConfig(3, episode_s=1), clock)
    """
    died = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert not out.exists() and any(out.parent.glob(".log.partial/dataset/data/*"))
    summary = deploy("null", robot, profile, out, DeployConfig(3, episode_s=1), clock)
    assert summary.episodes == len(Episodes(out)) == 3
    assert not (out / "dataset").exists()
    assert [path.name for path in out.parent.iterdir()] == ["log"]


def test_nothing_is_left_when_the_arm_cannot_be_reached(robot, profile, clock, out) -> None:
    def connect(calibrate: bool = True) -> None:
        raise ConnectionError("could not open port\n/dev/ttyACM9")

    robot.connect = connect
    expected = "so101_emulated cannot be reached: could not open port /dev/ttyACM9"
    with pytest.raises(UserError, match=expected):
        deploy("null", robot, profile, out, DeployConfig(1), clock)
    assert not any(out.parent.iterdir())
