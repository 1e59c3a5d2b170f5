"""Clips in, a LeRobotDataset of their usable shots and a manifest of all shots out.

Reads video (mp4, webm, mov, mkv, avi, gif) and, through the recipes in datasets/, labelled
datasets. Pictures are chosen by time stamp, never by counting; shots are split at cuts, dissolves
and fades; every shot that is dropped has its reason and score in OUT/manifest.parquet.
A killed run goes on when the same command is given again.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from robowm import recipes
from robowm.errors import UserError, nearest
from robowm.video.config import IngestConfig
from robowm.video.sources.detect import FILES, recipe_for
from robowm.video.sources.hub import on_disk

FOLDER = "datasets"
AUTO = "auto"


@dataclass(frozen=True)
class Args:
    """Flags of `robowm ingest`."""

    sources: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SRC...")]
    """video files, folders (searched to the bottom), or what the recipe reads"""
    out: Path
    """directory to create"""
    config: tyro.conf.OmitArgPrefixes[IngestConfig]
    recipe: str = AUTO
    """datasets/NAME: how sources are read, and the defaults of other flags; auto tells video files,
    LeRobotDatasets, hdf5 and web addresses apart"""
    camera: tuple[str, ...] = ()
    """cameras to take where a source has several, each a clip of its own (default: the first)"""
    keep_actions: bool = False
    """keep a labelled source's actions and states; all kept clips must have the same"""
    append: bool = False
    """add clips that are not in --out yet; what is there stays as it is"""
    workers: int = min(2, os.cpu_count() or 1)
    """processes that decode, one core each"""


def defaults(recipe: str | None) -> Args:
    """The flags' defaults under a named recipe."""
    return Args(tyro.MISSING, tyro.MISSING, config=load(recipe or AUTO).SPEC, recipe=recipe or AUTO)


def load(name: str) -> Any:
    """The recipe module `datasets/NAME`.

    Raises:
        UserError: there is none, or it makes clips and does not read any.
    """
    name = FILES if name == AUTO else name.removeprefix(f"{FOLDER}/")
    module = recipes.load(f"{FOLDER}/{name}")
    if not hasattr(module, "find"):
        allowed = [n.removeprefix(f"{FOLDER}/") for n in recipes.names(FOLDER)]
        allowed.remove(name)
        about = (module.__doc__ or "").splitlines()[0]
        raise UserError(f"recipe {name!r} reads no clips: {about} {nearest('', allowed)}")
    return module


def run(args: Args) -> None:
    """Ingest, and say what was kept and why the rest was not."""
    from robowm.video.append import append
    from robowm.video.ingest import ingest

    sources = on_disk(args.sources)
    recipe = recipe_for(sources) if args.recipe == AUTO else args.recipe
    done = (append if args.append else ingest)(
        args.sources,
        args.out,
        args.config,
        workers=args.workers,
        find=load(recipe).find,
        cameras=args.camera,
        keep_actions=args.keep_actions,
    )
    if done.added is not None:
        print(f"{done.added} clips were new; in all:")
    width = max(map(len, done.shots))
    print(f"{done.clips} clips ({done.others} other files passed over), shots by decision:")
    for reason, count in done.shots.items():
        print(f"  {'kept' if reason == 'ok' else reason:<{max(width, 4)}}  {count:6d}")
    print(f"{done.frames} frames of {done.seconds:.1f} s kept in {done.out}")
    print(f"every decision: {done.manifest}")
