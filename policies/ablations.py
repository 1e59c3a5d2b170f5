"""ViPRA's ablations (arXiv 2511.07732) as recipes: each changes one thing of another recipe.

All can use one set of labels but `no_flow_loss`, which is about the labels.
"""

from collections.abc import Callable
from dataclasses import replace

from robowm import recipes
from robowm.train.label import LabelConfig
from robowm.train.recipe import Recipe


def no_chunking(recipe: Recipe | None = None) -> Recipe:
    """-AC: one latent action is foretold, beside a frame as far ahead as ever, and one action."""
    recipe = recipe or _small()
    model = replace(recipe.pretrain.model, latent_steps=1)
    policy = replace(recipe.finetune.policy, chunk_size=1, n_action_steps=1)
    return replace(
        recipe,
        pretrain=replace(recipe.pretrain, model=model),
        finetune=replace(recipe.finetune, policy=policy),
    )


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


def future_kept(recipe: Recipe | None = None) -> Recipe:
    """+SP3: the future frame is foretold in fine-tuning, not in pretraining; with another head
    than `goals`."""
    recipe = no_future(recipe)
    policy = replace(recipe.finetune.policy, keep_future=True)
    return replace(recipe, finetune=replace(recipe.finetune, policy=policy))


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
    "future_kept": future_kept,
    "no_flow_loss": no_flow_loss,
}
