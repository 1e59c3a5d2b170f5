"""The map to controls turns a head that emits latent actions into one that emits controls."""

import numpy as np
import torch

from robowm.policy.decoder import ActionDecoder
from robowm.policy.flow_head import FlowHead
from robowm.policy.linear import Linear
from robowm.policy.shown import DecoderConfig
from robowm.train.from_latents import normalised, through_map
from robowm.world.backbone import BackboneConfig

BACKBONE = BackboneConfig(size_px=16, grid=2, points=3, channels=16, width=32, depth=2, heads=2)


def decoder(action_dim: int) -> tuple[ActionDecoder, FlowHead]:
    config = DecoderConfig(BACKBONE, state_dim=0, action_dim=action_dim, horizon=3, subgoals=0)
    net = ActionDecoder(config).eval()
    assert isinstance(net.actor, FlowHead)
    return net, net.actor


def test_an_exact_map_changes_nothing_but_the_units() -> None:
    """a = R z + c: then the new velocity at the action is the old one's at its latent, mapped."""
    torch.manual_seed(0)
    (old_net, old), (new_net, new) = decoder(3), decoder(3)
    torch.nn.init.normal_(old.action_out.weight)
    torch.nn.init.normal_(old.action_out.bias)
    new_net.backbone.load_state_dict(old_net.backbone.state_dict())
    forth = (torch.randn(3, 3), torch.randn(3))
    back = (torch.linalg.inv(forth[0]), -torch.linalg.inv(forth[0]) @ forth[1])
    through_map(old, new, forth, back)
    seen = torch.rand(2, 2, 3, 16, 16), ["", ""], torch.zeros(2, 2, 0)
    looked = old_net._look(*seen)[1]
    latents, t = torch.randn(2, 3, 3), torch.tensor([0.2, 0.7])
    wanted = old.velocity(latents, t, looked, old_net.backbone.trunk) @ forth[0].T + forth[1]
    actions = latents @ forth[0].T + forth[1]
    found = new.velocity(actions, t, new_net._look(*seen)[1], new_net.backbone.trunk)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_a_map_between_normalised_numbers_is_the_map_between_numbers() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (400, 4))
    y = x @ rng.normal(size=(4, 2)) + [5, -7]
    linear = Linear.fit(x, y, np.arange(400) // 20)
    of, to = ((torch.tensor(v.mean(0)), torch.tensor(v.std(0))) for v in (x, y))
    matrix, shift = normalised(linear, of, to)
    found = torch.tensor((x - x.mean(0)) / x.std(0)).float() @ matrix.T + shift
    wanted = torch.tensor((y - y.mean(0)) / y.std(0)).float()
    torch.testing.assert_close(found, wanted, atol=0.02, rtol=0)


def test_neighbours_are_folded_as_if_all_were_alike() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 6))  # three steps of two numbers
    y = x @ rng.normal(size=(6, 1))
    linear = Linear.fit(x, y, np.arange(400) // 20)
    nothing = torch.zeros(2), torch.ones(2)
    matrix, shift = normalised(linear, nothing, (torch.zeros(1), torch.ones(1)))
    same = np.tile(rng.normal(size=2), 3)[None]
    wanted = linear.predict(same)[0]
    found = torch.tensor(same[0, :2]).float() @ matrix.T + shift
    np.testing.assert_allclose(found.numpy(), wanted[0], atol=1e-5)
