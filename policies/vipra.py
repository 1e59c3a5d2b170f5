"""ViPRA-style policies at four scales; each preset changes a few fields of another.

Only `tiny` and `small` have been run (two CPU cores). `base` and `vipra` are shapes to start
from on GPUs: what is known of the published model, within what this code can express.
"""

from collections.abc import Callable
from dataclasses import replace

from robowm.latent.model import LatentActionConfig
from robowm.train.build_policy import PolicyConfig
from robowm.train.finetune_plan import FinetuneConfig
from robowm.train.label import LabelConfig
from robowm.train.label_vipra import ViPRALabelConfig
from robowm.train.loop import TrainConfig
from robowm.train.pretrain import PretrainConfig
from robowm.train.recipe import Recipe
from robowm.world.backbone import BackboneConfig
from robowm.world.vipra import ViPRAConfig


def small() -> Recipe:
    """One to two million weights a network, 128 px: two CPU cores."""
    backbone = BackboneConfig(size_px=128)
    return Recipe(
        label=LabelConfig(train=TrainConfig(steps=1000, batch_size=16, learning_rate=2e-3)),
        pretrain=PretrainConfig(
            model=ViPRAConfig(backbone=backbone),
            train=TrainConfig(steps=800, batch_size=32, learning_rate=1e-3),
        ),
        finetune=FinetuneConfig(
            policy=PolicyConfig(backbone=backbone, place_weight=1.0, shift_px=8),
            train=TrainConfig(steps=1800, batch_size=32, learning_rate=1e-3),
        ),
        size_px=128,
    )


def quickstart() -> Recipe:
    """`small` at 64 px with fewer steps: what `make quickstart` can afford in 15 minutes."""
    recipe = small()
    backbone = BackboneConfig(size_px=64)
    return replace(
        recipe,
        label=replace(
            recipe.label,
            model=LatentActionConfig(size_px=64),
            train=replace(recipe.label.train, steps=300),
        ),
        pretrain=replace(
            recipe.pretrain,
            model=replace(recipe.pretrain.model, backbone=backbone),
            train=replace(recipe.pretrain.train, steps=400),
        ),
        finetune=replace(
            recipe.finetune,
            policy=replace(recipe.finetune.policy, backbone=backbone, shift_px=4),
            train=replace(recipe.finetune.train, steps=600),
        ),
        size_px=64,
    )


def tiny() -> Recipe:
    """32 px, thin networks, a few steps: seconds, for tests. It learns next to nothing."""
    backbone = BackboneConfig(size_px=32, points=4, channels=16, width=48, depth=2, heads=2)
    model = LatentActionConfig(size_px=32, width=16)
    train = TrainConfig(steps=12, batch_size=8, warmup_steps=2)
    return Recipe(
        label=LabelConfig(model=model, train=train),
        pretrain=PretrainConfig(model=ViPRAConfig(backbone=backbone, horizon=4), train=train),
        finetune=FinetuneConfig(
            policy=PolicyConfig(backbone=backbone, chunk_size=4, n_action_steps=2, shift_px=2),
            train=train,
        ),
        size_px=32,
    )


def base() -> Recipe:
    """128 px, about 50 M weights: one GPU. Not run yet."""
    recipe = small()
    backbone = BackboneConfig(
        size_px=128, grid=8, points=32, channels=128, width=512, depth=12, heads=8
    )
    train = TrainConfig(steps=50_000, batch_size=128, learning_rate=3e-4, warmup_steps=1000)
    return replace(
        recipe,
        label=replace(
            recipe.label,
            model=LatentActionConfig(width=128, depth=6, tokens=16),
            train=train,
        ),
        pretrain=replace(
            recipe.pretrain, model=ViPRAConfig(backbone=backbone, horizon=14), train=train
        ),
        finetune=replace(
            recipe.finetune,
            policy=PolicyConfig(backbone=backbone, chunk_size=14, n_action_steps=7),
            train=replace(train, steps=20_000),
        ),
        size_px=128,
    )


def vipra() -> Recipe:
    """224 px, 16 tokens of 8 codes, H = 14, causal actions, no proprioception.

    The labeller has the published numbers (sroutray/vipra, d5d8c0d) and needs `robowm[vipra]` and
    `robowm[perceptual]`. Of it one training step was taken at full size
    (benchmarks/vipra_step.py), no more; nothing of the rest.
    """
    recipe = base()
    backbone = BackboneConfig(
        size_px=224, grid=14, points=0, channels=256, width=1024, depth=24, heads=16
    )
    policy = PolicyConfig(
        backbone=backbone,
        chunk_size=14,
        n_action_steps=7,
        action_head="flow",
        subgoals=0,
        causal_actions=True,
        action_bins=2047,
        use_state=False,
    )
    return replace(
        recipe,
        label=ViPRALabelConfig(
            train=TrainConfig(
                steps=300_000,
                batch_size=144,
                learning_rate=1e-4,
                warmup_steps=0,
                final_rate=1.0,
                weight_decay=0.0,
                grad_clip=6.0,
                precision="bf16",
            )
        ),
        pretrain=replace(recipe.pretrain, model=ViPRAConfig(backbone=backbone, horizon=14)),
        finetune=replace(recipe.finetune, policy=policy),
        size_px=224,
        fps=5,
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "tiny": tiny,
    "quickstart": quickstart,
    "small": small,
    "base": base,
    "vipra": vipra,
}
