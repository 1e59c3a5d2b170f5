"""When a picture was taken, which is not always when the file shows it.

Time stamps are trusted, and the nominal frame rate never is. Two lies are in the stamps
themselves, and can only be known from outside: footage that was sped up (its name often says so,
`rollout_5x.mov`), and logs replayed at another rate than they were recorded at (RT-1 at 3 Hz, say,
in files that claim 30).
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from robowm.video.config import IngestConfig
from robowm.video.shots import Shot

# a number and an x between separators: not `rt2x`, not `1920x1080`, not `2x2`
SPEED = re.compile(r"(?:^|[\s_.()\[\]-])(\d{1,2}(?:\.\d+)?)x(?=$|[\s_.()\[\]-])", re.IGNORECASE)


def speed_of(clip: Any, config: IngestConfig) -> float:
    """How many times faster than life a file plays: as told, or as its name or folder says."""
    if config.speed:
        return config.speed
    for name in (clip.stem, clip.parent.name) if isinstance(clip, Path) else ():
        stated = [float(number) for number in SPEED.findall(name)]
        if len(stated) == 1 and stated[0] >= 1:
            return stated[0]
    return 1.0


def capture_times(
    times_s: np.ndarray, shot: Shot, clip: Any, config: IngestConfig
) -> tuple[np.ndarray, float]:
    """Times at which a shot's pictures were taken, and the time at which it ends.

    Args:
        times_s: float64 (T,), the clip's time stamps, seconds.
        clip: what `robowm.video.decode.open_video` takes.

    Returns:
        float64 (shot.last - shot.first,), strictly rising, seconds; and the end, seconds.
    """
    if config.source_hz:
        taken = np.arange(shot.first, shot.last + 1) / config.source_hz
        return taken[:-1], float(taken[-1])
    speed = speed_of(clip, config)
    return times_s[shot.first : shot.last] * speed, shot.end_s * speed
