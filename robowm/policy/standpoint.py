"""How the camera has turned, and the light changed, since a room was filmed; and both undone.

A camera that was knocked sees everything elsewhere: a degree is a centimetre at half a metre. Its
picture tells by how much, for the room behind is the same. Only a turn about the camera's own place
is looked for, which needs no depth; a small shift of the camera looks much like one.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

ROOM_PX = 128  # at which it is looked for, whatever the pictures' size
FOCAL = 1.2  # of the side; another one hardly changes what a turn of a few degrees does
REACH_PX = 20  # about 7 degrees
ROLLS_DEG = (-4.0, -2.0, 0.0, 2.0, 4.0)
DETAIL_PX = 3.0
BORDER_PX = 8
MOST_ROUNDS, ENOUGH_PX = 25, 0.01
MOST_TURN = 0.25  # radians; with what is searched for there is no way to it
HARDLY_TURNED = 0.004  # radians, half a pixel; so little is found without a search
OUTLIER = 3.0  # robust standard deviations
ALIKE = 0.27  # in SIMPLER the same room has 0.33 and more, another one 0.20 and less
CELLS, STRONG, MOST_BLANK = 8, 0.3, 0.6  # a side; of details; of the cells
LEAST_PX, LEAST_LIGHT = 0.5, 0.05  # of a corner; less is left as it is
DARK = 4 / 255


@dataclass(frozen=True)
class Standpoint:
    """How a camera stands to where it stood.

    Attributes:
        turn: (3,), rotation vector in radians: the former camera's directions (OpenCV's axes) in
            those of the camera as it now stands.
        light: (5,), how much brighter the picture was, as logarithms: red, green and blue in its
            middle, and what is added to all of them from there to its right and its lower edge.
        alike: correlation of the two pictures' details, once turned back.
    """

    turn: np.ndarray
    light: np.ndarray
    alike: float

    @property
    def turned(self) -> bool:
        """Whether it is worth undoing."""
        last = ROOM_PX - 1.0
        corners = np.array([[[0, 0]], [[last, 0]], [[0, last]], [[last, last]]])
        return bool(np.abs(self.seen_at(corners) - corners).max() > LEAST_PX)

    @property
    def lit(self) -> bool:
        """Whether the light is worth undoing."""
        return bool(np.abs(self.light[:3]).max() + np.abs(self.light[3:]).sum() > LEAST_LIGHT)

    def seen_at(self, pixels: np.ndarray) -> np.ndarray:
        """Where things are now seen, (N, 1, 2), that were seen at these pixels of a picture of
        ROOM_PX."""
        return np.asarray(cv2.perspectiveTransform(pixels, _homography(self.turn, ROOM_PX)))

    def undo(self, picture: np.ndarray) -> np.ndarray:
        """As it would have been seen: (S, S, 3), uint8 or float32 in [0, 1], as given.

        Beyond its edges the last pixels are repeated. What differs little is left as it is.
        """
        if not (self.turned or self.lit):
            return picture
        whole = picture.dtype == np.uint8
        seen = picture / np.float32(255) if whole else picture
        side = len(seen)
        if self.turned:
            how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
            back = _homography(self.turn, side)
            seen = cv2.warpPerspective(
                seen, back, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE
            )
        if self.lit:
            seen = seen * _gain(self.light, side)
        seen = np.clip(seen, 0, 1).astype(np.float32)
        return np.rint(seen * 255).astype(np.uint8) if whole else seen


STILL = Standpoint(np.zeros(3), np.zeros(5), 0.0)


def find(picture: np.ndarray, room: np.ndarray) -> Standpoint:
    """How the camera of a picture stands to that of a room's.

    The turn is searched for coarsely, then fitted by Gauss-Newton steps with Tukey's weights (Baker
    and Matthews, Lucas-Kanade 20 Years On, 2004, section 3.1.2), so that an arm, and things that
    lie elsewhere, do not count. `alike` below `ALIKE`: it is not this room, or not to be told, as
    where little but an arm shows in front of a bare wall.

    Args:
        picture, room: (S, S, 3), uint8, or float32 in [0, 1].
    """
    seen, known = sized(picture), sized(room)
    details, wanted = _details(seen), _details(known)
    if _blank(wanted) or _blank(details):
        return STILL
    # most cameras have not moved: then the coarse search, most of the work, is spared
    fitted = _fitted(wanted, details, np.zeros(3))
    if fitted is None or fitted[2] < ALIKE or np.linalg.norm(fitted[0]) > HARDLY_TURNED:
        fitted = _fitted(wanted, details, _coarse(wanted, details))
    if fitted is None:
        return STILL
    turn, weights, alike = fitted
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    turned = cv2.warpPerspective(seen, _homography(turn, ROOM_PX), (ROOM_PX, ROOM_PX), flags=how)
    return Standpoint(turn, _relit(turned, known, weights > 0), alike)


def sized(picture: np.ndarray) -> np.ndarray:
    """float32 (ROOM_PX, ROOM_PX, 3) in [0, 1]."""
    seen = picture / np.float32(255) if picture.dtype == np.uint8 else picture
    if seen.shape[:2] == (ROOM_PX, ROOM_PX):
        return seen
    how = cv2.INTER_AREA if len(seen) > ROOM_PX else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(seen, (ROOM_PX, ROOM_PX), interpolation=how))


def _details(picture: np.ndarray) -> np.ndarray:
    """Edges and textures, (S, S), equally strong whatever the light."""
    grey = np.log(picture.mean(-1) + 2 * DARK)
    away = grey - cv2.GaussianBlur(grey, (0, 0), DETAIL_PX)
    around = cv2.GaussianBlur(away * away, (0, 0), 2 * DETAIL_PX)
    return np.asarray(away / np.sqrt(around + 1e-3))


def _blank(details: np.ndarray) -> bool:
    """Whether too few parts of a picture show anything by which a turn could be told."""
    side = ROOM_PX // CELLS
    cells = details.reshape(CELLS, side, CELLS, side)
    return bool((cells.std((1, 3)) < STRONG).mean() > MOST_BLANK)


def _homography(turn: np.ndarray, side: int) -> np.ndarray:
    """(3, 3), from a pixel of the former camera to the same thing's in the present one."""
    middle = (side - 1) / 2
    camera = np.array([[FOCAL * side, 0, middle], [0, FOCAL * side, middle], [0, 0, 1]])
    return np.asarray(camera @ Rotation.from_rotvec(turn).as_matrix() @ np.linalg.inv(camera))


