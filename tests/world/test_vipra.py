"""The world model: the hidden stays hidden, caching changes nothing, ablations switch losses."""

from dataclasses import replace

import pytest
import torch

from robowm.batch import Batch
from robowm.world.backbone import BackboneConfig
from robowm.world.vipra import ViPRAConfig, ViPRAWorldModel

CONFIG = ViPRAConfig(
    backbone=BackboneConfig(size_px=16, grid=2, points=3, channels=16, width=32, depth=2, heads=2),
    horizon=3,
    tokens=4,
)


def batch(seed: int = 0, size: int = 2) -> Batch:
    g = torch.Generator().manual_seed(seed)
    return Batch(
        frames=torch.rand(size, 2, 3, 16, 16, generator=g),
        task=["lift the cube"] * size,
        future=torch.rand(size, 3, 16, 16, generator=g),
        future_valid=torch.ones(size, dtype=torch.bool),
        codes=torch.randint(0, 8, (size, 3, 4), generator=g),
    )


def forced(model: ViPRAWorldModel, shown: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """The future frame and the codes' logits (B, H·K, codes)."""
    frame, hidden = model.teacher_forced(shown)
    return frame, model.latents.outward(hidden)


@pytest.fixture
def model() -> ViPRAWorldModel:
    torch.manual_seed(0)
    return ViPRAWorldModel(CONFIG).eval()


def test_the_future_cannot_be_read_from_the_answer(model: ViPRAWorldModel) -> None:
    one = batch()
    other = replace(one, future=torch.rand(2, 3, 16, 16), codes=(one.codes + 1) % 8)
    frame_1, logits_1 = forced(model, one)
    frame_2, logits_2 = forced(model, other)
    torch.testing.assert_close(frame_1, frame_2)
    torch.testing.assert_close(logits_1[:, 0], logits_2[:, 0])
    assert not torch.allclose(logits_1[:, 1], logits_2[:, 1])


def test_each_code_sees_only_earlier_codes(model: ViPRAWorldModel) -> None:
    one = batch()
    codes = one.codes.clone()
    codes[:, 1, 2] = (codes[:, 1, 2] + 1) % 8  # the seventh of twelve
    before, after = (forced(model, b)[1] for b in (one, replace(one, codes=codes)))
    torch.testing.assert_close(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7], after[:, 7])


def test_greedy_prediction_agrees_with_teacher_forcing_on_its_own_codes(
    model: ViPRAWorldModel,
) -> None:
    context = batch()
    frame, codes = model.predict(context)
    again, logits = forced(model, replace(context, codes=codes))
    torch.testing.assert_close(frame, again, atol=1e-4, rtol=1e-4)
    assert torch.equal(logits.argmax(-1), codes.flatten(1))


def test_what_is_invalid_does_not_count(model: ViPRAWorldModel) -> None:
    whole = batch()
    none = replace(
        whole, codes=torch.full_like(whole.codes, -1), future_valid=torch.zeros(2).bool()
    )
    loss, parts = model(none)
    assert loss.item() == 0 and parts == {"future_l1": 0.0, "code_nats": 0.0}
    first_only = replace(whole, future_valid=torch.tensor([True, False]))
    changed = replace(first_only, future=whole.future.clone())
    assert changed.future is not None
    changed.future[1] = 0
    assert model(first_only)[0].item() == pytest.approx(model(changed)[0].item())


def test_ablations_leave_a_target_out() -> None:
    torch.manual_seed(0)
    frames_only = ViPRAWorldModel(replace(CONFIG, predict_latents=False))
    latents_only = ViPRAWorldModel(replace(CONFIG, predict_future=False))
    assert set(frames_only(batch())[1]) == {"future_l1"}
    assert set(latents_only(batch())[1]) == {"code_nats"}


def test_without_chunks_one_latent_action_is_foretold_beside_the_far_frame() -> None:
    torch.manual_seed(0)
    model = ViPRAWorldModel(replace(CONFIG, latent_steps=1)).eval()
    one = batch()
    assert one.codes is not None
    loss, parts = model(replace(one, codes=one.codes[:, :1]))
    assert loss.isfinite() and set(parts) == {"future_l1", "code_nats"}
    assert model.predict(one)[1].shape == (2, 1, 4) and model.capabilities.frames_per_step == 3


def test_it_learns_a_batch_by_heart() -> None:
    torch.manual_seed(0)
    model = ViPRAWorldModel(CONFIG)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    begun = model(batch())[1]["code_nats"]
    for _ in range(60):
        loss, parts = model(batch())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert parts["code_nats"] < 0.5 * begun


def test_a_rollout_goes_on_from_what_it_imagined(model: ViPRAWorldModel) -> None:
    state = model.start(batch())
    frame, state = model.step(state)
    assert frame.shape == (2, 3, 16, 16)
    torch.testing.assert_close(state.frames, frame[:, None].expand(-1, 2, -1, -1, -1))
    assert model.capabilities.frames_per_step == 3
    with pytest.raises(ValueError, match="control: expected None"):
        model.step(state, torch.zeros(2, 7))
