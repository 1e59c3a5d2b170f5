"""Versions and the machine beside a figure."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any


def made_with(*packages: str) -> dict[str, Any]:
    """`versions`, and the machine, as every result has them."""
    machine = {"cores": os.cpu_count(), "arch": platform.machine()}
    return {"versions": versions(*packages), "machine": machine}


def versions(*packages: str) -> dict[str, str]:
    """Python's, and those of packages that are installed: tests run scripts without extras."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
