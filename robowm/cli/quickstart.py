"""The main job end to end, small, on this machine: 5 to 25 minutes on two cores.

Films action-free video of several arms, ingests, labels, pretrains; records ten demonstrations;
trains one policy from the world model and one from scratch; evaluates both on the same fifty
layouts; writes OUT/report.html and OUT/results.json. A killed run goes on with the same command.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from robowm import recipes
from robowm.cli.recipe import find_recipe
from robowm.quickstart import QuickstartConfig, quickstart
from robowm.train.recipe import Recipe


@dataclass(frozen=True)
class Args:
    """Flags of `robowm quickstart`."""

    recipe_config: Annotated[Recipe, tyro.conf.arg(name=""), tyro.conf.AvoidSubcommands]
    config: Annotated[QuickstartConfig, tyro.conf.arg(name="")] = field(
        default_factory=QuickstartConfig
    )
    clips: Path | None = None
    """folder of further clips to learn from; none learns from the filmed ones alone"""
    out: Path = Path("runs/quickstart")
    """run directory; what is complete in it is kept"""
    suite: str = "robosuite/Lift"
    """suite/task that is demonstrated and evaluated"""
    recipe: str = "quickstart"
    """named configuration that the other flags override"""


def defaults(recipe: str | None) -> Args:
    """Flags as the recipe sets them."""
    return Args(recipe_config=find_recipe(recipe or "quickstart"))


def run(args: Args) -> None:
    """Run it all, and print the table."""
    from robowm.cli.eval import task_named
    from robowm.report.words import succeeded

    results = quickstart(
        args.out,
        args.recipe_config,
        task_named(args.suite),
        recipes.load("datasets/robosuite_play").SPEC,
        args.config,
        args.clips,
    )
    rows = {name: results[name] for name in ("pretrained", "scratch")} | results["baselines"]
    for name, row in rows.items():
        count, rest = succeeded(row).split(" ", 1)
        print(f"{name:<10} {count:>6} {rest}")
    test = results["paired_test"]
    low, high = (100 * bound for bound in test["difference_interval"])
    print(
        f"pretrained - scratch: {100 * test['difference']:+.0f} points "
        f"({low:+.0f} to {high:+.0f}), paired p = {test['p_value']:.2g}"
    )
    print(args.out / "report.html")
