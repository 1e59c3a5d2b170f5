"""A LeRobot policy directory as a controller: history, chunks and noise kept for each episode."""

import copy
import json
import sys
from collections import deque
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors import SafetensorError

from robowm.batch import Observation
from robowm.errors import UserError, nearest
from robowm.nn.directory import resolve
from robowm.policy.control_map import DECODER, ControlMap
from robowm.policy.so_far import SoFar


@dataclass
class Slot:
    """One running episode: its noise, what it has seen, the actions still to execute, and what it
    has led to when these are."""

    rng: np.random.Generator
    seen: deque[Observation]
    chunk: deque[np.ndarray] = field(default_factory=deque)
    so_far: SoFar = field(default_factory=SoFar)


class LeRobotController:
    """Runs our policies with their own pre- and postprocessor, all slots in one batch.

    Args:
        policy: a LeRobot policy whose `predict_action_chunk` takes `noise`.
        pre, post: its pipelines.
        decoder: what makes controls of the latent actions that it emits; None: it emits controls.

    Attributes:
        cameras: the names of its image inputs, each with height and width of the demonstrations'
            frames, pixels.
        control_hz: rate of its demonstrations, where its configuration says it.
    """

    def __init__(self, policy: Any, pre: Any, post: Any, decoder: ControlMap | None = None) -> None:
        self.policy, self.pre, self.post, self.decoder = policy, pre, post, decoder
        config = policy.config
        self.config = config
        self.action_dim = int(config.action_feature.shape[0])
        if decoder is not None:
            self.action_dim = len(decoder.axes)
        if config.robot_state_feature is not None:
            self.state_dim = int(config.robot_state_feature.shape[0])
        self.cameras = {name: tuple(f.shape[-2:]) for name, f in config.image_features.items()}
        self.control_hz: float | None = getattr(config, "control_hz", None)
        self.camera = next(iter(self.cameras))
        shape = self.cameras[self.camera]
        # ours shrinks frames as its training did; other policies get the size they declare
        self.size_px = (config.size_px,) * 2 if hasattr(config, "size_px") else tuple(shape)
        self._closes_upwards: bool = getattr(config, "closes_upwards", False)
        self._slots: dict[int, Slot] = {}

    def reset(self, slot: int, seed: int) -> None:
        """A new episode: its noise depends on the seed alone."""
        rng = np.random.default_rng((seed, 0xAC7))
        self._slots[slot] = Slot(rng, deque(maxlen=self.config.n_obs_steps))

    def act(self, slots: list[int], observations: list[Observation]) -> np.ndarray:
        """Actions float32 (N, A) in the robot's units; asks for new chunks where one ran out."""
        for slot, observation in zip(slots, observations, strict=True):
            seen = self._slots[slot].seen
            seen.append(observation)
            while len(seen) < self.config.n_obs_steps:
                seen.append(observation)
        empty = [slot for slot in slots if not self._slots[slot].chunk]
        if empty:
            self._plan([self._slots[slot] for slot in empty])
        return np.stack([self._slots[slot].chunk.popleft() for slot in slots])

    def looks(self, slot: int) -> bool:
        """Only shortly before a new chunk is asked for."""
        context = getattr(self.config, "context_frames", self.config.n_obs_steps)
        return len(self._slots[slot].chunk) < context

    @torch.inference_mode()
    def _plan(self, slots: list[Slot]) -> None:
        shape = (self.config.chunk_size, int(self.config.action_feature.shape[0]))
        noise = np.stack([slot.rng.standard_normal(shape) for slot in slots])
        frames = np.stack([[self._picture(o.frame) for o in slot.seen] for slot in slots])
        states = np.stack([[o.state for o in slot.seen] for slot in slots])
        batch = {
            self.camera: torch.from_numpy(frames).permute(0, 1, 4, 2, 3).float() / 255,
            "observation.state": torch.from_numpy(states).float(),
            "task": [slot.seen[-1].task for slot in slots],
        }
        if self.config.n_obs_steps == 1:
            batch = {k: v[:, 0] if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
        chunks = self.policy.predict_action_chunk(
            self.pre(batch),
            noise=torch.from_numpy(noise).float(),
            so_far=[slot.so_far for slot in slots],
        )
        counts = [
            self.policy.executed(chunk, slot.so_far.told)
            for slot, chunk in zip(slots, chunks, strict=True)
        ]
        actions = self.post(chunks).float().cpu().numpy()
        if self.decoder is not None:
            actions = np.stack([self.decoder.decode(chunk)[0] for chunk in actions])
        for slot, chunk, plan, count in zip(slots, actions, chunks, counts, strict=True):
            slot.chunk.extend(chunk[:count])
            slot.so_far.tell(plan[:count, -1].tolist(), self._closes_upwards)

    def _picture(self, frame: np.ndarray) -> np.ndarray:
        if frame.shape[:2] == self.size_px:
            return frame
        height, width = self.size_px
        return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)


