"""How SIMPLER's picture is drawn: which part of it, how large, and what may be changed by seed.

The official picture has 640 x 480 pixels: arm and objects drawn over one real photograph. A part of
it is drawn directly by giving the camera that part's intrinsics, at a multiple of the wanted size.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

PHOTO_PX = (640, 480)  # width, height
INTRINSIC = np.array([[623.588, 0, 319.501], [0, 623.588, 239.545], [0, 0, 1]])  # Logitech C920
# left edge and width; all are 480 high. `full` is squeezed to a square.
CROPS_PX = {"left": (0, 480), "centre": (80, 480), "right": (160, 480), "full": (0, 640)}
LEAST_DRAWN_PX = 240  # half the official resolution: smaller pictures are averaged from this
# camera axes: SAPIEN's are forward, left, up; OpenCV's right, down, forward
SAPIEN_FROM_OPENCV = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])


@dataclass(frozen=True)
class View:
    """A part of the official picture, and the pixels it is drawn with.

    Attributes:
        left_px, width_px: of the part, in pixels of the official picture.
        columns, rows: of the drawn picture.
    """

    left_px: int = 0
    width_px: int = PHOTO_PX[0]
    columns: int = PHOTO_PX[0]
    rows: int = PHOTO_PX[1]

    def intrinsic(self) -> np.ndarray:
        """The camera matrix (3, 3) that draws this part only."""
        scale = np.diag([self.columns / self.width_px, self.rows / PHOTO_PX[1], 1.0])
        moved = INTRINSIC.copy()
        moved[0, 2] -= self.left_px
        return np.asarray(scale @ moved)

    def photo(self, photo: np.ndarray) -> np.ndarray:
        """This part of the official background, uint8 (rows, columns, 3)."""
        part = photo[:, self.left_px : self.left_px + self.width_px]
        if part.shape[:2] == (self.rows, self.columns):
            return part
        size = (self.columns, self.rows)
        return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA))


def square(crop: str, size_px: int) -> View:
    """The view that is averaged to a square of `size_px`: drawn at a whole multiple of it."""
    left_px, width_px = CROPS_PX[crop]
    drawn_px = size_px * -(-LEAST_DRAWN_PX // size_px)
    return View(left_px, width_px, drawn_px, drawn_px)


def shrink(picture: np.ndarray, size_px: int) -> np.ndarray:
    """The mean of each block: uint8 (size_px, size_px, 3) from a multiple of it."""
    side = len(picture) // size_px
    if side == 1:
        return picture
    blocks = picture.reshape(size_px, side, size_px, side, 3)
    return np.rint(blocks.mean((1, 3), dtype=np.float32)).astype(np.uint8)


@dataclass(frozen=True)
class Shift:
    """How far pictures differ from the official ones, drawn by seed; 0 is as published.

    Attributes:
        light: brightness, tint and a gradient across the picture; 1: up to about -40 %, +50 %.
        camera_jitter: the camera turns about its own place, photograph and all; 1: up to 4 degrees.
        distractors: other SIMPLER objects laid beside, seen but not touched.
    """

    light: float = 0.0
    camera_jitter: float = 0.0
    distractors: int = 0


def camera_turn(shift: Shift, seed: int) -> np.ndarray:
    """The episode's turn of the camera (3, 3): its axes (OpenCV's) in the official camera's."""
    if shift.camera_jitter == 0:
        return np.eye(3)
    degrees = np.random.default_rng([seed, 8]).uniform(-4, 4, 3) * shift.camera_jitter
    return np.asarray(Rotation.from_euler("xyz", degrees, degrees=True).as_matrix())


def turn_photo(photo: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """The photograph as the turned camera sees it: exact, for a turn needs no depth.

    Beyond the photograph's edge its last pixels are repeated.
    """
    if np.array_equal(turn, np.eye(3)):
        return photo
    back = INTRINSIC @ turn @ np.linalg.inv(INTRINSIC)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpPerspective(photo, back, PHOTO_PX, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    )


def light_gain(shift: Shift, seed: int, view: View) -> np.ndarray | None:
    """What pixels are multiplied with, float32 (rows, columns, 3); None: as published."""
    if shift.light == 0:
        return None
    rng = np.random.default_rng([seed, 9])
    brightness, *tint = rng.uniform((-0.5, *[-0.12] * 3), (0.4, *[0.12] * 3)) * shift.light
    angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.35) * shift.light
    y, x = np.mgrid[-1 : 1 : view.rows * 1j, -1 : 1 : view.columns * 1j]
    gradient = np.exp(brightness + slope * (np.cos(angle) * x + np.sin(angle) * y))
    return np.asarray(gradient[..., None] * np.exp(tint), np.float32)
