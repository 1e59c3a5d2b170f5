"""Training a policy that foretells before it acts: the shape of that, and the truth."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from robowm.artefact import read_card
from robowm.episodes import LABEL_COLUMNS, Episodes, label_columns
from robowm.errors import UserError
from robowm.train.build_policy import PolicyConfig
from robowm.train.frames import Frames
from robowm.train.pretrain import latents_ahead, one_labeller
from robowm.world.targets import LatentVectors
from robowm.world.vipra import ViPRAConfig

if TYPE_CHECKING:
    from robowm.policy.modeling_vipra import VipraPolicy


def latent_columns(policy: PolicyConfig, labels: str) -> dict[str, str]:
    """The columns of demonstrations that hold latent actions, by the names `Frames` gives them;
    empty where the policy foretells none."""
    names = zip(LABEL_COLUMNS, label_columns(labels), strict=True)
    return {} if policy.latents == "none" else dict(names)


def with_latent_shape(
    demos: Sequence[Episodes],
    labels: str,
    policy: PolicyConfig,
    world: tuple[Path, ViPRAConfig] | None,
) -> PolicyConfig:
    """The policy with the shape of what it foretells: the world model's, else the labels'.

    Args:
        demos: the demonstrations.
        labels: their label set.
        policy: the policy.
        world: the directory of the world model it sets out from, and its configuration.

    Raises:
        UserError: latent actions are to be foretold, and a demonstration has none, or other ones
            than the world model's.
    """
    shape = policy.latent
    if world is not None:
        shape = replace(shape, ahead=world[1].horizon, horizon=world[1].chunk)
    if policy.latents == "none":
        return replace(policy, latent=shape)
    vectors = label_columns(labels)[0]
    for some in demos:
        if vectors not in some.features:
            raise UserError(
                f"--policy.latents {policy.latents}: {some.root} has no latent actions {labels!r}; "
                "label the demonstrations with the video's labeller (`robowm label --labeller`)."
            )
    found = one_labeller(demos, labels)
    numbers = demos[0].features[vectors]["shape"][0]
    shape = replace(shape, tokens=found["tokens"], codes=found["codes"], dim=numbers)
    if world is not None:
        _check_world(policy, labels, found, *world)
    return replace(policy, latent=shape)


def _check_world(
    policy: PolicyConfig, labels: str, made: dict[str, Any], directory: Path, world: ViPRAConfig
) -> None:
    """Refuse a world model that foretells other latent actions than were `made`."""
    kind = "continuous" if world.continuous else "codes"
    if kind != policy.latents:
        raise UserError(
            f"--policy.latents {policy.latents}: the world model {directory} foretells latent "
            f"actions as {kind!r}; expected --policy.latents {kind}."
        )
    taught = made | (read_card(directory) or {}).get("labeller", {})
    if taught["sha256"] != made["sha256"]:
        raise UserError(
            f"--policy.latents: the labels {labels!r} of the demonstrations are of another "
            f"labeller than those of the world model {directory}; expected one "
            "(`robowm label --labeller`)."
        )
    if taught["fps"] != made["fps"]:
        raise UserError(
            f"--policy.latents: the world model {directory} foretells latent actions of "
            f"{taught['fps']} frames a second, the demonstrations have {made['fps']}; expected one "
            "rate (`robowm ingest --fps` resamples video)."
        )


def know_latents(policy: "VipraPolicy", frames: Frames, rows: np.ndarray) -> None:
    """Tell a policy that foretells latent actions as they are how these lie; a world model, carried
    over afterwards, knows it from its own."""
    from robowm.policy.decoder import ActionDecoder

    decoder = policy.decoder
    if isinstance(decoder, ActionDecoder) and isinstance(decoder.foresight.latents, LatentVectors):
        valid = frames.columns["latent_action_valid"][rows].astype(bool)
        vectors = frames.columns["latent_action"][rows[valid]]
        decoder.foresight.latents.know_scale(torch.from_numpy(vectors).float())


def foretold(frames: Frames, rows: np.ndarray, policy: "VipraPolicy") -> dict[str, Any]:
    """What a policy's batch has besides where it foretells: empty where it does not."""
    from robowm.policy.modeling_vipra import FUTURE, FUTURE_VALID, LATENTS

    config, batch = policy.config, dict[str, Any]()
    if config.keep_future:
        ahead = rows + config.future_steps
        batch[FUTURE] = frames.pictures(np.minimum(ahead, frames.end[rows] - 1))
        batch[FUTURE_VALID] = torch.from_numpy(ahead < frames.end[rows])
    if config.latents != "none":
        codes, vectors = latents_ahead(frames, rows, config.latent_horizon)
        given = vectors if config.latents == "continuous" else codes
        batch[LATENTS] = torch.from_numpy(given)
    device = next(policy.parameters()).device
    return {name: value.to(device) for name, value in batch.items()}
