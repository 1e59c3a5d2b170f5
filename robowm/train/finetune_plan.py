"""What fine-tuning is asked for, checked before anything is written."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robowm.artefact import directory_sha256, plain
from robowm.episodes import DEFAULT_LABELS, Episodes
from robowm.errors import UserError
from robowm.nn.directory import fingerprint, resolve
from robowm.policy.control_map import ControlMap
from robowm.train.build_policy import PolicyConfig, choose_head, read_world_model, with_pretrained
from robowm.train.demonstrations import check_actions, check_alike, check_video
from robowm.train.foresight import with_latent_shape
from robowm.train.from_latents import read_emitter, shaped_alike
from robowm.train.labels_on_disk import labeller_of
from robowm.train.loop import TrainConfig
from robowm.train.pseudo_labels import decoder_for

if TYPE_CHECKING:
    from robowm.policy.configuration_vipra import VipraConfig

SCRATCH = "scratch"


@dataclass(frozen=True)
class FinetuneConfig:
    """What the policy is and how it is trained."""

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    from_start: float = 0.5
    """share of samples that are among an episode's first tenth, where what is to be grasped must be
    found by its looks; the hand, on its way, gives it away later"""
    practice: int = 512
    """moments a step on which the head `goals` practises, without their pictures"""
    video: tuple[Path, ...] = ()
    """datasets of the same arm, camera and tasks, of which only pictures and instructions are read:
    where the hand goes is seen in them, and teaches the head `goals` what to go for"""
    other_video: tuple[Path, ...] = ()
    """the same, but of other hands, a robot's or a person's: what they take is known by the gap it
    leaves, so it must be carried off, and the camera must stand still"""
    video_share: float = 0.75
    """share of samples that are from video, where there is some"""
    elsewhere_share: float = 0.5
    """share of samples of demonstrations in which what is taken is shown somewhere else, where the
    head is `goals` and it is known in hindsight what that was"""
    hand_steps: int = 900
    """optimiser steps of the network that sees the hand in video"""
    held_out: float = 0.0
    """share of demonstrations kept to measure the loss on; 0 trains on all of them"""
    labels: str = DEFAULT_LABELS
    """label set of the demonstrations to which the map from latent actions to controls is fitted,
    where they have it"""
    decoder: Path | None = None
    """policy directory whose map to controls shall decode what this policy emits: the datasets are
    then views in which `action` is the latent action (`robowm label --as-action`)"""


@dataclass(frozen=True)
class Plan:
    """What is made of what.

    Attributes:
        config: as asked for, with what model and demonstrations settle.
        directory: of the model; None: from scratch.
        emitter: what the model is, where it is a policy that emits latent actions.
        demos, films, others: demonstrations, video of the same hand, video of other hands.
        weights: of pretrained image features as asked for: `config` keeps no place; empty: none.
        decoder: of what the policy emits; None: it emits the robot's actions.
        settings: what tells this policy from any other.
    """

    config: FinetuneConfig
    directory: Path | None
    emitter: "VipraConfig | None"
    demos: list[Episodes]
    films: list[Episodes]
    others: list[Episodes]
    weights: str
    decoder: ControlMap | None
    settings: dict[str, Any]

    @property
    def demonstrated(self) -> int:
        """Frames of demonstrations."""
        return sum(int(some.lengths.sum()) for some in self.demos)


def plan_policy(model: str, paths: Sequence[Path], config: FinetuneConfig) -> Plan:
    """See `robowm.train.finetune.finetune`, which says what is refused."""
    check_shares(config)
    if not paths:
        raise UserError("no dataset was named; expected one or more with demonstrations.")
    demos = [Episodes(path) for path in paths]
    for some in demos:
        check_actions(some)
    check_alike(demos, config.policy.use_state)
    directory = None if model == SCRATCH else resolve(model)
    emitter = None if directory is None else read_emitter(directory)
    policy = settled(config, demos, directory, emitter)
    films, others = (
        [Episodes(path) for path in some] for some in (config.video, config.other_video)
    )
    check_video(demos, films, policy.action_head)
    check_video(demos, others, policy.action_head, "--other-video")
    weights = config.policy.backbone.pretrained
    decoder = None if config.decoder is None else decoder_for(demos, config.decoder)
    config = replace(config, policy=policy)
    settings = {
        "config": plain(config),
        "model": fingerprint(directory) if directory else SCRATCH,
        "datasets": [str(path) for path in paths],
        "frames": [int(some.lengths.sum()) for some in demos],
        "video_frames": [int(some.lengths.sum()) for some in [*films, *others]],
        "labellers": [labeller_of(some, config.labels) for some in demos],
    }
    if config.decoder is not None:
        settings["decoder_sha256"] = directory_sha256(config.decoder)
    return Plan(config, directory, emitter, demos, films, others, weights, decoder, settings)


def check_shares(config: FinetuneConfig) -> None:
    """Raises UserError: a share that is none."""
    if not 0 <= config.from_start <= 1:
        raise UserError(f"--from-start {config.from_start}: expected a share from 0 to 1.")
    for flag, share in (
        ("--video-share", config.video_share),
        ("--elsewhere-share", config.elsewhere_share),
    ):
        if not 0 <= share < 1:
            raise UserError(
                f"{flag} {share}: expected a share from 0 to less than 1; how to act is learnt "
                "from demonstrations as they are."
            )


def settled(
    config: FinetuneConfig,
    demos: list[Episodes],
    directory: Path | None,
    emitter: "VipraConfig | None",
) -> PolicyConfig:
    """The policy's configuration, with its backbone's and latents' shape as the model has them and
    the head that the demonstrations allow."""
    policy, world = config.policy, None
    if emitter is not None:
        policy = shaped_alike(policy, emitter)
    elif directory is not None:
        world = directory, read_world_model(directory)
        policy = replace(policy, backbone=world[1].backbone)
    policy = with_pretrained(policy, config.policy.backbone.pretrained, directory)
    policy = replace(policy, action_head=choose_head(demos[0], policy))
    return with_latent_shape(demos, config.labels, policy, world)
