"""Policies that foretell before they act, from label to rollout, and what they refuse."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from robowm import recipes
from robowm.batch import Observation
from robowm.errors import UserError
from robowm.policy.lerobot_controller import load_controller
from robowm.train.action_view import as_action
from robowm.train.finetune import finetune
from robowm.train.label import label
from robowm.train.pretrain import pretrain
from robowm.train.recipe import Recipe

TINY: Recipe = recipes.load("policies/vipra").tiny()


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    root = make_dataset(
        tmp_path_factory.mktemp("demos") / "ds", episodes=6, length=12, actions=True
    )
    label(root, TINY.label)
    return root


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, demos: Path) -> Path:
    out = tmp_path_factory.mktemp("world") / "model"
    pretrain([demos], out, TINY.pretrain)
    return out


def changed(**policy: Any) -> Any:
    return replace(TINY.finetune, policy=replace(TINY.finetune.policy, **policy))


def acts(directory: Path) -> np.ndarray:
    controller = load_controller(directory)
    observation = Observation(np.full((48, 48, 3), 90, np.uint8), np.zeros(2, np.float32))
    controller.reset(0, seed=0)
    return np.stack([controller.act([0], [observation])[0] for _ in range(3)])


@pytest.mark.parametrize("head", ["flow", "autoregressive"])
def test_all_that_a_world_model_foretells_is_kept_and_acted_on(
    head: str, demos: Path, world: Path, tmp_path: Path
) -> None:
    policy = changed(action_head=head, keep_future=True, latents="codes")
    result = finetune(str(world), demos, tmp_path / "p", policy)
    kept = list(load_file(world / "model.safetensors"))
    assert result.pretrained_tensors == len(kept)  # nothing of the world model is left behind
    assert np.isfinite(acts(tmp_path / "p")).all()


def test_continuous_latents_go_from_labels_to_actions(demos: Path, tmp_path: Path) -> None:
    model = replace(TINY.pretrain.model, continuous=True)
    found = pretrain([demos], tmp_path / "world", replace(TINY.pretrain, model=model))
    assert found.latent_r2 is not None and found.latent_r2 <= 1
    policy = changed(latents="continuous")  # auto: there is no way from goals to latents
    finetune(str(tmp_path / "world"), demos, tmp_path / "p", policy)
    assert np.isfinite(acts(tmp_path / "p")).all()
    with pytest.raises(UserError, match="foretells latent actions as 'continuous'; expected"):
        finetune(str(tmp_path / "world"), demos, tmp_path / "q", changed(latents="codes"))
    assert not (tmp_path / "q").exists()


def test_words_of_actions_lie_where_demonstrated_ones_do(demos: Path, tmp_path: Path) -> None:
    finetune("scratch", demos, tmp_path / "p", changed(action_head="autoregressive"))
    values = load_file(tmp_path / "p" / "model.safetensors")["decoder.actor.values"]
    assert values.shape[0] == 2 and (np.diff(values, axis=1) >= 0).all()
    assert not np.allclose(values[0], values[1])  # no normal distribution's any more
    assert np.isfinite(acts(tmp_path / "p")).all()


def test_a_policy_of_latent_actions_is_where_one_of_controls_sets_out(
    demos: Path, tmp_path: Path
) -> None:
    blind = changed(use_state=False, action_head="flow")
    finetune("scratch", demos, tmp_path / "mapped", blind)
    as_action(demos, tmp_path / "latents")
    emits = replace(blind, decoder=tmp_path / "mapped")
    finetune("scratch", tmp_path / "latents", tmp_path / "emits", emits)
    result = finetune(str(tmp_path / "emits"), demos, tmp_path / "p", TINY.finetune)
    assert result.pretrained_tensors > 0 and acts(tmp_path / "p").shape == (3, 2)
    with pytest.raises(UserError, match="there is a way to the head 'flow' only"):
        finetune(str(tmp_path / "emits"), demos, tmp_path / "q", changed(action_head="goals"))
    with pytest.raises(UserError, match="emits controls by the head 'flow'; expected 'scratch'"):
        finetune(str(tmp_path / "mapped"), demos, tmp_path / "q", TINY.finetune)
    assert not (tmp_path / "q").exists()


def test_what_cannot_be_foretold_is_refused(
    demos: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    plain = make_dataset(tmp_path / "plain", actions=True)
    with pytest.raises(
        UserError, match="has no latent actions 'default'; label the demonstrations"
    ):
        finetune("scratch", plain, tmp_path / "q", changed(latents="codes"))
    with pytest.raises(UserError, match="goals acts on goals alone; expected flow or"):
        finetune("scratch", demos, tmp_path / "q", changed(action_head="goals", keep_future=True))
    assert not (tmp_path / "q").exists()


def test_labels_of_another_labeller_than_the_world_models_are_refused(
    world: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    other = make_dataset(tmp_path / "other", episodes=4, length=12, actions=True)
    label(other, TINY.label)
    with pytest.raises(UserError, match="are of another labeller than those of the world model"):
        finetune(str(world), other, tmp_path / "q", changed(latents="codes"))


def test_latent_actions_of_another_rate_are_another_length(
    demos: Path, world: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    faster = make_dataset(tmp_path / "faster", episodes=3, length=12, actions=True, fps=20)
    label(faster, TINY.label, model=str(demos / "labels" / "model"))
    with pytest.raises(UserError, match=r"at 20 frames a second, .* at 10: .* expected one rate"):
        pretrain([demos, faster], tmp_path / "world", TINY.pretrain)
    assert not (tmp_path / "world").exists()
    policy = changed(action_head="flow", latents="codes")
    with pytest.raises(UserError, match="of 10 frames a second, the demonstrations have 20"):
        finetune(str(world), faster, tmp_path / "p", policy)
    assert not (tmp_path / "p").exists()
