"""Headings found by turning the picture: patches turn with it, unseen directions are known."""

import math

import pytest
import torch

from robowm.policy.directions import Directions
from robowm.policy.heading import Heading
from robowm.policy.turned_picture import PATCH_PX, level_patches, read
from robowm.policy.turning import directions_of
from robowm.sim import robosuite_env
from robowm.sim.simpler import env as simpler

pytestmark = pytest.mark.slow

CAMERA = torch.tensor([[[4.0, 0, 0, 0], [0, 4.0, 0, 0], [0, 0, 0, 1.0]]])  # overhead, 0.5 m a side
SIZE_PX = 96
AXIS = (3, 4, 5)
LOUD = torch.tensor(6.0)  # what is asked for, of many numbers: a habit is soon learnt


def scene(at_m: torch.Tensor, angle_rad: torch.Tensor) -> torch.Tensor:
    """Pictures (B, 3, S, S) of a wedge, 10 by 3 cm, that tapers to where it points."""
    line = (torch.arange(SIZE_PX) + 0.5) * 2 / SIZE_PX - 1
    y, x = torch.meshgrid(line / 4, line / 4, indexing="ij")
    dx, dy = x - at_m[:, 0, None, None], y - at_m[:, 1, None, None]
    c, s = angle_rad.cos()[:, None, None], angle_rad.sin()[:, None, None]
    along, across = c * dx + s * dy, c * dy - s * dx
    inside = (along.abs() < 0.05) & (across.abs() < 0.015 * (1 - along / 0.06))
    return inside.float()[:, None].expand(-1, 3, -1, -1).contiguous()


def outlined(picture: torch.Tensor) -> torch.Tensor:
    """On a table with a grain, (B, 4, S, S), the wedge outlined."""
    grain = 0.5 * (torch.arange(SIZE_PX) % 6 < 3)
    table = grain[:, None].expand(SIZE_PX, SIZE_PX)
    return torch.cat([picture.maximum(table), picture[:, :1]], dim=1)


def net() -> Heading:
    """For a state of place, one axis and a gripper, normalised by nothing."""
    made = Heading(2, 7, (0, 1, 2), [AXIS])
    made.directions.deviation.copy_(torch.tensor([1, 1, 1, 0.7, 0.7, 0.1, 1.0]))
    return made


def state(at_m: torch.Tensor, angle_rad: torch.Tensor) -> torch.Tensor:
    """(B, 7), normalised as `net` says."""
    flat = torch.zeros_like(angle_rad)
    axis = torch.stack([angle_rad.cos() / 0.7, angle_rad.sin() / 0.7, flat], dim=-1)
    return torch.cat([at_m, flat[:, None], axis, flat[:, None]], dim=-1)


def turned_rad(goals: torch.Tensor) -> torch.Tensor:
    return torch.atan2(goals[..., 4], goals[..., 3])


