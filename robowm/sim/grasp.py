"""What scripted experts share: motion towards a place, turns, a grasp that tries again."""

import numpy as np

from robowm.sim.scene import Body, Privileged

POSITION_GAIN = 2.0  # action units of 5 cm asked for each 5 cm still to go
ROTATION_GAIN = 1.5
OPEN, CLOSE = -1.0, 1.0
UP = np.array([0.0, 0.0, 1.0])
ABOVE_M = 0.07  # how far over an object the hand waits until it stands right
OBSTACLE_M = 0.09  # nearer than this, another cube is in the way of a finger
NEAR_M = 0.012
NEAR_RAD = 0.15
OPENED_M = 0.008  # fingers that are so much further apart hold it no more
HELD_M = 0.05  # a held object is nearer to the hand than this


class Grasp:
    """The common beginning: over the object, down, close. None from `act` means it is held.

    Args:
        name: what to take hold of, one of `Privileged.objects`.
        beside: an object that may stand where a finger wants to go.
        faces_rad: the object looks the same to the fingers when turned by so much about z: a
            quarter turn for a cube, a half for a bar, 0 for what is round.
        above_m: how high above it the hand waits.
    """

    def __init__(
        self,
        name: str,
        beside: str | None = None,
        faces_rad: float = np.pi / 2,
        above_m: float = ABOVE_M,
    ) -> None:
        self._name, self._beside, self._faces_rad = name, beside, faces_rad
        self._above_m = above_m
        self._begin()

    def _begin(self) -> None:
        self._phase = "above"
        self._closing_steps = 0
        self._last_gap_m = np.inf
        self.picked_at_m = np.zeros(3)

    def act(self, now: Privileged, turn_rad: float | None = None) -> np.ndarray | None:
        """The next action, or None once the object is between the fingers.

        Args:
            now: the true state.
            turn_rad: the turn about z that is left; None: the least that fits the object's faces.
        """
        it = now.objects[self._name]
        if self._phase == "held":
            if np.linalg.norm(now.hand.pos_m - it.pos_m) < HELD_M:
                return None
            self._begin()
        obstacle_m = now.objects[self._beside].pos_m if self._beside else None
        yaw_rad = yaw_error(now, it, obstacle_m, self._faces_rad) if turn_rad is None else turn_rad
        error = it.pos_m - now.hand.pos_m
        if self._phase == "above":
            if np.linalg.norm(error[:2]) < NEAR_M and abs(yaw_rad) < NEAR_RAD:
                self._phase = "down"
            return move(now, it.pos_m + self._above_m * UP, OPEN, yaw_rad)
        if self._phase == "down":
            if np.linalg.norm(error) < NEAR_M:
                self._phase = "close"
            return move(now, it.pos_m, OPEN, yaw_rad)
        self._closing_steps += 1
        if self._closing_steps > 3 and self._last_gap_m - now.gap_m < 0.001:
            self._phase = "held"
        self._last_gap_m = now.gap_m
        self.picked_at_m = it.pos_m.copy()
        return move(now, it.pos_m, CLOSE)


def move(now: Privileged, to_m: np.ndarray, gripper: float, yaw_rad: float = 0.0) -> np.ndarray:
    """The action that brings the hand towards `to_m`, upright, turned by `yaw_rad` about z."""
    position = POSITION_GAIN * (to_m - now.hand.pos_m) / 0.05
    upright = np.cross(now.hand.axes[:, 2], -UP)  # brings the fingers' axis down
    rotation = ROTATION_GAIN * (upright + yaw_rad * UP) / 0.5
    return np.clip([*position, *rotation, gripper], -1, 1).astype(np.float32)


def yaw_error(
    now: Privileged,
    cube: Body,
    obstacle_m: np.ndarray | None = None,
    faces_rad: float = np.pi / 2,
) -> float:
    """The least turn about z, rad, that makes the fingers close on two of the cube's faces.

    With `faces_rad` = pi it is a bar along its own x axis, with 0 whatever is round.

    Next to an obstacle it is the pair of faces that leaves the obstacle out of the fingers' way.
    """
    if not faces_rad:
        return 0.0
    fingers = heading(now.finger_axis)
    turn = wrap(heading(cube.axes[:, 1]) - fingers, faces_rad)
    if obstacle_m is None or np.linalg.norm(obstacle_m - cube.pos_m) > OBSTACLE_M:
        return turn
    towards = heading(obstacle_m - cube.pos_m)
    turns = [wrap(turn + quarter, np.pi) for quarter in (0.0, np.pi / 2)]
    return min(turns, key=lambda t: abs(np.cos(fingers + t - towards)))


def turn_to(now: Privileged, pointing: np.ndarray, fingers: np.ndarray) -> np.ndarray:
    """The turn (3,), axis times rad, to where the hand points along one and closes along the other.

    Args:
        now: the true state.
        pointing: float64 (3,), unit vector for the hand's z axis.
        fingers: float64 (3,), unit vector at a right angle to it, for `finger_axis`.
    """
    points, closes = now.hand.axes[:, 2], now.finger_axis
    have = np.stack([points, closes, np.cross(points, closes)])
    want = np.stack([pointing, fingers, np.cross(pointing, fingers)])
    return 0.5 * np.cross(have, want).sum(axis=0)


def heading(vector: np.ndarray) -> float:
    """Angle about z, rad, of a vector's horizontal part."""
    return float(np.arctan2(vector[1], vector[0]))


def wrap(angle_rad: float, period_rad: float) -> float:
    """The angle without whole periods, in [-period / 2, period / 2)."""
    return float((angle_rad + period_rad / 2) % period_rad - period_rad / 2)
