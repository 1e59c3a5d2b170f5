"""Flow matching and the action decoder: published formulas, caching, learning."""

from dataclasses import replace

import pytest
import torch

from robowm.policy.decoder import ActionDecoder
from robowm.policy.flow_head import FlowHead
from robowm.policy.flow_matching import draw_times, integrate, interpolate
from robowm.policy.shown import DecoderConfig, Demonstrated
from robowm.world.backbone import BackboneConfig

CONFIG = DecoderConfig(
    backbone=BackboneConfig(size_px=16, grid=2, points=3, channels=16, width=32, depth=2, heads=2),
    state_dim=3,
    action_dim=2,
    horizon=4,
)


def test_times_have_the_published_distribution() -> None:
    torch.manual_seed(0)
    t = draw_times(200_000, torch.device("cpu"))
    assert t.min() >= 0 and t.max() <= 0.999
    wanted = torch.distributions.Beta(1.5, 1.0)
    assert (1 - t / 0.999).mean() == pytest.approx(wanted.mean.item(), abs=0.005)
    assert (1 - t / 0.999).var() == pytest.approx(wanted.variance.item(), abs=0.005)


def test_the_path_ends_where_it_should() -> None:
    actions, noise = torch.randn(5, 4, 2), torch.randn(5, 4, 2)
    start, velocity = interpolate(actions, noise, torch.zeros(5))
    torch.testing.assert_close(start, noise)
    end, _ = interpolate(actions, noise, torch.ones(5))
    torch.testing.assert_close(end, actions + 1e-3 * noise)
    torch.testing.assert_close(velocity, actions - 0.999 * noise)


def test_integration_of_the_true_velocity_recovers_the_actions() -> None:
    actions, noise = torch.randn(5, 4, 2), torch.randn(5, 4, 2)
    reached = integrate(lambda x, t: actions - 0.999 * noise, noise, steps=10)
    torch.testing.assert_close(reached, actions + 1e-3 * noise, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_an_action_sees_later_ones_only_if_it_may(causal: bool) -> None:
    torch.manual_seed(0)
    net = ActionDecoder(replace(CONFIG, causal_actions=causal)).eval()
    assert isinstance(net.actor, FlowHead)
    torch.nn.init.normal_(net.actor.action_out.weight)
    _, context = net._look(torch.rand(2, 2, 3, 16, 16), ["a", "b"], torch.randn(2, 2, 3))
    one, t = torch.randn(2, 4, 2), torch.zeros(2)
    other = one.clone()
    other[:, 2] += 1
    trunk = net.backbone.trunk
    before, after = (net.actor.velocity(x, t, context, trunk) for x in (one, other))
    same = torch.isclose(before, after, atol=1e-6).all(-1).all(0)
    assert same.tolist() == [causal, causal, False, False]


def test_pictures_are_looked_at_once_a_chunk() -> None:
    net = ActionDecoder(CONFIG).eval()
    looks: list[int] = []
    net.backbone.encoder.register_forward_hook(lambda *_: looks.append(1))
    net.sample(torch.rand(2, 2, 3, 16, 16), ["a", "b"], torch.randn(2, 2, 3), torch.randn(2, 4, 2))
    assert len(looks) == 1


def test_without_proprioception_there_is_no_subgoal() -> None:
    net = ActionDecoder(replace(CONFIG, state_dim=0)).eval()
    assert net.foretell(torch.rand(1, 2, 3, 16, 16), [""], torch.zeros(1, 2, 0)) is None
    asked = net.sample(
        torch.rand(1, 2, 3, 16, 16), [""], torch.zeros(1, 2, 0), torch.randn(1, 4, 2)
    )
    assert asked.shape == (1, 4, 2)


def test_padding_does_not_count() -> None:
    torch.manual_seed(0)
    net = ActionDecoder(CONFIG)
    frames, state = torch.rand(2, 2, 3, 16, 16), torch.randn(2, 2, 3)
    actions = torch.randn(2, 4, 2)
    valid = torch.tensor([[True, True, False, False]] * 2)

    def loss(a: torch.Tensor) -> float:
        torch.manual_seed(1)
        return net.loss(frames, ["", ""], state, Demonstrated(a, valid))["flow_matching"].item()

    changed = actions.clone()
    changed[:, 2:] = 99  # causal or not, a padded token must not move the others' targets
    net.actor.action_in.weight.data.zero_()
    assert loss(actions) == pytest.approx(loss(changed))


def test_it_learns_which_way_the_state_says() -> None:
    torch.manual_seed(0)
    net = ActionDecoder(CONFIG)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    frames, valid = torch.zeros(32, 2, 3, 16, 16), torch.ones(32, 4, dtype=torch.bool)
    for _ in range(150):
        side = torch.randint(0, 2, (32, 1)).float() * 2 - 1
        state = side[:, None].expand(-1, 2, 3)
        shown = Demonstrated(side[:, None].expand(-1, 4, 2), valid, state)
        losses = net.loss(frames, [""] * 32, state, shown)
        loss = losses["flow_matching"] + losses["subgoal_l1"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    side = torch.tensor([[1.0], [-1.0]])
    asked = net.sample(frames[:2], ["", ""], side[:, None].expand(-1, 2, 3), torch.randn(2, 4, 2))
    assert torch.equal(asked.sign(), side[:, None].expand(-1, 4, 2))
    foretold = net.foretell(frames[:2], ["", ""], side[:, None].expand(-1, 2, 3))
    assert foretold is not None
    torch.testing.assert_close(foretold, side[:, None].expand(-1, 2, 3), atol=0.3, rtol=0)
