"""The policy as LeRobot holds it: `lerobot-train`, `lerobot-eval` and ours drive the same class."""

from collections import deque
from typing import Any

import kornia.augmentation as augment
import numpy as np
import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import ACTION, OBS_STATE
from torch import Tensor
from torch.nn import functional as F

from robowm.errors import UserError
from robowm.policy.configuration_vipra import VipraConfig
from robowm.policy.decoder import ActionDecoder
from robowm.policy.follow_through import steps_to_execute
from robowm.policy.goal_decoder import GoalDecoder
from robowm.policy.shift import shifted
from robowm.policy.shown import Demonstrated
from robowm.policy.so_far import SoFar
from robowm.world.backbone import load_pretrained, read_pretrained

PRETRAINED = "--policy.pretrained"
SUBGOALS, PLACES, PRACTICE = "observation.subgoals", "observation.places", "practice"
TAKEN, FILMED, RELEASED = "observation.taken", "filmed", "released"
FUTURE, FUTURE_VALID, LATENTS = "observation.future", "future_valid", "latent_actions"


class VipraPolicy(PreTrainedPolicy):
    """Context frames, instruction and state to a chunk of actions."""

    config_class = VipraConfig
    name = "vipra"
    config: VipraConfig

    def __init__(self, config: VipraConfig, **kwargs: Any) -> None:
        super().__init__(config)
        config.validate_features()
        # asked for by `lerobot-train`; what robowm's stages or a saved policy name was read before
        weights = "" if config.pretrained_shape.width else config.pretrained
        if weights:
            found = read_pretrained(config.decoder().backbone, PRETRAINED)
            config.pretrained, config.pretrained_shape = found.pretrained, found.pretrained_shape
        goals, shape = config.action_head == "goals", config.decoder()
        self.decoder: ActionDecoder | GoalDecoder
        self.decoder = GoalDecoder(shape) if goals else ActionDecoder(shape)
        load_pretrained(self.decoder.backbone, weights, PRETRAINED)
        self.augment = augment.AugmentationSequential(
            augment.RandomBrightness((1 - config.colour_jitter, 1 + config.colour_jitter)),
            augment.RandomContrast((1 - config.colour_jitter, 1 + config.colour_jitter)),
            data_keys=["input"],
        )
        self.reset()

    @classmethod
    def from_pretrained(cls, *args: Any, strict: bool = True, **kwargs: Any) -> "VipraPolicy":
        """As in LeRobot, where weights that are missing stay as they were drawn, with a warning."""
        loaded: VipraPolicy = super().from_pretrained(*args, strict=strict, **kwargs)
        return loaded

    def reset(self) -> None:
        """Forget the running episode."""
        self._seen: dict[str, deque[Tensor]] = {}
        self._queue: deque[Tensor] = deque()
        self._so_far: list[SoFar] = []  # B

    def get_optim_params(self) -> list[dict[str, Any]]:
        """All parameters that are trained, one group."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]

    def forward(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, float]]:
        """Training loss.

        Args:
            batch: LeRobot's dictionary after the preprocessor: the camera (B, T, 3, H, W) in
                [0, 1], `observation.state` (B, T, S), `action` (B, H, A), `action_is_pad` (B, H);
                and from robowm's own loop SUBGOALS (B, G, S), normalised like the state, PLACES
                (B, G, 2), PRACTICE, TAKEN (B, S, S), FILMED (B,), RELEASED (B,), FUTURE
                (B, 3, S, S), FUTURE_VALID (B,) and LATENTS, see `Demonstrated`.
        """
        frames, places, taken = self._frames(batch), batch.get(PLACES), batch.get(TAKEN)
        future = batch.get(FUTURE)
        if future is not None:  # moved and lit as the others are
            frames = torch.cat([frames, future[:, None]], dim=1)
        moved = None
        if self.training and self.config.shift_px:
            frames, places, moved, taken = shifted(frames, places, self.config.shift_px, taken)
            time = frames.shape[1]  # every frame of a sample is lit alike
            frames = self.augment(frames.flatten(1, 2)).unflatten(1, (time, 3))
        if future is not None:
            frames, future = frames[:, :-1], frames[:, -1]
        actions = batch[ACTION]
        pad = batch.get("action_is_pad", actions.new_zeros(actions.shape[:2], dtype=torch.bool))
        shown = Demonstrated(
            actions,
            ~pad,
            batch.get(SUBGOALS),
            places,
            moved,
            batch.get(PRACTICE),
            taken,
            batch.get(FILMED),
            batch.get(RELEASED),
            future,
            batch.get(FUTURE_VALID),
            batch.get(LATENTS),
        )
        losses = self.decoder.loss(frames, self._task(batch), self._state(batch), shown)
        weights = {
            "flow_matching": 1.0,
            "action_nats": 1.0,
            "future_l1": self.config.future_weight,
            "code_nats": 1.0,
            "latent_l1": 1.0,
            "action_error": 1.0,
            "subgoal_l1": self.config.subgoal_weight,
            "height_l1": self.config.subgoal_weight,
            "place_nats": self.config.place_weight,
            "heading_nats": self.config.place_weight,
            "outline": self.config.place_weight,
        }
        total = torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
        return total, {name: loss.item() for name, loss in losses.items()}

    @torch.no_grad()
    def predict_action_chunk(self, batch: dict[str, Any], **kwargs: Any) -> Tensor:
        """Normalised actions (B, H, A).

        `noise` (B, H, A) may be given to make it repeatable, and `so_far`, a SoFar of each of the
        B episodes, in which the look is noted.
        """
        so_far: list[SoFar] | None = kwargs.get("so_far")
        frames = self._righted(self._frames(batch), so_far)
        config = self.decoder.config
        noise = kwargs.get("noise")
        if noise is None:
            noise = torch.randn(len(frames), config.horizon, config.action_dim)
        noise = noise.to(frames) * self.config.noise_scale
        state = self._state(batch)
        self._feel(state, so_far)
        state = self._opened(state, so_far)
        seen = frames, self._task(batch), state, noise
        if isinstance(self.decoder, GoalDecoder):
            return self.decoder.sample(*seen, so_far, self.config.remember_goals)
        return self.decoder.sample(*seen)

    @torch.no_grad()
    def foretell(self, batch: dict[str, Any], so_far: list[SoFar] | None = None) -> Tensor:
        """Normalised subgoals (B, G, S) of the head `goals`, as this look alone shows them."""
        assert isinstance(self.decoder, GoalDecoder)
        state = self._opened(self._state(batch), so_far)
        frames = self._righted(self._frames(batch), so_far)
        return self.decoder.foretell(frames, self._task(batch), state, so_far)

    @torch.no_grad()
    def select_action(self, batch: dict[str, Any], **kwargs: Any) -> Tensor:
        """One normalised action (B, A) for LeRobot's own loops; keeps history and chunk itself.

        Raises:
            UserError: pictures of another size than those of its demonstrations.
        """
        self._check_size(batch[self.config.camera])
        keys = [self.config.camera, OBS_STATE] if self.config.use_state else [self.config.camera]
        for key in keys:
            seen = self._seen.setdefault(key, deque(maxlen=self.config.n_obs_steps))
            seen.append(batch[key])
            while len(seen) < self.config.n_obs_steps:
                seen.append(batch[key])
        if not self._queue:
            window = {key: torch.stack(list(self._seen[key]), dim=1) for key in keys}
            if not self._so_far:
                self._so_far = [SoFar() for _ in range(len(batch[self.config.camera]))]
            chunk = self.predict_action_chunk(batch | window, so_far=self._so_far, **kwargs)
            told = [some.told for some in self._so_far]
            count = max(map(self.executed, chunk, told))
            self._queue.extend(chunk.transpose(0, 1)[:count])
        action = self._queue.popleft()
        for some, gripper in zip(self._so_far, action[:, -1].tolist(), strict=True):
            some.tell([gripper], self.config.closes_upwards)
        return action

    def executed(self, chunk: Tensor, told: float | None) -> int:
        """How many actions of a chunk (H, A) to execute, after the gripper was told `told`."""
        if self.config.action_head != "goals":
            return self.config.n_action_steps
        return steps_to_execute(chunk[:, -1], told, self.config.n_action_steps)

    def _check_size(self, picture: Tensor) -> None:
        """LeRobot compares names only, and a picture made larger looks like no demonstration."""
        assert self.config.image_features is not None
        expected = tuple(self.config.image_features[self.config.camera].shape[-2:])
        if tuple(picture.shape[-2:]) != expected:
            (rows, columns), (height, width) = picture.shape[-2:], expected
            raise UserError(
                f"{self.config.camera} has {rows}x{columns} pixels; expected {height}x{width}, as "
                f"in the policy's demonstrations (lerobot-eval: --env.size_px={height})."
            )

    def _frames(self, batch: dict[str, Any]) -> Tensor:
        """(B, T, 3, S, S) at the network's size; LeRobot leaves T out where it is 1."""
        frames = batch[self.config.camera].float()
        frames = frames[:, None] if frames.ndim == 4 else frames
        frames = frames[:, -self.decoder.config.backbone.context_frames :]
        size = self.config.size_px
        if frames.shape[-2:] == (size, size):
            return frames
        small = F.interpolate(frames.flatten(0, 1), (size, size), mode="area")
        return small.unflatten(0, frames.shape[:2])

    def _righted(self, frames: Tensor, so_far: list[SoFar] | None) -> Tensor:
        """Frames (B, T, 3, S, S) as the demonstrations' camera would have seen them; how it stands
        is looked for at an episode's first look."""
        decoder = self.decoder
        if not (self.config.right_pictures and isinstance(decoder, GoalDecoder)):
            return frames
        cameras, righted = decoder.reader.cameras, []
        for number, moments in enumerate(frames.permute(0, 1, 3, 4, 2).cpu().numpy()):
            stands = so_far[number].stands if so_far is not None else None
            if stands is None:
                stands = cameras.standpoint(moments[-1])
            if so_far is not None:
                so_far[number].stands = stands
            righted.append([stands.undo(moment) for moment in moments])
        return torch.from_numpy(np.array(righted)).permute(0, 1, 4, 2, 3).to(frames)

    def _state(self, batch: dict[str, Any]) -> Tensor:
        """(B, T, S), oldest first; of a single one, T times the same."""
        if not self.config.use_state:
            frames = batch[self.config.camera]
            return frames.new_zeros(len(frames), self.config.n_obs_steps, 0)
        state = batch[OBS_STATE]
        if state.ndim == 3:
            return state
        return state[:, None].expand(-1, self.config.n_obs_steps, -1)

    def _feel(self, state: Tensor, so_far: list[SoFar] | None) -> None:
        """Episodes whose gripper holds nothing, by states (B, T, S), notice it."""
        open_, empty = self.config.open_gripper, self.config.empty_gripper
        if so_far is not None and open_ is not None and empty is not None:
            for some, gripper in zip(so_far, state[:, -1, -1].tolist(), strict=True):
                some.feel(gripper, empty, open_, self.config.control_hz)

    def _opened(self, state: Tensor, so_far: list[SoFar] | None) -> Tensor:
        """States (B, T, S) as in training: open is what was not told to shut yet."""
        if so_far is None or self.config.open_gripper is None:
            return state
        state = state.clone()
        open_ = torch.tensor([not some.gripped for some in so_far], device=state.device)
        state[open_, :, -1] = self.config.open_gripper
        return state

    def _task(self, batch: dict[str, Any]) -> list[str]:
        count = len(batch[self.config.camera])
        task = batch.get("task") or [""] * count
        return [task] * count if isinstance(task, str) else list(task)
