"""Which recipe of `datasets/` reads a source, where that can be told."""

from pathlib import Path

from robowm.errors import UserError
from robowm.video.sources.lerobot import INFO

FILES = "clips_folder"
HDF5 = (".hdf5", ".h5")
# Names of files that say what kind of data a folder holds, but not whose.
UNSURE = {
    "*.tfrecord*": "bridge, droid or rt1 (what the keys in them are called differs)",
    "*.npz": "bair_npz or metaworld_npz",
}


def recipe_for(sources: tuple[str, ...]) -> str:
    """Name of the recipe that reads all the sources.

    Raises:
        UserError: they are of several kinds, or of one that several recipes read.
    """
    kinds = {source: _kind(source) for source in sources}
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{source}: {kind}" for source, kind in kinds.items())
        raise UserError(
            f"sources of several kinds ({told}); expected one kind. Ingest one first, then the "
            "others into the same --out with --append."
        )
    return next(iter(kinds.values()), FILES)


def _kind(source: str) -> str:
    path = Path(source)
    if is_address(source) or (path.suffix == ".txt" and path.is_file()):
        return "youtube"
    if (path / INFO).is_file():
        return "lerobot"
    if path.suffix in HDF5 and path.is_file():
        return "robomimic_hdf5"
    if path.is_dir():
        for pattern, recipes in UNSURE.items():
            if next(path.rglob(pattern), None):
                raise UserError(f"{source} holds {pattern} files; give --recipe {recipes}.")
        if any(next(path.rglob(f"*{suffix}"), None) for suffix in HDF5):
            return "robomimic_hdf5"
    return FILES


def is_address(source: str) -> bool:
    """Whether a source is to be fetched from the web."""
    return source.startswith(("http://", "https://"))
