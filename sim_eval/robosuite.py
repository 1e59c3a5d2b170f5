"""robosuite 1.5: cubes, a can, a nut and a door, seen by one camera in front of the table.

The criteria are robosuite's own (Lift: the cube's centre 4 cm above the table; Stack: cube A on
cube B and let go; PickPlaceCan: the can in its quarter of the other bin and let go;
NutAssemblySquare: the nut down on its peg; Door: the hinge turned by 0.3 rad, the handle has to be
turned first), held for two control steps of 0.1 s. Layouts are drawn from robosuite's own ranges:
the cube of Lift lies in a square of 6 cm, the cubes of Stack in one of 16 cm, the can anywhere in
its bin, the nut on a strip of 12 cm, all turned at random; the door is turned by up to 0.25 rad;
the arm's joints start with 0.02 rad of noise.

`TASK_varied` is the same under other light, with other colours and patterns of table, bins, floor
and walls in every episode.
"""

from functools import partial

from robowm.sim.robosuite_env import (
    ACTION_NAMES,
    CONTROL_HZ,
    MAX_STEPS,
    ROBOTS,
    STATE_NAMES,
    TASKS,
    RobosuiteEnv,
)
from robowm.sim.scene import require_egl
from robowm.sim.suite import Suite, Task

VARIANTS = {"": {}, "_varied": {"light_jitter": 1.0, "texture_jitter": 1.0}}

SUITE = Suite(
    name="robosuite",
    tasks={
        task + variant: Task(
            name=f"robosuite/{task}{variant}",
            text=text,
            max_steps=MAX_STEPS[task],
            control_hz=CONTROL_HZ,
            robots=ROBOTS,
            make_env=partial(RobosuiteEnv, task=task, **changes),
            state_names=tuple(STATE_NAMES),
            action_names=tuple(ACTION_NAMES),
            prepare=require_egl,
        )
        for task, text in TASKS.items()
        for variant, changes in VARIANTS.items()
    },
)
