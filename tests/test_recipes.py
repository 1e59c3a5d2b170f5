"""Recipes are found by name; a wrong name is answered with the nearest."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from robowm import recipes
from robowm.cli.eval import task_named
from robowm.cli.recipe import find_recipe
from robowm.errors import UserError
from robowm.latent.model import LatentActionModel
from robowm.latent.vipra_model import ViPRALatentModel
from robowm.policy.decoder import ActionDecoder
from robowm.policy.lerobot_controller import load_controller
from robowm.policy.shown import DecoderConfig
from robowm.train.finetune import finetune
from robowm.train.label import LabelConfig, label
from robowm.train.label_vipra import ViPRALabelConfig
from robowm.train.pretrain import pretrain
from robowm.train.recipe import Recipe
from robowm.world.vipra import ViPRAWorldModel


def test_every_recipe_loads_and_says_what_it_is() -> None:
    names = recipes.names()
    assert {"policies/vipra", "sim_eval/robosuite", "real_robot/so101_emulated"} <= set(names)
    for name in names:
        assert recipes.load(name).__doc__, name


@pytest.mark.parametrize("preset", ["tiny", "quickstart", "small", "base", "vipra"])
def test_a_recipes_parts_fit_together(preset: str) -> None:
    recipe = find_recipe(preset)
    backbone = recipe.pretrain.model.backbone
    assert recipe.size_px == backbone.size_px
    assert recipe.label.model.size_px >= backbone.size_px  # labels may be finer, never coarser
    assert recipe.finetune.policy.backbone == backbone
    assert isinstance(recipe.label, LabelConfig | ViPRALabelConfig)
    policy = recipe.finetune.policy
    assert (policy.n_action_steps or 1) <= policy.chunk_size


@pytest.mark.parametrize("preset", ["tiny", "small", "base", "vipra"])
def test_a_recipes_networks_can_be_built(preset: str) -> None:
    recipe = find_recipe(preset)
    policy = recipe.finetune.policy
    decoder = DecoderConfig(backbone=policy.backbone, horizon=policy.chunk_size)
    windows = isinstance(recipe.label, ViPRALabelConfig)
    if windows:
        pytest.importorskip("transformers")
    with torch.device("meta"):  # shapes only: the largest have a billion weights
        networks = [
            (ViPRALatentModel if windows else LatentActionModel)(recipe.label.model),
            ViPRAWorldModel(recipe.pretrain.model),
            ActionDecoder(decoder),
        ]
    millions = [sum(p.numel() for p in n.parameters()) / 1e6 for n in networks]
    low, high = {"tiny": (0, 1), "small": (0.5, 20), "base": (10, 150), "vipra": (30, 1000)}[preset]
    assert all(low < m < high for m in millions), millions


ONE_STEP = {
    "finetune.policy.chunk_size": (8, 1),
    "finetune.policy.n_action_steps": (None, 1),
}
NO_FLOW_LOSS = {"label.model.flow_weight": (1.0, 0.0)}
DERIVED: dict[str, dict[str, tuple[Any, Any]]] = {
    "baselines/lapa": {
        **ONE_STEP,
        **NO_FLOW_LOSS,
        "label.model.latent": ("continuous", "quantised"),
        "pretrain.model.latent_steps": (0, 1),
        "pretrain.model.predict_future": (True, False),
    },
    "ablations/no_chunking": ONE_STEP | {"pretrain.model.latent_steps": (0, 1)},
    "ablations/no_future": {"pretrain.model.predict_future": (True, False)},
    "ablations/no_latents": {"pretrain.model.predict_latents": (True, False)},
    "ablations/future_kept": {
        "pretrain.model.predict_future": (True, False),
        "finetune.policy.keep_future": (False, True),
    },
    "ablations/no_flow_loss": NO_FLOW_LOSS,
}


def fields(value: Any, name: str = "") -> dict[str, Any]:
    """Every leaf of nested configurations by its dotted name."""
    if not isinstance(value, dict):
        return {name: value}
    inner = (fields(part, f"{name}.{key}".strip(".")) for key, part in value.items())
    return {key: leaf for part in inner for key, leaf in part.items()}


@pytest.mark.parametrize("name", DERIVED)
def test_a_derived_recipe_differs_from_small_in_just_what_it_says(name: str) -> None:
    small, other = (fields(asdict(find_recipe(one))) for one in ("small", name))
    assert small.keys() == other.keys()
    changed = {key: (small[key], other[key]) for key in small if small[key] != other[key]}
    assert changed == DERIVED[name]


def test_every_derived_recipe_is_checked_above() -> None:
    files = ("baselines", "ablations")
    assert {f"{f}/{n}" for f in files for n in recipes.load(f"policies/{f}").RECIPES} == {*DERIVED}


@pytest.mark.parametrize("name", ["baselines/lapa", "ablations/no_latents"])
def test_a_derived_recipe_trains_from_labels_to_a_policy(
    name: str, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    stem, _, preset = name.partition("/")
    derive = recipes.load(f"policies/{stem}").RECIPES[preset]
    recipe: Recipe = derive(recipes.load("policies/vipra").tiny())
    demos = make_dataset(tmp_path / "demos", actions=True)
    label(demos, recipe.label)
    pretrain([demos], tmp_path / "world", recipe.pretrain)
    done = finetune(str(tmp_path / "world"), demos, tmp_path / "policy", recipe.finetune)
    assert done.pretrained_tensors > 0
    config = load_controller(tmp_path / "policy").config
    assert (config.chunk_size, config.n_action_steps) == (
        recipe.finetune.policy.chunk_size,
        recipe.finetune.policy.n_action_steps,
    )


def test_wrong_names_are_answered() -> None:
    with pytest.raises(UserError, match="Did you mean 'policies/vipra'"):
        recipes.load("policies/vipr")
    with pytest.raises(UserError, match=r"no recipe 'smal'.*Did you mean 'small'"):
        find_recipe("smal")
    with pytest.raises(UserError, match=r"no recipe 'lapa'.*baselines/lapa"):
        find_recipe("lapa")
    with pytest.raises(UserError, match="no recipe 'moto/small'"):
        find_recipe("moto/small")
    with pytest.raises(UserError, match="Did you mean 'Lift'"):
        task_named("robosuite/Lif")
    with pytest.raises(UserError, match="Did you mean 'robosuite'"):
        task_named("robosuit/Lift")
