"""Methods that are compared with ours and differ from it in what they are trained on.

The other baselines are no configuration but another command; README.md beside this has them all.
"""

from collections.abc import Callable
from dataclasses import replace

from robowm import recipes
from robowm.train.label import LabelConfig
from robowm.train.recipe import Recipe


def lapa(recipe: Recipe | None = None) -> Recipe:
    """LAPA's way (arXiv 2410.11758): foretell one latent action, nothing of what will be seen.

    Its labels are learnt from the redrawn picture alone and hold the codebook's vectors; the policy
    acts a step at a time.

    Args:
        recipe: what it is derived from; None: `small`.
    """
    recipe = recipe or recipes.load("policies/vipra").small()
    assert isinstance(recipe.label, LabelConfig)
    pretrain, finetune = recipe.pretrain, recipe.finetune
    labeller = replace(recipe.label.model, latent="quantised", flow_weight=0.0)
    return replace(
        recipe,
        label=replace(recipe.label, model=labeller),
        pretrain=replace(
            pretrain, model=replace(pretrain.model, latent_steps=1, predict_future=False)
        ),
        finetune=replace(finetune, policy=replace(finetune.policy, chunk_size=1, n_action_steps=1)),
    )


RECIPES: dict[str, Callable[..., Recipe]] = {"lapa": lapa}
