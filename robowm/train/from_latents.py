"""A policy that sets out from one that emits latent actions: the map to controls turns the head of
one into that of the other.

Such a policy has learnt from video alone which way to go; what is left to learn from demonstrations
is what the map, which is linear and folded to one step, does not say. Where the latents and the
controls tell each other exactly, the new policy at once does what the old one and its map would.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from robowm.errors import UserError
from robowm.policy.control_map import DECODER
from robowm.policy.linear import Linear
from robowm.train.build_policy import LEAST_DEVIATION, PolicyConfig

if TYPE_CHECKING:
    from robowm.policy.configuration_vipra import VipraConfig
    from robowm.policy.flow_head import FlowHead
    from robowm.policy.modeling_vipra import VipraPolicy

type Scale = tuple[Tensor, Tensor]
"""Mean and deviation, by which numbers are normalised."""


def read_emitter(directory: Path) -> "VipraConfig | None":
    """The configuration of a policy directory; None where there is something else.

    Raises:
        UserError: a policy that emits no latent actions, or has no map for these.
    """
    try:
        kind = json.loads((directory / "config.json").read_text()).get("type")
    except (OSError, ValueError, AttributeError):
        return None
    if kind != "vipra":
        return None
    from lerobot.configs import PreTrainedConfig

    from robowm.policy.configuration_vipra import VipraConfig

    config = PreTrainedConfig.from_pretrained(directory)
    assert isinstance(config, VipraConfig)
    if not (directory / DECODER).is_dir() or config.action_head != "flow":
        raise UserError(
            f"{directory} is a policy that emits controls by the head {config.action_head!r}; "
            "expected 'scratch', a world model, or a policy that emits latent actions by the head "
            "'flow' (`robowm finetune ... --decoder`, docs/policy.md)."
        )
    return config


def shaped_alike(policy: PolicyConfig, emitter: "VipraConfig") -> PolicyConfig:
    """The policy, with the shape of the one it sets out from.

    Raises:
        UserError: another head than `flow` is asked for.
    """
    if policy.action_head not in ("auto", "flow"):
        raise UserError(
            f"--policy.action-head {policy.action_head}: from a policy that emits latent actions "
            "there is a way to the head 'flow' only."
        )
    return replace(
        policy,
        backbone=emitter.decoder().backbone,
        action_head="flow",
        chunk_size=emitter.chunk_size,
        causal_actions=emitter.causal_actions,
    )


def set_out(directory: Path, policy: "VipraPolicy", action: dict[str, Tensor]) -> int:
    """Copy a latent policy's backbone into a policy, and its head through its map.

    Args:
        directory: what `read_emitter` has read.
        policy: of the shape that `shaped_alike` gives.
        action: `mean` and `std` (A,) by which the policy's actions are normalised.

    Returns:
        how many tensors were set.

    Raises:
        UserError: the map is of another robot's action.
    """
    from robowm.policy.decoder import ActionDecoder
    from robowm.policy.flow_head import FlowHead
    from robowm.policy.lerobot_controller import load_controller

    source = load_controller(directory)
    controls, old, new = source.decoder, source.policy.decoder, policy.decoder
    assert controls is not None and isinstance(old, ActionDecoder)
    assert isinstance(new, ActionDecoder) and isinstance(new.actor, FlowHead)
    assert isinstance(old.actor, FlowHead)
    if len(controls.axes) != len(action["mean"]):
        raise UserError(
            f"the map to controls in {directory} has the axes {', '.join(controls.axes)}; the "
            f"demonstrations' actions have {len(action['mean'])} numbers."
        )
    stats = next(s for s in source.pre.steps if hasattr(s, "_tensor_stats"))._tensor_stats
    latent = stats["action"]["mean"].cpu(), stats["action"]["std"].cpu().clamp_min(LEAST_DEVIATION)
    own = action["mean"], action["std"].clamp_min(LEAST_DEVIATION)
    new.backbone.load_state_dict(old.backbone.state_dict())
    through_map(
        old.actor,
        new.actor,
        normalised(controls.to_actions, latent, own),
        normalised(controls.to_latents, own, latent),
    )
    return len(old.backbone.state_dict()) + len(new.actor.state_dict())


def normalised(linear: Linear, of: Scale, to: Scale) -> tuple[Tensor, Tensor]:
    """A map with neighbours folded to one step, between normalised numbers: float32 (Y, X), (Y,).

    Args:
        linear: from 2·n + 1 steps of X numbers, end to end, to Y.
        of, to: scales of X and of Y numbers.
    """
    weights, offset = linear.affine()
    steps = weights.reshape(-1, len(of[0]), weights.shape[1]).sum(0)  # as if they were all alike
    (mean_x, spread_x), (mean_y, spread_y) = ([part.double() for part in s] for s in (of, to))
    matrix = torch.from_numpy(np.ascontiguousarray(steps.T))
    shift = (matrix @ mean_x + torch.from_numpy(offset) - mean_y) / spread_y
    return (matrix * spread_x / spread_y[:, None]).float(), shift.float()


@torch.no_grad()
def through_map(
    old: "FlowHead",
    new: "FlowHead",
    to_actions: tuple[Tensor, Tensor],
    to_latents: tuple[Tensor, Tensor],
) -> None:
    """Make `new`, a velocity of actions (B, H, A), what `old`, of latent actions (B, H, D), is once
    actions are read as latents and its answer as actions.

    Args:
        old, new: of one width and horizon.
        to_actions, to_latents: matrix and shift, of normalised numbers.
    """
    (forth, forth_shift), (back, back_shift) = to_actions, to_latents
    new.action_in.weight.copy_(old.action_in.weight @ back)
    new.action_in.bias.copy_(old.action_in.bias + old.action_in.weight @ back_shift)
    new.action_out.weight.copy_(forth @ old.action_out.weight)
    new.action_out.bias.copy_(forth @ old.action_out.bias + forth_shift)
    new.action_place.copy_(old.action_place)
    new.mix.load_state_dict(old.mix.state_dict())
