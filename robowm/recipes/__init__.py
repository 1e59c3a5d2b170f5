"""Finds the recipe folders (datasets, policies, sim_eval, real_robot) by name.

In a checkout they stand beside `robowm/`; in a wheel they are packed under this package. Either
way a recipe's import path is `robowm.recipes.<folder>.<stem>`.
"""

import importlib
import pathlib
from types import ModuleType

from robowm.errors import UserError, nearest

FOLDERS = ("datasets", "policies", "real_robot", "sim_eval")

_checkout = pathlib.Path(__file__).resolve().parents[2]
if (_checkout / "pyproject.toml").is_file():
    __path__[:] = [str(_checkout)]


def names(folder: str = "*") -> list[str]:
    """Every recipe as "folder/stem", sorted; `folder` narrows it to one of FOLDERS."""
    folders = FOLDERS if folder == "*" else (folder,)
    roots = [pathlib.Path(root) for root in __path__]
    found = (path for root in roots for f in folders for path in (root / f).glob("[!_]*.py"))
    return sorted(f"{path.parent.name}/{path.stem}" for path in found)


def load(name: str) -> ModuleType:
    """The recipe module "folder/stem".

    Raises:
        UserError: no such recipe; the nearest name is suggested.
    """
    if name not in names():
        folder = name.partition("/")[0]
        allowed = names(folder if folder in FOLDERS else "*")
        raise UserError(f"No recipe named {name!r}. {nearest(name, allowed)}")
    return importlib.import_module(f"robowm.recipes.{name.replace('/', '.')}")
