"""Video of a camera that was knocked, or under other light, as if neither had been."""

import numpy as np

from robowm.policy.cameras import standpoint
from robowm.progress import progress
from robowm.train.eyes import Eyes
from robowm.train.frames import Frames
from robowm.train.moving_parts import background


def right_films(frames: Frames, filmed: np.ndarray, eyes: Eyes) -> int:
    """Turn and light back, in place, what video shows in a room of the demonstrations.

    Video of other hands is left as it is, and so is what shows no such room.

    Args:
        frames: of demonstrations, and of video.
        filmed: bool (N,), which are of video.
        eyes: from the demonstrations among them.

    Returns:
        How many episodes were changed.
    """
    own = filmed if frames.other is None else filmed & ~frames.other
    if eyes.rooms is None or not own.any():
        return 0
    starts, changed = np.unique(frames.start[own]), 0
    with progress("how the camera stands, in video", len(starts)) as advance:
        for start in starts:
            stands = standpoint(background(frames, start), eyes.looks, [*eyes.rooms])
            if stands.turned or stands.lit:
                changed += 1
                for row in range(start, frames.end[start]):
                    frames.pixels[row] = stands.undo(frames.pixels[row])
            advance(1)
    return changed