class StockController(LeRobotController):
    """Runs any LeRobot policy by its `select_action`, a slot at a time.

    Such a policy keeps its history and chunk itself, in attributes that `reset` makes anew: every
    slot has a shallow copy, which shares the weights.
    """

    def __init__(self, policy: Any, pre: Any, post: Any) -> None:
        super().__init__(policy, pre, post)
        self._episodes: dict[int, tuple[Any, np.random.Generator]] = {}

    def reset(self, slot: int, seed: int) -> None:
        """A new episode: a copy of the policy that has seen nothing."""
        policy = copy.copy(self.policy)
        policy.reset()
        self._episodes[slot] = (policy, np.random.default_rng((seed, 0xAC7)))

    @torch.no_grad()
    def act(self, slots: list[int], observations: list[Observation]) -> np.ndarray:
        """Actions float32 (N, A) in the robot's units."""
        return np.stack([self._act(s, o) for s, o in zip(slots, observations, strict=True)])

    def looks(self, slot: int) -> bool:
        """Always: what it keeps is its own affair."""
        return True

    def _act(self, slot: int, observation: Observation) -> np.ndarray:
        policy, rng = self._episodes[slot]
        frame = torch.from_numpy(self._picture(observation.frame))
        batch = {
            self.camera: frame.permute(2, 0, 1)[None].float() / 255,
            "observation.state": torch.from_numpy(observation.state)[None].float(),
            "task": [observation.task],
        }
        with torch.random.fork_rng():  # its noise depends on the episode's seed alone
            torch.manual_seed(int(rng.integers(2**31)))
            action = policy.select_action(self.pre(batch))
        answer: np.ndarray = self.post(action)[0].float().cpu().numpy()
        return answer


def load_controller(name_or_path: str | Path) -> LeRobotController:
    """A policy directory (or Hub id) ready to act.

    Raises:
        UserError: no such directory, not a LeRobot policy, or weights or statistics are missing.
    """
    directory = resolve(name_or_path)
    try:
        kind = json.loads((directory / "config.json").read_text()).get("type")
    except (OSError, ValueError):
        kind = None
    if not kind:
        raise UserError(
            f"{name_or_path} is not a policy: no config.json with a type in it; "
            "expected a LeRobot policy directory."
        )
    from lerobot.configs import PreTrainedConfig
    from lerobot.policies.factory import get_policy_class, make_pre_post_processors
    from lerobot.processor.pipeline import ProcessorMigrationError

    import robowm.policy.modeling_vipra  # noqa: F401  registers the type "vipra"

    kinds = PreTrainedConfig.get_known_choices()
    if kind not in kinds:
        raise UserError(
            f"{name_or_path} is a policy of the type {kind!r}, which is not registered with "
            f"LeRobot here. {nearest(kind, kinds)}"
        )
    config = PreTrainedConfig.from_pretrained(directory)
    try:
        with redirect_stdout(sys.stderr):  # LeRobot prints there; ours is for results
            policy = get_policy_class(kind).from_pretrained(directory, config=config)
    except (OSError, RuntimeError, ImportError, SafetensorError) as error:
        why = " ".join(str(error).split())[:300]
        raise UserError(
            f"{name_or_path} cannot be loaded as a policy of the type {kind!r}: {why}. Expected "
            "whole weights of this version in model.safetensors."
        ) from error
    try:
        pre, post = make_pre_post_processors(config, pretrained_path=str(directory))
    except (OSError, ValueError, ProcessorMigrationError) as error:
        raise UserError(
            f"{name_or_path} has no processors ({error}); expected policy_preprocessor.json, "
            "policy_postprocessor.json and their statistics beside the weights."
        ) from error
    _check_statistics(name_or_path, pre, post)
    if kind != "vipra":
        return StockController(policy.eval(), pre, post)
    decodes = (directory / DECODER).is_dir()
    decoder = ControlMap.load(directory / DECODER) if decodes else None
    return LeRobotController(policy.eval(), pre, post, decoder)


def _check_statistics(name: str | Path, *pipelines: Any) -> None:
    """LeRobot passes a feature without statistics through as it is; refuse that."""
    from lerobot.configs import NormalizationMode

    for step in (step for pipeline in pipelines for step in pipeline.steps):
        if not hasattr(step, "norm_map"):
            continue
        outputs = type(step).__name__.startswith("Unnormalizer")
        for key, feature in step.features.items():
            mode = step.norm_map.get(feature.type, NormalizationMode.IDENTITY)
            if mode is NormalizationMode.IDENTITY or (key == "action") != outputs:
                continue
            if not step._tensor_stats.get(key):
                raise UserError(
                    f"{name} has no statistics for {key}; expected those of its demonstrations in "
                    "policy_preprocessor_step_*.safetensors and policy_postprocessor_step_*."
                )
