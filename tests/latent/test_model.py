"""The latent action model: the codes are all it has, what is masked does not count."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from robowm.batch import LatentActions
from robowm.latent.gallery import draw_label
from robowm.latent.model import LatentActionConfig, LatentActionModel, Transitions

CONFIG = LatentActionConfig(size_px=32, width=32)


def transitions(seed: int = 0, size: int = 6) -> Transitions:
    g = torch.Generator().manual_seed(seed)
    return Transitions(
        first=torch.rand(size, 3, 32, 32, generator=g),
        second=torch.rand(size, 3, 32, 32, generator=g),
        flow=torch.randn(size, 2, 32, 32, generator=g),
        mask=torch.ones(size, 1, 32, 32),
    )


@pytest.fixture
def model() -> LatentActionModel:
    torch.manual_seed(0)
    return LatentActionModel(CONFIG)


def test_a_latent_action_is_a_few_codes(model: LatentActionModel) -> None:
    vectors, codes = model.eval().encode(transitions())
    assert vectors.shape == (6, 4, 8) and codes.shape == (6, 4)
    assert codes.dtype == torch.int64 and codes.min() >= 0 and codes.max() < 8
    assert torch.equal(vectors, model.quantiser.codebook[codes])


def test_the_next_frame_is_seen_by_the_decoder_through_the_codes_alone(
    model: LatentActionModel,
) -> None:
    model.eval()
    batch = transitions()
    latent, codes = model.encode(batch)
    other = replace(batch, second=torch.rand_like(batch.second))
    same = (model.encode(other)[1] == codes).all(1)
    drawn = model.decode(batch.first, latent)[0]
    drawn_other = model.decode(batch.first, model.encode(other)[0])[0]
    torch.testing.assert_close(drawn[same], drawn_other[same])


def test_the_latent_action_changes_what_is_drawn(model: LatentActionModel) -> None:
    first = transitions().first
    one, other = torch.zeros(6, 4, 8), torch.ones(6, 4, 8)
    frame_1, flow_1 = model.decode(first, one)
    frame_2, flow_2 = model.decode(first, other)
    assert frame_1.shape == (6, 3, 32, 32) and flow_1.shape == (6, 2, 32, 32)
    assert (frame_1 - frame_2).abs().mean() > 1e-3 and (flow_1 - flow_2).abs().mean() > 1e-3
    assert frame_1.min() >= 0 and frame_1.max() <= 1


def test_masked_pixels_do_not_count(model: LatentActionModel) -> None:
    batch = transitions()
    mask = torch.ones(6, 1, 32, 32)
    mask[..., 16:] = 0
    second, flow = torch.rand(6, 3, 32, 32), torch.randn(6, 2, 32, 32)
    masked = replace(batch, mask=mask)
    changed = replace(masked, second=torch.where(mask > 0, batch.second, 0.5))
    changed = replace(changed, flow=torch.where(mask > 0, batch.flow, 9.0))
    losses = [model.loss(b, second, flow, 1.0)[0].item() for b in (masked, changed)]
    assert losses[0] == pytest.approx(losses[1])


def test_the_flow_loss_ramps_in(model: LatentActionModel) -> None:
    late = LatentActionModel(replace(CONFIG, flow_from=0.2))
    batch = transitions()
    second, flow = batch.second, torch.zeros(6, 2, 32, 32)
    early, ramped, full = (late.loss(batch, second, flow, p)[0].item() for p in (0.2, 0.22, 0.9))
    assert early == pytest.approx(0, abs=1e-3)
    assert ramped == pytest.approx(0.6 * full, rel=0.05)
    none = LatentActionModel(replace(CONFIG, flow_weight=0.0))
    assert none.loss(batch, second, flow, 1.0)[0].item() == pytest.approx(0, abs=1e-3)


def test_tokens_must_make_a_square() -> None:
    with pytest.raises(ValueError, match="tokens: got 5, expected a square number"):
        LatentActionModel(replace(CONFIG, tokens=5))


def test_labels_are_drawn_on_the_frame() -> None:
    frame = np.full((32, 32, 3), 90, np.uint8)
    flow = np.zeros((32, 32, 2), np.float16)
    still = draw_label(frame, flow, np.array([1, 2]))
    flow[8:24, 8:24] = (3, 0)
    moving = draw_label(frame, flow, np.array([1, 2]))
    assert still.shape == (96, 96, 3)
    arrows = (still != moving).any(-1)
    assert arrows[24:72, 24:90].any() and not arrows[:20].any()
    invalid = LatentActions(np.array([[-1, -1]]), np.zeros((1, 4), np.float32), np.array([False]))
    assert (draw_label(frame, flow, invalid.codes[0]) != moving).any()
