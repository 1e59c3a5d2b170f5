"""SIMPLER's google-robot tasks (visual matching) on the original package, in its own interpreter.

Needs an environment with the original SIMPLER and SAPIEN 2.2.2, named in ROBOWM_SIMPLER_PYTHON:
`docs/simpler.md`. The published trials, each once, counted by seed (pick_coke_can 300, move_near
240, open_drawer, close_drawer and the apple 108 each; orientations and drawers are also tasks of
their own), 3 Hz, no early stop, success is judged at the last step. There is no expert, and there
are no other layouts to train on: what learnt from RT-1's data (`ingest --recipe rt1
--keep-actions`) has the right camera, state, action and rate. `TASK_flat` is a drawer task without
ray tracing, which a machine without a GPU cannot do: not the published protocol.
"""

from functools import partial

from robowm.sim.google.env import ACTION_NAMES, CAMERA, ROBOT, STATE_NAMES, GoogleEnv
from robowm.sim.google.needs import prepare
from robowm.sim.google.protocol import CONTROL_HZ
from robowm.sim.google.table import PROTOCOLS
from robowm.sim.suite import Suite, Task

VARIANTS = {"": {}, "_flat": {"ray_traced": False}}

SUITE = Suite(
    name="google",
    tasks={
        task + variant: Task(
            name=f"google/{task}{variant}",
            text=protocol.text,
            max_steps=protocol.max_steps,
            control_hz=CONTROL_HZ,
            robots=(ROBOT,),
            make_env=partial(GoogleEnv, task=task, **changes),
            state_names=STATE_NAMES,
            action_names=ACTION_NAMES,
            camera=CAMERA,
            layouts=protocol.trials,
            packages=(),
            prepare=partial(prepare, protocol),
            expert=False,
        )
        for task, protocol in PROTOCOLS.items()
        for variant, changes in VARIANTS.items()
        if protocol.ray_traced or not changes
    },
)
