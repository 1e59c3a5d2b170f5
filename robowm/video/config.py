"""The choices of `robowm ingest`, once, with their units."""

from dataclasses import dataclass
from typing import Any, Literal

from robowm.errors import UserError


@dataclass(frozen=True)
class IngestConfig:
    """How clips become frames, and what is dropped."""

    size_px: int = 128
    """side of the stored square pictures, pixels"""
    fps: int = 10
    """stored frames a second of source time"""
    fit: Literal["crop", "pad"] = "crop"
    """crop: the largest centred square; pad: the whole picture between black bars"""
    speed: float = 0.0
    """times faster than life that the clips play; 0: as their names say (`rollout_5x`), else 1"""
    source_hz: float = 0.0
    """rate at which the pictures were taken, where files replay a log at another rate (RT-1: 3);
    frame n is then n / source_hz seconds old; 0: the files' time stamps are right"""
    min_frames: int = 5
    """a shot with fewer stored frames is too_short"""
    max_shot_s: float = 60.0
    """a longer shot is stored in pieces of this many seconds, a manifest row each"""
    detector: Literal["adaptive", "transnet"] = "adaptive"
    """what finds cuts, dissolves and fades; transnet is a network: pip install robowm[shots]"""
    max_gap_s: float = 1.0
    """a shot ends where no new picture comes for more seconds than this"""
    min_rate: float = 0.25
    """a shot with fewer true pictures than this share of fps is slow_rate"""
    min_moved: float = 0.005
    """a shot in which a smaller share of the picture ever changes is static"""
    min_action_s: float = 0.2
    """a shot in which nothing moves by itself for this many seconds is stills: a slide show"""
    min_brightness: int = 24
    """a shot whose brightest 5 % of pixels stay below this level (0 to 255) is black"""
    max_white: float = 0.48
    """a shot with a larger share of white pixels is a diagram"""
    max_text: float = 0.2
    """a shot with burnt-in text over a larger share of the picture is text"""
    max_aspect: float = 2.2
    """a shot wider than this many heights (or the reverse), bars removed, is panels"""
    min_seam: float = 0.82
    """panels: straight edges over more than this share of both height and width; above 1: never"""
    min_split: float = 0.98
    """panels: a straight vertical edge over more than this share of the height (a table's edge is
    level); above 1: not looked for"""
    max_copy_distance: float = 0.28
    """a shot this close to an earlier kept one, or closer, is a duplicate: 0 the same motion, 1
    nothing in common; negative: not looked for"""

    def check(self) -> None:
        """Raise UserError for a value that cannot work."""
        at_least = {"size_px": 8, "fps": 1, "min_frames": 2, "max_shot_s": 1.0, "max_gap_s": 0.01}
        for name, least in at_least.items():
            value = getattr(self, name)
            if not value >= least:
                raise UserError(f"{name} is {value}; expected {least} or more.")
        for name in ("speed", "source_hz"):
            if not 0 <= getattr(self, name) <= 1e6:
                raise UserError(f"{name} is {getattr(self, name)}; expected 0 or more.")
        if self.detector not in ("adaptive", "transnet"):
            raise UserError(f"detector is {self.detector!r}; expected 'adaptive' or 'transnet'.")
        if self.fit not in ("crop", "pad"):
            raise UserError(f"fit is {self.fit!r}; expected 'crop' or 'pad'.")


def curated(size_px: int = 128, fps: int = 10, **changes: Any) -> IngestConfig:
    """For datasets that somebody has chosen by hand: demonstrations of one task look alike, and are
    no copies of each other; nothing in them is a slide or a split screen."""
    off = {"max_copy_distance": -1.0, "min_split": 2.0, "min_seam": 2.0, "max_white": 2.0}
    return IngestConfig(size_px=size_px, fps=fps, **off | changes)