def _coarse(wanted: np.ndarray, details: np.ndarray) -> np.ndarray:
    """The turn (3,) under which the middle of the room is found best."""
    middle, size = (ROOM_PX - 1) / 2, (ROOM_PX, ROOM_PX)
    best, turn = -np.inf, (0.0, 0.0, 0.0)
    for roll in ROLLS_DEG:
        rolled = cv2.getRotationMatrix2D((middle, middle), -roll, 1.0)
        part = cv2.warpAffine(wanted, rolled, size)[REACH_PX:-REACH_PX, REACH_PX:-REACH_PX]
        found = cv2.matchTemplate(details, part, cv2.TM_CCOEFF_NORMED)
        _, value, _, (x, y) = cv2.minMaxLoc(found)
        if value > best:
            across, down = ((part - REACH_PX) / (FOCAL * ROOM_PX) for part in (x, y))
            best, turn = value, (-down, across, np.deg2rad(roll))
    return np.array(turn)


def _fitted(
    wanted: np.ndarray, details: np.ndarray, turn: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float] | None:
    """The turn (3,), how much each pixel (S, S) counted, and the correlation of what is then alike;
    None if it leads nowhere."""
    size, focal, middle = (ROOM_PX, ROOM_PX), FOCAL * ROOM_PX, (ROOM_PX - 1) / 2
    rows, columns = np.mgrid[:ROOM_PX, :ROOM_PX]
    x, y = (columns - middle) / focal, (rows - middle) / focal
    # how a pixel moves by a small turn about each axis (3, S, S)
    across, down = np.stack([-x * y, 1 + x * x, -y]), np.stack([-1 - y * y, x * y, x])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for _ in range(MOST_ROUNDS):
        back = cv2.warpPerspective(
            details, _homography(turn, ROOM_PX), size, flags=how, borderValue=np.nan
        )
        slopes = (cv2.Sobel(back, cv2.CV_32F, i, 1 - i, ksize=3, scale=1 / 8) for i in (1, 0))
        right, lower = slopes
        inside = np.isfinite(right + lower)
        inside[:BORDER_PX], inside[-BORDER_PX:] = False, False
        inside[:, :BORDER_PX], inside[:, -BORDER_PX:] = False, False
        off = (wanted - back)[inside]
        usual = OUTLIER * 1.4826 * np.median(np.abs(off)) + 1e-6
        weight = np.clip(1 - (off / usual) ** 2, 0, None) ** 2
        moves = focal * (across * right + down * lower)[:, inside]
        step = np.linalg.solve(
            (moves * weight) @ moves.T + 1e-6 * np.eye(3), moves @ (weight * off)
        )
        turn = (Rotation.from_rotvec(turn) * Rotation.from_rotvec(step)).as_rotvec()
        if np.linalg.norm(turn) > MOST_TURN:
            return None
        if np.abs(step).max() * focal < ENOUGH_PX:
            break
    weights = np.zeros(size)
    weights[inside] = weight
    alike = float(np.corrcoef(wanted[inside], back[inside])[0, 1])
    return turn, weights, alike


def _gain(light: np.ndarray, side: int) -> np.ndarray:
    """(side, side, 3), what pixels are multiplied with."""
    ticks = np.linspace(-1, 1, side)
    slope = light[3] * ticks[None, :] + light[4] * ticks[:, None]
    return np.exp(slope[..., None] + light[:3]).astype(np.float32)


def _relit(seen: np.ndarray, known: np.ndarray, same: np.ndarray) -> np.ndarray:
    """The light (5,) that makes a picture (S, S, 3) a room's, by the pixels (S, S) that agree.

    Half of them are let go again, one after another the most astray: what agrees in its edges may
    still be a thing of another colour.
    """
    bright = (np.minimum(seen, known).min(-1) > DARK) & (np.maximum(seen, known).max(-1) < 0.98)
    rows, columns = np.nonzero(same & bright)
    if len(rows) < BORDER_PX**2:
        return np.zeros(5)
    ratio = np.log(known[rows, columns]) - np.log(seen[rows, columns])
    x, y = (2 * part / (ROOM_PX - 1) - 1 for part in (columns, rows))
    light = np.array([*np.median(ratio, axis=0), 0, 0])
    for _ in range(5):
        off = ratio - light[:3] - (light[3] * x + light[4] * y)[:, None]
        far = np.abs(off).max(-1)
        near = far <= np.median(far)
        told = np.zeros((3, near.sum(), 5))
        for channel in range(3):
            told[channel, :, channel] = 1
            told[channel, :, 3], told[channel, :, 4] = x[near], y[near]
        light = np.linalg.lstsq(told.reshape(-1, 5), ratio[near].T.reshape(-1), rcond=None)[0]
    return light
