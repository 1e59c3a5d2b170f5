import numpy as np
import pytest
from lerobot.robots import make_robot_from_config
from lerobot.robots.so_follower import SO101Follower
from lerobot.utils.errors import DeviceNotConnectedError

from robowm.robot.config_so101_emulated import SO101EmulatedConfig
from robowm.robot.so101_emulated import JOINTS, SO101Emulated


def positions(observation: dict) -> np.ndarray:
    return np.array([observation[f"{joint}.pos"] for joint in JOINTS])


def command(robot: SO101Emulated, units: np.ndarray) -> None:
    robot.send_action({f"{joint}.pos": units[i] for i, joint in enumerate(JOINTS)})


def test_it_has_the_features_of_lerobots_follower(robot, seeing) -> None:
    names = [f"{motor}.pos" for motor in _followers_motors()]
    assert list(robot.action_features) == names
    assert [k for k, v in robot.observation_features.items() if v is float] == names
    assert "front" not in robot.observation_features
    assert seeing.observation_features["front"] == (16, 16, 3)


def _followers_motors() -> list[str]:
    """The motors as lerobot's own class names them, without opening a bus."""
    names = [c for c in SO101Follower.__init__.__code__.co_consts if isinstance(c, tuple)]
    return next(list(c) for c in names if "shoulder_pan" in c)


def test_lerobot_makes_it_from_its_config() -> None:
    assert isinstance(make_robot_from_config(SO101EmulatedConfig()), SO101Emulated)


def test_unconnected_it_answers_nothing(robot) -> None:
    with pytest.raises(DeviceNotConnectedError):
        robot.get_observation()


def test_it_stands_at_its_start_and_sags_little(robot, clock) -> None:
    robot.connect()
    clock.time_s += 1.0
    sag = positions(robot.get_observation()) - robot.config.start
    assert 0.01 < np.abs(sag).max() < 0.5
    robot.disconnect()


def test_it_goes_where_it_is_sent_in_its_own_time(robot, clock) -> None:
    robot.connect()
    goal = np.array([20.0, -50.0, 30.0, 60.0, -30.0, 80.0])
    command(robot, goal)
    assert np.abs(positions(robot.get_observation()) - robot.config.start).max() < 1e-6
    clock.time_s += 0.05
    on_its_way = positions(robot.get_observation())
    assert robot.config.start[0] < on_its_way[0] < goal[0]
    clock.time_s += 1.0
    assert np.abs(positions(robot.get_observation()) - goal).max() < 1.0
    robot.disconnect()


def test_time_is_the_clocks_however_often_it_is_asked(clock) -> None:
    ends = []
    for pauses in ([0.5], [0.02] * 25):
        robot = SO101Emulated(SO101EmulatedConfig(image_px=0), clock=clock.now_s)
        robot.connect()
        command(robot, np.array([20.0, -50.0, 30.0, 60.0, -30.0, 80.0]))
        for pause_s in pauses:
            clock.time_s += pause_s
            end = positions(robot.get_observation())
        ends.append(end)
        robot.disconnect()
    assert np.abs(ends[0] - ends[1]).max() < 0.5


def test_the_camera_sees_the_arm_move(seeing, clock) -> None:
    seeing.connect()
    before = seeing.get_observation()["front"].astype(int)
    assert before.shape == (16, 16, 3)
    yellow = (before[..., 0] - before[..., 2] > 60).sum()
    assert 5 < yellow < 128  # the arm is in the picture and does not fill it
    command(seeing, np.array([40.0, -60.0, 30.0, 60.0, 0.0, 20.0]))
    clock.time_s += 1.0
    after = seeing.get_observation()["front"].astype(int)
    assert (np.abs(after - before).max(axis=-1) > 40).sum() > 10
    seeing.disconnect()
