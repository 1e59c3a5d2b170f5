"""The material of the battery: clips that the labeller did not train on, and what moved in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from robowm.batch import LatentActions
from robowm.episodes import Episodes
from robowm.motion.camera import MotionConfig, motion_between

MOVING_PX = 0.5  # at 64 px: flow is right to about 0.4 px there, slower is no evidence of motion
MIN_MOVING_SHARE = 0.01  # of the picture; less than that is a transition in which nothing happens


class Latents(Protocol):
    """What the battery needs of a labeller; `robowm.latent.labeller.Labeller` is one."""

    @property
    def config(self) -> Any:
        """Its shape; the battery reads `size_px`, `codes` and `motion`."""

    def clip(self, frames: np.ndarray) -> LatentActions:
        """Latent actions of a clip."""

    def pairs(self, first: np.ndarray, second: np.ndarray) -> Any:
        """`latent` (N, K, code_dim), `codes` (N, K) and `valid` (N,) of N pairs of frames."""

    def imagine(self, first: np.ndarray, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Next frames (N, S, S, 3) and the flow to them (N, S, S, 2), pixels."""


@dataclass(frozen=True)
class Measured:
    """N pairs of frames with their motion and latent actions.

    Attributes:
        first, second: uint8 (N, S, S, 3).
        next_frame: uint8 (N, S, S, 3), `second` from the first's camera; what is to be redrawn.
        flow: float32 (N, S, S, 2), pixels, the camera's part removed.
        mask: bool (N, S, S), where flow and next_frame can be trusted.
        moving: bool (N, S, S), masked pixels whose flow is longer than MOVING_PX (at 64 px).
        latent: float32 (N, K, code_dim).
        codes: int64 (N, K).
        valid: bool (N,), as the labeller says.
        episode: int64 (N,).
    """

    first: np.ndarray
    second: np.ndarray
    next_frame: np.ndarray
    flow: np.ndarray
    mask: np.ndarray
    moving: np.ndarray
    latent: np.ndarray
    codes: np.ndarray
    valid: np.ndarray
    episode: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def rows(self, chosen: np.ndarray) -> "Measured":
        """Some of them."""
        return Measured(**{name: values[chosen] for name, values in vars(self).items()})

    @property
    def vectors(self) -> np.ndarray:
        """float64 (N, K · code_dim)."""
        return self.latent.reshape(len(self), -1).astype(np.float64)


@dataclass(frozen=True)
class Sample:
    """Moving transitions now → next, each with the frame before it.

    Attributes:
        past: uint8 (N, S, S, 3).
        now: the transitions.
        drawn: how many transitions were looked at to find these.
    """

    past: np.ndarray
    now: Measured
    drawn: int


def measure_pairs(
    labeller: Latents, first: np.ndarray, second: np.ndarray, episode: np.ndarray
) -> Measured:
    """Motion and latent actions of pairs of frames, uint8 (N, S, S, 3)."""
    motion: MotionConfig = labeller.config.motion
    found = [motion_between(a, b, motion) for a, b in zip(first, second, strict=True)]
    flow = np.stack([m.flow for m in found])
    mask = np.stack([m.mask for m in found])
    pairs = labeller.pairs(first, second)
    return Measured(
        first=first,
        second=second,
        next_frame=np.stack([m.next_frame for m in found]),
        flow=flow,
        mask=mask,
        moving=moving(flow, mask),
        latent=pairs.latent,
        codes=pairs.codes,
        valid=pairs.valid,
        episode=episode,
    )


def moving(flow: np.ndarray, mask: np.ndarray | bool = True) -> np.ndarray:
    """bool (..., S, S): where flow (..., S, S, 2) is longer than MOVING_PX at 64 px."""
    return (np.linalg.norm(flow, axis=-1) > MOVING_PX * flow.shape[-2] / 64) & mask


def draw_sample(
    labeller: Latents,
    episodes: Episodes,
    camera: str,
    chosen: Sequence[int],
    count: int,
    seed: int = 0,
) -> Sample | str:
    """Up to `count` moving transitions of the chosen episodes, or the reason why there are none."""
    middles = [(e, t) for e in chosen for t in range(1, int(episodes.lengths[e]) - 1)]
    if not middles:
        return "no clip of three frames or more was kept from training"
    rng = np.random.default_rng((seed, 0x5A3))
    picked = rng.permutation(len(middles))[: 2 * count]
    by_episode: dict[int, list[int]] = {}
    for i in sorted(picked):
        by_episode.setdefault(middles[i][0], []).append(middles[i][1])
    past, now, after, owner = [], [], [], []
    for e, times in by_episode.items():
        frames = episodes.frames(e, camera)
        at = np.array(times)
        past.append(frames[at - 1])
        now.append(frames[at])
        after.append(frames[at + 1])
        owner.append(np.full(len(at), e))
    measured = measure_pairs(
        labeller, np.concatenate(now), np.concatenate(after), np.concatenate(owner)
    )
    share = measured.moving.mean((1, 2))
    kept = np.flatnonzero(measured.valid & (share >= MIN_MOVING_SHARE))
    kept = np.sort(rng.permutation(kept)[:count])
    if not len(kept):
        return f"nothing moves in the {len(picked)} transitions that were kept from training"
    return Sample(np.concatenate(past)[kept], measured.rows(kept), len(picked))


def other_episode(episode: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """int64 (N,): for each row one of another episode (any other row, where all are of one)."""
    chosen = np.empty(len(episode), np.int64)
    for i, own in enumerate(episode):
        others = np.flatnonzero(episode != own)
        if not len(others):
            others = np.flatnonzero(np.arange(len(episode)) != i)
        chosen[i] = rng.choice(others) if len(others) else i
    return chosen
