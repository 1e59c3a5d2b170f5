"""LeRobot's view of the policy's configuration (module and class names are load-bearing there)."""

from dataclasses import dataclass, field
from typing import Literal

from lerobot.configs import FeatureType, NormalizationMode, PreTrainedConfig
from lerobot.optim import AdamWConfig

from robowm.errors import nearest
from robowm.nn.dinov2 import EncoderShape
from robowm.policy.shown import DecoderConfig, LatentShape
from robowm.world.backbone import BackboneConfig

HEADS = ("flow", "autoregressive", "goals")
LATENTS = ("none", "codes", "continuous")


@PreTrainedConfig.register_subclass("vipra")
@dataclass
class VipraConfig(PreTrainedConfig):
    """The chunk policy, with either head. Times are in control steps."""

    n_obs_steps: int = 2
    """T, moments of proprioception"""
    context_frames: int = 2
    """frames that are looked at, the last of these moments"""
    action_head: str = "flow"
    """flow: flow matching beside what is seen (ViPRA-FM). autoregressive: actions as words, one
    number after the other (ViPRA-AR). goals: what is seen tells where the hand
    will be at the next keyframes, and these and proprioception alone what to do (needs both)"""
    state_places: list[int] = field(default_factory=list)
    """columns of the state that are the hand's place (x, y, z), where it has one"""
    state_vectors: list[list[int]] = field(default_factory=list)
    """columns of every other vector in it, such as the hand's axes: with them `goals` finds how
    the hand will be turned by turning the picture; empty: it reads it off the point"""
    turn_pictures: bool = True
    """False: such vectors are known, and no picture is turned"""
    action_vectors: list[list[int]] = field(default_factory=list)
    """columns of an action that are how the hand shall move, and turn, in the frame of its place:
    with them `goals` acts by shares of the ways to its goals; empty: by a plain network"""
    closes_upwards: bool = False
    """more of an action's last number, the gripper's, means shut"""
    open_gripper: float | None = None
    """the state's last number, the gripper's, normalised, as `goals` takes it to be until it has
    told it to shut: some set out half open, as wide as when they hold something; None: as it is"""
    empty_gripper: float | None = None
    """that number, normalised, beyond which a gripper, shutting, holds nothing: then `goals` takes
    it for open and tries again; None: not known"""
    chunk_size: int = 8
    """H, actions predicted at once"""
    n_action_steps: int = 4
    """how many of them are executed before the next chunk is asked for; with goals all of them
    where the gripper is to be told something else"""
    control_hz: float = 10.0
    """rate of the demonstrations; the harness should run at it"""
    flow_steps: int = 10
    noise_scale: float = 1.0
    """standard deviation of the noise that a chunk is made from: 1 draws among what was
    demonstrated (ViPRA), less keeps nearer to its middle, 0 always takes the same; flow only"""
    subgoals: int = 2
    """keyframes (gripper changes, the end) whose proprioception is foretold; 0: none"""
    remember_goals: bool = True
    """go for the median of where the last looks saw the goals since the gripper was told something
    else, not for where the very last one does: for things that lie still; `goals` only"""
    right_pictures: bool = True
    """look at first whether the camera was knocked, or the light is another, since the
    demonstrations, and undo it; `goals` only, with a camera that stands still"""
    lower_eye: bool = True
    """learn where things are by where they are seen, not by where that point which moves with the
    hand is seen, mostly above and behind, that motion shows; `goals` only"""
    subgoal_weight: float = 1.0
    """weight of the subgoals' L1 beside the flow-matching loss, where they are known"""
    place_weight: float = 0.3
    """weight of the cross-entropy of where in the picture the keyframes will be, where known"""
    causal_actions: bool = False
    action_bins: int = 256
    """words a number, autoregressive only (ViPRA 2,047)"""
    keep_future: bool = False
    """foretell the frame `future_steps` ahead, too, and act on that (ViPRA's ablation
    +SP3); not with goals"""
    future_steps: int = 8
    future_weight: float = 4.0
    """weight of its L1 beside the actions' loss"""
    latents: Literal["none", "codes", "continuous"] = "none"
    """foretell latent actions first, and act on these; not with goals"""
    latent_horizon: int = 8
    latent_tokens: int = 4
    latent_codes: int = 8
    latent_dim: int = 32
    latent_dropout: float = 0.5
    """share of training samples whose actions do not see latent ones"""
    use_state: bool = True
    size_px: int = 64
    grid: int = 4
    points: int = 16
    channels: int = 32
    width: int = 128
    depth: int = 4
    heads: int = 4
    text_buckets: int = 512
    pretrained: str = ""
    """weights of a frozen image encoder whose features are also seen, a directory, Hub id or the
    word random; of a saved policy, which holds them, where they came from; empty: none"""
    pretrained_shape: EncoderShape = field(default_factory=EncoderShape)
    """the encoder's size, which is read off its weights"""
    shift_px: int = 4
    """training crops are shifted by up to this many pixels"""
    colour_jitter: float = 0.15
    """training brightness and contrast vary by up to this share"""
    push_to_hub: bool = False
    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: {
            "VISUAL": NormalizationMode.IDENTITY,
            "STATE": NormalizationMode.MEAN_STD,
            "ACTION": NormalizationMode.MEAN_STD,
        }
    )

    @property
    def camera(self) -> str:
        """The image input; the policy looks through the first camera it was given."""
        return next(iter(self.image_features))

    def decoder(self) -> DecoderConfig:
        """The network that this configuration describes."""
        assert self.action_feature is not None
        state = self.robot_state_feature if self.use_state else None
        backbone = BackboneConfig(
            size_px=self.size_px,
            context_frames=min(self.context_frames, self.n_obs_steps),
            grid=self.grid,
            points=self.points,
            channels=self.channels,
            width=self.width,
            depth=self.depth,
            heads=self.heads,
            text_buckets=self.text_buckets,
            pretrained=self.pretrained,
            pretrained_shape=self.pretrained_shape,
        )
        return DecoderConfig(
            backbone=backbone,
            state_dim=state.shape[0] if state else 0,
            state_frames=self.n_obs_steps,
            state_places=tuple(self.state_places),
            state_vectors=tuple((x, y, z) for x, y, z in self.state_vectors),
            turn_pictures=self.turn_pictures,
            action_vectors=tuple((x, y, z) for x, y, z in self.action_vectors),
            action_dim=self.action_feature.shape[0],
            horizon=self.chunk_size,
            subgoals=self.subgoals,
            flow_steps=self.flow_steps,
            causal_actions=self.causal_actions,
            autoregressive=self.action_head == "autoregressive",
            action_bins=self.action_bins,
            keep_future=self.keep_future,
            latents=self.latents,
            latent=LatentShape(
                self.future_steps,
                self.latent_horizon,
                self.latent_tokens,
                self.latent_codes,
                self.latent_dim,
            ),
            latent_dropout=self.latent_dropout,
        )

    def validate_features(self) -> None:
        """Raise ValueError unless there is a camera, an action and a head of that name."""
        if self.action_head not in HEADS:
            raise ValueError(
                f"action_head {self.action_head!r}: {nearest(self.action_head, HEADS)}"
            )
        if self.latents not in LATENTS:
            raise ValueError(f"latents {self.latents!r}: {nearest(self.latents, LATENTS)}")
        if self.action_head == "goals" and (self.keep_future or self.latents != "none"):
            raise ValueError(
                "keep_future and latents: the head 'goals' acts on goals alone; expected "
                "action_head 'flow' or 'autoregressive' with them"
            )
        if not self.image_features or self.action_feature is None:
            inputs, outputs = list(self.input_features or {}), list(self.output_features or {})
            raise ValueError(
                f"got inputs {inputs} and outputs {outputs}; expected at least one "
                "observation.images.* input and the output action"
            )
        assert all(f.type is FeatureType.VISUAL for f in self.image_features.values())

    @property
    def observation_delta_indices(self) -> list[int]:
        """Context frames, oldest first."""
        return list(range(1 - self.n_obs_steps, 1))

    @property
    def action_delta_indices(self) -> list[int]:
        """The chunk begins with the present step."""
        return list(range(self.chunk_size))

    @property
    def reward_delta_indices(self) -> None:
        """Imitation needs no reward."""
        return None

    def get_optimizer_preset(self) -> AdamWConfig:
        """What `lerobot-train` uses when nothing else is said."""
        return AdamWConfig(lr=1e-3, weight_decay=0.01, grad_clip_norm=1.0)

    def get_scheduler_preset(self) -> None:
        """None: a constant rate under `lerobot-train`; robowm's own loop has a cosine."""
        return None
