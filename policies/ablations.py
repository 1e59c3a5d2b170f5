"""ViPRA's ablations (arXiv 2511.07732, table of ablations): each leaves one thing out of a recipe.

All can use one set of labels but `no_flow_loss`, which is about the labels.
"""

from collections.abc import Callable
from dataclasses import replace

from robowm import recipes
from robowm.train.label import LabelConfig
from robowm.train.recipe import Recipe


def no_chunking(recipe: Recipe | None = None) -> Recipe:
    """-AC: the policy acts a step at a time.

    The paper's also foretells one latent action in pretraining, and a frame as far ahead as ever;
    here both have one horizon, and the frame keeps it.
    """
    recipe = recipe or _small()
    policy = replace(recipe.finetune.policy, chunk_size=1, n_action_steps=1)
    return replace(recipe, finetune=replace(recipe.finetune, policy=policy))


def no_future(recipe: Recipe | None = None) -> Recipe:
    """-SP2: the world model foretells latent actions only."""
    recipe = recipe or _small()
    model = replace(recipe.pretrain.model, predict_future=False)
    return replace(recipe, pretrain=replace(recipe.pretrain, model=model))


def no_latents(recipe: Recipe | None = None) -> Recipe:
    """-LA: the world model foretells the future frame only."""
    recipe = recipe or _small()
    model = replace(recipe.pretrain.model, predict_latents=False)
    return replace(recipe, pretrain=replace(recipe.pretrain, model=model))


def no_flow_loss(recipe: Recipe | None = None) -> Recipe:
    """The labeller learns from the redrawn picture alone."""
    recipe = recipe or _small()
    assert isinstance(recipe.label, LabelConfig)
    model = replace(recipe.label.model, flow_weight=0.0)
    return replace(recipe, label=replace(recipe.label, model=model))


def _small() -> Recipe:
    found: Recipe = recipes.load("policies/vipra").small()
    return found


RECIPES: dict[str, Callable[..., Recipe]] = {
    "no_chunking": no_chunking,
    "no_future": no_future,
    "no_latents": no_latents,
    "no_flow_loss": no_flow_loss,
}
