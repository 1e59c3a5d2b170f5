"""How well a knocked camera is noticed: real rooms, real arms, known turns and light.

    python benchmarks/standpoint.py ../shared/corpus/pool_droid --json FILE

Every clip is of a camera that stands still. Its first picture is the room; its last, in which arm
and things are elsewhere, is turned as if the camera had been, by a lens of unknown width (50 to 77
degrees; `robowm.policy.standpoint` takes 45), and lit otherwise; and then sought again in the room,
and in another clip's. `astray_px` is the mean error over the inner three quarters of the picture,
in pixels of 128, `before_px` what it is if nothing is undone. The limit `ALIKE` was chosen on
SIMPLER's rooms and looked at on every eighth of these clips. A shift of the camera cannot be made
from a picture, and is not measured.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tyro
from _versions import made_with
from scipy.spatial.transform import Rotation
from tyro.conf import Positional

from robowm.artefact import write_json
from robowm.policy.standpoint import ALIKE, ROOM_PX, STILL, Standpoint, find
from robowm.video.decode import open_file

LARGEST_DEG = (1.0, 2.0, 4.0, 6.0, 8.0)
FOCAL = (0.63, 1.07)  # of the side
LIGHT = (0.5, 0.12, 0.2)  # brightness, tint and slopes: largest, as logarithms


@dataclass(frozen=True)
class Args:
    """Flags."""

    clips: Positional[Path]
    """folder of clips of cameras that stand still"""
    json: Path
    """result"""
    most: int = 1000
    """clips"""
    seed: int = 0
    """of turns and light"""


def main(args: Args) -> None:
    """Read, turn, seek, write."""
    shown = [first_and_last(path) for path in sorted(args.clips.rglob("*.mp4"))[: args.most]]
    rng = np.random.default_rng(args.seed)
    rows = []
    for largest_deg in LARGEST_DEG:
        found = [sought(before, after, largest_deg, rng) for before, after in shown]
        rows.append({"largest_deg": largest_deg} | summary(found))
        print(rows[-1], flush=True)
    half = len(shown) // 2
    others = [find(after, shown[i - half][0]).alike for i, (_, after) in enumerate(shown)]
    result = {
        "command": "python benchmarks/standpoint.py ../shared/corpus/pool_droid --json FILE",
        "clips": len(shown),
        "seed": args.seed,
        "focal_of_side": FOCAL,
        "light": LIGHT,
        "alike_limit": ALIKE,
        "knocked": rows,
        "other_rooms": {"taken": sum(a >= ALIKE for a in others), "alike": spread(others)},
        **made_with("robowm", "opencv-python", "numpy"),
    }
    write_json(args.json, result)


def first_and_last(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The middle square of a clip's first and last picture, uint8 (ROOM_PX, ROOM_PX, 3)."""
    with open_file(path) as video:
        side = min(video.width_px, video.height_px)
        size = round(video.width_px * ROOM_PX / side), round(video.height_px * ROOM_PX / side)
        left, top = ((length - ROOM_PX) // 2 for length in size)
        middle = slice(top, top + ROOM_PX), slice(left, left + ROOM_PX)
        shown = [video.small(frame, *size)[middle] for _, frame in video.frames()]
    return shown[0], shown[-1]


def sought(
    before: np.ndarray, after: np.ndarray, largest_deg: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Likeness, error in pixels, and what it is if nothing is undone, of one knock."""
    middle, focal = (ROOM_PX - 1) / 2, rng.uniform(*FOCAL) * ROOM_PX
    camera = np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]])
    turn = Rotation.from_euler("xyz", rng.uniform(-1, 1, 3) * largest_deg, degrees=True)
    moved = camera @ turn.as_matrix() @ np.linalg.inv(camera)
    knocked = cv2.warpPerspective(
        after, moved, (ROOM_PX, ROOM_PX), borderMode=cv2.BORDER_REFLECT_101
    )
    brightness, tint, slope = LIGHT
    light = rng.uniform(-1, 1, 5) * [*[tint] * 3, *[slope] * 2]
    light[:3] += rng.uniform(-brightness, brightness)
    found = find(Standpoint(np.zeros(3), light, 1.0).undo(knocked), before)
    ticks = np.linspace(ROOM_PX / 8, ROOM_PX * 7 / 8, 5)
    grid = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 1, 2)
    true = cv2.perspectiveTransform(grid, moved)
    astray = [np.linalg.norm(f.seen_at(grid) - true, axis=-1).mean() for f in (found, STILL)]
    return found.alike, float(astray[0]), float(astray[1])


def summary(found: list[tuple[float, float, float]]) -> dict[str, Any]:
    """What is known again, how far off it is, and how far it was."""
    alike, astray, before = np.array(found).T
    taken = alike >= ALIKE
    return {
        "known": int(taken.sum()),
        "known_and_within_half_a_pixel": int((taken & (astray < 0.5)).sum()),
        "astray_px_of_known": spread(astray[taken].tolist()),
        "before_px": spread(before.tolist()),
        "alike": spread(alike.tolist()),
    }


def spread(values: list[float]) -> dict[str, float]:
    """Least, median, 95th percentile and most."""
    names = {"least": 0, "median": 50, "p95": 95, "most": 100}
    return {name: round(float(np.percentile(values, q)), 3) for name, q in names.items()}


if __name__ == "__main__":
    main(tyro.cli(Args))
