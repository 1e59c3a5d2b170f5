"""DROID: Franka arms in many rooms, two outer cameras and one on the wrist.

Reads the RLDS build (tfrecord files, 15 steps a second; `--camera exterior_image_1_left`,
`exterior_image_2_left`, `wrist_image_left`) and the json and mp4 layout of Ctrl-World
(`annotation/`, `videos/`: pictures at 5, rows at 15 a second; `--camera 0` to 2). With
`--keep-actions`: `observation.state` is x, y, z (m), roll, pitch, yaw (rad) in the robot's base
frame and the gripper; `ee_delta` the change of x, y, z until the next stored picture; `action` the
pose that was commanded, in the same frame (absolute), and the gripper. So any `--fps` will do.
"""

from pathlib import Path
from typing import Any

import numpy as np

from robowm.video.config import curated
from robowm.video.sources.annotated import (
    POSE,
    XYZ,
    Annotated,
    annotations,
    find_annotated,
    text_of,
)
from robowm.video.sources.entry import Found, Search
from robowm.video.sources.labels import ACTION, STATE, Label, Track
from robowm.video.sources.rlds import Layout, find_rlds

SPEC = curated(fps=5)
ROWS_HZ = 15.0
PICTURES_HZ = 5.0
CAMERAS = ("exterior_image_1_left", "exterior_image_2_left", "wrist_image_left")
NAMES = (*POSE, "gripper")
RLDS = Layout(
    rate_hz=ROWS_HZ,
    cameras={name: f"steps/observation/{name}" for name in CAMERAS},
    tasks=(
        "steps/language_instruction",
        "steps/language_instruction_2",
        "steps/language_instruction_3",
    ),
    actions=(
        ("steps/action_dict/cartesian_position", POSE),
        ("steps/action_dict/gripper_position", ("gripper",)),
    ),
    states=(
        ("steps/observation/cartesian_position", POSE),
        ("steps/observation/gripper_position", ("gripper",)),
    ),
    action_steps=False,
    ee_key="steps/observation/cartesian_position",
)


def read(annotation: dict[str, Any], rate_hz: float) -> Label:
    """Label of Ctrl-World's json; row 3n of the 15 Hz rows is picture n's."""
    tracks = {}
    for name, key in ((ACTION, "action"), (STATE, "observation.state")):
        pose = np.array(annotation[f"{key}.cartesian_position"], np.float32)
        gripper = np.array(annotation[f"{key}.gripper_position"], np.float32)[:, None]
        times_s = np.arange(len(pose)) / ROWS_HZ
        tracks[name] = Track(np.concatenate([pose, gripper], axis=1), times_s, NAMES)
    ee_position = Track(tracks[STATE].values[:, :3], tracks[STATE].times_s, XYZ)
    end_s = len(annotation["states"]) / rate_hz
    return Label(text_of(annotation), "dataset", (), tracks, ee_position, end_s)


JSON = Annotated(PICTURES_HZ, read, action_steps=False)


def find(search: Search) -> Found:
    """Episodes in either layout; all sources must have the same."""
    if all(annotations(Path(source)) for source in search.sources):
        return find_annotated(search, JSON)
    return find_rlds(search, RLDS)
