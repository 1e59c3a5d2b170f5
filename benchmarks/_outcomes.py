"""How episodes ended, as shares of successes."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np


def ends(result: Path) -> list[str]:
    """How each episode of a result of `robowm eval` ended."""
    return [episode["stage"] for episode in json.loads(result.read_text())["episodes"]]


def percent(runs: Iterable[list[str]]) -> np.ndarray:
    """100 where an episode ended in success, else 0: (runs, episodes)."""
    return 100.0 * np.array([[end == "success" for end in run] for run in runs])


def spread(found: Any) -> list[float | None]:
    """A mean and its interval over runs, which one run does not have."""
    around = (None, None) if found.runs is None else (found.runs.low, found.runs.high)
    return [found.value, *around]
