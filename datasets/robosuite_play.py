"""Action-free video: five arms lift and stack cubes under a camera that stands elsewhere each time.

`robowm.sim.record.record_video(SPEC, out, episodes)` films it. What the arms were told to do is
not kept anywhere: this is the stand-in for video found in the world.
"""

from robowm.sim.record import VideoSpec
from robowm.sim.robosuite_env import CONTROL_HZ, RobosuiteEnv

SPEC = VideoSpec(
    make_env=RobosuiteEnv,
    tasks=("Stack", "Lift"),
    robots=("Panda", "UR5e", "Kinova3", "IIWA", "Jaco"),
    fps=CONTROL_HZ,
    size_px=96,
    camera_jitter=1.0,
    action_noise=0.2,
)
