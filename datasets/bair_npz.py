"""BAIR robot pushing as npz: a Sawyer over a bin of objects, 64 px, a main and an auxiliary camera.

`action` is four numbers a row (motion in x and y, lift, gripper), each held for two rows. The
files carry no clock: 10 rows a second is nominal.
"""

from functools import partial

from robowm.video.config import curated
from robowm.video.sources.npz import Layout, find_npz

SPEC = curated(fps=10)
LAYOUT = Layout(rate_hz=10.0, cameras={"main": "image", "aux1": "aux1_image"}, action="action")
find = partial(find_npz, layout=LAYOUT)
