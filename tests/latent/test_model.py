"""The latent action model: motion is what it holds, what is masked does not count."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from robowm.batch import LatentActions
from robowm.latent.attention import FINE, MotionEncoder
from robowm.latent.bases import MotionBases, warp, weigh
from robowm.latent.gallery import draw_label
from robowm.latent.model import LatentActionConfig, LatentActionModel, Transitions

CONFIG = LatentActionConfig(size_px=32, width=16)


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


def test_a_latent_action_is_vectors_and_their_codes(model: LatentActionModel) -> None:
    vectors, codes = model.eval().encode(transitions())
    assert vectors.shape == (6, 4, 8) and codes.shape == (6, 4)
    assert codes.dtype == torch.int64 and codes.min() >= 0 and codes.max() < 8
    distance = torch.cdist(vectors, model.quantiser.codebook)
    assert torch.equal(distance.argmin(-1), codes)


def test_quantised_latents_are_the_codes_vectors(model: LatentActionModel) -> None:
    model.config = replace(CONFIG, latent="quantised")
    vectors, codes = model.eval().encode(transitions())
    assert torch.equal(vectors, model.quantiser.codebook[codes])


def test_training_gives_every_number_of_the_latent_spread_1(model: LatentActionModel) -> None:
    for seed in range(30):
        model(transitions(seed), 1.0)
    batch = transitions(99, 200)
    vectors, _ = model.eval().encode(batch)
    assert vectors.square().mean(0).sqrt().sub(1).abs().max() < 0.4


def encoder() -> MotionEncoder:
    torch.manual_seed(0)
    return MotionEncoder(64, 16, tokens=2, dim=8, depth=1).eval()


def square(x: int, y: int, move: tuple[float, float]) -> tuple[torch.Tensor, torch.Tensor]:
    flow = torch.zeros(1, 2, FINE, FINE)
    flow[:, :, y : y + 8, x : x + 8] = torch.tensor(move)[None, :, None, None]
    return flow, torch.ones(1, 1, FINE, FINE)


def motion_of(net: MotionEncoder, flow: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Affine motion under attention that prefers what moves."""
    attention = net._attention(torch.zeros(1, 2, 16, 16), flow, mask)
    return net._affine(attention, flow)[0, 0]


def test_motion_is_the_same_wherever_it_is_and_turns_round_with_the_flow() -> None:
    net = encoder()
    with torch.no_grad():
        here = motion_of(net, *square(4, 4, (1.5, -0.5)))
        there = motion_of(net, *square(18, 12, (1.5, -0.5)))
        back = motion_of(net, *square(4, 4, (-1.5, 0.5)))
    assert here[0] == pytest.approx(1.5, abs=0.4) and here[1] == pytest.approx(-0.5, abs=0.2)
    torch.testing.assert_close(here[:2], there[:2], atol=0.02, rtol=0)
    torch.testing.assert_close(here, -back)


def test_growth_is_told_from_shift_and_turn() -> None:
    net = encoder()
    side = torch.linspace(-1, 1, FINE)
    growing = torch.stack([side.expand(FINE, FINE), side[:, None].expand(FINE, FINE)])[None]
    turning = torch.stack([-growing[0, 1], growing[0, 0]])[None]
    mask = torch.ones(1, 1, FINE, FINE)
    with torch.no_grad():
        for flow, which in ((growing, 2), (turning, 3)):
            found = motion_of(net, flow, mask)
            others = [found[i].abs().item() for i in range(6) if i != which]
            assert found[which] > 0.5 and max(others) < 1e-4


def test_flow_that_is_not_trusted_does_not_count() -> None:
    net = encoder()
    flow, mask = square(4, 4, (1.0, 0.0))
    mask[..., 20:] = 0
    wild = flow.clone()
    wild[..., 20:] = 7.0
    with torch.no_grad():
        torch.testing.assert_close(
            motion_of(net, flow, mask), motion_of(net, wild, mask), atol=0.05, rtol=0
        )


def test_what_is_drawn_is_linear_in_the_latent_action() -> None:
    torch.manual_seed(0)
    bases = MotionBases(64, 16, dim=4).fields(torch.rand(3, 3, 64, 64))
    a, b = torch.randn(3, 4), torch.randn(3, 4)
    torch.testing.assert_close(
        weigh(bases, 2 * a - b), 2 * weigh(bases, a) - weigh(bases, b), atol=1e-4, rtol=1e-4
    )


def test_no_latent_is_no_motion_and_the_same_picture(model: LatentActionModel) -> None:
    first = transitions().first
    frame, flow = model.decode(first, torch.zeros(6, 4, 8))
    torch.testing.assert_close(frame, first, atol=1e-4, rtol=0)
    assert not flow.any()
    moved, flow = model.decode(first, torch.ones(6, 4, 8))
    assert moved.shape == (6, 3, 32, 32) and flow.shape == (6, 2, 32, 32)
    assert (moved - first).abs().mean() > 1e-3 and flow.abs().mean() > 1e-3
    assert moved.min() >= 0 and moved.max() <= 1


def test_a_picture_is_fetched_from_where_it_came() -> None:
    frame = torch.rand(1, 3, 16, 16)
    back = torch.zeros(1, 2, 16, 16)
    back[:, 0] = -3  # everything came from three pixels to the left
    torch.testing.assert_close(warp(frame, back)[..., 3:], frame[..., :-3], atol=1e-5, rtol=0)


def test_masked_pixels_do_not_count(model: LatentActionModel) -> None:
    batch = transitions()
    mask = torch.ones(6, 1, 32, 32)
    mask[..., 16:] = 0
    masked = replace(batch, mask=mask)
    changed = replace(masked, second=torch.where(mask > 0, batch.second, 0.5))
    changed = replace(changed, flow=torch.where(mask > 0, batch.flow, 9.0))
    losses = []
    for given in (masked, changed):
        flow, coarse = model._coarse(given)
        moved = torch.zeros(6, 4, 32, 32)
        losses.append(model._loss(given, flow, coarse, moved, 1.0)[0].item())
    assert losses[0] == pytest.approx(losses[1])


def test_the_flow_loss_ramps_in() -> None:
    config = replace(CONFIG, flow_from=0.2, picture_weight=0.0)
    late, batch = LatentActionModel(config), transitions()

    def loss(model: LatentActionModel, progress: float) -> float:
        flow, mask = model._coarse(batch)
        return model._loss(batch, flow, mask, torch.zeros(6, 4, 32, 32), progress)[0].item()

    early, ramped, full = (loss(late, progress) for progress in (0.2, 0.22, 0.9))
    assert early == pytest.approx(0, abs=1e-6)
    assert ramped == pytest.approx(0.6 * full, rel=0.05)
    none = LatentActionModel(replace(config, flow_weight=0.0))
    assert loss(none, 1.0) == 0


def test_frames_must_fit_the_grid() -> None:
    with pytest.raises(ValueError, match="size_px: got 80, expected a multiple of 32"):
        LatentActionModel(replace(CONFIG, size_px=80))


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
