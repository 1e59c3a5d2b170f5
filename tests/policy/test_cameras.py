"""By which camera a picture was taken: told by the room, whatever light and what moves in it."""

import pytest
import torch

from robowm.policy.cameras import GRID, MOST, SAME, Cameras, apart, looks_of, rooms

SIZE_PX = 64


def room(seed: int) -> torch.Tensor:
    """(3, S, S): a few surfaces."""
    cells = torch.rand(3, 5, 5, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(cells[None], SIZE_PX, mode="bilinear")[0]


def crossed(picture: torch.Tensor, column: int) -> torch.Tensor:
    """With an arm in it, a sixth of the picture."""
    picture = picture.clone()
    picture[:, :, column : column + SIZE_PX // 6] = 0.1
    return picture


def test_light_an_arm_and_a_shift_leave_a_room_what_it_is() -> None:
    one, other = room(0), room(1)
    seen = [one, 0.6 * one + 0.2, crossed(one, 30), one.roll((2, -2), (1, 2)), other]
    looks = looks_of(torch.stack(seen))
    assert looks.shape == (5, GRID**2)
    away = apart(looks[:1], looks)[0]
    assert (away[:4] < SAME).all() and away[4] > 1.5 * SAME


def test_each_picture_gets_its_rooms_projection_also_after_a_round_trip() -> None:
    pictures = torch.stack([room(seed) for seed in range(3)])
    matrices = torch.randn(3, 3, 4)
    cameras, read = Cameras(), Cameras()
    assert not cameras.known
    cameras.know(matrices, looks_of(pictures))
    read.load_state_dict(cameras.state_dict())
    asked = torch.stack([crossed(pictures[i], 5) for i in (2, 0, 1, 2)])
    assert read.known and torch.equal(read(asked), matrices[[2, 0, 1, 2]])
    read.know(matrices[1:2], looks_of(pictures[1:2]))  # what was known before is forgotten
    assert torch.equal(read(asked), matrices[[1, 1, 1, 1]])


@pytest.mark.parametrize(("count", "found"), [(2, 2), (MOST, MOST), (MOST + 1, 1)])
def test_episodes_are_sorted_by_room_up_to_a_few(count: int, found: int) -> None:
    looks = looks_of(torch.stack([crossed(room(i % count), 2 * i) for i in range(2 * count)]))
    which, own = rooms(looks)
    assert own.shape == (found, GRID**2)
    assert torch.equal(which, torch.arange(2 * count) % found)
