"""How much of a picture is burnt-in text: captions, counters, slides full of words.

Letters are many hard edges side by side that stay where they are while the scene moves. There is
no reading and no network: edges that persist are closed into lines, and lines shaped like text are
counted. Printed matter in a scene that never moves counts as well, so the limit is a large share.
"""

import cv2
import numpy as np

TEXT_PX = 480  # longer side of the pictures that are searched
TEXT_EVERY_S = 1.0
EDGE = 60  # levels of 255 within three pixels
LINE_PX = (7, 72)  # height of a line of letters
LONG = 1.5  # a line is at least this many times as long as high
FILLED = 0.45  # of a line's rectangle is letters
CROSSINGS = 0.9  # edges met along a line, for every height of it


def text_share(pictures: np.ndarray) -> float:
    """Share of the picture covered by lines of text, 0 to 1.

    Args:
        pictures: uint8 (N, H, W) grey, some of one shot, the longer side TEXT_PX.
    """
    square = np.ones((3, 3), np.uint8)
    edges = np.min([cv2.morphologyEx(p, cv2.MORPH_GRADIENT, square) for p in pictures], axis=0)
    hard = (edges > EDGE).astype(np.uint8)
    joined = cv2.morphologyEx(hard, cv2.MORPH_CLOSE, np.ones((1, 11), np.uint8))
    joined = cv2.morphologyEx(joined, cv2.MORPH_OPEN, np.ones((3, 5), np.uint8))
    count, _, boxes, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    covered = 0
    for left, top, width, height, area in boxes[1:count]:
        inside = hard[top : top + height, left : left + width]
        if _is_line(inside, width, height, area):
            covered += int(width * height)
    return covered / hard.size


def _is_line(inside: np.ndarray, width: int, height: int, area: int) -> bool:
    if not LINE_PX[0] <= height <= LINE_PX[1] or width < LONG * height:
        return False
    if area < FILLED * width * height:
        return False
    # letters: along its middle third a line goes in and out of edges again and again
    middle = inside[height // 3 : height - height // 3]
    turns = np.count_nonzero(np.diff(middle.astype(np.int8), axis=1), axis=1).mean()
    return bool(turns / 2 >= CROSSINGS * width / height)