def off(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (torch.remainder(one - other + math.pi, 2 * math.pi) - math.pi).abs()


def test_patches_turn_with_what_is_seen() -> None:
    torch.manual_seed(0)
    at_m, angle_rad = 0.1 * (torch.rand(8, 2) - 0.5), math.pi * torch.rand(8)
    places = torch.cat([at_m, torch.zeros(8, 1)], dim=1)[:, None]
    picture = (scene(at_m, angle_rad), CAMERA, None)
    seen = level_patches(places, angle_rad[:, None, None], picture)
    assert seen.shape == (8, 1, 1, 3, PATCH_PX, PATCH_PX)
    assert seen.std(0).mean() < 0.12  # as one, up to what pixels leave; unturned 0.27
    unturned = level_patches(places, torch.zeros(8, 1, 1), picture)
    assert unturned.std(0).mean() > 0.2


def test_it_looks_where_the_picture_was_moved_to() -> None:
    at_m, angle_rad = torch.tensor([[0.02, -0.03]]), torch.tensor([0.4])
    places = torch.cat([at_m, torch.zeros(1, 1)], dim=1)[:, None]
    picture = scene(at_m, angle_rad)
    moved = picture.roll((3, -6), dims=(-2, -1))
    by = torch.tensor([[-6.0, 3.0]]) * 2 / SIZE_PX
    angles = angle_rad[:, None, None]
    torch.testing.assert_close(
        level_patches(places, angles, (moved, CAMERA, by)),
        level_patches(places, angles, (picture, CAMERA, None)),
    )


@pytest.mark.parametrize("outline", [False, True])
def test_what_was_learnt_of_some_directions_is_known_of_all_and_aside_is_found(
    outline: bool,
) -> None:
    torch.manual_seed(0)
    made, aside_m = net(), torch.tensor([0.03, -0.04] if outline else [0.01, -0.015])
    optimizer = torch.optim.Adam(made.parameters(), lr=2e-3)

    def batch(count: int, low: float, high: float) -> tuple[torch.Tensor, ...]:
        at_m = 0.16 * (torch.rand(count, 2) - 0.5)
        angle_rad = low + (high - low) * torch.rand(count)
        goals = state(at_m, torch.zeros(count))[:, None]
        goals[..., 3] = 1 / 0.7  # as of a hand that heads along x
        now = state(at_m + 0.1, torch.zeros(count))
        picture = scene(at_m + aside_m, angle_rad)
        seen = outlined(picture) if outline else torch.cat([picture, 0 * picture[:, :1]], dim=1)
        return goals, now, seen, state(at_m, angle_rad)[:, None]

    for _ in range(100):
        goals, now, picture, true = batch(32, 0.0, 1.5)
        seen = (picture, CAMERA, None)
        turned, nats = made(goals, now, torch.zeros(32, 1, 2), seen, true)
        torch.testing.assert_close(turned, true, atol=1e-4, rtol=0)  # taught: as shown
        optimizer.zero_grad()
        nats.backward()
        optimizer.step()
    made.eval()
    (
        made.turned_picture.habit.weight.data.zero_(),
        made.turned_picture.habit.bias.data.zero_(),
    )  # no prejudice
    goals, now, picture, true = batch(64, 2.0, 4.0)
    turned, nats = made(goals, now, torch.zeros(64, 1, 2), (picture, CAMERA, None))
    assert nats is None
    error = off(turned_rad(turned[:, 0]), turned_rad(true[:, 0]))
    if outline:  # gripped as well from the other side
        error = error.minimum(math.pi - error)
    assert error.median() < math.radians(10)  # at random: 90 degrees, or 45


def test_of_what_is_outlined_one_direction_is_enough() -> None:
    torch.manual_seed(0)
    made = net()
    optimizer = torch.optim.Adam(made.parameters(), lr=2e-3)

    def batch(angle_rad: torch.Tensor) -> tuple[torch.Tensor, ...]:
        count = len(angle_rad)
        at_m = 0.16 * (torch.rand(count, 2) - 0.5)
        goals = state(at_m, torch.zeros(count))[:, None]
        goals[..., 3] = 1 / 0.7
        now = state(at_m + 0.1, torch.zeros(count))
        return goals, now, outlined(scene(at_m, angle_rad)), state(at_m, angle_rad)[:, None]

    for _ in range(100):
        goals, now, picture, true = batch(torch.full((32,), 0.6))
        _, nats = made(goals, now, LOUD.expand(32, 1, 2), (picture, CAMERA, None), true)
        optimizer.zero_grad()
        nats.backward()
        optimizer.step()
    goals, now, picture, true = batch(1.6 + 3.0 * torch.rand(64))
    turned, _ = made.eval()(goals, now, LOUD.expand(64, 1, 2), (picture, CAMERA, None))
    away = turned_rad(turned[:, 0]) - turned_rad(true[:, 0])
    line = (torch.remainder(away + math.pi / 2, math.pi) - math.pi / 2).abs()
    assert line.median() < math.radians(12)  # along which line; 45 degrees at random


def test_of_two_ends_that_are_alike_the_nearer_is_taken() -> None:
    torch.manual_seed(0)
    made = net().eval()
    at_m, angle_rad = 0.1 * (torch.rand(64, 2) - 0.5), 2 * math.pi * torch.rand(64)
    goals = state(at_m, torch.zeros(64))[:, None]
    goals[..., 3] = 1 / 0.7
    for ahead in (0.0, 2.0):
        now = state(at_m + 0.1, torch.full((64,), ahead))
        picture = (outlined(scene(at_m, angle_rad)), CAMERA, None)
        turned, _ = made(goals, now, torch.zeros(64, 1, 2), picture)
        assert off(turned_rad(turned[:, 0]), torch.tensor(ahead)).max() < math.radians(100)


@pytest.mark.parametrize(("count", "looked_at"), [(5, 5), (8, 8), (32, 8)])
def test_of_a_batch_however_small_up_to_eight_samples_are_looked_at(
    count: int, looked_at: int
) -> None:
    torch.manual_seed(0)
    made = net().eval()
    at_m, angle_rad = 0.1 * (torch.rand(count, 2) - 0.5), torch.rand(count)
    goals, true = state(at_m, 0 * angle_rad)[:, None], state(at_m, angle_rad)[:, None]
    picture = outlined(scene(at_m, angle_rad)).requires_grad_()
    _, nats = made(
        goals, state(at_m, angle_rad), torch.zeros(count, 1, 2), (picture, CAMERA, None), true
    )
    nats.backward()
    assert picture.grad is not None
    assert int(picture.grad.flatten(1).any(1).sum()) == looked_at


def test_a_heading_is_read_between_the_directions() -> None:
    grid = (torch.arange(24) * 2 * math.pi / 24).expand(50, -1)
    true = 2 * math.pi * torch.rand(50)
    found = read(30 * (grid - true[:, None]).cos(), grid)
    assert off(found, true).max() < math.radians(1.5)


def test_only_the_hands_axes_are_directions() -> None:
    made = Directions(10, (0, 1, 2), [(3, 4, 5), (6, 7, 8)])
    made.mean.copy_(torch.tensor([0, 0, 0, 0, 0, -1.0, 0, 0, 0, 0]))
    made.deviation.copy_(torch.tensor([1, 1, 1, 0.05, 0.05, 0.05, 0.7, 0.7, 0.05, 1]))
    assert made.axes() == [(6, 7, 8), (3, 4, 5)]  # the flattest first
    made.deviation[6:8] = 3.0  # a velocity, say
    assert made.axes() == []  # and what points down does not head anywhere


@pytest.mark.parametrize("env", [simpler, robosuite_env])
def test_the_suites_states_have_directions(env: object) -> None:
    assert directions_of(env.STATE_NAMES) == [[3, 4, 5], [6, 7, 8]]  # type: ignore[attr-defined]
    assert directions_of(["x", "y", "z", "roll"]) == directions_of(None) == []
