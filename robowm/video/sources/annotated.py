"""The layout of IRASim, VPP and Ctrl-World: `annotation/SPLIT/N.json` beside `videos/SPLIT/N/`.

The json is the label. How its rows go with the pictures differs, so recipes say it by a function
from the json to a Label; here is what is common: listing, cameras, texts.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from robowm.errors import UserError
from robowm.video.decode import UnusableClip, name_of
from robowm.video.sources.clocks import open_counted
from robowm.video.sources.entry import Entry, Found, Missing, Search, state_of
from robowm.video.sources.labels import ACTION, STATE, Label, Track

XYZ = ("x_m", "y_m", "z_m")
POSE = (*XYZ, "roll_rad", "pitch_rad", "yaw_rad")
ROOT_DEPTH = 3  # annotation/SPLIT/N.json


@dataclass(frozen=True)
class Annotated:
    """A dataset in this layout.

    Attributes:
        rate_hz: pictures a second in truth; what the container says is not read.
        read: (annotation, rate_hz) -> Label.
        action_steps: actions are changes per step.
    """

    rate_hz: float
    read: Callable[[dict[str, Any], float], Label]
    action_steps: bool


def annotations(source: Path) -> list[Path]:
    """The annotation files of a folder in this layout; empty for any other folder."""
    return sorted(source.glob("**/annotation/*/*.json"), key=lambda p: (p.parent, len(p.stem), p))


def find_annotated(search: Search, layout: Annotated) -> Found:
    """Every annotated episode in the sources, once for each camera (0, 1, ...).

    Raises:
        UserError: a source has no annotation, or a camera is no number.
    """
    if any(not camera.isdecimal() for camera in search.cameras):
        raise UserError(f"cameras {', '.join(search.cameras)}; expected numbers in this layout.")
    entries = []
    for source in map(Path, search.sources):
        files = annotations(source)
        if not files:
            raise UserError(f"{source} holds no annotation/SPLIT/N.json.")
        for path in files:
            name = f"{name_of(source)}/{path.relative_to(source).with_suffix('').as_posix()}"
            cameras = map(int, search.cameras or ("0",))
            entries += [_entry(path, name, camera, layout) for camera in cameras]
    return Found(entries)


def _entry(path: Path, name: str, camera: int, layout: Annotated) -> Entry:
    name = f"{name}/{camera}"
    try:
        video = _video(path, camera)
    except UnusableClip as missing:
        return Entry(name, state_of(path), Missing(missing.note))
    return Entry(
        name,
        state_of(path, video),
        partial(open_counted, video, layout.rate_hz),
        partial(_label, path, layout),
        layout.rate_hz if layout.action_steps else None,
    )


def _video(path: Path, camera: int) -> Path:
    """The video of an annotation: where it usually is, else where the annotation says."""
    root = path.parents[ROOT_DEPTH - 1]
    folder = root / "videos" / path.parent.name / path.stem
    for usual in (folder / f"{camera}.mp4", *([folder / "rgb.mp4"] if camera == 0 else [])):
        if usual.is_file():
            return usual
    try:
        said = str(read_annotation(path)["videos"][camera]["video_path"])
    except (LookupError, TypeError) as error:
        raise UnusableClip("missing", f"no video {camera} in {path.name}") from error
    if not (root / said).is_file():
        raise UnusableClip("missing", f"{said} is absent")
    return root / said


def read_annotation(path: Path) -> dict[str, Any]:
    """The json of one episode.

    Raises:
        UnusableClip: unreadable.
    """
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UnusableClip("unreadable", f"{path.name}: {error}") from error
    if not isinstance(found, dict):
        raise UnusableClip("unreadable", f"{path.name} holds no annotation")
    return found


def _label(path: Path, layout: Annotated) -> Label:
    annotation = read_annotation(path)
    try:
        return layout.read(annotation, layout.rate_hz)
    except (LookupError, TypeError, ValueError) as error:
        raise UnusableClip("label_gap", f"{path.name}: {type(error).__name__} {error}") from error


def text_of(annotation: dict[str, Any]) -> str:
    """The first text of an annotation that says something."""
    return next((text.strip() for text in annotation.get("texts", ()) if text.strip()), "")


def hand_frame_steps(annotation: dict[str, Any], rate_hz: float) -> Label:
    """Label of IRASim's and VPP's json: a state a picture, an action less.

    State: position and roll, pitch, yaw in the robot's frame, gripper. Action: the change of the
    pose until the next picture *in the hand's own frame* (R(state)ᵀ Δxyz, exact), and the gripper
    then. The last picture has no action; its row is zero.
    """
    states = np.array(annotation["state"], np.float32)
    actions = np.array(annotation["action"], np.float32)
    if len(actions) != len(states) - 1:
        raise ValueError(f"{len(actions)} actions for {len(states)} states, expected one less")
    times_s = np.arange(len(states)) / rate_hz
    actions = np.concatenate([actions, np.zeros_like(actions[:1])])
    changes = tuple(f"hand_d{name}" for name in POSE)
    tracks = {
        ACTION: Track(actions, times_s, (*changes, "gripper"), steps=True),
        STATE: Track(states, times_s, (*POSE, "gripper")),
    }
    ee_position = Track(states[:, :3], times_s, XYZ)
    end_s = len(states) / rate_hz
    return Label(text_of(annotation), "dataset", (), tracks, ee_position, end_s)
