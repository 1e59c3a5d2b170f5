"""Action-free video of SIMPLER's four WidowX tasks: random layouts, other light, a turned camera.

`robowm.sim.record.record_video(SPEC, out, episodes)` films it; what the arm was told to do is not
kept anywhere. Needs what `docs/simpler.md` says.
"""

from functools import partial

from robowm.sim.record import VideoSpec
from robowm.sim.simpler.env import ROBOT, TASKS, SimplerEnv
from robowm.sim.simpler.scene import CONTROL_HZ

SPEC = VideoSpec(
    make_env=partial(SimplerEnv, light=1.0, distractors=2),
    tasks=tuple(TASKS),
    robots=(ROBOT,),
    fps=CONTROL_HZ,
    size_px=128,
    camera_jitter=1.0,
    action_noise=0.2,
)
