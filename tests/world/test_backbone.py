"""The backbone with features of a pretrained encoder: it begins as without, and they count."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from robowm.train.loop import TrainConfig, train
from robowm.world.backbone import Backbone, BackboneConfig, load_pretrained, read_pretrained

PLAIN = BackboneConfig(size_px=32, grid=2, points=3, channels=16, width=32, depth=1, heads=2)
ITS_OWN = "pretrained."


@pytest.fixture
def config(tmp_path: Path, make_dino: Callable[[Path], Path]) -> BackboneConfig:
    return replace(PLAIN, pretrained=str(make_dino(tmp_path / "dino")))


def build(config: BackboneConfig, seed: int = 0) -> Backbone:
    """A new backbone, as the stages make it."""
    torch.manual_seed(seed)
    backbone = Backbone(read_pretrained(config, "--w"))
    load_pretrained(backbone, config.pretrained, "--w")
    return backbone


def frames() -> Tensor:
    return torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_nothing_is_new_where_it_is_not_asked_for() -> None:
    assert read_pretrained(PLAIN, "--w") is PLAIN
    plain = build(PLAIN)
    assert plain.pretrained is None
    assert not [name for name in plain.state_dict() if name.startswith(ITS_OWN)]


def test_it_begins_as_without(config: BackboneConfig) -> None:
    plain = build(PLAIN)
    drawn = torch.rand(3)
    with_it = build(config)
    assert torch.equal(torch.rand(3), drawn), "more was drawn than without"
    mine = {k: v for k, v in with_it.state_dict().items() if not k.startswith(ITS_OWN)}
    assert mine.keys() == plain.state_dict().keys()
    assert all(torch.equal(mine[k], v) for k, v in plain.state_dict().items())
    one, other = plain(frames(), ["a", "b"]), with_it(frames(), ["a", "b"])
    assert torch.equal(one.prefix, other.prefix) and torch.equal(one.fine, other.fine)


def test_all_that_heads_are_given_sees_the_features(config: BackboneConfig) -> None:
    """Points, coarse tokens, and the fine map that outlines and future frames are made of."""
    net = build(config)
    assert net.pretrained is not None

    def given() -> dict[str, Tensor]:
        seen = net(frames(), ["a", "b"])
        assert seen.points is not None
        coarse = seen.prefix[:, 1 : 1 + PLAIN.grid**2]
        return {"points": seen.points.logits, "fine": seen.fine, "coarse": coarse}

    before = given()
    for name, value in before.items():
        (grad,) = torch.autograd.grad(
            value.square().sum(), net.pretrained.project.weight, retain_graph=True
        )
        assert grad.abs().max() > 0, name
    torch.nn.init.normal_(net.pretrained.project.weight)
    for name, value in given().items():
        assert not torch.allclose(value, before[name], atol=1e-3), name


def test_the_encoder_stays_as_it_was_through_training_and_a_kill(
    config: BackboneConfig, tmp_path: Path
) -> None:
    """With weight decay; and a run that goes on from a checkpoint ends as one that was not cut."""

    def loss_of(
        ready: torch.nn.Module, rng: np.random.Generator, share: float
    ) -> tuple[Tensor, dict[str, float]]:
        seen = ready(torch.from_numpy(rng.random((2, 2, 3, 32, 32), np.float32)), ["a", "b"])
        return seen.prefix.square().mean(), {}

    def trained(work: Path, stop: int | None = None) -> Backbone:
        net = build(config)
        assert net.pretrained is not None
        assert not net.train().pretrained.network.training

        def after_step(step: int) -> None:
            if step == stop:
                raise KeyboardInterrupt

        steps = TrainConfig(steps=6, warmup_steps=1, weight_decay=0.5, checkpoint_every_s=0)
        train(net, loss_of, steps, work, "test", after_step)
        return net

    whole = trained(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", stop=4)
    assert next((tmp_path / "cut").glob("checkpoint-*")).name == "checkpoint-00000003"
    resumed = trained(tmp_path / "cut")
    new = build(config).state_dict()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
        if name.startswith("pretrained.network."):
            assert torch.equal(value, new[name]), name
    assert whole.pretrained is not None and whole.pretrained.project.weight.abs().max() > 0
