"""ViPRA's latent action model: padding counts in nothing, the window is one, causes come first."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from robowm.errors import UserError
from robowm.latent.backbone import BackboneConfig, load_backbone
from robowm.latent.vipra_loss import Judges, ViPRALossConfig
from robowm.latent.vipra_model import (
    ViPRALatentConfig,
    ViPRALatentModel,
    Windows,
    replacement_due,
)

CONFIG = ViPRALatentConfig(
    size_px=32,
    patch_px=4,
    window=4,
    backbone=BackboneConfig(kind="patches"),
    width=32,
    heads=2,
    head_dim=16,
    enc_depth=1,
    dec_depth=1,
    tokens=4,
    code_dim=8,
    loss=ViPRALossConfig(perceptual="none", flow_weight=0.0),
)
TINY_DINO = replace(
    CONFIG,
    size_px=56,
    patch_px=14,
    backbone=BackboneConfig(weights="random", depth=1, heads=2, trained_px=56),
)
NO_JUDGES = Judges(None, None)


@pytest.fixture
def model() -> ViPRALatentModel:
    torch.manual_seed(0)
    return ViPRALatentModel(CONFIG).eval()


def windows(padded: int = 2) -> Windows:
    """Two clips; the second one ends `padded` frames early, and its last frame is repeated."""
    frames = torch.rand(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    valid = torch.ones(2, 4, dtype=torch.bool)
    if padded:
        valid[1, -padded:] = False
        frames[1, -padded:] = frames[1, -padded - 1]
    return Windows(frames, valid, valid[:, 1:] & valid[:, :-1])


def test_padding_is_invalid_and_says_so(model: ViPRALatentModel) -> None:
    batch = windows()
    latent, codes = model.encode(batch.frames, batch.valid)
    assert latent.shape == (2, 3, 4, 8) and codes.shape == (2, 3, 4)
    assert torch.equal(latent[0], model.quantiser.codebook[codes[0]])
    assert (codes[0] >= 0).all() and (codes[1, 0] >= 0).all()
    assert (codes[1, 1:] == -1).all() and (latent[1, 1:] == 0).all()


def test_what_stands_in_the_padding_changes_nothing(model: ViPRALatentModel) -> None:
    batch = windows()
    other = batch.frames.clone()
    other[1, 2:] = torch.rand(2, 3, 32, 32)
    z = model._compress(batch.frames, batch.valid)
    z_other = model._compress(other, batch.valid)
    torch.testing.assert_close(z[0], z_other[0])
    torch.testing.assert_close(z[1, :1], z_other[1, :1])
    losses = [model(replace(batch, frames=f), 0.5, NO_JUDGES)[0] for f in (batch.frames, other)]
    torch.testing.assert_close(losses[0], losses[1])
    repeated_counts = replace(batch, counted=torch.ones(2, 3, dtype=torch.bool))
    assert not torch.isclose(model(repeated_counts, 0.5, NO_JUDGES)[0], losses[0])


def test_padding_is_not_counted_as_use_of_a_code(model: ViPRALatentModel) -> None:
    batch = windows()
    model.train().encode(batch.frames, batch.valid)
    assert model.quantiser.usage.sum() == (3 + 1) * 4
    assert model.seen is not None and model.seen[0].shape == (4, 4)


def test_another_window_than_in_training_is_refused(model: ViPRALatentModel) -> None:
    batch = windows(padded=0)
    for length in (2, 3):
        with pytest.raises(ValueError, match=f"a window of {length}, expected 4"):
            model.encode(batch.frames[:, :length], batch.valid[:, :length])


def test_a_frame_is_drawn_from_what_came_before_it(model: ViPRALatentModel) -> None:
    for block in model.decoder.blocks:
        block.film.scale_shift.weight.data.normal_(std=0.1)
    frames, latent = windows(0).frames[:, :-1], torch.randn(2, 3, 4, 8)
    drawn = model.decode(frames, latent)
    later = latent.clone()
    later[:, 1] += 1
    gap = (model.decode(frames, later) - drawn).abs().amax((0, 2, 3, 4))
    assert drawn.shape == (2, 3, 3, 32, 32)
    assert gap[0] == 0 and gap[1] > 1e-3 and gap[2] > 1e-4
    torch.testing.assert_close(model.decode(frames[:, :1], latent[:, :1]), drawn[:, :1])


def test_a_rollout_goes_on_from_its_own_frames(model: ViPRALatentModel) -> None:
    frames, latent = windows(0).frames[:, :1], torch.randn(2, 6, 4, 8)
    drawn = model.rollout(frames, latent)
    assert drawn.shape == (2, 6, 3, 32, 32) and drawn.min() >= 0 and drawn.max() <= 1
    first = model.decode(frames, latent[:, :1]).clamp(0, 1)
    torch.testing.assert_close(drawn[:, :1], first)
    second = model.decode(torch.cat([frames, first], 1), latent[:, :2])[:, -1:].clamp(0, 1)
    torch.testing.assert_close(drawn[:, 1:2], second)
    torch.testing.assert_close(model.rollout(torch.cat([frames, first], 1), latent), drawn[:, 1:])


def test_every_weight_learns() -> None:
    torch.manual_seed(0)
    model = ViPRALatentModel(replace(CONFIG, encode_deltas=True))
    model(windows(), 0.0, NO_JUDGES)[0].backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_blocks_computed_twice_learn_the_same() -> None:
    gradients = []
    for again in (False, True):
        torch.manual_seed(0)
        model = ViPRALatentModel(replace(CONFIG, recompute_blocks=again))
        torch.manual_seed(1)
        model(windows(), 0.0, NO_JUDGES)[0].backward()
        gradients.append([p.grad for p in model.parameters()])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


def test_dead_codes_are_replaced_when_the_released_code_does() -> None:
    def published(step: int) -> bool:
        for first, last, every in (
            (100, 1_000, 100),
            (1_001, 10_000, 1_000),
            (10_001, 40_000, 2_000),
            (40_001, 90_000, 3_000),
            (90_001, 119_999, 5_000),
        ):
            if first <= step <= last:
                return step % every == 0
        return False

    steps = [*range(1, 3_000), *range(3_000, 300_000, 50)]
    assert [s for s in steps if replacement_due(s, 300_000)] == [s for s in steps if published(s)]
    short = [s for s in range(1, 501) if replacement_due(s, 500)]
    assert short[0] == 10 and 120 <= short[-1] < 200


def test_sizes_must_fit() -> None:
    with pytest.raises(UserError, match="size-px 30: expected a multiple of 4"):
        ViPRALatentModel(replace(CONFIG, size_px=30))
    with pytest.raises(UserError, match="tokens 9 over 8x8 patches: expected one of 16, 4, 1"):
        ViPRALatentModel(replace(CONFIG, tokens=9))


def test_the_published_size() -> None:
    pytest.importorskip("transformers")
    with torch.device("meta"):
        model = ViPRALatentModel(ViPRALatentConfig())
    millions = {n: sum(p.numel() for p in m.parameters()) / 1e6 for n, m in model.named_children()}
    assert model.grid == 16 and model.side == 4 and len(model.reduce) == 2
    assert millions["backbone"] == pytest.approx(86.6, abs=0.5)
    assert 0.25e3 < sum(millions.values()) < 0.35e3


def test_dinov2_weights_are_named_or_asked_for(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = ViPRALatentModel(TINY_DINO).eval()
    assert model.encode(torch.rand(1, 4, 3, 56, 56), torch.ones(1, 4, dtype=torch.bool))
    before = [p.clone() for p in model.backbone.parameters()]
    load_backbone(model.backbone, TINY_DINO.backbone)
    assert all(map(torch.equal, before, model.backbone.parameters()))

    torch.manual_seed(1)
    other = transformers.Dinov2WithRegistersModel(model.backbone.network.config)
    other.save_pretrained(tmp_path / "dino")
    load_backbone(model.backbone, replace(TINY_DINO.backbone, weights=str(tmp_path / "dino")))
    pixels = torch.rand(1, 3, 56, 56)
    normal = (pixels - model.backbone.mean) / model.backbone.std
    expected = other.eval()(pixel_values=normal).last_hidden_state[:, 5:]
    torch.testing.assert_close(model.backbone(pixels), expected)

    wider = ViPRALatentModel(replace(TINY_DINO, width=48))
    for weights in (str(tmp_path / "dino"), str(tmp_path / "nowhere")):
        with pytest.raises(UserError, match="or 'random' to begin from random weights"):
            load_backbone(wider.backbone, replace(TINY_DINO.backbone, weights=weights))
