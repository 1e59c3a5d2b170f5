"""Partial scores of a SIMPLER episode, and the stage at which it failed."""

import math

from robowm.sim.simpler.expert import reach_m
from robowm.sim.simpler.scene import Privileged

REACHED_M = 0.03
LONG_GRASP_STEPS = 5


class Tally:
    """Watches one episode.

    Stages: *never reached*, the point between the finger tips was never within 3 cm of the source's
    long axis; *missed grasp*, it was, but the source was never between the fingers (ManiSkill's
    test: both push it with 0.5 N or more); *dropped*, the source left the fingers while the gripper
    was told to close; *misplaced*, it was let go, or is still held, and the task is not done.
    """

    def __init__(self) -> None:
        self._reached = self._grasped = self._grasped_long = self._moved = False
        self._holding = self._slipped = False
        self._gripper = 0.0
        self._first_close_off_m = math.nan

    def before(self, now: Privileged, gripper: float) -> None:
        """A step begins; `gripper` is what it asks for: 1 open, -1 closed."""
        self._gripper = gripper
        if gripper < 0 and math.isnan(self._first_close_off_m):
            self._first_close_off_m = reach_m(now, from_above=True)

    def after(self, now: Privileged) -> None:
        """The step has been taken."""
        holding = now.grasped_steps > 0
        if self._holding and not holding:
            self._slipped = self._gripper < 0
        self._holding = holding
        self._reached |= reach_m(now) < REACHED_M
        self._grasped |= holding
        self._grasped_long |= now.grasped_steps >= LONG_GRASP_STEPS
        self._moved |= now.moved

    def partial(self) -> dict[str, float]:
        """Partial scores up to now, 0 or 1; `first_close_off_m` only once the gripper closed."""
        scores = {
            "grasped": float(self._grasped),
            "grasped_5_steps": float(self._grasped_long),
            "moved": float(self._moved),
        }
        if math.isnan(self._first_close_off_m):
            return scores
        return scores | {"first_close_off_m": self._first_close_off_m}

    def stage(self, success: bool) -> str:
        """How far the episode has come, in the words of `robowm.metrics.result.STAGES`."""
        if success:
            return "success"
        if not self._grasped:
            return "missed grasp" if self._reached else "never reached"
        return "dropped" if self._slipped and not self._holding else "misplaced"
