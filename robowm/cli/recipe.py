"""`--recipe NAME`: a named configuration out of `policies/`, whose fields flags then override."""

from robowm import recipes
from robowm.errors import UserError, nearest
from robowm.train.recipe import Recipe

DEFAULT = "small"


def find_recipe(name: str | None) -> Recipe:
    """The recipe "preset" of `policies/vipra.py`, or "file/preset" of another file there.

    Raises:
        UserError: no such recipe; the nearest name is suggested.
    """
    wanted = name or DEFAULT
    stem, _, preset = wanted.rpartition("/")
    stem = stem or "vipra"
    stems = [r.partition("/")[2] for r in recipes.names("policies")]
    module = recipes.load(f"policies/{stem}") if stem in stems else None
    if module is None or preset not in module.RECIPES:
        presets = [
            f"{s}/{p}" if s != "vipra" else p
            for s in stems
            for p in recipes.load(f"policies/{s}").RECIPES
        ]
        raise UserError(f"no recipe {wanted!r}. {nearest(wanted, presets)}")
    found = module.RECIPES[preset]()
    assert isinstance(found, Recipe)
    return found
