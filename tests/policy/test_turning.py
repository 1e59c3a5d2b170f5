"""Turned demonstrations: the right columns, a rotation, and a head that learns what is left out."""

import math

import pytest
import torch

from robowm.policy.turning import Turning, any_angle, vectors
from robowm.sim import robosuite_env
from robowm.sim.simpler import env as simpler

SIDE = ["x", "y", "z", "open"]


def test_vectors_are_found_by_their_names() -> None:
    assert vectors(simpler.STATE_NAMES) == ((0, 1, 2), (3, 4, 5), (6, 7, 8))
    assert vectors(["gripper", "ee.z", "ee.y", "ee.x"]) == ((3, 2, 1),)
    assert vectors(["x_only", "max"]) == ()


@pytest.mark.parametrize("env", [simpler, robosuite_env])
def test_the_suites_arms_turn(env: object) -> None:
    turning = Turning.of(env.STATE_NAMES, env.ACTION_NAMES)  # type: ignore[attr-defined]
    assert turning is not None
    assert turning.action == ((0, 1, 2), (3, 4, 5))
    assert turning.axes == ((3, 4, 5), (6, 7, 8)) and turning.spins == ((3, 4, 5),)


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (["shoulder_pan.pos", "elbow.pos", "gripper.pos"], SIDE),  # joints
        ([*SIDE[:3], "roll", "pitch", "yaw", "gripper"], SIDE),  # absolute angles
        (SIDE, None),
        (None, SIDE),
    ],
)
def test_what_does_not_turn_is_left_alone(state: list[str] | None, action: list[str]) -> None:
    assert Turning.of(state, action) is None


def test_a_quarter_turn_takes_x_to_y() -> None:
    turning = Turning.of(SIDE, SIDE)
    assert turning is not None
    ahead = torch.tensor([[[1.0, 0, 5, 0.3]], [[1.0, 0, 5, 0.3]]])
    turned = turning.states(ahead, torch.tensor([math.pi / 2, 0]))
    torch.testing.assert_close(turned[0], torch.tensor([[0.0, 1, 5, 0.3]]))
    torch.testing.assert_close(turned[1], ahead[1])


def test_lengths_angles_and_the_gripper_stay() -> None:
    torch.manual_seed(0)
    turning = Turning.of(simpler.STATE_NAMES, simpler.ACTION_NAMES)
    assert turning is not None
    before, angle_rad = torch.randn(50, 3, 10), any_angle(50)
    after = turning.states(before, angle_rad)
    for one in range(0, 9, 3):
        for other in range(0, 9, 3):
            dots = [
                (v[..., one : one + 3] * v[..., other : other + 3]).sum(-1) for v in (before, after)
            ]
            torch.testing.assert_close(*dots, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(after[..., [2, 5, 8, 9]], before[..., [2, 5, 8, 9]])
    assert angle_rad.min() < -3 and angle_rad.max() > 3


def rotation(spin: torch.Tensor) -> torch.Tensor:
    """Matrices (..., 3, 3) of rotation vectors (..., 3)."""
    crossed = torch.linalg.cross(spin[..., None, :], torch.eye(3).expand(*spin.shape, 3))
    return torch.linalg.matrix_exp(crossed.mT)


def test_a_mirrored_hand_is_a_hand_and_goes_the_mirrored_way() -> None:
    torch.manual_seed(0)
    turning = Turning.of(simpler.STATE_NAMES, simpler.ACTION_NAMES)
    assert turning is not None
    pose, spin = rotation(torch.randn(20, 3)), 0.4 * torch.randn(20, 3)
    then = rotation(spin) @ pose  # an action turns the hand about axes of the base
    place, step, rest = torch.randn(20, 3), torch.randn(20, 3), torch.randn(20, 1)

    def state(place: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
        return torch.cat([place, pose[..., 0], pose[..., 1], rest], dim=1)

    angle_rad, all_ = any_angle(20), torch.ones(20, dtype=torch.bool)
    before = turning.states(state(place, pose), angle_rad, all_)
    after = turning.states(state(place + step, then), angle_rad, all_)
    action = turning.actions(torch.cat([step, spin, rest], dim=1), angle_rad, all_)
    torch.testing.assert_close(before[:, :3] + action[:, :3], after[:, :3])
    x, y = before[:, 3:6], before[:, 6:9]
    mirrored = torch.stack([x, y, torch.cross(x, y, dim=1)], dim=-1)
    turned = rotation(action[:, 3:6]) @ mirrored  # what the mirrored action does to that hand
    torch.testing.assert_close(turned[..., 0], after[:, 3:6])
    torch.testing.assert_close(turned[..., 1], after[:, 6:9])
    up = torch.cross(pose[..., 0], pose[..., 1], dim=1)[:, 2]  # how far up it points stays
    torch.testing.assert_close(mirrored[:, 2, 2], up)
    torch.testing.assert_close(before[:, 9], rest[:, 0])
    none = turning.states(state(place, pose), torch.zeros(20), ~all_)
    torch.testing.assert_close(none, state(place, pose))
