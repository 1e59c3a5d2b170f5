"""How far an episode came, from the simulator's true state: told in `info["stage"]`."""

from dataclasses import dataclass

import numpy as np

from robowm.sim.scene import Privileged

REACHED_M = 0.06  # between the hand's grip site and what it is to hold
LIFTED_M = 0.02
AT_GOAL_M = 0.10  # horizontally: let go nearer to the goal is misplaced, further away dropped


@dataclass(frozen=True)
class Course:
    """What a task's hand is to hold, and where that belongs.

    Attributes:
        hold: a name of `Privileged.objects`.
        goal: likewise; None: nowhere in particular.
        carries: False where it is moved without being lifted, as a door's handle.
    """

    hold: str
    goal: str | None = None
    carries: bool = True


COURSES = {
    "Lift": Course("cube"),
    "Stack": Course("cubeA", "cubeB"),
    "PickPlaceCan": Course("Can", "goal"),
    "NutAssemblySquare": Course("handle", "peg"),
    "Door": Course("handle", carries=False),
}


class StageTracker:
    """Follows one episode.

    `stage` is the furthest that it came: "success"; "never reached": the hand was never at the
    object; "missed grasp": it was, but never lifted it (or, of a door, never opened it); "dropped":
    lifted, and lost elsewhere than at its goal; "misplaced": brought to the goal or still in the
    hand, without success.
    """

    def __init__(self, course: Course) -> None:
        self._course = course
        self._lowest_m = np.inf
        self._reached = self._lifted = False
        self.stage = "never reached"

    def see(self, now: Privileged, success: bool) -> None:
        """One control step."""
        thing = now.objects[self._course.hold].pos_m
        in_hand = float(np.linalg.norm(now.hand.pos_m - thing)) < REACHED_M
        self._lowest_m = min(self._lowest_m, float(thing[2]))  # it may fall to rest at first
        self._reached |= in_hand
        self._lifted |= in_hand and self._course.carries and thing[2] - self._lowest_m > LIFTED_M
        if success:
            self.stage = "success"
        elif not self._reached:
            self.stage = "never reached"
        elif not self._lifted:
            self.stage = "missed grasp"
        else:
            self.stage = "misplaced" if in_hand or self._at_goal(now) else "dropped"

    def _at_goal(self, now: Privileged) -> bool:
        if self._course.goal is None:
            return False
        offset = now.objects[self._course.hold].pos_m - now.objects[self._course.goal].pos_m
        return float(np.linalg.norm(offset[:2])) < AT_GOAL_M
