"""The head that acts by shares of the ways: what it does turns and mirrors with its goals."""

import math

import pytest
import torch
from scipy.spatial.transform import Rotation

from robowm.policy.turning import Turning, any_angle
from robowm.policy.way_head import WayHead, rotation_vector
from robowm.sim.simpler.env import ACTION_NAMES, STATE_NAMES

TURNING = Turning.of(STATE_NAMES, ACTION_NAMES)
PLACE = (0, 1, 2)


def net(seed: int = 0) -> WayHead:
    """For SIMPLER's numbers, with a scale that is not 1 anywhere."""
    assert TURNING is not None
    torch.manual_seed(seed)
    made = WayHead(10, 3, 2, (4, 7), PLACE, TURNING.axes, TURNING.action)
    state = torch.stack([torch.randn(10), 0.2 + torch.rand(10)])
    action = torch.stack([torch.zeros(7), torch.tensor([0.3, 0.3, 0.4, 0.05, 0.05, 0.2, 0.9])])
    done = torch.tensor([[0.7, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0.42, 0.56, 1]])
    made.know_scale(state, action, done)
    torch.nn.init.normal_(made.lag)
    return made.eval()


def states(count: int, moments: int) -> torch.Tensor:
    """(count, moments, 10), in the robot's units: hands that point anywhere, 10 cm about 0."""
    axes = torch.from_numpy(Rotation.random(count * moments, random_state=0).as_matrix()).float()
    axes = axes.reshape(count, moments, 3, 3)
    place, fingers = 0.1 * torch.randn(count, moments, 3), 0.05 * torch.rand(count, moments, 1)
    return torch.cat([place, axes[..., 0], axes[..., 1], fingers], dim=-1)


def act(made: WayHead, state: torch.Tensor, goals: torch.Tensor) -> torch.Tensor:
    """Actions in the robot's units."""
    mean, deviation = made.state_scale
    chunk = made((state - mean) / deviation, (goals - mean) / deviation)
    return chunk * made.action_scale[1] + made.action_scale[0]


@pytest.mark.parametrize("mirrored", [False, True])
def test_what_it_does_turns_and_mirrors_with_the_goals(mirrored: bool) -> None:
    assert TURNING is not None
    made, state, goals = net(), states(50, 3), states(50, 2)
    angle_rad, mirror = any_angle(50), torch.full((50,), mirrored)
    turned = act(made, *(TURNING.states(v, angle_rad, mirror) for v in (state, goals)))
    expected = TURNING.actions(act(made, state, goals), angle_rad, mirror)
    torch.testing.assert_close(turned, expected, atol=1e-3, rtol=1e-3)


def test_where_on_the_table_is_no_matter() -> None:
    made, state, goals = net(), states(20, 3), states(20, 2)
    away = torch.tensor([0.3, -0.2, 0.1, *[0.0] * 7])
    torch.testing.assert_close(
        act(made, state + away, goals + away), act(made, state, goals), atol=1e-4, rtol=1e-3
    )


def test_it_asks_for_no_more_than_was_demonstrated() -> None:
    chunk = act(net(), states(50, 3), 5 * states(50, 2))
    for columns in (slice(0, 3), slice(3, 6)):
        longest = float(chunk.detach()[..., columns].norm(dim=-1).max())
        assert longest == pytest.approx(0.7, abs=1e-3)


def test_a_hand_that_was_never_turned_about_the_vertical_is_not() -> None:
    made, state, goals = net(), states(50, 3), states(50, 2)
    before = act(made, state, goals)
    assert before[..., 5].abs().max() > 0.1
    upright = torch.tensor([[0.7, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0.42, 0.56, 0, 1]])
    made.know_scale(made.state_scale, made.action_scale, upright)
    after = act(made, state, goals)
    assert after[..., 5].abs().max() == 0
    torch.testing.assert_close(after[..., :3], before[..., :3])
    assert after[..., 3:5].abs().max() > 0.1  # it is kept upright
    loaded = net()
    loaded.load_state_dict(made.state_dict())
    assert not loaded.may_turn
    loaded.load_state_dict({k: v for k, v in made.state_dict().items() if k != "may_turn"})
    assert loaded.may_turn  # policies of before


def test_the_gripper_is_told_by_how_far_the_next_goal_is_and_how_fast_the_hand() -> None:
    made, state, goals = net(), states(20, 3), states(20, 2)
    before = act(made, state, goals)
    elsewhere = goals.clone()
    elsewhere[:, 1, :3] += 0.1  # what comes after
    after = act(made, state, elsewhere)
    torch.testing.assert_close(after[..., 6], before[..., 6])
    assert not torch.allclose(after[..., :3], before[..., :3])
    state[:, :2, :3] += 0.05 * torch.randn(20, 2, 3)  # how it came here
    assert not torch.allclose(act(made, state, goals)[..., 6], before[..., 6])


