"""Recipes are found by name; a wrong name is answered with the nearest."""

import pytest
import torch

from robowm import recipes
from robowm.cli.eval import task_named
from robowm.cli.recipe import find_recipe
from robowm.errors import UserError
from robowm.latent.model import LatentActionModel
from robowm.latent.vipra_model import ViPRALatentModel
from robowm.policy.decoder import ActionDecoder
from robowm.policy.shown import DecoderConfig
from robowm.train.label import LabelConfig
from robowm.train.label_vipra import ViPRALabelConfig
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


def test_wrong_names_are_answered() -> None:
    with pytest.raises(UserError, match="Did you mean 'policies/vipra'"):
        recipes.load("policies/vipr")
    with pytest.raises(UserError, match=r"no recipe 'smal'.*Did you mean 'small'"):
        find_recipe("smal")
    with pytest.raises(UserError, match="no recipe 'moto/small'"):
        find_recipe("moto/small")
    with pytest.raises(UserError, match="Did you mean 'Lift'"):
        task_named("robosuite/Lif")
    with pytest.raises(UserError, match="Did you mean 'robosuite'"):
        task_named("robosuit/Lift")
