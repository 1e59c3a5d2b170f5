"""Points: they lie in the picture, move with what they look at, and words choose what that is."""

import torch
from torch import nn
from torch.nn import functional as F

from robowm.nn.points import Points, cell_centres, map_loss, near_the_mode


def blobs(at: torch.Tensor, channels: int = 8, side: int = 16) -> torch.Tensor:
    """One blob a channel pair: (B, N, 2) places in cells to maps (B, channels, side, side)."""
    axis = torch.arange(side).float()
    maps = torch.zeros(len(at), channels, side, side)
    for i in range(at.shape[1]):
        x, y = at[:, i, 0, None, None], at[:, i, 1, None, None]
        maps[:, i] = torch.exp(-((axis[None, None] - x) ** 2 + (axis[None, :, None] - y) ** 2) / 2)
    return maps


def test_a_uniform_map_is_looked_at_in_its_middle() -> None:
    torch.manual_seed(0)
    points = Points(8, 16, 3)
    found = points(torch.zeros(2, 8, 6, 10), torch.zeros(2, 16))
    assert found.tokens.shape == (2, 3, 16) and found.logits.shape == (2, 3, 6, 10)
    torch.testing.assert_close(found.places, torch.zeros(2, 3, 2), atol=1e-6, rtol=0)


def test_a_shifted_picture_shifts_the_places_by_as_much() -> None:
    torch.manual_seed(0)
    points = Points(8, 16, 4)
    points.sharpness.data.fill_(3.0)  # the blob alone is looked at
    nn.init.zeros_(points.query)
    with torch.no_grad():
        points.key.weight.copy_(torch.eye(8)[:, :, None, None])
        points.key.bias.zero_()
        points.query[:, 0] = 4.0
    here = blobs(torch.tensor([[[5.0, 6.0]]]))
    there = F.pad(here, (3, 0, 2, 0))[..., :16, :16]
    one = points(here, torch.zeros(1, 16)).places
    two = points(there, torch.zeros(1, 16)).places
    expected = torch.tensor([3.0, 2.0]) * 2 / 16
    torch.testing.assert_close(two - one, expected.expand_as(one), atol=1e-3, rtol=0)


def test_words_choose_which_of_two_things_is_found() -> None:
    torch.manual_seed(0)
    points = Points(8, 16, 1)
    words = torch.randn(2, 16)
    optimizer = torch.optim.Adam(points.parameters(), lr=2e-2)

    def error(size: int) -> torch.Tensor:
        at = torch.randint(2, 14, (size, 2, 2)).float()
        which = torch.randint(0, 2, (size,))
        places = points(blobs(at), words[which]).places
        wanted = (at[torch.arange(size), which] + 0.5) * 2 / 16 - 1
        return (places[:, 0] - wanted).norm(dim=-1).mean()

    for _ in range(150):
        loss = error(32)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert error(256).item() < 0.1  # a cell is 0.125 wide; a guess is off by about 0.6


def test_every_place_is_inside_the_picture() -> None:
    torch.manual_seed(0)
    points = Points(8, 16, 5)
    points.sharpness.data.fill_(5.0)
    assert points(torch.randn(3, 8, 16, 16), torch.randn(3, 16)).places.abs().max() < 1


def test_a_map_is_taught_where_it_is_known() -> None:
    torch.manual_seed(0)
    logits = torch.zeros(2, 2, 8, 8, requires_grad=True)
    places = torch.tensor([[[0.5, -0.25], [float("nan")] * 2], [[-0.6, 0.6], [0.0, 0.0]]])
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(100):
        loss = map_loss(logits, places)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert logits[0, 1].abs().max() == 0  # nobody said where
    at = cell_centres(8, 8, logits.device)
    found = logits.flatten(2).softmax(-1) @ at
    known = places.isfinite()
    torch.testing.assert_close(found[known], places[known], atol=0.1, rtol=0)
    least = map_loss(torch.zeros(1, 1, 8, 8), torch.full((1, 1, 2), float("nan")))
    assert least == 0


def test_the_likelier_of_two_peaks_is_not_drawn_towards_the_other() -> None:
    at = cell_centres(16, 16, torch.device("cpu"))
    one, other = torch.tensor([-0.5, 0.3]), torch.tensor([0.7, -0.6])
    peaks = [(-(at - place).square().sum(-1) / 0.02).exp() for place in (one, other)]
    logits = (0.8 * peaks[0] + 0.2 * peaks[1] + 1e-6).log().reshape(1, 1, 16, 16)
    torch.testing.assert_close(near_the_mode(logits)[0, 0], one, atol=0.01, rtol=0)
    both = (logits.flatten(2).softmax(-1) @ at)[0, 0]
    assert (both - one).norm() > 0.2


def test_a_map_of_a_single_cell_still_teaches() -> None:
    torch.manual_seed(0)
    points = Points(8, 16, 2)
    with torch.no_grad():
        points.sharpness.fill_(9.0)  # so sharp that the other cells' share underflows
    features = torch.randn(3, 8, 6, 6, requires_grad=True)
    found = points(features, torch.randn(3, 16))
    assert found.logits.flatten(2).softmax(-1).amax(-1).eq(1).any()
    found.tokens.square().sum().backward()
    assert features.grad is not None and features.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in points.parameters())
