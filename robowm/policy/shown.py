"""What an action decoder is, and what it is shown in training."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from robowm.world.backbone import BackboneConfig


@dataclass(frozen=True)
class LatentShape:
    """Shape of the latent actions that a policy foretells: the world model's, or the labels'."""

    ahead: int = 8
    """steps to the future frame"""
    horizon: int = 8
    """H, latent actions that are foretold"""
    tokens: int = 4
    """K, codes a latent action"""
    codes: int = 8
    """size of the codebook"""
    dim: int = 32
    """D, numbers of a latent action"""


@dataclass(frozen=True)
class DecoderConfig:
    """Shape of an action decoder."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    state_dim: int = 8
    """S, numbers of proprioception; 0 leaves it out (ViPRA's headline model)"""
    state_frames: int = 2
    """T, moments of proprioception, the present one the last"""
    state_places: tuple[int, ...] = ()
    """columns of the state that are the hand's place; used by the head that acts on goals"""
    state_vectors: tuple[tuple[int, int, int], ...] = ()
    """columns of every other vector in it, such as the hand's axes; likewise"""
    turn_pictures: bool = True
    """with these, how the hand will be turned is found by turning the picture"""
    action_vectors: tuple[tuple[int, int, int], ...] = ()
    """columns of an action that are how the hand shall move, and turn; with two of the hand's axes
    in the state that head acts by shares of the ways to its goals. Empty: by a plain network"""
    action_dim: int = 7
    """A, numbers of one action"""
    horizon: int = 8
    """H, actions in a chunk (ViPRA 14)"""
    subgoals: int = 2
    """G, keyframes whose proprioception is foretold; 0 leaves them out (ViPRA)"""
    flow_steps: int = 10
    """Euler steps per chunk"""
    causal_actions: bool = False
    """True: action tokens see only earlier ones, as ViPRA does; False: all, as π0 does"""
    autoregressive: bool = False
    """actions as words, one after the other (ViPRA-AR), not by flow matching"""
    action_bins: int = 256
    """words a number, where actions are words (ViPRA 2,047)"""
    keep_future: bool = False
    """foretell the future frame, too, and act on that (ViPRA's ablation +SP3)"""
    latents: Literal["none", "codes", "continuous"] = "none"
    """foretell latent actions, too, and act on these"""
    latent: LatentShape = field(default_factory=LatentShape)
    """their shape"""
    latent_dropout: float = 0.5
    """share of training samples whose actions do not see them"""


@dataclass(frozen=True)
class Practice:
    """Moments of demonstrations without their pictures, in normalised units.

    Attributes:
        state: float32 (N, T, S), oldest first.
        subgoals: float32 (N, G, S), proprioception at the next keyframes.
        actions: float32 (N, H, A).
        valid: bool (N, H), False after an episode's end.
        told: float32 (N, G, S), these subgoals as they were demonstrated; None: not known.
        asked: int64 (N,), which of `tasks` was asked for.
        tasks: instructions.
        done: float32 (N,), 1 where something was let go and nothing will be taken, else 0.
    """

    state: Tensor
    subgoals: Tensor
    actions: Tensor
    valid: Tensor
    told: Tensor | None = None
    asked: Tensor | None = None
    tasks: Sequence[str] = ()
    done: Tensor | None = None


@dataclass(frozen=True)
class Demonstrated:
    """What a decoder is shown of B moments; all in normalised units.

    Attributes:
        actions: float32 (B, H, A).
        valid: bool (B, H), False after an episode's end.
        subgoals: float32 (B, G, S), proprioception at the next keyframes; None: not known.
        places: float32 (B, G, 2), where the hand will be seen then, (x, y) from -1 to 1, NaN where
            that is not known; None: not known anywhere, and what is read off them teaches them.
        moved: float32 (B, 2), by how much the pictures were moved, in the units of places; None:
            they were not. The arm was not moved with them.
        practice: further moments for a head that needs no picture.
        taken: float32 (B, S, S), outlines of what will be taken at the next keyframe, 0 or 1, NaN
            where not known; None: not known anywhere.
        released: float32 (B,), 1 where the hand has let something go in this episode, else 0;
            None: nowhere.
        filmed: bool (B,), samples of video, which show where to and what for, and no more; None:
            there are none.
        future: float32 (B, 3, S, S) in [0, 1], the frame some steps ahead, moved as the pictures
            are; None: not known.
        future_valid: bool (B,), False after an episode's end.
        latents: latent actions from now on, int64 codes (B, H, K), -1 where not known, or float32
            (B, H, D), NaN where not known; None: not known anywhere.
    """

    actions: Tensor
    valid: Tensor
    subgoals: Tensor | None = None
    places: Tensor | None = None
    moved: Tensor | None = None
    practice: Practice | None = None
    taken: Tensor | None = None
    filmed: Tensor | None = None
    released: Tensor | None = None
    future: Tensor | None = None
    future_valid: Tensor | None = None
    latents: Tensor | None = None
