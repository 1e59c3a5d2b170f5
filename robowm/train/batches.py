"""What a policy is trained on, step by step: demonstrations, video and practice."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from robowm.policy.turning import Turning
from robowm.train.astray import Astray
from robowm.train.demonstrations import demonstration_batch
from robowm.train.elsewhere import Elsewhere
from robowm.train.finetune_plan import FinetuneConfig
from robowm.train.foresight import foretold
from robowm.train.frames import Frames
from robowm.train.goals import Goals
from robowm.train.practice import draw, practise

if TYPE_CHECKING:
    from robowm.policy.modeling_vipra import VipraPolicy


def batches(
    policy: "VipraPolicy",
    pre: Any,
    frames: Frames,
    rows: tuple[np.ndarray, np.ndarray],
    goals: Goals | None,
    turning: Turning | None,
    config: FinetuneConfig,
) -> Callable[[torch.nn.Module, np.random.Generator, float], tuple[torch.Tensor, dict[str, float]]]:
    """What `robowm.train.loop.train` asks for: the loss of a batch drawn among `rows`, those of
    demonstrations and those of video."""
    from robowm.policy.goal_decoder import GoalDecoder
    from robowm.policy.modeling_vipra import FILMED, PLACES, PRACTICE, RELEASED, SUBGOALS, TAKEN
    from robowm.policy.way_head import WayHead

    demonstrated, filmed = rows
    size = config.train.batch_size
    seen = min(round(config.video_share * size), size - 1) if len(filmed) else 0
    pools: list[tuple[np.ndarray, int]] = []
    for some, count in ((demonstrated, size - seen), (filmed, seen)):
        begun = (some - frames.start[some]) / (frames.end[some] - frames.start[some])
        early = round(config.from_start * count)
        pools += [(some[begun < 0.1], early), (some, count - early)] if count else []
    lengths = (policy.config.n_obs_steps, policy.config.chunk_size)
    practises = isinstance(policy.decoder, GoalDecoder)
    ways = practises and isinstance(policy.decoder.head, WayHead)
    hz, astray = policy.config.control_hz, None
    if ways and turning is not None:
        astray = Astray.of(frames, demonstrated, turning, hz)
    things = None
    if practises and config.elsewhere_share and goals is not None and goals.eyes is not None:
        states = frames.columns["observation.state"]
        things = Elsewhere.of(frames, demonstrated, states, goals.eyes, hz)

    def loss_of(
        ready: torch.nn.Module, rng: np.random.Generator, share: float
    ) -> tuple[torch.Tensor, dict[str, float]]:
        chosen = np.concatenate([rng.choice(some, count) for some, count in pools])
        batch = pre(demonstration_batch(frames, chosen, policy))
        batch |= foretold(frames, chosen, policy)
        if goals is not None:
            states = torch.from_numpy(goals.states[chosen])
            batch[SUBGOALS] = pre({"observation.state": states})["observation.state"]
            if goals.released is not None:
                batch[RELEASED] = torch.from_numpy(goals.released[chosen])
            if goals.places is not None:
                batch[PLACES] = torch.from_numpy(goals.places[chosen])
            if goals.taken is not None:
                batch[TAKEN] = goals.taken.of(chosen)
            film = np.arange(size) >= size - seen
            if things is not None and TAKEN in batch:
                some = np.flatnonzero(~film & (rng.random(size) < config.elsewhere_share))
                film[some] = things.put(
                    rng, chosen, some, batch[policy.config.camera], batch[PLACES], batch[TAKEN]
                )
            if film.any():
                batch[FILMED] = torch.from_numpy(film)
            if practises:
                some = draw(rng, demonstrated, goals, config.practice, hz)
                batch[PRACTICE] = practise(
                    frames, goals, some, lengths, turning, pre, astray=astray
                )
        return ready(batch)

    return loss_of
