"""RT-1 (fractal20220817): the Everyday Robot, one camera, 3 steps a second.

Reads the Open X-Embodiment RLDS build (tfrecord files) and the json and mp4 layout of IRASim and
VPP (`annotation/`, `videos/`). With `--keep-actions`: `ee_delta` is the change of x, y, z (m) in
the robot's base frame until the next stored picture. RLDS: `action` is the commanded change and
how far to close the gripper, `observation.state` position, quaternion and gripper. json:
`observation.state` is x, y, z, roll, pitch, yaw, gripper; `action` the measured change in the
hand's frame. Both actions are per step.
"""

from pathlib import Path

from robowm.video.config import curated
from robowm.video.sources.annotated import (
    XYZ,
    Annotated,
    annotations,
    find_annotated,
    hand_frame_steps,
)
from robowm.video.sources.entry import Found, Search
from robowm.video.sources.rlds import Layout, find_rlds

SPEC = curated(fps=3)
RATE_HZ = 3.0
RLDS = Layout(
    rate_hz=RATE_HZ,
    cameras={"0": "steps/observation/image"},
    tasks=("steps/observation/natural_language_instruction",),
    actions=(
        ("steps/action/world_vector", ("dx_m", "dy_m", "dz_m")),
        ("steps/action/rotation_delta", ("droll_rad", "dpitch_rad", "dyaw_rad")),
        ("steps/action/gripper_closedness_action", ("gripper",)),
    ),
    states=(
        ("steps/observation/base_pose_tool_reached", (*XYZ, "qx", "qy", "qz", "qw")),
        ("steps/observation/gripper_closed", ("gripper",)),
    ),
    action_steps=True,
    ee_key="steps/observation/base_pose_tool_reached",
)
JSON = Annotated(RATE_HZ, hand_frame_steps, action_steps=True)


def find(search: Search) -> Found:
    """Episodes in either layout; all sources must have the same."""
    if all(annotations(Path(source)) for source in search.sources):
        return find_annotated(search, JSON)
    return find_rlds(search, RLDS)
