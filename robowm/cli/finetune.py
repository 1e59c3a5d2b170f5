"""Train a policy on labelled demonstrations, from a world model or from scratch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robowm.cli.recipe import DEFAULT, find_recipe
from robowm.train.finetune_plan import FinetuneConfig


@dataclass(frozen=True)
class Args:
    """Flags of `robowm finetune`."""

    model: tyro.conf.Positional[str]
    """world model directory or Hub id, or `scratch`"""
    datasets: tyro.conf.Positional[tuple[Path, ...]]
    """LeRobotDataset v3 directories with actions, of one robot: one or more"""
    out: Path
    """LeRobot policy directory to write: new or empty"""
    config: Annotated[FinetuneConfig, tyro.conf.arg(name="")]
    recipe: str = DEFAULT
    """named configuration that the other flags override"""


def defaults(recipe: str | None) -> Args:
    """Flags as the recipe sets them."""
    config = find_recipe(recipe).finetune
    return Args(model=tyro.MISSING, datasets=tyro.MISSING, out=tyro.MISSING, config=config)


def run(args: Args) -> None:
    """Fine-tune, and print where the policy is."""
    from robowm.train.finetune import finetune

    result = finetune(args.model, args.datasets, args.out, args.config)
    print(
        f"policy in {result.directory}: {result.parameters:,} weights, "
        f"{result.pretrained_tensors} tensors from {args.model}, "
        f"last training loss {result.train_loss:.3f}"
    )
