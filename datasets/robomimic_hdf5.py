"""robomimic's hdf5 files, with pictures in them; MimicGen's and LIBERO's have the same layout.

`--camera` takes names as in `data/demo_0/obs` (agentview_image, robot0_eye_in_hand_image). Needs
`robowm[hdf5]`. With `--keep-actions`, `--fps` must be the files' control rate (20) or more: their
actions are changes per step. `observation.state` is the hand's position (m) and quaternion and the
gripper, `ee_delta` the hand's motion until the next stored picture. Rotated or flipped pictures,
as some of LIBERO's are, stay so.
"""

from robowm.video.config import curated
from robowm.video.sources.hdf5 import find_hdf5 as find

SPEC = curated(fps=10)
__all__ = ["SPEC", "find"]
