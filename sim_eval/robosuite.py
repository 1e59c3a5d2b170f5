"""robosuite 1.5: a cube to lift, a cube to stack, seen by one camera in front of the table.

The criteria are robosuite's own (Lift: the cube's centre 4 cm above the table; Stack: cube A on
cube B and let go), held for two control steps of 0.1 s. Layouts are drawn from robosuite's own
ranges: the cube of Lift lies in a square of 6 cm, the cubes of Stack in one of 16 cm, turned at
random; the arm's joints start with 0.02 rad of noise.
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
from robowm.sim.suite import Suite, Task

SUITE = Suite(
    name="robosuite",
    tasks={
        task: Task(
            name=f"robosuite/{task}",
            text=text,
            max_steps=MAX_STEPS[task],
            control_hz=CONTROL_HZ,
            robots=ROBOTS,
            make_env=partial(RobosuiteEnv, task=task),
            state_names=tuple(STATE_NAMES),
            action_names=tuple(ACTION_NAMES),
        )
        for task, text in TASKS.items()
    },
)
