"""An untrained policy for a dataset's robot, and what a world model brings to it."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import nn

from robowm.episodes import Episodes
from robowm.errors import UserError
from robowm.latent.reality.truth import column_names
from robowm.nn.directory import load_weights, read_config
from robowm.policy.eye import place_columns
from robowm.policy.shown import LatentShape
from robowm.policy.turning import directions_of
from robowm.train.practice import turning_of
from robowm.train.pretrain import KIND
from robowm.world.backbone import BackboneConfig, read_pretrained
from robowm.world.vipra import ViPRAConfig, ViPRAWorldModel

if TYPE_CHECKING:
    from robowm.policy.modeling_vipra import VipraPolicy

PRETRAINED = "--policy.backbone.pretrained"
LEAST_DEVIATION = 1e-6  # of a number that never changes
GRIPPER = r"grip|finger|jaw|claw"
EVERY_STEP_HZ, LOOK_S = 5, 0.4


@dataclass(frozen=True)
class PolicyConfig:
    """What is the policy's own; the backbone's shape comes from the world model."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    """used by `scratch`; a world model brings its own"""
    action_head: Literal["auto", "goals", "flow", "autoregressive"] = "auto"
    """goals: what is seen tells where the hand will be at the next keyframes, and these and
    proprioception alone what to do. flow: flow matching beside what is seen (ViPRA), for tasks in
    which the way between keyframes depends on what is seen. autoregressive: actions as words, one
    number after the other (ViPRA-AR). auto: goals for an arm whose state
    names the hand's place (x, y, z) and whose last action is named as a gripper's, else flow"""
    state_frames: int = 3
    """moments of proprioception, the present one the last; at least the context frames are read"""
    chunk_size: int = 8
    """H, actions predicted at once, control steps"""
    n_action_steps: int | None = None
    """actions executed before the next chunk is asked for; None: half of the chunk with flow, with
    goals one up to 5 Hz, for a hand comes to rest where its goal is only if it looks again, and
    else as many as take 0.4 s, for a hand must be told to grip somewhere among them"""
    flow_steps: int = 10
    """Euler steps per chunk"""
    subgoals: int = 2
    """keyframes whose proprioception is foretold before the actions; 0 leaves them out (ViPRA)"""
    subgoal_weight: float = 1.0
    """weight of the subgoals' L1 beside the flow-matching loss"""
    place_weight: float = 0.3
    """weight of the cross-entropy of where in the picture the keyframes will be; 0 leaves it out"""
    turn_pictures: bool = True
    """`goals` finds how the hand will be turned by turning the picture about its place, where the
    state holds the hand's axes; False: it reads it off what is seen there"""
    right_pictures: bool = True
    """`goals` notices, in video and at an episode's first look, that the camera was knocked or the
    light is another than in the demonstrations, and undoes it"""
    lower_eye: bool = True
    """`goals` learns where things are by where they are seen; False: by where that point which
    moves with the hand is seen, mostly above and behind, that motion shows"""
    act_by_ways: bool = True
    """`goals` acts by shares of the ways to its goals (`robowm.policy.way_head`), where state and
    action are of a hand's place, axes, motion and turn; False: by a plain network"""
    causal_actions: bool = False
    """True: action tokens see only earlier ones, as ViPRA does"""
    action_bins: int = 256
    """words a number, head `autoregressive` (ViPRA 2,047); each is as often in demonstrations"""
    keep_future: bool = False
    """foretell the future frame, too, and act on that (ViPRA's ablation +SP3); head `flow` or
    `autoregressive`"""
    latents: Literal["none", "codes", "continuous"] = "none"
    """foretell latent actions first, as a world model does, and act on these; demonstrations must
    be labelled (`robowm label --labeller`); head `flow` or `autoregressive`"""
    latent: LatentShape = field(default_factory=LatentShape)
    """shape of what is foretold; a world model and labels have their own"""
    latent_dropout: float = 0.5
    """share of samples whose actions do not see the latent ones, so that they can do without"""
    use_state: bool = True
    """give the policy proprioception"""
    shift_px: int = 4
    """training crops are shifted by up to this many pixels"""
    colour_jitter: float = 0.15
    """training brightness and contrast vary by up to this share"""


