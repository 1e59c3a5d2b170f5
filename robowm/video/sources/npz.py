"""Episodes in npz files: one file an episode, pictures and numbers under keys a recipe names."""

import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from robowm.errors import UserError, nearest
from robowm.video.decode import UnusableClip, name_of
from robowm.video.sources.arrays import open_reel
from robowm.video.sources.captions import words_of_name
from robowm.video.sources.entry import Entry, Found, Search, state_of
from robowm.video.sources.labels import ACTION, STATE, Label, Track


@dataclass(frozen=True)
class Layout:
    """How one dataset's npz files are laid out.

    Attributes:
        rate_hz: rows a second; the files do not say.
        cameras: name to key of (T, H, W, 3) or, channels first, (T, C, H, W) of RGB pictures, C a
            multiple of 3: the last 3 are the newest of a stack.
        action, state: keys, "" where there is none.
        action_lead: rows by which the pictures are ahead: 1 where row t of the actions is the one
            that led to picture t.
        action_steps: actions are changes per step of an unknown size.
        task_from_folder: the folder's name is the task; else the file's.
    """

    rate_hz: float
    cameras: dict[str, str]
    action: str = ""
    state: str = ""
    action_lead: int = 0
    action_steps: bool = True
    task_from_folder: bool = False


def find_npz(search: Search, layout: Layout) -> Found:
    """Every npz file in the sources, once for each camera.

    Raises:
        UserError: a source has no npz file, or the layout no camera of that name.
    """
    for camera in search.cameras:
        if camera not in layout.cameras:
            raise UserError(f"no camera {camera!r}. {nearest(camera, layout.cameras)}")
    entries: list[Entry] = []
    for source in map(Path, search.sources):
        files = [source] if source.is_file() else sorted(source.rglob("*.npz"))
        if not files or files[0].suffix != ".npz":
            raise UserError(f"{source} holds no npz file; expected episodes, one a file.")
        for path in files:
            below = path.relative_to(source) if path != source else Path(path.name)
            whole = Path(name_of(source)) / below if path != source else below
            for camera in search.cameras or tuple(layout.cameras)[:1]:
                clip = partial(open_reel, load_pictures, path, layout, layout.cameras[camera])
                label = partial(read_label, path, layout)
                steps_hz = layout.rate_hz if layout.action_steps and layout.action else None
                name = f"{whole.as_posix()}/{camera}"
                entries.append(Entry(name, state_of(path), clip, label, steps_hz))
    return Found(entries)


def load_pictures(path: Path, layout: Layout, key: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (T, H, W, 3) and their times."""
    pictures = _read(path, key)
    if pictures is None:
        raise UnusableClip("missing", f"no {key} in {path.name}")
    if pictures.ndim != 4 or (pictures.shape[-1] != 3 and pictures.shape[1] % 3):
        raise UnusableClip("unreadable", f"{key} of {path.name} is {pictures.shape}, no pictures")
    if pictures.shape[-1] != 3:
        pictures = pictures[:, -3:].transpose(0, 2, 3, 1)
    if pictures.min() < 0 or pictures.max() > 255:
        raise UnusableClip("unreadable", f"{key} of {path.name} is not within 0 to 255")
    return np.ascontiguousarray(pictures.astype(np.uint8)), np.arange(
        len(pictures)
    ) / layout.rate_hz


def read_label(path: Path, layout: Layout) -> Label:
    """Task, actions and states of an episode."""
    tracks = {}
    for name, key in ((ACTION, layout.action), (STATE, layout.state)):
        values = _read(path, key) if key else None
        if values is None:
            continue
        values = values.reshape(len(values), -1).astype(np.float32)
        if name == ACTION and layout.action_lead:
            values = np.concatenate(
                [values[layout.action_lead :], 0 * values[: layout.action_lead]]
            )
        times_s = np.arange(len(values)) / layout.rate_hz
        names = tuple(f"{key}_{n}" for n in range(values.shape[1]))
        tracks[name] = Track(values, times_s, names, name == ACTION and layout.action_steps)
    if layout.task_from_folder:
        return Label(" ".join(path.parent.name.replace("_", "-").split("-")), "dataset", (), tracks)
    return Label(words_of_name(path.stem), "file name", (), tracks)


def _read(path: Path, key: str) -> np.ndarray | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays[key]) if key in arrays else None
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise UnusableClip("unreadable", f"{path.name}: {error}") from error
