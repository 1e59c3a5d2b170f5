"""What the google tasks need besides robowm: another interpreter with the original, and its assets.

The original needs SAPIEN 2.2.2 and numpy 1, so it cannot be in robowm's own environment.
"""

import json
import os
import subprocess
from functools import cache
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from robowm.errors import UserError
from robowm.sim.google import worker
from robowm.sim.google.protocol import Protocol

PYTHON_VARIABLE = "ROBOWM_SIMPLER_PYTHON"
ASSETS_VARIABLE = "MS2_ASSET_DIR"  # the original's own
SAPIEN = "2.2.2"
MEND = "docs/simpler.md, 'The google robot', has the commands"
PROBE_TIMEOUT_S = 60.0
# Every large file of the original is larger than this; what has stood in for one was smaller.
ORIGINAL_BYTES = 4 * 2**20


def prepare(protocol: Protocol) -> dict[str, str]:
    """Make sure that the original can be started for this protocol, without starting it.

    Returns:
        what must stand in every result: `assets`, "original" or "stand-in", and `original`, the
        versions of what runs it.

    Raises:
        UserError: the interpreter, a package in it, an asset, or what SAPIEN draws with is missing.
    """
    python = interpreter()
    found = _versions(python)
    kind = _kind(protocol, asset_folder())
    # a worker comes after its parent's look
    if parent_process() is None and (error := _drawing_error(python)):
        raise UserError(
            f"SAPIEN {SAPIEN} cannot draw here ({error}); expected a GPU, or a software Vulkan "
            f"that has VK_KHR_external_semaphore_fd. Mend: {MEND}."
        )
    return {
        "assets": kind,
        "original": ", ".join(f"{name} {version}" for name, version in found.items()),
    }


def interpreter() -> str:
    """The interpreter that PYTHON_VARIABLE names.

    Raises:
        UserError: it names none, or no file that can be run.
    """
    python = os.environ.get(PYTHON_VARIABLE, "")
    if not python:
        raise UserError(
            "google tasks run on the original SIMPLER (mani_skill2_real2sim with sapien "
            f"{SAPIEN}), which needs Python 3.10 and cannot be in this environment; "
            f"{PYTHON_VARIABLE} is not set, expected the python of an environment that has it. "
            f"Mend: {MEND}."
        )
    if not (Path(python).is_file() and os.access(python, os.X_OK)):
        raise UserError(
            f"{PYTHON_VARIABLE} is {python!r}, which is no program; expected the python of an "
            f"environment with the original SIMPLER. Mend: {MEND}."
        )
    return python


def asset_folder() -> Path:
    """Where the original looks for photographs, scenes and objects.

    Raises:
        UserError: ASSETS_VARIABLE names no folder.
    """
    folder = os.environ.get(ASSETS_VARIABLE, "")
    if not folder or not Path(folder).is_dir():
        raise UserError(
            f"{ASSETS_VARIABLE} is {folder!r}; expected the folder data/ of ManiSkill2_real2sim. "
            f"Mend: {MEND}."
        )
    return Path(folder).resolve()


def _kind(protocol: Protocol, assets: Path) -> str:
    for name in (*protocol.photographs(), *protocol.scenes()):
        if not (assets / name).is_file():
            raise UserError(
                f"SIMPLER's assets are not complete: no {name} in {assets}; expected the folder "
                f"data/ of ManiSkill2_real2sim with its large files. Mend: {MEND}."
            )
    large = [assets / name for name in (*protocol.scenes(), *protocol.large)]
    whole = all(path.is_file() and path.stat().st_size >= ORIGINAL_BYTES for path in large)
    return "original" if whole else "stand-in"


@cache
def _versions(python: str) -> dict[str, str]:
    """Of Python and of what the original needs, in that interpreter."""
    try:
        found: dict[str, Any] = json.loads(_run(python, "--versions").stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise UserError(
            f"{PYTHON_VARIABLE} is {python!r}, which does not run as a Python of 3.10 or newer; "
            f"expected one that has the original SIMPLER. Mend: {MEND}."
        ) from error
    lacking = [name for name, version in found.items() if version is None]
    if lacking:
        raise UserError(
            f"the Python {found['python']} of {PYTHON_VARIABLE} ({python}) has no "
            f"{', '.join(lacking)}; expected the original SIMPLER there. Mend: {MEND}."
        )
    if found["sapien"] != SAPIEN:
        raise UserError(
            f"the Python of {PYTHON_VARIABLE} ({python}) has sapien {found['sapien']}; the "
            f"original SIMPLER needs {SAPIEN}. Mend: {python} -m pip install sapien=={SAPIEN}"
        )
    return found


@cache
def _drawing_error(python: str) -> str:
    """Why SAPIEN finds nothing to draw with there, in its own words; empty when it does."""
    try:
        done = _run(python, "--draw")
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_TIMEOUT_S:.0f} s"
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines()
    return lines[-1].removeprefix("RuntimeError: ") if lines else f"died: code {done.returncode}"


def _run(python: str, what: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-I", str(Path(worker.__file__).resolve()), what],
        capture_output=True,
        text=True,
        timeout=PROBE_TIMEOUT_S,
    )
