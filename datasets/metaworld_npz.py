"""Meta-World demonstrations as iVideoGPT publishes them: one npz an episode, 64 px, in simulation.

`observation` is a stack of three RGB pictures, channels first, the newest last. Row t of `action`
is the one that led to picture t, so rows are moved by one: in the dataset it stands on the picture
that it was given for, and the last row is zero. The task is the folder's name. The files carry no
clock: 10 rows a second is nominal.
"""

from functools import partial

from robowm.video.config import curated
from robowm.video.sources.npz import Layout, find_npz

SPEC = curated(fps=10)
LAYOUT = Layout(
    rate_hz=10.0,
    cameras={"corner": "observation"},
    action="action",
    action_lead=1,
    task_from_folder=True,
)
find = partial(find_npz, layout=LAYOUT)
