"""BridgeData V2: a WidowX arm, several cameras, 5 steps a second.

Reads the RLDS build of the authors (folder `bridge_dataset` of tfrecord files; `--camera 0` to 3)
and the json and mp4 layout of IRASim and VPP (`annotation/`, `videos/`), whose containers claim 3
frames a second. With `--keep-actions`, in both: `observation.state` is x, y, z (m), roll, pitch,
yaw (rad) in the robot's frame and the gripper; `ee_delta` is the change of x, y, z until the next
stored picture. `action` is per step: RLDS the commanded change in the robot's frame, json the
measured change in the hand's frame.
"""

from pathlib import Path

from robowm.video.config import curated
from robowm.video.sources.annotated import (
    POSE,
    Annotated,
    annotations,
    find_annotated,
    hand_frame_steps,
)
from robowm.video.sources.entry import Found, Search
from robowm.video.sources.rlds import Layout, find_rlds

SPEC = curated(fps=5)
RATE_HZ = 5.0
RLDS = Layout(
    rate_hz=RATE_HZ,
    cameras={str(n): f"steps/observation/image_{n}" for n in range(4)},
    tasks=("steps/language_instruction",),
    actions=(("steps/action", (*(f"d{name}" for name in POSE), "gripper")),),
    states=(("steps/observation/state", (*POSE, "gripper")),),
    action_steps=True,
    ee_key="steps/observation/state",
)
JSON = Annotated(RATE_HZ, hand_frame_steps, action_steps=True)


def find(search: Search) -> Found:
    """Episodes in either layout; all sources must have the same."""
    if all(annotations(Path(source)) for source in search.sources):
        return find_annotated(search, JSON)
    return find_rlds(search, RLDS)
