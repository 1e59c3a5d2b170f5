"""Are the latent actions real? A battery of tests beside their baselines; JSON and HTML.

LABELS is a labelled dataset (or a labeller with --on DATASET). Only episodes that the labeller did
not train on are used. Exit code 3: the labels are not shown to be better than labels that mean
nothing. A missing truth is no failure; the tests that need it are skipped and say so.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from robowm.episodes import DEFAULT_LABELS
from robowm.latent.reality.config import RealityConfig


@dataclass(frozen=True)
class Args:
    """Flags of `robowm reality`."""

    labels: Annotated[str, tyro.conf.Positional]
    """labelled dataset; or a labeller directory or Hub id, with --on"""
    config: Annotated[RealityConfig, tyro.conf.arg(name="")]
    truth: Path | None = None
    """LeRobotDataset with true actions; none takes the labelled dataset's own, where it has them"""
    on: Path | None = None
    """dataset to judge a labeller on"""
    camera: str | None = None
    """image column to judge by; none takes the labelled one, or the first"""
    name: str = DEFAULT_LABELS
    """the dataset's label set, where it has several"""
    out: Path | None = None
    """directory to write, new or empty; none is DATASET/reality (reality.NAME)"""


def defaults(_: str | None) -> Args:
    """Flags as the battery sets them."""
    return Args(labels=tyro.MISSING, config=RealityConfig())


def run(args: Args) -> int:
    """Run the battery, write the page, print the figures."""
    from robowm.latent.reality.battery import reality
    from robowm.latent.reality.verdict import EXIT_CODE, NOTHING
    from robowm.report.reality_page import write_reality_pages

    report = reality(
        args.labels, args.config, args.out, args.truth, args.on, args.camera, args.name
    )
    page = write_reality_pages(report.directory)
    for test in report.results:
        print(line(test))
    for warning in report.warnings:
        print(f"note: {warning}")
    print(f"{report.verdict.sentence}\n{page}")
    return EXIT_CODE if report.verdict.outcome == NOTHING else 0


def line(test: dict[str, Any]) -> str:
    """One test: its figure, its interval, its baselines, its gate."""
    if test["passed"] is None:
        return f"  -   {test['title']}: not run, {test['reason']}"
    baselines = ", ".join(f"{name} {_number(b)}" for name, b in test["baselines"].items())
    beside = f"; beside it: {baselines}" if baselines else ""
    mark = "met " if test["passed"] else "MISS"
    value = test["value"]
    interval = "" if value["low"] is None else f" [{value['low']:.2f}, {value['high']:.2f}]"
    return f"{mark}  {test['title']}: {_number(value)}{interval} {test['unit']}{beside}"


def _number(estimate: dict[str, float | None]) -> str:
    value = estimate["value"]
    return "none" if value is None else f"{value:.2f}"
