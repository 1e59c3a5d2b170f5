"""What was observed, asked and sent: kept in memory while the arm moves, then a dataset.

Nothing is encoded or written until the arm is held, so the log cannot make a tick late. It is a
LeRobotDataset v3 whose `action` is what was *sent*: a run of demonstrations is training data.

    observation.images.<camera>   uint8 (H, W, 3)
    observation.state             float32 (S,), the robot's units
    action                        float32 (A,), sent; in a dry run the position held
    requested_action              float32 (A,), asked for; 0 where it was no finite number
    requested_finite              bool (1,), every number of it was finite
    gate_code                     int64 (1,), bits of robowm.robot.gate.GateCode
    sent                          bool (1,), False in a dry run
    capture_time_s                float64 (1,), seconds since the first observation
    lateness_s                    float32 (1,), how long after its deadline the tick began
"""

from pathlib import Path
from typing import Any

import numpy as np

from robowm.episodes import IMAGE_PREFIX, EpisodeWriter, vector_feature
from robowm.progress import progress
from robowm.robot.arm import Arm
from robowm.robot.loop import Tick

LARGEST_REQUEST = 1e6  # stored no larger: float32 statistics of 1e30 overflow
SHORTEST_S = 1.0  # a shorter rest goes with the episode before it


class RunLog:
    """Collects ticks; `write` makes the dataset.

    Attributes:
        ticks: as recorded.
    """

    def __init__(self, arm: Arm, robot: str, fps: int, dry_run: bool) -> None:
        self._arm, self._robot, self._fps, self._dry_run = arm, robot, fps, dry_run
        self.ticks: list[Tick] = []

    def record(self, tick: Tick) -> None:
        """Keep one tick; microseconds."""
        self.ticks.append(tick)

    def write(self, root: Path, episode_s: float, task: str) -> int:
        """Write all ticks, cut into episodes of `episode_s`.

        Args:
            root: directory to create; must not exist.

        Returns:
            how many episodes there are.
        """
        writer = EpisodeWriter(root, self._fps, self._features(), self._robot)
        pieces = _cut(len(self.ticks), round(episode_s * self._fps), round(SHORTEST_S * self._fps))
        with progress("writing the log", total=len(self.ticks)) as advance:
            for piece in pieces:
                writer.add(self._columns(self.ticks[piece]), task)
                advance(piece.stop - piece.start)
        writer.close()
        return len(pieces)

    def _features(self) -> dict[str, Any]:
        names = ["height", "width", "channels"]
        images = {
            IMAGE_PREFIX + name: {"dtype": "image", "shape": shape, "names": names}
            for name, shape in self._arm.cameras.items()
        }
        return images | {
            "observation.state": vector_feature("float32", self._arm.state),
            "action": vector_feature("float32", self._arm.joints),
            "requested_action": vector_feature("float32", self._arm.joints),
            "requested_finite": vector_feature("bool", ["requested_finite"]),
            "gate_code": vector_feature("int64", ["bits"]),
            "sent": vector_feature("bool", ["sent"]),
            "capture_time_s": vector_feature("float64", ["s"]),
            "lateness_s": vector_feature("float32", ["s"]),
        }

    def _columns(self, ticks: list[Tick]) -> dict[str, np.ndarray]:
        requested = np.stack([self._requested(tick.requested) for tick in ticks])
        finite = np.isfinite(requested).all(axis=1)
        stored = np.nan_to_num(requested, nan=0.0, posinf=0.0, neginf=0.0)
        began_s = self.ticks[0].reading.capture_time_s
        images = {
            IMAGE_PREFIX + name: np.stack([tick.reading.frames[name] for tick in ticks])
            for name in self._arm.cameras
        }
        return images | {
            "observation.state": np.stack([t.reading.state for t in ticks]).astype(np.float32),
            "action": np.stack([tick.sent for tick in ticks]).astype(np.float32),
            "requested_action": stored.clip(-LARGEST_REQUEST, LARGEST_REQUEST).astype(np.float32),
            "requested_finite": finite,
            "gate_code": np.array([int(tick.result.code) for tick in ticks], np.int64),
            "sent": np.full(len(ticks), not self._dry_run),
            "capture_time_s": np.array([t.reading.capture_time_s - began_s for t in ticks]),
            "lateness_s": np.array([tick.lateness_s for tick in ticks], np.float32),
        }

    def _requested(self, asked: object) -> np.ndarray:
        """float64 (A,); NaN where the request had another shape or there was none."""
        width = len(self._arm.joints)
        fits = isinstance(asked, np.ndarray) and asked.shape == (width,)
        return np.asarray(asked, np.float64) if fits else np.full(width, np.nan)


def _cut(rows: int, length: int, shortest: int) -> list[slice]:
    """Consecutive slices of `length` rows; a last one under `shortest` joins the one before."""
    starts = list(range(0, rows, max(length, 1)))
    if len(starts) > 1 and rows - starts[-1] < shortest:
        starts.pop()
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], rows], strict=True)]
