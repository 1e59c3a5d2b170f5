"""Actions as words: bins as often as each other, numbers in order, the likeliest chunk."""

from dataclasses import replace

import pytest
import torch

from robowm.policy.decoder import ActionDecoder
from robowm.policy.shown import DecoderConfig, Demonstrated
from robowm.policy.token_head import TokenHead
from robowm.world.backbone import BackboneConfig

CONFIG = DecoderConfig(
    backbone=BackboneConfig(size_px=16, grid=2, points=3, channels=16, width=32, depth=2, heads=2),
    state_dim=3,
    action_dim=2,
    horizon=3,
    autoregressive=True,
    action_bins=16,
)
SIZE = 24


def looked_at(net: ActionDecoder, size: int = SIZE) -> tuple[torch.Tensor, list[str], torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    frames = torch.rand(size, 2, 3, 16, 16, generator=g)
    return frames, ["lift"] * size, torch.randn(size, 2, 3, generator=g)


@pytest.fixture
def net() -> ActionDecoder:
    torch.manual_seed(0)
    return ActionDecoder(CONFIG).eval()


def head_of(net: ActionDecoder) -> TokenHead:
    assert isinstance(net.actor, TokenHead)
    return net.actor


def test_bins_are_as_often_as_each_other(net: ActionDecoder) -> None:
    head, actions = head_of(net), torch.randn(1600, 2) ** 3  # far from evenly spread
    head.know_actions(actions)
    for axis in range(2):
        count = torch.bincount(head.bin_of(actions)[:, axis], minlength=16)
        assert count.min() >= 90 and count.max() <= 110


def test_of_two_values_each_comes_back_exactly(net: ActionDecoder) -> None:
    head = head_of(net)
    gripper = torch.tensor([-1.3, 0.7]).repeat_interleave(torch.tensor([90, 10]))
    actions = torch.stack([gripper, torch.linspace(-2, 2, 100)], dim=1)
    head.know_actions(actions)
    back = head.value_of(head.bin_of(actions))
    torch.testing.assert_close(back[:, 0], gripper)
    assert (back[:, 1] - actions[:, 1]).abs().max() <= 4 / 16


def test_before_it_knows_any_action_bins_are_those_of_a_normal_distribution() -> None:
    head = TokenHead(replace(CONFIG, action_bins=4))
    torch.testing.assert_close(
        head.edges[0], torch.tensor([-0.6745, 0.0, 0.6745]), atol=1e-4, rtol=0
    )
    assert torch.equal(
        head.bin_of(head.value_of(torch.arange(4)[:, None].repeat(1, 2)))[:, 0], torch.arange(4)
    )


def test_one_bin_is_refused() -> None:
    with pytest.raises(ValueError, match="action_bins: got 1, expected 2 or more"):
        TokenHead(replace(CONFIG, action_bins=1))


def test_each_number_sees_only_earlier_ones(net: ActionDecoder) -> None:
    head, seen = head_of(net), looked_at(net, 2)
    _, looked = net._look(*seen)
    bins = torch.randint(0, 16, (2, 3, 2))
    other = bins.clone()
    other[:, 1, 0] = (other[:, 1, 0] + 1) % 16  # the third of six

    def logits(words: torch.Tensor) -> torch.Tensor:
        tokens = head._inputs(words, looked.towards)
        return head._logits(looked.run(net.backbone.trunk, tokens, True)).flatten(1, 2)

    before, after = logits(bins), logits(other)
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3], after[:, 3])


def test_what_is_sampled_is_the_likeliest_given_itself(net: ActionDecoder) -> None:
    seen = looked_at(net, 2)
    head, chunk = head_of(net), net.sample(*seen, torch.randn(2, 3, 2))
    bins = head.bin_of(chunk)
    torch.testing.assert_close(head.value_of(bins), chunk)
    _, looked = net._look(*seen)
    hidden = looked.run(net.backbone.trunk, head._inputs(bins, looked.towards), True)
    assert torch.equal(head._logits(hidden).argmax(-1), bins)


def test_it_learns_which_of_two_ways_not_the_middle() -> None:
    """Where half of the demonstrations go left and half right, the mean is what nobody did."""
    torch.manual_seed(0)
    net = ActionDecoder(replace(CONFIG, state_dim=0, subgoals=0))
    head, frames = head_of(net), torch.zeros(SIZE, 2, 3, 16, 16)
    side = torch.tensor([1.0, -1.0]).repeat(SIZE // 2)
    actions = side[:, None, None].expand(-1, 3, 2)
    head.know_actions(actions.flatten(0, 1))
    shown = Demonstrated(actions, torch.ones(SIZE, 3, dtype=torch.bool))
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(60):
        loss = net.loss(frames, [""] * SIZE, torch.zeros(SIZE, 2, 0), shown)["action_nats"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # one bit for the first number, none for the five that follow it
    assert loss.item() == pytest.approx(torch.log(torch.tensor(2.0)).item() / 6, abs=0.03)
    chunk = net.eval().sample(frames[:1], [""], torch.zeros(1, 2, 0), torch.zeros(1, 3, 2))
    assert torch.equal(chunk.abs(), torch.ones(1, 3, 2)) and chunk.std() == 0
