"""Latent actions as they are: what is told one by one is what was taught, in any unit."""

from dataclasses import replace

import pytest
import torch

from robowm.batch import Batch
from robowm.world.backbone import BackboneConfig
from robowm.world.targets import LatentVectors
from robowm.world.vipra import ViPRAConfig, ViPRAWorldModel

CONFIG = ViPRAConfig(
    backbone=BackboneConfig(size_px=16, grid=2, points=3, channels=16, width=32, depth=2, heads=2),
    horizon=3,
    continuous=True,
    latent_dim=5,
)


def batch(scale: float = 1.0, size: int = 4) -> Batch:
    g = torch.Generator().manual_seed(0)
    return Batch(
        frames=torch.rand(size, 2, 3, 16, 16, generator=g),
        task=["lift the cube"] * size,
        future=torch.rand(size, 3, 16, 16, generator=g),
        future_valid=torch.ones(size, dtype=torch.bool),
        latents=scale * torch.randn(size, 3, 5, generator=g),
    )


def model_of(shown: Batch) -> tuple[ViPRAWorldModel, LatentVectors]:
    torch.manual_seed(0)
    model = ViPRAWorldModel(CONFIG)
    assert isinstance(model.latents, LatentVectors) and shown.latents is not None
    model.latents.know_scale(shown.latents.flatten(0, 1))
    return model.eval(), model.latents


def test_one_by_one_it_tells_what_it_would_given_its_own_answers() -> None:
    model, latents = model_of(batch())
    frame, told = model.predict(batch())
    again, hidden = model.teacher_forced(replace(batch(), latents=told))
    torch.testing.assert_close(latents.read(hidden), told, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(frame, again, atol=1e-4, rtol=1e-4)


def test_each_latent_action_sees_only_earlier_ones() -> None:
    model, latents = model_of(batch())
    one = batch()
    assert one.latents is not None
    changed = one.latents.clone()
    changed[:, 1] += 1
    before, after = (
        latents.read(model.teacher_forced(replace(one, latents=z))[1])
        for z in (one.latents, changed)
    )
    torch.testing.assert_close(before[:, :2], after[:, :2])
    assert not torch.allclose(before[:, 2], after[:, 2])


def test_the_unit_of_latent_actions_is_no_matter() -> None:
    small, large = batch(0.01), batch(100.0)
    losses = [model_of(shown)[0](shown)[1]["latent_l1"] for shown in (small, large)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_what_is_not_known_does_not_count() -> None:
    model, _ = model_of(batch())
    shown = batch()
    assert shown.latents is not None
    shown.latents[1:] = torch.nan
    found = model(shown)[1]["latent_l1"]
    alone = replace(
        shown,
        frames=shown.frames[:1],
        task=shown.task[:1],
        future=shown.future[:1],  # type: ignore[index]
        future_valid=shown.future_valid[:1],
        latents=shown.latents[:1],  # type: ignore[index]
    )
    assert found == pytest.approx(model(alone)[1]["latent_l1"], rel=1e-4)
    shown.latents[:] = torch.nan
    assert model(shown)[1]["latent_l1"] == 0
