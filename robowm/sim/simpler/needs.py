"""What the SIMPLER suites need besides robowm: a package, software Vulkan, meshes; and where it is.

Nothing here imports ManiSkill or SAPIEN: both read the variables below when they are imported.
The environment decides; where it is silent, `make simpler` has filled `runs/simpler/`.
"""

import os
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import parent_process
from pathlib import Path
from typing import Literal

from robowm.errors import UserError

PACKAGES = {"mani-skill": "3.0.1", "sapien": "3.0.3"}
PREPARED = Path("runs/simpler")
DRIVER = "vulkan/lvp_icd.json"
PACKAGE_MEND = "pip install 'robowm[simpler]'"
VULKAN_MEND = (
    "apt install libvulkan1 mesa-vulkan-drivers (Mesa 24.3 or newer; "
    "older distributions: make simpler), or set VK_ICD_FILENAMES"
)
# `widowx250s` is the arm; ManiSkill downloads one id a call
ASSET_MEND = " && ".join(
    f"python -m mani_skill.utils.download_asset -y {name}"
    for name in ("bridge_v2_real2sim", "widowx250s")
)
PROBE = 'import sapien; sapien.render.RenderSystem(sapien.Device("cpu"))'
PROBE_TIMEOUT_S = 120.0

TASK_FILES = "tasks/bridge_v2_real2sim_dataset"
STAGES = tuple(f"{TASK_FILES}/stages/bridge_table_1_v{number}.glb" for number in (1, 2))
EGGPLANT = f"{TASK_FILES}/custom/models/eggplant/textured.dae"
MODELS = (
    "bridge_carrot_generated_modified",
    "bridge_plate_objaverse_larger",
    "bridge_spoon_generated_modified",
    "table_cloth_generated_shorter",
    "baked_green_cube_3cm",
    "baked_yellow_cube_3cm",
    "eggplant",
    "dummy_sink_target_plane",
    "sink",
)
REQUIRED = (
    "robots/widowx/wx250s.urdf",
    *STAGES,
    *(f"{TASK_FILES}/custom/models/{model}/collision.obj" for model in MODELS),
    *(f"{TASK_FILES}/real_inpainting/{name}.png" for name in ("bridge_real_eval_1", "bridge_sink")),
)
# Every original table is larger than this; a box in its place has a kilobyte.
ORIGINAL_STAGE_BYTES = 4 * 2**20

Assets = Literal["original", "stand-in"]


def prepare() -> dict[str, str]:
    """Make sure that a SIMPLER simulator can start in this process and in its children.

    Sets VK_ICD_FILENAMES and MS_ASSET_DIR where they are not set and `runs/simpler/` has them.

    Returns:
        what must stand in every result: `assets`, "original" or "stand-in".

    Raises:
        UserError: a package, meshes or a Vulkan that SAPIEN can use are missing; with the mend.
    """
    for name, wanted in PACKAGES.items():
        if installed(name) is None:
            raise UserError(
                f"SIMPLER suites need {name} {wanted}, which is not installed. Mend: {PACKAGE_MEND}"
            )
    kind = assets()
    if kind is None:
        folder = asset_folder()
        missing = next(name for name in REQUIRED if not (folder / name).is_file())
        raise UserError(
            f"SIMPLER's meshes are not complete: no {folder / missing}; expected them under "
            f"$MS_ASSET_DIR/data or {PREPARED}/assets/data. Mend: make simpler, or {ASSET_MEND}"
        )
    os.environ.update(environment())
    # a worker comes after its parent's look
    if parent_process() is None and (error := vulkan_error()):
        raise UserError(f"SAPIEN cannot draw here ({error}). Mend: {VULKAN_MEND}")
    return {"assets": kind}


def environment() -> dict[str, str]:
    """VK_ICD_FILENAMES and MS_ASSET_DIR: as set, else from `runs/simpler/`, else absent."""
    found = {
        "VK_ICD_FILENAMES": PREPARED / DRIVER,
        "MS_ASSET_DIR": PREPARED / "assets",
    }
    there = {name: str(path.resolve()) for name, path in found.items() if path.exists()}
    return there | {name: os.environ[name] for name in found if os.environ.get(name)}


def asset_folder() -> Path:
    """Where ManiSkill will look for meshes."""
    home = environment().get("MS_ASSET_DIR")
    return (Path(home) if home else Path.home() / ".maniskill") / "data"


def assets() -> Assets | None:
    """Whether the meshes are SIMPLER's own or some are stand-ins; None: not complete.

    Stand-ins are known by the tables, which are a box of a kilobyte instead of a scan, and by the
    eggplant, whose own mesh is a `.dae`.
    """
    folder = asset_folder()
    if any(not (folder / name).is_file() for name in REQUIRED):
        return None
    small = any((folder / name).stat().st_size < ORIGINAL_STAGE_BYTES for name in STAGES)
    return "stand-in" if small or not (folder / EGGPLANT).is_file() else "original"


def installed(package: str) -> str | None:
    """The version of an installed distribution, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def vulkan_error() -> str:
    """Why SAPIEN finds no Vulkan device to draw with, in its own words; empty when it does.

    Asked in a process of its own: a driver may crash.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE],
            env=os.environ | environment(),
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {PROBE_TIMEOUT_S:.0f} s"
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines()
    return lines[-1].removeprefix("RuntimeError: ") if lines else f"died: code {done.returncode}"
