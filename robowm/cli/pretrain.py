"""Train a world model on labelled video: the frame H steps ahead and the latent actions between."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robowm.cli.recipe import DEFAULT, find_recipe
from robowm.train.pretrain import PretrainConfig


@dataclass(frozen=True)
class Args:
    """Flags of `robowm pretrain`."""

    datasets: tyro.conf.Positional[list[Path]]
    """LeRobotDataset v3 directories that `robowm label` has been through, by one labeller"""
    out: Path
    """model directory to write: new or empty"""
    config: Annotated[PretrainConfig, tyro.conf.arg(name="")]
    labels: str = "default"
    """label set to train on, as `robowm label --name` called it"""
    recipe: str = DEFAULT
    """named configuration that the other flags override"""


def defaults(recipe: str | None) -> Args:
    """Flags as the recipe sets them."""
    return Args(datasets=tyro.MISSING, out=tyro.MISSING, config=find_recipe(recipe).pretrain)


def run(args: Args) -> None:
    """Pretrain, and print the held-out figures."""
    from robowm.train.pretrain import pretrain

    v = pretrain(args.datasets, args.out, args.config, args.labels)
    latents = (
        f"latent codes right {v.code_accuracy:.0%} (the commonest code: {v.code_chance:.0%})"
        if v.latent_r2 is None
        else f"{v.latent_r2:.0%} of the latent actions' variance foretold"
    )
    print(
        f"world model in {args.out}\n"
        f"held out ({v.windows} windows): changed pixels of the future frame off by "
        f"{v.future_l1:.3f} (showing the present again: {v.still_l1:.3f}); "
        f"{latents}"
    )
