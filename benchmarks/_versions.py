"""Versions and the machine beside a figure."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from robowm.machine import machine


def made_with(*packages: str) -> dict[str, Any]:
    """`commit`, `versions` and the machine, as every result has them."""
    return {"commit": commit(), "versions": versions(*packages), "machine": machine()}


def commit() -> str:
    """The newest commit of this checkout, and whether files differ from it."""
    here = Path(__file__).parent
    words = ["git", "-C", str(here), "describe", "--always", "--dirty", "--exclude", "*"]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip() or "unknown"


def versions(*packages: str) -> dict[str, str]:
    """Python's, and those of packages that are installed: tests run scripts without extras."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
