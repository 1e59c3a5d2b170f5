"""robomimic's hdf5 files (MimicGen's and LIBERO's too): `data/demo_N`, many a file."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from robowm.errors import UserError, nearest
from robowm.video.decode import UnusableClip, name_of
from robowm.video.sources.arrays import open_reel
from robowm.video.sources.detect import HDF5
from robowm.video.sources.entry import Entry, Found, Missing, Search, state_of
from robowm.video.sources.labels import ACTION, STATE, Label, Track

RATE_HZ = 20.0  # robosuite's default; the file says otherwise where it does
PREFERRED = ("agentview_image", "agentview_rgb")
STATES = (  # robomimic's and LIBERO's names for one thing each
    ("robot0_eef_pos", "ee_pos"),
    ("robot0_eef_quat", "ee_ori"),
    ("robot0_gripper_qpos", "gripper_states"),
)


def find_hdf5(search: Search) -> Found:
    """Every demonstration of every hdf5 file in the sources, once for each camera.

    Raises:
        UserError: h5py is not installed, a source holds no hdf5 file, or no camera of that name.
    """
    _h5py()
    entries: list[Entry] = []
    for source in map(Path, search.sources):
        files = [source] if source.is_file() else sorted(source.rglob("*"))
        files = [path for path in files if path.suffix in HDF5]
        if not files:
            raise UserError(f"{source} holds no {' or '.join(HDF5)} file; expected robomimic's.")
        for path in files:
            below = path.relative_to(source).as_posix() if path != source else ""
            entries += _entries(path, "/".join(filter(None, [name_of(source), below])), search)
    return Found(entries)


def _entries(path: Path, name: str, search: Search) -> Iterator[Entry]:
    state = state_of(path)
    try:
        with _h5py().File(path, "r") as file:
            demos = sorted(file.get("data", {}), key=lambda demo: (len(demo), demo))
            cameras = _cameras(path, file["data"][demos[0]], search.cameras) if demos else []
            rate_hz = _rate_hz(file)
    except OSError as error:
        yield Entry(name, state, Missing(str(error), "unreadable"))
        return
    if not cameras:
        note = (
            "no data/demo_N/obs with uint8 pictures; robomimic's dataset_states_to_obs.py adds them"
        )
        yield Entry(name, state, Missing(note))
    for demo in demos:
        for camera in cameras:
            clip = partial(open_reel, load_pictures, path, demo, camera, rate_hz)
            label = partial(read_label, path, demo, rate_hz)
            yield Entry(f"{name}/{demo}/{camera}", state, clip, label, rate_hz)


def _cameras(path: Path, demo: Any, wanted: tuple[str, ...]) -> list[str]:
    every = [k for k, v in demo.get("obs", {}).items() if v.dtype == np.uint8 and v.ndim == 4]
    for name in wanted:
        if name not in every:
            raise UserError(f"{path} has no camera {name!r}. {nearest(name, every)}")
    return list(wanted) or [k for k in PREFERRED if k in every][:1] or every[:1]


def _rate_hz(file: Any) -> float:
    kwargs = _json(file["data"].attrs.get("env_args")).get("env_kwargs", {})
    return float(kwargs.get("control_freq", RATE_HZ))


def load_pictures(
    path: Path, demo: str, camera: str, rate_hz: float
) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (T, H, W, 3) of one demonstration and their times."""
    with _h5py().File(path, "r") as file:
        obs = file["data"][demo]["obs"]
        if camera not in obs:
            raise UnusableClip("missing", f"no {camera} in {demo}")
        pictures = obs[camera][:]
    return pictures, np.arange(len(pictures)) / rate_hz


def read_label(path: Path, demo: str, rate_hz: float) -> Label:
    """Task, actions (changes per step), hand and gripper of one demonstration."""
    with _h5py().File(path, "r") as file:
        data = file["data"]
        task = _json(data.attrs.get("problem_info")).get("language_instruction") or ""
        task = task or _json(data.attrs.get("env_args")).get("env_name", "")
        actions = np.asarray(data[demo]["actions"], np.float32)
        obs = data[demo].get("obs", {})
        keys = [next((key for key in pair if key in obs), None) for pair in STATES]
        states = {key: np.asarray(obs[key], np.float32) for key in keys if key}
    times_s = np.arange(len(actions)) / rate_hz
    names = tuple(f"action_{n}" for n in range(actions.shape[1]))
    tracks = {ACTION: Track(actions, times_s, names, steps=True)}
    if states:
        values = np.concatenate(list(states.values()), axis=1)
        told = tuple(f"{key}_{n}" for key, part in states.items() for n in range(part.shape[1]))
        tracks[STATE] = Track(values, times_s, told)
    hand = states.get(str(keys[0]))
    ee_position = None if hand is None else Track(hand, times_s, ("x_m", "y_m", "z_m"))
    return Label(
        " ".join(task) if isinstance(task, list) else task, "dataset", (), tracks, ee_position
    )


def _json(text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise UserError(
            "hdf5 files need h5py, which is not installed; pip install 'robowm[hdf5]'."
        ) from error
    return h5py
