"""Controllers that need no training: holding still, and a sweep that makes demonstrations."""

from dataclasses import dataclass

import numpy as np

from robowm.batch import Observation


class HoldController:
    """Asks for the position first measured. Zeros would drive a position-controlled arm.

    Asking for the newest measurement instead would let an arm that sags under its own weight
    creep down, a little every tick.
    """

    def __init__(self, in_state: np.ndarray) -> None:
        self.action_dim = len(in_state)
        self._in_state = in_state
        self._held: dict[int, np.ndarray] = {}

    def reset(self, slot: int, seed: int) -> None:
        """Forget the position; the next observation gives a new one."""
        self._held.pop(slot, None)

    def act(self, slots: list[int], observations: list[Observation]) -> np.ndarray:
        """The held positions (N, A)."""
        for slot, seen in zip(slots, observations, strict=True):
            self._held.setdefault(slot, seen.state[self._in_state])
        return np.stack([self._held[slot] for slot in slots]).astype(np.float32)


@dataclass(frozen=True)
class SweepConfig:
    """Which way round, and how fast.

    Attributes:
        poses: three or more corners (A,) of a closed path, joint units. The legs should lie
            apart, so that where the arm stands tells which way it is going.
        speed: unit/s of each joint, at most.
        control_hz: ticks a second.
        jitter: how far a visit may miss its corner, units: no two rounds are the same.
        reached: a corner counts as reached from this far, units.
        turn_s: how quickly a corner is turned; the path is smooth on this scale.
        lead_s: the command stays within this time's travel of the measured position.
    """

    poses: tuple[tuple[float, ...], ...]
    speed: tuple[float, ...]
    control_hz: float
    jitter: float = 3.0
    reached: float = 8.0
    turn_s: float = 0.15
    lead_s: float = 0.25


@dataclass
class _Sweep:
    """One slot: where it is going, and the command's position and velocity."""

    rng: np.random.Generator
    corner: int
    target: np.ndarray
    command: np.ndarray | None = None
    velocity: np.ndarray | float = 0.0


class ScriptedController:
    """Goes round the poses for ever, from one to the next when it has come close."""

    def __init__(self, config: SweepConfig, in_state: np.ndarray) -> None:
        self.config = config
        self.action_dim = len(in_state)
        self._in_state = in_state
        self._poses = np.array(config.poses, np.float64)
        self._speed = np.array(config.speed, np.float64)
        self._sweeps: dict[int, _Sweep] = {}

    def reset(self, slot: int, seed: int) -> None:
        """Choose the first corner and the jitter from `seed`."""
        rng = np.random.default_rng(seed)
        corner = int(rng.integers(len(self._poses)))
        self._sweeps[slot] = _Sweep(rng, corner, self._near(corner, rng))

    def act(self, slots: list[int], observations: list[Observation]) -> np.ndarray:
        """Commands (N, A)."""
        commands = [
            self._next(self._sweeps[slot], seen.state[self._in_state].astype(np.float64))
            for slot, seen in zip(slots, observations, strict=True)
        ]
        return np.stack(commands).astype(np.float32)

    def _next(self, sweep: _Sweep, measured: np.ndarray) -> np.ndarray:
        config = self.config
        if np.abs(sweep.target - measured).max() < config.reached:
            sweep.corner = (sweep.corner + 1) % len(self._poses)
            sweep.target = self._near(sweep.corner, sweep.rng)
        command = measured if sweep.command is None else sweep.command
        way = sweep.target - command
        # All joints arrive together: the one with the longest way sets the time.
        remains_s = max(np.max(np.abs(way) / self._speed), 1 / config.control_hz)
        share = min(1.0, 1 / (config.turn_s * config.control_hz))
        sweep.velocity = sweep.velocity + share * (way / remains_s - sweep.velocity)
        command = command + sweep.velocity / config.control_hz
        lead = self._speed * config.lead_s
        sweep.command = np.clip(command, measured - lead, measured + lead)
        return sweep.command

    def _near(self, corner: int, rng: np.random.Generator) -> np.ndarray:
        return self._poses[corner] + rng.uniform(-1, 1, self.action_dim) * self.config.jitter
