"""The policy behaves as LeRobot expects: its factory loads it, its loops can drive it."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from torch import nn

from robowm.batch import Observation
from robowm.errors import UserError
from robowm.policy.configuration_vipra import VipraConfig
from robowm.policy.lerobot_controller import LeRobotController, load_controller
from robowm.policy.modeling_vipra import VipraPolicy
from robowm.policy.processor_vipra import make_vipra_pre_post_processors
from robowm.policy.shift import shifted
from robowm.policy.so_far import SoFar
from robowm.train.build_policy import PolicyConfig

CAMERA = "observation.images.front"
STATS = {
    "observation.state": {"mean": torch.tensor([1.0, 2.0]), "std": torch.tensor([2.0, 4.0])},
    "action": {"mean": torch.tensor([10.0, 20.0, 30.0]), "std": torch.tensor([1.0, 2.0, 3.0])},
}


def config(**changes: object) -> VipraConfig:
    fields: dict[str, object] = {
        "device": "cpu",
        "input_features": {
            CAMERA: PolicyFeature(FeatureType.VISUAL, (3, 32, 32)),
            "observation.state": PolicyFeature(FeatureType.STATE, (2,)),
        },
        "output_features": {"action": PolicyFeature(FeatureType.ACTION, (3,))},
        "size_px": 32,
        "points": 4,
        "channels": 16,
        "width": 32,
        "depth": 1,
        "heads": 2,
        "chunk_size": 4,
        "n_action_steps": 2,
    }
    return VipraConfig(**fields | changes)  # type: ignore[arg-type]


@pytest.fixture
def policy() -> VipraPolicy:
    torch.manual_seed(0)
    return VipraPolicy(config()).eval()


def batch(size: int = 2) -> dict[str, object]:
    return {
        CAMERA: torch.rand(size, 2, 3, 32, 32),
        "observation.state": torch.randn(size, 2, 2),
        "action": torch.randn(size, 4, 3),
        "action_is_pad": torch.zeros(size, 4, dtype=torch.bool),
        "task": ["push"] * size,
    }


def test_lerobots_factory_loads_what_was_saved(policy: VipraPolicy, tmp_path: Path) -> None:
    pre, post = make_vipra_pre_post_processors(policy.config, STATS)
    for part in (policy, pre, post):
        part.save_pretrained(tmp_path)
    loaded_config = PreTrainedConfig.from_pretrained(tmp_path)
    assert isinstance(loaded_config, VipraConfig) and loaded_config.type == "vipra"
    loaded = get_policy_class("vipra").from_pretrained(tmp_path)
    one, noise = batch(), torch.randn(2, 4, 3)
    torch.testing.assert_close(
        loaded.predict_action_chunk(one, noise=noise), policy.predict_action_chunk(one, noise=noise)
    )
    pre, post = make_pre_post_processors(loaded_config, pretrained_path=str(tmp_path))
    normal = pre({CAMERA: one[CAMERA], "observation.state": torch.tensor([[3.0, 6.0]])})
    torch.testing.assert_close(normal["observation.state"], torch.tensor([[1.0, 1.0]]))
    torch.testing.assert_close(post(torch.ones(1, 3)), torch.tensor([[11.0, 22.0, 33.0]]))


def test_training_shifts_and_lights_both_frames_alike(policy: VipraPolicy) -> None:
    frame = torch.rand(4, 1, 3, 32, 32)
    still = frame.expand(-1, 2, -1, -1, -1)
    torch.manual_seed(1)
    moved = policy.augment(still.flatten(1, 2)).unflatten(1, (2, 3))
    torch.testing.assert_close(moved[:, 0], moved[:, 1])
    assert not torch.allclose(moved, still)
    assert moved.min() >= 0 and moved.max() <= 1


def test_select_action_plays_a_chunk_then_asks_again(policy: VipraPolicy) -> None:
    asked = []
    predict = policy.predict_action_chunk

    def counted(*args: object, **kwargs: object) -> torch.Tensor:
        asked.append(predict(*args, **kwargs))  # type: ignore[arg-type]
        return asked[-1]

    policy.predict_action_chunk = counted  # type: ignore[method-assign]
    now = {k: v[:, -1] for k, v in batch().items() if k.startswith("observation")}
    actions = [policy.select_action(now | {"task": ["push"] * 2}) for _ in range(5)]
    assert len(asked) == 3
    torch.testing.assert_close(actions[3], asked[1][:, 1])
    policy.reset()
    assert len(policy._queue) == 0


@pytest.mark.parametrize("closes_upwards", [False, True])
@pytest.mark.parametrize("by", ["select_action", "controller"])
def test_what_was_let_go_counts_from_the_chunk_after(by: str, closes_upwards: bool) -> None:
    policy = VipraPolicy(config(closes_upwards=closes_upwards, n_action_steps=1)).eval()
    opens = torch.tensor([1, 1, -1, -1, 1, -1, 1.0]) * (-1 if closes_upwards else 1)
    asked: list[bool] = []
    gripped: list[bool] = []

    def one(seen: dict[str, Any], so_far: list[SoFar], **kwargs: Any) -> torch.Tensor:
        asked.append(so_far[0].released)
        gripped.append(so_far[0].gripped)
        return opens[len(asked) - 1].expand(1, 4, 3)

    policy.predict_action_chunk = one  # type: ignore[method-assign]
    controller = LeRobotController(policy, *make_vipra_pre_post_processors(policy.config, STATS))
    controller.reset(0, 0)
    for _ in opens:
        if by == "controller":
            picture = np.zeros((32, 32, 3), np.uint8)
            controller.act([0], [Observation(picture, np.zeros(2, np.float32))])
        else:
            now = {k: v[:1, -1] for k, v in batch().items() if k.startswith("observation")}
            policy.select_action(now | {"task": ["push"]})
    assert asked == [0, 0, 0, 0, 0, 1, 1]  # once, and for good
    assert gripped == [0, 0, 0, 1, 1, 1, 1]


def test_a_gripper_that_was_not_told_to_shut_is_taken_for_open() -> None:
    policy = VipraPolicy(config(open_gripper=0.7)).eval()
    given: list[torch.Tensor] = []

    def sample(frames: Any, task: Any, state: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        given.append(state)
        return noise

    policy.decoder.sample = sample  # type: ignore[method-assign, assignment]
    seen: dict[str, Any] = batch()
    policy.predict_action_chunk(seen)
    policy.predict_action_chunk(seen, so_far=[SoFar(), SoFar(gripped=True)])
    as_it_is, told = given
    assert torch.equal(as_it_is, seen["observation.state"])
    assert torch.equal(told[1], as_it_is[1]) and torch.equal(told[0, :, 0], as_it_is[0, :, 0])
    assert (told[0, :, 1] == 0.7).all()


def test_pictures_of_another_size_are_refused_in_lerobots_loops(policy: VipraPolicy) -> None:
    now = {CAMERA: torch.rand(1, 3, 16, 24), "observation.state": torch.randn(1, 2)}
    with pytest.raises(UserError, match=r"front has 16x24 pixels; expected 32x32.*size_px=32\)"):
        policy.select_action(now | {"task": ["push"]})


def test_it_can_do_without_proprioception() -> None:
    policy = VipraPolicy(config(use_state=False)).eval()
    one = {k: v for k, v in batch().items() if k != "observation.state"}
    assert policy.predict_action_chunk(one).shape == (2, 4, 3)
    loss, parts = policy.train()(one)
    assert loss.requires_grad and parts["flow_matching"] == pytest.approx(loss.item())


def test_without_noise_a_chunk_is_always_the_same(policy: VipraPolicy) -> None:
    nn.init.normal_(policy.decoder.actor.action_out.weight)
    seen = batch()
    drawn = [policy.predict_action_chunk(seen) for _ in range(2)]
    assert not torch.equal(*drawn)
    policy.config.noise_scale = 0.0
    same = [policy.predict_action_chunk(seen) for _ in range(2)]
    assert torch.equal(*same) and not torch.equal(same[0], drawn[0])


@pytest.mark.parametrize("frames", [1, 3])
def test_any_number_of_context_frames_will_do(frames: int) -> None:
    policy = VipraPolicy(config(n_obs_steps=frames)).eval()
    pre, post = make_vipra_pre_post_processors(policy.config, STATS)
    controller = LeRobotController(policy, pre, post)
    controller.reset(0, seed=1)
    seen = Observation(np.full((32, 32, 3), 90, np.uint8), np.zeros(2, np.float32))
    assert controller.act([0], [seen]).shape == (1, 3)
    one = {CAMERA: torch.rand(2, 3, 32, 32), "observation.state": torch.randn(2, 2)}
    assert policy.select_action(one | {"task": ["a", "b"]}).shape == (2, 3)
    taught = {"action": torch.randn(2, 4, 3), "task": ["a", "b"]}
    if frames == 1:
        assert torch.isfinite(policy.forward(one | taught)[0])


def test_defaults_are_those_of_the_stage() -> None:
    """LeRobot wants one flat dataclass, which repeats the fields of two of ours."""
    ours, stage = VipraConfig(), PolicyConfig()
    for part in (stage, stage.backbone):
        for field in fields(part):
            # LeRobot's loop knows no keyframes, so there is nothing for `auto` to choose, and the
            # number of actions that are executed follows from the head
            if hasattr(ours, field.name) and field.name not in ("action_head", "n_action_steps"):
                assert getattr(ours, field.name) == getattr(part, field.name), field.name
    assert ours.n_obs_steps == stage.backbone.context_frames


def test_a_policy_needs_a_camera_and_an_action() -> None:
    with pytest.raises(ValueError, match=r"got inputs \[\] and outputs \['action'\]; expected at"):
        VipraPolicy(config(input_features={}))


def test_a_slot_depends_on_its_seed_alone(policy: VipraPolicy) -> None:
    torch.nn.init.normal_(policy.decoder.actor.action_out.weight)
    pre, post = make_vipra_pre_post_processors(policy.config, STATS)
    controller = LeRobotController(policy, pre, post)
    rng = np.random.default_rng(0)
    seen = [
        Observation(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8), np.zeros(2, np.float32))
        for _ in range(6)
    ]

    def play(seeds: list[int]) -> np.ndarray:
        for slot, seed in enumerate(seeds):
            controller.reset(slot, seed)
        slots = list(range(len(seeds)))
        return np.stack([controller.act(slots, [o] * len(seeds)) for o in seen])

    alone, together, again = play([7]), play([5, 7]), play([7])
    np.testing.assert_allclose(together[:, 1], alone[:, 0], atol=1e-4)
    np.testing.assert_array_equal(alone, again)
    assert np.abs(together[:, 0] - together[:, 1]).max() > 0.1


def test_something_else_is_not_a_policy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a policy: no config\.json with a type"):
        load_controller(tmp_path)
    (tmp_path / "config.json").write_text('{"kind": "robowm_vipra"}')
    with pytest.raises(UserError, match="is not a policy"):
        load_controller(tmp_path)


def test_weights_that_do_not_load_are_one_line(policy: VipraPolicy, tmp_path: Path) -> None:
    policy.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    said = []
    for content in (whole[:1000], None, safetensors.torch.save({"other": torch.zeros(1)})):
        weights.unlink(missing_ok=True)
        if content is not None:
            weights.write_bytes(content)
        with pytest.raises(UserError, match="Expected whole weights") as caught:
            load_controller(tmp_path)
        said.append(str(caught.value))
    assert not any("\n" in line for line in said)
    cut, absent, other = said
    assert "header" in cut and "No such file" in absent and "Missing key" in other
    with pytest.raises(RuntimeError, match="Missing key"):  # lerobot-eval loads it like this
        get_policy_class("vipra").from_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"type": "vipar"}))
    with pytest.raises(UserError, match=r"type 'vipar', which is not.*Did you mean 'vipra'"):
        load_controller(tmp_path)


def test_a_shifted_picture_takes_its_places_along() -> None:
    torch.manual_seed(0)
    frames = torch.zeros(6, 2, 3, 32, 32)
    frames[..., 16, 16] = 1
    places = torch.full((6, 1, 2), (16 + 0.5) * 2 / 32 - 1)
    shown, there, moved, outlines = shifted(frames, places, 4, frames[:, 0, 0])
    assert there is not None and not torch.equal(shown, frames)
    torch.testing.assert_close(there - moved[:, None], places)
    for sample, place in zip(shown, there, strict=True):
        _, _, y, x = (sample == sample.max()).nonzero()[0]
        found = (torch.stack([x, y]) + 0.5) * 2 / 32 - 1
        torch.testing.assert_close(found, place[0])
        assert torch.equal(sample[0], sample[1])  # both frames alike
    assert outlines is not None and torch.equal(outlines, shown[:, 0, 0])
