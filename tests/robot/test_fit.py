import json
from dataclasses import replace

import numpy as np
import pytest

from robowm.errors import UserError
from robowm.policy.controller import NullController
from robowm.robot.deploy import DeployConfig, deploy
from robowm.robot.so101_emulated import SO101Emulated


def policy(folder, *, camera: str = "front", size_px: int = 64, state: int = 6, action: int = 6):
    inputs = {"observation.state": {"type": "STATE", "shape": [state]}}
    if camera:
        shape = [3, size_px, size_px]
        inputs[f"observation.images.{camera}"] = {"type": "VISUAL", "shape": shape}
    outputs = {"action": {"type": "ACTION", "shape": [action]}}
    folder.mkdir()
    config = {"type": "any", "input_features": inputs, "output_features": outputs}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def refused(robot, profile, clock, tmp_path):
    """Deploys what must be refused: the error's text, after checking that nothing happened."""
    robot.connect = lambda calibrate=True: pytest.fail("connected before it was refused")

    def run(what, robot=robot, profile=profile, config=None) -> str:
        with pytest.raises(UserError) as caught:
            deploy(what, robot, profile, tmp_path / "log", config or DeployConfig(1), clock)
        assert not list(tmp_path.glob("*log*"))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return run


def test_an_unknown_policy(refused) -> None:
    assert (
        "no policy 'nul'; expected a policy directory, a Hub id owner/name, or one of"
        in refused("nul")
    )


def test_a_directory_that_is_no_policy(refused, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    assert "is not a policy directory: expected a config.json" in refused(tmp_path / "empty")


def test_a_policy_for_another_arm(refused, tmp_path) -> None:
    seven = policy(tmp_path / "seven", camera="", action=7)
    assert "action of shape [7]; expected [6]" in refused(seven)
    nine = policy(tmp_path / "nine", camera="", state=9)
    assert "observation.state of shape [9]; expected [6]" in refused(nine)


def test_a_policy_that_sees_on_an_arm_that_does_not(refused, tmp_path) -> None:
    assert "needs a camera; robot so101_emulated has none" in refused(policy(tmp_path / "sees"))


def test_a_policy_of_another_camera_or_of_other_pictures(refused, seeing, tmp_path) -> None:
    seeing.connect = lambda calibrate=True: pytest.fail("connected before it was refused")
    wrist = policy(tmp_path / "wrist", camera="wrist", size_px=16)
    said = refused(wrist, robot=seeing)
    assert "trained on observation.images.wrist 16x16 pixels" in said
    assert "so101_emulated gives observation.images.front 16x16. Expected the camera" in said
    assert "front 64x64 pixels" in refused(policy(tmp_path / "fine"), robot=seeing)


def test_a_policy_of_another_rate(refused, tmp_path) -> None:
    slow = policy(tmp_path / "slow", camera="")
    config = json.loads((slow / "config.json").read_text()) | {"control_hz": 10.0}
    (slow / "config.json").write_text(json.dumps(config))
    assert "was trained on demonstrations at 10 Hz; expected 30 Hz" in refused(slow)


def test_a_controller_with_other_actions(refused) -> None:
    assert "policy gives 7 actions; expected 6, one for each joint" in refused(NullController(7))


def test_a_controller_whose_answer_has_another_shape_than_it_says(refused) -> None:
    controller = NullController(6)
    controller.act = lambda slots, observations: np.zeros((1, 8))
    assert "answered with shape (1, 8); expected (1, 6)" in refused(controller)


def test_a_profile_of_another_arm(refused, profile) -> None:
    other = replace(profile, joints=profile.joints[:5])
    assert "its profile expected shoulder_pan" in refused("null", profile=other)


def test_an_arm_without_poses_cannot_sweep(refused, profile) -> None:
    assert "has 0 poses" in refused("scripted", profile=replace(profile, poses=()))


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_times_that_are_none(refused, seconds) -> None:
    assert "expected seconds" in refused("null", config=DeployConfig(seconds))


def test_a_log_that_would_not_fit_into_memory(refused, seeing) -> None:
    seeing.connect = lambda calibrate=True: pytest.fail("connected before it was refused")
    said = refused("null", robot=seeing, config=DeployConfig(1e6))
    assert "23.0 GB of pictures in memory until the arm stops" in said


def test_an_arm_that_is_not_commanded_by_positions(refused, robot) -> None:
    class Wheeled(SO101Emulated):
        action_features = property(lambda self: {"base.vel": float})

    assert "expected joint positions only" in refused("null", robot=Wheeled(robot.config))


def test_an_arm_that_does_not_measure_what_it_moves(refused, robot) -> None:
    class Senseless(SO101Emulated):
        observation_features = property(lambda self: {"front": (16, 16, 3)})

    assert "does not report shoulder_pan.pos" in refused("null", robot=Senseless(robot.config))
