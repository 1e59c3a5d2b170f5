"""Label every transition of a dataset with a latent action.

Measures optical flow, takes the camera's motion out, trains a latent action model (or loads one)
and adds the columns latent_action, latent_action_index and latent_action_valid to the dataset.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robowm.cli.recipe import DEFAULT, find_recipe
from robowm.errors import UserError
from robowm.train.label import LabelConfig
from robowm.train.label_vipra import ViPRALabelConfig


@dataclass(frozen=True)
class Args:
    """Flags of `robowm label`."""

    dataset: tyro.conf.Positional[Path]
    """LeRobotDataset v3 directory; the columns are added to it"""
    config: Annotated[
        LabelConfig | ViPRALabelConfig, tyro.conf.arg(name=""), tyro.conf.AvoidSubcommands
    ]
    labeller: str | None = None
    """trained labeller (labels/model of another dataset, or a Hub id); none trains one here"""
    camera: str | None = None
    """image column to label by; none takes the dataset's first"""
    name: str = "default"
    """label set: several stand side by side, the columns of all but "default" end in .NAME"""
    replace: bool = False
    """put the new labels in the place of those of this name that other settings made"""
    as_action: Path | None = None
    """directory for a view in which `action` is the latent, for stock policies; takes the labels
    as they are where the dataset has them"""
    controls: Path | None = None
    """with --as-action: policy directory whose map to controls reads `action` from the latents, so
    that the view is demonstrations of its robot, pseudo-labelled"""
    recipe: str = DEFAULT
    """named configuration that the other flags override"""


def defaults(recipe: str | None) -> Args:
    """Flags as the recipe sets them."""
    return Args(dataset=tyro.MISSING, config=find_recipe(recipe).label)


def run(args: Args) -> None:
    """Label, and print what the held-out transitions say of the labels; then write the view."""
    from robowm.train.labels_on_disk import has_labels

    if args.controls is not None and args.as_action is None:
        raise UserError("--controls is for --as-action OUT, which was not given.")
    if args.as_action is None or args.replace or not has_labels(args.dataset, args.name):
        _label(args)
    if args.as_action is not None:
        _as_action(args, args.as_action)


def _label(args: Args) -> None:
    from robowm.train.label import label

    result = label(args.dataset, args.config, args.labeller, args.camera, args.name, args.replace)
    r = result.reality
    print(
        f"{result.valid} of {result.transitions} transitions labelled; report and pictures in "
        f"{result.directory}\n"
        f"held out ({r.transitions}): next frame {r.psnr_true:.1f} dB with its own code, "
        f"{r.psnr_other:.1f} dB with another's, {r.psnr_still:.1f} dB standing still; "
        f"flow cosine {r.flow_cosine:.2f} (another's {r.flow_cosine_other:.2f}); "
        f"perplexity {r.perplexity:.1f}, {r.dead_codes} dead codes"
    )


def _as_action(args: Args, out: Path) -> None:
    from robowm.train.action_view import as_action

    view = as_action(args.dataset, out, args.name, args.labeller, args.controls)
    files = f"{view.linked} files hard-linked"
    if view.copied:
        files += f", {view.copied} copied, for they lie on another file system"
    action = "the latent" if args.controls is None else "pseudo-labelled controls"
    print(
        f"{view.directory}: {view.frames} frames in {view.episodes} episodes with {action} as "
        f"action; {view.left_out} rows without a valid one are left out; {files}\n"
        f"lerobot-train --dataset.repo_id=local/view --dataset.root={view.directory} "
        "--policy.type=act --policy.push_to_hub=false"
    )
