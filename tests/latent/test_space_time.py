"""Space-time blocks: causal where they say so, blind to padding, positions that mean distances."""

import pytest
import torch

from robowm.latent.space_time import BlockShape, DistanceBias, SpaceTime, rotate

SHAPE = BlockShape(
    width=16, heads=2, head_dim=8, ff_mult=4.0, ff_dropout=0.1, attention_dropout=0.0
)
GRID = 3


def blocks(causal: bool, film: bool = False) -> SpaceTime:
    torch.manual_seed(0)
    return SpaceTime(SHAPE, depth=2, causal=causal, film=film).eval()


def tokens(extra: int = 0) -> torch.Tensor:
    return torch.rand(2, 4, GRID * GRID + extra, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("causal", [True, False])
def test_a_causal_frame_knows_no_later_one(causal: bool) -> None:
    network, x = blocks(causal), tokens()
    changed = x.clone()
    changed[:, 2] += 1
    moved = (network(x, GRID) - network(changed, GRID)).abs().amax((0, 2, 3))
    assert (moved[2:] > 1e-3).all()
    assert (moved[:2] == 0).all() if causal else (moved[:2] > 1e-3).all()


def test_padding_reaches_no_other_frame() -> None:
    network, x = blocks(causal=False), tokens()
    keep = torch.tensor([[True, True, True, False], [True, True, False, False]])
    other = torch.where(keep[..., None, None], x, torch.rand_like(x) * 9)
    a, b = network(x, GRID, keep=keep), network(other, GRID, keep=keep)
    torch.testing.assert_close(a[keep], b[keep])
    short = network(x[1:, :2], GRID)
    torch.testing.assert_close(a[1, :2], short[0], atol=1e-5, rtol=1e-4)


def test_conditions_begin_without_effect_and_may_get_one() -> None:
    network, x = blocks(causal=True, film=True), tokens(extra=1)
    zero, one = torch.zeros(2, 4, 16), torch.ones(2, 4, 16)
    assert torch.equal(network(x, GRID, cond=zero), network(x, GRID, cond=one))
    network.blocks[0].film.scale_shift.weight.data.normal_()
    assert not torch.allclose(network(x, GRID, cond=zero), network(x, GRID, cond=one))


def test_rotated_products_depend_on_the_distance_alone() -> None:
    q, k = torch.rand(1, 8).expand(6, 8), torch.rand(1, 8).expand(6, 8)
    products = rotate(q) @ rotate(k).T
    torch.testing.assert_close(products[0, 2], products[3, 5])
    assert not torch.isclose(products[0, 2], products[0, 3])
    torch.testing.assert_close(rotate(q).norm(dim=-1), q.norm(dim=-1))


def test_the_bias_depends_on_the_distance_alone_and_is_learnt() -> None:
    torch.manual_seed(0)
    bias = DistanceBias(16, 2)(4).view(2, 4, 4, 4, 4)
    torch.testing.assert_close(bias[:, 0, 0, 1, 2], bias[:, 2, 1, 3, 3])
    assert not torch.allclose(bias[:, 0, 0, 1, 2], bias[:, 0, 0, 2, 1])
    network = blocks(causal=False)
    network(tokens(), GRID).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.bias.parameters())
