"""Pretrained features through the stages: once named, they travel with world model and policy."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from robowm import recipes
from robowm.batch import Observation
from robowm.errors import UserError
from robowm.policy.lerobot_controller import load_controller
from robowm.policy.modeling_vipra import VipraPolicy
from robowm.train.finetune import finetune
from robowm.train.finetune_plan import FinetuneConfig
from robowm.train.label import label
from robowm.train.pretrain import PretrainConfig, pretrain
from robowm.train.recipe import Recipe

TINY: Recipe = recipes.load("policies/vipra").tiny()


def pretraining(pretrained: str) -> PretrainConfig:
    backbone = replace(TINY.pretrain.model.backbone, pretrained=pretrained)
    return replace(TINY.pretrain, model=replace(TINY.pretrain.model, backbone=backbone))


def finetuning(pretrained: str, head: str) -> FinetuneConfig:
    backbone = replace(TINY.finetune.policy.backbone, pretrained=pretrained)
    policy = replace(TINY.finetune.policy, backbone=backbone, action_head=head)  # type: ignore[arg-type]
    return replace(TINY.finetune, policy=policy)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    root = make_dataset(tmp_path_factory.mktemp("demos") / "ds", actions=True)
    label(root, TINY.label)
    return root


def encoder_of(
    directory: Path, mark: str = "backbone.pretrained.network."
) -> dict[str, torch.Tensor]:
    """The encoder's tensors among a directory's weights."""
    weights = safetensors.torch.load_file(directory / "model.safetensors")
    return {k[k.index(mark) + len(mark) :]: v for k, v in weights.items() if mark in k}


def tells_no_place(directory: Path, place: Path) -> bool:
    """Whether no text of a directory names the folder in which weights lay."""
    texts = [p.read_text() for p in directory.rglob("*") if p.suffix in (".json", ".md", ".html")]
    return bool(texts) and not any(str(place) in text for text in texts)


def acts(directory: Path) -> np.ndarray:
    """What a policy does first, on a fixed picture."""
    controller = load_controller(directory)
    controller.reset(0, seed=3)
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    action: np.ndarray = controller.act([0], [Observation(picture, np.zeros(2, np.float32))])
    return action


@pytest.mark.parametrize("head", ["flow", "goals"])
def test_a_policy_holds_what_it_was_trained_with(
    head: str, demos: Path, tmp_path: Path, make_dino: Callable[[Path], Path]
) -> None:
    dino, out = make_dino(tmp_path / "secret" / "dino"), tmp_path / "policy"
    given = encoder_of(dino, "")
    finetune("scratch", demos, out, finetuning(str(dino), head))
    before = acts(out)
    shutil.rmtree(dino)
    np.testing.assert_array_equal(acts(out), before)
    policy = VipraPolicy.from_pretrained(out)
    assert policy.config.pretrained.startswith("dino@sha256:")
    assert policy.config.pretrained_shape.width == 12
    project = policy.decoder.backbone.pretrained.project.weight
    assert project.abs().max() > 0, "nothing was learnt of the features"
    mine = encoder_of(out)
    assert mine.keys() == given.keys() and all(torch.equal(mine[k], given[k]) for k in given)
    assert tells_no_place(out, tmp_path / "secret")
    trained = [p for group in policy.get_optim_params() for p in group["params"]]
    frozen = policy.decoder.backbone.pretrained.network.parameters()
    assert trained and not {*map(id, trained)} & {*map(id, frozen)}


def test_a_world_model_carries_them_to_the_policy(
    demos: Path, tmp_path: Path, make_dino: Callable[[Path], Path]
) -> None:
    dino, world = make_dino(tmp_path / "secret" / "dino"), tmp_path / "world"
    pretrain([demos], world, pretraining(str(dino)))
    assert tells_no_place(world, tmp_path / "secret")
    shutil.rmtree(dino)
    for asked in ("", str(dino)):  # a world model's own are taken, and nothing is looked for
        out = tmp_path / f"policy{len(asked)}"
        result = finetune(str(world), demos, out, finetuning(asked, "flow"))
        mine, given = encoder_of(out), encoder_of(world)
        assert mine and all(torch.equal(mine[k], given[k]) for k in given)
        assert result.pretrained_tensors > len(mine) and np.isfinite(acts(out)).all()


def test_a_world_model_without_them_cannot_get_them(demos: Path, tmp_path: Path) -> None:
    pretrain([demos], tmp_path / "world", TINY.pretrain)
    with pytest.raises(
        UserError, match=r"--policy.backbone.pretrained random: .* was trained without"
    ):
        finetune(str(tmp_path / "world"), demos, tmp_path / "p", finetuning("random", "flow"))
    assert not (tmp_path / "p").exists()


def test_what_cannot_be_had_is_said_before_anything_is_written(demos: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(UserError, match=r"--policy.backbone.pretrained ./nowhere gives no DINOv2"):
        finetune("scratch", demos, tmp_path / "out", finetuning("./nowhere", "flow"))
    with pytest.raises(UserError, match=r"--model.backbone.pretrained ./nowhere gives no DINOv2"):
        pretrain([demos], tmp_path / "out", pretraining("./nowhere"))
    assert not list(tmp_path.iterdir())
