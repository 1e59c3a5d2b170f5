"""Masks hide what they should, and the cache changes nothing but the time."""

import torch

from robowm.nn.transformer import Transformer, block_mask, sinusoid


def test_block_mask_by_hand() -> None:
    mask = block_mask([2, 2], [False, True]).int().tolist()
    assert mask == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]


def test_a_cached_prefix_gives_the_same_answer() -> None:
    torch.manual_seed(0)
    net = Transformer(16, depth=2, heads=2).eval()
    x = torch.randn(3, 7, 16)
    mask = block_mask([4, 3], [False, True])
    whole, _ = net(x, mask)
    first, cache = net(x[:, :4], mask[:4, :4])
    rest, _ = net(x[:, 4:], mask[4:], cache)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole, atol=1e-5, rtol=1e-5)


def test_later_tokens_do_not_leak_into_earlier_ones() -> None:
    torch.manual_seed(0)
    net = Transformer(16, depth=2, heads=2).eval()
    x = torch.randn(1, 6, 16)
    mask = block_mask([3, 3], [False, True])
    changed = x.clone()
    changed[:, 4] += torch.randn(16)
    before, after = net(x, mask)[0], net(changed, mask)[0]
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 5], after[:, 5])


def test_sinusoid_tells_times_apart() -> None:
    codes = sinusoid(torch.linspace(0, 1, 11), 32)
    assert codes.shape == (11, 32)
    assert torch.cdist(codes, codes).fill_diagonal_(1).min() > 0.1
