"""SIMPLER's four WidowX tasks (BridgeData V2) on ManiSkill3, with software Vulkan.

Needs `pip install 'robowm[simpler]'`, Vulkan and meshes: `docs/simpler.md`. SIMPLER's protocol: 24
layouts a task (seeds 0 to 23; later seeds repeat them), 60 control steps at 5 Hz (eggplant 120), no
early stop, success is judged at the last step. Demonstrations come from random layouts, none of
which is an evaluation layout. `TASK_random` is the same task on random layouts only, to tune on;
`TASK_shifted` is the official layouts under other light, a turned camera and two other objects.
Of random layouts, too: `TASK_quarter` with the thing in one quarter of its area, for narrow labels;
`TASK_varied` under light, camera and objects as those of `TASK_shifted`, for wide video.
"""

from functools import partial

from robowm.sim.simpler.env import (
    ACTION_NAMES,
    MAX_STEPS,
    ROBOT,
    STATE_NAMES,
    TASKS,
    SimplerEnv,
)
from robowm.sim.simpler.layouts import NUM_EVALUATED
from robowm.sim.simpler.needs import PACKAGES, prepare
from robowm.sim.simpler.scene import CONTROL_HZ
from robowm.sim.suite import Suite, Task

RANDOM = {"layouts": "random"}
SHIFTED = {"light": 1.0, "camera_jitter": 1.0, "distractors": 2}
VARIANTS = {
    "": {},
    "_random": RANDOM,
    "_shifted": SHIFTED,
    "_quarter": RANDOM | {"quarter": True},
    "_varied": RANDOM | SHIFTED,
}

SUITE = Suite(
    name="simpler",
    tasks={
        task + variant: Task(
            name=f"simpler/{task}{variant}",
            text=text,
            max_steps=MAX_STEPS[task],
            control_hz=CONTROL_HZ,
            robots=(ROBOT,),
            make_env=partial(SimplerEnv, task=task, **changes),
            state_names=tuple(STATE_NAMES),
            action_names=tuple(ACTION_NAMES),
            layouts=None if "layouts" in changes else NUM_EVALUATED,
            packages=tuple(PACKAGES),
            prepare=prepare,
        )
        for task, text in TASKS.items()
        for variant, changes in VARIANTS.items()
    },
)
