"""Video files in, a LeRobotDataset of their usable shots and a manifest of all shots out.

Reads mp4, webm, mov, mkv, avi and gif. Pictures are chosen by time stamp, never by counting;
shots are split at cuts, dissolves and fades; every shot that is dropped has its reason and score in
OUT/manifest.parquet.
A killed run goes on when the same command is given again.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robowm import recipes
from robowm.video.config import IngestConfig

RECIPE = "datasets/clips_folder"


@dataclass(frozen=True)
class Args:
    """Flags of `robowm ingest`."""

    sources: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SRC...")]
    """video files, or folders of them (searched to the bottom)"""
    out: Path
    """directory to create"""
    config: tyro.conf.OmitArgPrefixes[IngestConfig]
    recipe: str = RECIPE
    """named configuration that the other flags change: datasets/NAME"""
    workers: int = min(2, os.cpu_count() or 1)
    """processes that decode, one core each"""


def defaults(recipe: str | None) -> Args:
    """The flags' defaults under a named configuration."""
    spec = recipes.load(recipe or RECIPE).SPEC
    return Args(tyro.MISSING, tyro.MISSING, config=spec, recipe=recipe or RECIPE)


def run(args: Args) -> None:
    """Ingest, and say what was kept and why the rest was not."""
    from robowm.video.ingest import ingest

    done = ingest(list(args.sources), args.out, args.config, workers=args.workers)
    width = max(map(len, done.shots))
    print(f"{done.clips} clips ({done.others} other files passed over), shots by decision:")
    for reason, count in done.shots.items():
        print(f"  {'kept' if reason == 'ok' else reason:<{max(width, 4)}}  {count:6d}")
    print(f"{done.frames} frames of {done.seconds:.1f} s kept in {done.out}")
    print(f"every decision: {done.manifest}")