def choose_head(
    demos: Episodes, policy: PolicyConfig
) -> Literal["goals", "flow", "autoregressive"]:
    """The head that `auto` stands for, or the one asked for.

    Raises:
        UserError: `goals` was asked for, and there is nothing to set them with, or beside
            something else to act on.
    """
    foretells = policy.keep_future or policy.latents != "none"
    if policy.action_head == "goals" and foretells:
        raise UserError(
            "--policy.action-head goals acts on goals alone; expected flow or autoregressive with "
            "--policy.keep-future or --policy.latents."
        )
    has_state = policy.use_state and "observation.state" in demos.features
    possible = has_state and 0 < policy.subgoals <= policy.backbone.points
    if policy.action_head == "goals" and not possible:
        raise UserError(
            "--policy.action-head goals needs proprioception, subgoals and as many points; got "
            f"{'proprioception' if has_state else 'no proprioception'}, {policy.subgoals} subgoals "
            f"and {policy.backbone.points} points. Take --policy.action-head auto."
        )
    if policy.action_head == "auto":
        arm = possible and place_columns(column_names(demos, "observation.state"))
        gripper = re.search(GRIPPER, column_names(demos, "action")[-1].lower())
        return "goals" if arm and gripper and not foretells else "flow"
    return policy.action_head


def build_policy(demos: Episodes, config: PolicyConfig) -> "VipraPolicy":
    """An untrained policy whose inputs and outputs are the dataset's."""
    from lerobot.utils.feature_utils import dataset_to_policy_features

    from robowm.policy.configuration_vipra import VipraConfig
    from robowm.policy.modeling_vipra import VipraPolicy

    camera = demos.camera()
    use_state = config.use_state and "observation.state" in demos.features
    head = choose_head(demos, config)
    steps = config.n_action_steps or steps_between_looks(head, config.chunk_size, demos.fps)
    names = column_names(demos, "observation.state") if use_state else None
    wanted = {camera, "action", *(["observation.state"] if config.use_state else [])}
    features = dataset_to_policy_features({k: f for k, f in demos.features.items() if k in wanted})
    b = config.backbone
    return VipraPolicy(
        VipraConfig(
            device="cuda" if torch.cuda.is_available() else "cpu",
            n_obs_steps=max(b.context_frames, config.state_frames if config.use_state else 1),
            context_frames=b.context_frames,
            action_head=head,
            state_places=list(place_columns(names)),
            state_vectors=directions_of(names),
            turn_pictures=config.turn_pictures,
            right_pictures=config.right_pictures,
            lower_eye=config.lower_eye,
            action_vectors=motion_of(demos) if use_state and config.act_by_ways else [],
            input_features={k: f for k, f in features.items() if k != "action"},
            output_features={"action": features["action"]},
            chunk_size=config.chunk_size,
            n_action_steps=steps,
            control_hz=demos.fps,
            flow_steps=config.flow_steps,
            subgoals=config.subgoals if config.use_state else 0,
            subgoal_weight=config.subgoal_weight,
            place_weight=config.place_weight,
            causal_actions=config.causal_actions,
            action_bins=config.action_bins,
            keep_future=config.keep_future,
            latents=config.latents,
            future_steps=config.latent.ahead,
            latent_horizon=config.latent.horizon,
            latent_tokens=config.latent.tokens,
            latent_codes=config.latent.codes,
            latent_dim=config.latent.dim,
            latent_dropout=config.latent_dropout,
            use_state=use_state,
            size_px=b.size_px,
            grid=b.grid,
            points=b.points,
            channels=b.channels,
            width=b.width,
            depth=b.depth,
            heads=b.heads,
            text_buckets=b.text_buckets,
            pretrained=b.pretrained,
            pretrained_shape=b.pretrained_shape,
            shift_px=config.shift_px,
            colour_jitter=config.colour_jitter,
        )
    )