def test_the_gripper_is_told_by_height_and_level_distance_apart() -> None:
    made, state, goals = net(), states(20, 3), states(20, 2)
    beside, above = goals.clone(), goals.clone()
    beside[:, 0, :2] = state[:, -1, :2] + torch.tensor([0.03, 0.0])
    beside[:, 0, 2] = state[:, -1, 2]
    above[:, 0, :3] = state[:, -1, :3] + torch.tensor([0.0, 0.0, 0.03])
    assert not torch.allclose(act(made, state, beside)[..., 6], act(made, state, above)[..., 6])


def test_a_gripper_that_was_told_two_things_is_told_one_of_them() -> None:
    made, state, goals = net(), states(50, 3), states(50, 2)
    scales = made.state_scale, made.action_scale
    between = act(made, state, goals)[..., 6]
    actions = torch.zeros(4, 7)
    actions[:, 6] = torch.tensor([1.0, -1.0, 1.0, -1.0])
    made.know_scale(*scales, actions)
    told = act(made, state, goals)[..., 6]
    torch.testing.assert_close(told, torch.where(between > 0, 1.0, -1.0))
    assert {1.0, -1.0} == {round(v, 4) for v in told.flatten().tolist()}
    made.train()  # what it learns by is how far off it is
    assert len(act(made, state, goals)[..., 6].unique()) > 2


def test_of_two_commands_it_learns_how_likely_each_is() -> None:
    made = net()
    actions = torch.zeros(4, 7)
    actions[:, 6] = torch.tensor([1.0, -1.0, 1.0, -1.0])
    chunk, done = torch.zeros(2, 4, 7), torch.zeros(2, 4, 7)
    chunk[..., 6], done[..., 6] = torch.tensor([[0.5], [-0.5]]), 1.0
    torch.testing.assert_close(made.error(chunk, done), (chunk - done).abs().mean(-1))
    made.know_scale(made.state_scale, made.action_scale, actions)
    found = made.error(chunk, done)[:, 0] * 7
    mean, deviation = made.action_scale[:, 6]
    middle, half = -mean / deviation, 1 / deviation
    logits = 4 * (torch.tensor([0.5, -0.5]) - middle) / half
    torch.testing.assert_close(found, torch.log1p(torch.exp(-logits)))
    # where one in three was told to close, by L1 the best is to say "open" for certain
    told = torch.tensor([1.0, 1.0, -1.0])[:, None, None] * torch.ones(1, 1, 7)
    said = [torch.full((3, 1, 7), value) for value in (0.2, 1.0)]
    told[..., :6], (said[0][..., :6], said[1][..., :6]) = 0.0, (0.0, 0.0)
    unsure, certain = (float(made.error(one, told).mean()) for one in said)
    assert unsure < certain


def test_of_one_direction_it_learns_all() -> None:
    made = net().train()
    made.state_scale.copy_(torch.tensor([[0.0], [1.0]]).repeat(1, 10))
    optimizer = torch.optim.Adam(made.parameters(), lr=3e-3)
    upright = torch.tensor([0.0, 0, 0, 0, 0, -1, 0, 1, 0, 0.04])

    def ways(count: int, angle_rad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        goals = upright.repeat(count, 2, 1)
        far_m = 0.02 + 0.13 * torch.rand(count)
        level = torch.stack([angle_rad.cos(), angle_rad.sin()], dim=-1) * far_m[:, None]
        goals[..., :2] = level[:, None]
        return upright.repeat(count, 3, 1), goals

    for _ in range(200):
        state, goals = ways(64, torch.full((64,), 0.3))
        wanted = goals[:, :1, :2] / 0.05 * 0.5
        loss = (act(made, state, goals)[..., :2] - wanted).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    state, goals = ways(64, any_angle(64))
    made.eval().most.fill_(math.inf)
    error = (act(made, state, goals)[..., :2] - goals[:, :1, :2] / 0.05 * 0.5).norm(dim=-1)
    assert error.mean() < 0.1  # of 0.2 to 1.5


def test_rotation_vectors_are_scipys() -> None:
    turns = Rotation.random(200, random_state=1)
    found = rotation_vector(torch.from_numpy(turns.as_matrix()))
    torch.testing.assert_close(found, torch.from_numpy(turns.as_rotvec()), atol=1e-5, rtol=1e-5)
    nothing = rotation_vector(torch.eye(3, requires_grad=True))
    assert nothing.abs().max() == 0
    still = torch.eye(3, requires_grad=True)
    rotation_vector(still).sum().backward()
    assert still.grad is not None and still.grad.isfinite().all()
