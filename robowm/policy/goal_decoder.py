"""The action decoder that goes by goals: the picture gives the goals, the goals give the actions.

Two networks that share nothing but the goals between them. The first looks for where the hand will
be seen at the next keyframes and reads off how it will be there; the second acts
(`robowm.policy.way_head`, or where the robot's numbers allow no such thing
`robowm.policy.goal_head`). Neither can make up for the other by learning an episode by heart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robowm.nn.points import Found, map_loss, near_the_mode
from robowm.policy.goal_head import GoalHead
from robowm.policy.goal_reader import GoalReader
from robowm.policy.shown import DecoderConfig, Demonstrated, Practice
from robowm.policy.so_far import SoFar, remember
from robowm.policy.taken import TakenFinder, outline_loss
from robowm.policy.way_head import WayHead
from robowm.world.backbone import Backbone


class GoalDecoder(nn.Module):
    """Goals and actions, their losses and what is done. All in normalised units.

    Raises:
        ValueError: no proprioception, no subgoals, or fewer points than these.
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        if not config.state_dim or not 0 < config.subgoals <= config.backbone.points:
            raise ValueError(
                f"a head that acts on goals: got {config.state_dim} numbers of proprioception, "
                f"{config.subgoals} subgoals and {config.backbone.points} points; expected some "
                "of each, and no more subgoals than points"
            )
        self.config = config
        width = config.backbone.width
        self.backbone = Backbone(config.backbone)
        # what is to be done next shows in the gripper, by convention the last number of a state
        self.gripper_in = nn.Linear(config.state_frames, width)
        nn.init.zeros_(self.gripper_in.weight)
        nn.init.zeros_(self.gripper_in.bias)
        self.taken = TakenFinder(config.backbone.channels, width)
        self.reader = GoalReader(
            width,
            config.state_dim,
            config.state_frames,
            config.subgoals,
            config.state_places,
            config.state_vectors if config.turn_pictures else (),
        )
        numbers = config.state_dim, config.state_frames, config.subgoals
        chunk = config.horizon, config.action_dim
        self.head: GoalHead | WayHead = (
            WayHead(
                *numbers, chunk, config.state_places, config.state_vectors, config.action_vectors
            )
            if config.action_vectors
            else GoalHead(*numbers, chunk, config.state_places)
        )

    def loss(
        self, frames: Tensor, task: list[str], state: Tensor, shown: Demonstrated
    ) -> dict[str, Tensor]:
        """The losses, by name.

        `action_error` of valid actions, of the practice where there is some, and then `height_l1`,
        of heights that need no picture; where they are shown, `subgoal_l1`, `heading_nats`,
        cross-entropy of how the hand will be turned there, `place_nats`, cross-entropy of the first
        G points' maps, and `outline`, of what will be taken. Of samples of video only the last two:
        what is read off a film is the hand's place.

        Args:
            frames: float32 (B, T, 3, S, S) in [0, 1].
            task: B instructions.
            state: float32 (B, T, state_dim), oldest first.
            shown: what was done.
        """
        seen = self._look(frames, task, state, shown.moved, shown.released)
        own = slice(None) if shown.filmed is None else ~shown.filmed
        taught, known, p = shown.places is not None, shown.subgoals, shown.practice
        known = None if known is None else known[own]
        subgoals, heading_nats = self._read(seen, state, own, taught, known)
        if p is not None:
            losses = {"action_error": self._error(p.state, p.subgoals, p.actions, p.valid)}
            losses |= self._height(p)
        else:
            goals = subgoals if known is None else known
            done = shown.actions[own], shown.valid[own]
            losses = {"action_error": self._error(state[own], goals, *done)}
        if known is not None:
            losses["subgoal_l1"] = (subgoals - known).abs().mean()
        if heading_nats is not None:
            losses["heading_nats"] = heading_nats
        if shown.places is not None:
            count = self.config.subgoals
            losses["place_nats"] = map_loss(seen.found.logits[:, :count], shown.places[:, :count])
        if shown.taken is not None:
            losses["outline"] = outline_loss(seen.outline, shown.taken)
        return losses

    @torch.no_grad()
    def sample(
        self,
        frames: Tensor,
        task: list[str],
        state: Tensor,
        noise: Tensor | None = None,
        so_far: Sequence[SoFar] | None = None,
        remembers: bool = True,
    ) -> Tensor:
        """Action chunks (B, H, A); nothing is drawn, `noise` is not used. Without `so_far` of the B
        episodes nothing is remembered, nor unless it `remembers`."""
        goals = self.foretell(frames, task, state, so_far)
        if remembers and so_far is not None and self.config.state_places:
            goals = remember(goals, self.config.state_places, so_far)
        chunk: Tensor = self.head(state, goals)
        return chunk

    @torch.no_grad()
    def foretell(
        self,
        frames: Tensor,
        task: list[str],
        state: Tensor,
        so_far: Sequence[SoFar] | None = None,
    ) -> Tensor:
        """The subgoals (B, G, state_dim), as this look alone shows them."""
        released = None
        if so_far is not None:
            released = torch.tensor([float(some.released) for some in so_far], device=state.device)
        seen = self._look(frames, task, state, None, released)
        return self._read(seen, state, slice(None), taught=False)[0]

    def _error(self, state: Tensor, goals: Tensor, actions: Tensor, valid: Tensor) -> Tensor:
        error = self.head.error(self.head(state, goals), actions) * valid
        mean: Tensor = error.sum() / valid.sum().clamp_min(1)
        return mean

    def _height(self, p: Practice) -> dict[str, Tensor]:
        """How wrong the heights are that are told without a picture; empty where they are not."""
        if p.told is None or p.asked is None or p.done is None or not self.reader.cameras.known:
            return {}
        words = self.backbone.words([*p.tasks]).detach()[p.asked]
        height = self.reader.places[2]
        off = self.reader.blind(words, p.state[..., -1], p.done) - p.told
        return {"height_l1": off[..., height].abs().mean()}

    def _look(
        self,
        frames: Tensor,
        task: list[str],
        state: Tensor,
        moved: Tensor | None,
        released: Tensor | None,
    ) -> "_Looked":
        asked = self.gripper_in(state[..., -1])
        seen = self.backbone(frames, task, asked)
        assert seen.points is not None
        outline = self.taken(seen.fine, frames[:, -1], seen.words + asked)
        return _Looked(seen.points, seen.words, outline, frames[:, -1], moved, released)

    def _read(
        self,
        seen: "_Looked",
        state: Tensor,
        own: slice | Tensor,
        taught: bool,
        known: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Goals of the samples `own`; places that are taught by themselves take no gradient from
        what is read off them, which would have them learn the demonstrations by heart."""
        count = self.config.subgoals
        at = seen.found.places[own, :count]
        if self.reader.cameras.known:  # then places are taught, and a map has one peak
            at = near_the_mode(seen.found.logits[own, :count])
        at = at.detach() if taught else at
        moved = None if seen.moved is None else seen.moved[own]
        if moved is not None:
            at = at - moved[:, None]  # back to where it would be, had the picture not been moved
        outline = seen.outline[own, None].sigmoid().detach()
        picture = torch.cat([seen.picture[own], outline], dim=1), moved
        what, words = seen.found.what[own, :count], seen.words[own]
        released = None if seen.released is None else seen.released[own]
        goals: tuple[Tensor, Tensor | None] = self.reader(
            at, what, words, state[own], picture, known, released
        )
        return goals


@dataclass(frozen=True)
class _Looked:
    """What is seen of B samples.

    Attributes:
        found: points.
        words: (B, D), the instruction.
        outline: (B, S, S), logits, of what will be taken.
        picture: (B, 3, S, S), moved by `moved`; that and `released` as in `Demonstrated`.
    """

    found: Found
    words: Tensor
    outline: Tensor
    picture: Tensor
    moved: Tensor | None
    released: Tensor | None
