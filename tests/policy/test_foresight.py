"""What a policy keeps of its world model: it acts on it, and can do without."""

from dataclasses import replace
from typing import Literal

import pytest
import torch

from robowm.policy.decoder import ActionDecoder
from robowm.policy.shown import DecoderConfig, Demonstrated, LatentShape
from robowm.world.backbone import BackboneConfig

CONFIG = DecoderConfig(
    backbone=BackboneConfig(size_px=16, grid=2, points=3, channels=16, width=32, depth=2, heads=2),
    state_dim=3,
    action_dim=2,
    horizon=3,
    latent=LatentShape(horizon=2, tokens=4, codes=8, dim=5),
    latent_dropout=0.0,
)
FRAMES, TASK, STATE = torch.rand(4, 2, 3, 16, 16), ["lift"] * 4, torch.randn(4, 2, 3)
VALID = torch.ones(4, 3, dtype=torch.bool)
Kind = Literal["codes", "continuous"]


def latents(kind: Kind) -> torch.Tensor:
    g = torch.Generator().manual_seed(3)
    if kind == "codes":
        return torch.randint(0, 8, (4, 2, 4), generator=g)
    return torch.randn(4, 2, 5, generator=g)


def decoder(**changes: object) -> ActionDecoder:
    torch.manual_seed(0)
    net = ActionDecoder(replace(CONFIG, **changes))  # type: ignore[arg-type]
    torch.nn.init.normal_(net.actor.action_out.weight)  # type: ignore[union-attr, arg-type]
    return net


def losses(
    net: ActionDecoder, given: torch.Tensor | None, **more: torch.Tensor
) -> dict[str, float]:
    torch.manual_seed(1)
    shown = Demonstrated(torch.ones(4, 3, 2), VALID, latents=given, **more)  # type: ignore[arg-type]
    return {name: loss.item() for name, loss in net.loss(FRAMES, TASK, STATE, shown).items()}


@pytest.mark.parametrize("kind", ["codes", "continuous"])
def test_actions_look_at_latent_ones_unless_these_are_hidden(kind: Kind) -> None:
    one, other = latents(kind), latents(kind).flip(0)
    seen, hidden = decoder(latents=kind), decoder(latents=kind, latent_dropout=1.0)
    assert losses(seen, one)["flow_matching"] != losses(seen, other)["flow_matching"]
    assert losses(hidden, one)["flow_matching"] == losses(hidden, other)["flow_matching"]


@pytest.mark.parametrize(("kind", "unknown"), [("codes", -1), ("continuous", float("nan"))])
def test_a_sample_without_latent_actions_counts_as_if_they_were_hidden(
    kind: Kind, unknown: float
) -> None:
    none = torch.full_like(latents(kind), unknown)
    seen, hidden = decoder(latents=kind), decoder(latents=kind, latent_dropout=1.0)
    found = losses(seen, none)
    assert found["flow_matching"] == pytest.approx(losses(hidden, none)["flow_matching"])
    assert found["code_nats" if kind == "codes" else "latent_l1"] == 0


@pytest.mark.parametrize("kind", ["codes", "continuous"])
def test_without_labels_it_trains_and_foretells_all_the_same(kind: Kind) -> None:
    net = decoder(latents=kind)
    assert set(losses(net, None)) == {"flow_matching"}
    chunk = net.eval().sample(FRAMES, TASK, STATE, torch.randn(4, 3, 2))
    assert chunk.shape == (4, 3, 2) and chunk.isfinite().all()


@pytest.mark.parametrize("kind", ["codes", "continuous"])
def test_when_it_acts_it_looks_at_what_it_foretells(kind: Kind) -> None:
    net, noise = decoder(latents=kind).eval(), torch.randn(4, 3, 2)
    assert net.foresight.latents is not None
    before = net.sample(FRAMES, TASK, STATE, noise)
    torch.nn.init.normal_(net.foresight.latents.outward.weight, std=9)
    assert not torch.allclose(before, net.sample(FRAMES, TASK, STATE, noise))


def test_what_is_foretold_does_not_see_the_actions() -> None:
    net, given = decoder(latents="codes", keep_future=True), latents("codes")
    ahead = {"future": torch.rand(4, 3, 16, 16), "future_valid": torch.ones(4, dtype=torch.bool)}
    one = losses(net, given, **ahead)
    torch.manual_seed(1)
    shown = Demonstrated(-torch.ones(4, 3, 2), VALID, latents=given, **ahead)  # type: ignore[arg-type]
    other = {name: loss.item() for name, loss in net.loss(FRAMES, TASK, STATE, shown).items()}
    assert one["flow_matching"] != other["flow_matching"]
    assert one["code_nats"] == other["code_nats"] and one["future_l1"] == other["future_l1"]


def test_actions_look_at_the_future_that_is_kept() -> None:
    net, noise = decoder(keep_future=True).eval(), torch.randn(4, 3, 2)
    assert net.foresight.future is not None
    before = net.sample(FRAMES, TASK, STATE, noise)
    torch.nn.init.normal_(net.foresight.future.query)
    assert not torch.allclose(before, net.sample(FRAMES, TASK, STATE, noise))


def test_by_default_nothing_is_kept() -> None:
    assert not list(ActionDecoder(CONFIG).foresight.parameters())