def motion_of(demos: Episodes) -> list[list[int]]:
    """Columns of an action that are how the hand shall move, and turn; empty where it is told in
    other numbers, or the state does not say where it is and how it is turned."""
    turning = turning_of(demos)
    if turning is None or (len(turning.axes), len(turning.spins)) != (2, 1):
        return []
    place = place_columns(column_names(demos, "observation.state"))
    alone = len(turning.moves) == 1 and turning.places == (place,)
    return [list(turning.moves[0]), list(turning.spins[0])] if alone else []


def know_scale(
    policy: "VipraPolicy",
    state: tuple[np.ndarray, np.ndarray],
    action: dict[str, torch.Tensor],
    actions: np.ndarray,
) -> None:
    """Tell a head that acts by ways what one unit is; to others it is no matter.

    Args:
        policy: the policy.
        state: mean and deviation (S,) by which states are normalised.
        action: `mean` and `std` (A,) by which actions are.
        actions: (N, A), all that was done.
    """
    from robowm.policy.goal_decoder import GoalDecoder
    from robowm.policy.way_head import WayHead

    head = policy.decoder.head if isinstance(policy.decoder, GoalDecoder) else None
    if not isinstance(head, WayHead):
        return
    deviation = action["std"].clamp_min(LEAST_DEVIATION)
    head.know_scale(
        torch.from_numpy(np.stack(state)).float(),
        torch.stack([action["mean"], deviation]),
        torch.from_numpy(actions),
    )


def know_actions(
    policy: "VipraPolicy", action: dict[str, torch.Tensor], actions: np.ndarray
) -> None:
    """Tell a head whose actions are words how these lie; to others it is no matter.

    Args:
        policy: the policy.
        action: `mean` and `std` (A,) by which actions are normalised.
        actions: (N, A), all that was done.
    """
    from robowm.policy.decoder import ActionDecoder
    from robowm.policy.token_head import TokenHead

    decoder = policy.decoder
    if isinstance(decoder, ActionDecoder) and isinstance(decoder.actor, TokenHead):
        deviation = action["std"].clamp_min(LEAST_DEVIATION)
        decoder.actor.know_actions((torch.from_numpy(actions) - action["mean"]) / deviation)


def read_world_model(directory: Path) -> ViPRAConfig:
    """The configuration of a world model directory."""
    return read_config(directory, KIND, ViPRAConfig)


def with_pretrained(config: PolicyConfig, asked: str, model: Path | None) -> PolicyConfig:
    """The configuration with what its frozen encoder's weights say of it (`read_pretrained`).

    Args:
        config: with the backbone of `model`, where there is one.
        asked: the weights that were asked for.
        model: what the policy sets out from.

    Raises:
        UserError: no such weights; or they are asked for, and `model` has none.
    """
    if model is None:
        return replace(config, backbone=read_pretrained(config.backbone, PRETRAINED))
    if asked and not config.backbone.pretrained:
        raise UserError(
            f"{PRETRAINED} {asked}: {model} was trained without pretrained features, and a policy "
            "has the backbone that it sets out from. Pretrain with --model.backbone.pretrained, or "
            "take scratch."
        )
    return config


def carry_over(directory: Path, policy: "VipraPolicy") -> int:
    """Copy the world model's backbone into the policy, and what foretells where the policy does,
    too; returns how many tensors."""
    from robowm.policy.decoder import ActionDecoder

    world = ViPRAWorldModel(read_world_model(directory))
    load_weights(directory, world)
    pairs: list[tuple[nn.Module, nn.Module | None]] = [(world.backbone, policy.decoder.backbone)]
    if isinstance(policy.decoder, ActionDecoder):
        kept = policy.decoder.foresight
        pairs += [(world.future, kept.future), (world.latents, kept.latents)]
    count = 0
    for source, target in pairs:
        if target is not None:
            target.load_state_dict(source.state_dict())
            count += len(source.state_dict())
    return count


def steps_between_looks(head: str, chunk_size: int, control_hz: float) -> int:
    """Actions before the next look, where nothing else is asked for (docs/results.md says why)."""
    if head != "goals":
        return -(-chunk_size // 2)
    return 1 if control_hz <= EVERY_STEP_HZ else min(round(LOOK_S * control_hz), chunk_size)
