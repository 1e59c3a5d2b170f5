"""Demonstrations as `finetune` takes them: whether it can, their statistics, their batches."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from robowm.episodes import Episodes
from robowm.errors import UserError
from robowm.train.frames import Frames

if TYPE_CHECKING:
    from robowm.policy.modeling_vipra import VipraPolicy

HARDLY = 0.1  # of the whole vector's deviation


def check_actions(demos: Episodes) -> None:
    """Refuse demonstrations that a policy cannot be trained on.

    Raises:
        UserError: no `action` column, a number in it that is not finite, or no episode.
    """
    if "action" not in demos.features:
        raise UserError(
            f"{demos.root} has no actions; expected a column 'action'. It has: "
            f"{', '.join(demos.features)}. Video without actions is for `robowm pretrain`."
        )
    if not len(demos):
        raise UserError(f"{demos.root} has no episodes; expected at least one demonstration.")
    demos.camera()
    for name in ("action", "observation.state"):
        for i in range(len(demos)) if name in demos.features else ():
            wrong = ~np.isfinite(demos.column(name, i))
            if wrong.any():
                frame = int(np.argwhere(wrong)[0][0])
                raise UserError(
                    f"{demos.root}: {name} of episode {i}, frame {frame} is not finite; expected "
                    "numbers only. Delete the episode with lerobot-edit-dataset, or mend it."
                )


def check_alike(demos: Sequence[Episodes], use_state: bool = True) -> None:
    """Refuse datasets that one policy cannot be trained on.

    Raises:
        UserError: they differ in rate, camera, or the names of action or (if used) state.
    """
    first = demos[0]
    for other in demos[1:]:
        for what, one, two in (
            ("frames a second", first.fps, other.fps),
            ("camera", first.camera(), other.camera()),
            *(
                (name, *(d.features.get(name, {}).get("names") for d in (first, other)))
                for name in ("action", *(["observation.state"] if use_state else []))
            ),
        ):
            if one != two:
                raise UserError(
                    f"{first.root} and {other.root} differ in {what}: {one} and {two}; expected "
                    "demonstrations of one robot, recorded alike."
                )


def check_video(
    demos: Sequence[Episodes], films: Sequence[Episodes], head: str, flag: str = "--video"
) -> None:
    """Refuse video that demonstrations cannot be joined by.

    Raises:
        UserError: for another head than `goals`, without episodes, or of another rate.
    """
    if films and head != "goals":
        raise UserError(
            f"{flag}: the policy has the head {head!r}, which learns nothing from where a hand "
            "goes; expected 'goals'. Pretrain on the video instead (`robowm pretrain`)."
        )
    for film in films:
        if not len(film):
            raise UserError(f"{flag} {film.root} has no episodes; expected at least one.")
        film.camera()
        if film.fps != demos[0].fps:
            raise UserError(
                f"{flag} {film.root} has {film.fps:g} frames a second, {demos[0].root} "
                f"{demos[0].fps:g}; expected the same. `robowm ingest --fps` resamples video."
            )


def read_stats(demos: Sequence[Episodes]) -> dict[str, dict[str, torch.Tensor]]:
    """LeRobot's statistics of state and action over all datasets, as tensors."""
    from lerobot.datasets.compute_stats import aggregate_stats

    names = ("action", "observation.state")
    each = []
    for some in demos:
        stats = json.loads((some.root / "meta" / "stats.json").read_text())
        each.append(
            {
                name: {key: np.array(value) for key, value in stats[name].items()}
                for name in names
                if name in stats
            }
        )
    whole = aggregate_stats(each)
    return {
        name: {key: torch.tensor(value, dtype=torch.float32) for key, value in stats.items()}
        for name, stats in whole.items()
    }


def level_vectors(action: dict[str, torch.Tensor], vectors: Sequence[Sequence[int]]) -> None:
    """Give what hardly varies in an action, of a vector that does, the vector's own deviation.

    A hand that is never told to turn about the vertical, but is about other axes, has a deviation
    of zero there; practice turns it away and back (`robowm.train.astray`), by millions of those.

    Args:
        action: statistics; `std` (A,) is written to.
        vectors: columns of its vectors.
    """
    for columns in map(list, vectors):
        own = action["std"][columns]
        whole = own.square().mean().sqrt()
        action["std"][columns] = torch.where(own < HARDLY * whole, whole, own)


def demonstration_batch(frames: Frames, rows: np.ndarray, policy: "VipraPolicy") -> dict[str, Any]:
    """LeRobot's training dictionary for windows that begin at `rows`, before normalisation."""
    config = policy.config
    moments, steps, valid = frames.around(rows, config.n_obs_steps, config.chunk_size)
    looked_at = policy.decoder.config.backbone.context_frames
    batch: dict[str, Any] = {
        config.camera: frames.pictures(moments[:, -looked_at:]),
        "action": torch.from_numpy(frames.columns["action"][steps]),
        "action_is_pad": torch.from_numpy(~valid),
        "task": frames.instructions(rows),
    }
    if config.use_state:
        batch["observation.state"] = torch.from_numpy(frames.columns["observation.state"][moments])
    return batch
