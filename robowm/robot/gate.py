"""The command gate: nothing reaches an arm but what passed here.

Pure arithmetic, no clock and no I/O, so what it promises can be tested for any input at all:
once `begin` accepted where the arm stands, every command it returns is finite, lies within the
joints' limits, and differs from the command before it by at most one tick's travel.

    requested ─► shape ─► finite ─► jump ─► lead ─► limits ─► step ─► sent
                   └────────┴────────┴─ refused: the last command is held

This is software. It is no substitute for an emergency stop within reach of a hand.
"""

import math
from collections import Counter
from dataclasses import dataclass
from enum import IntFlag

import numpy as np

from robowm.errors import UserError


class GateCode(IntFlag):
    """Why a command differs from what was asked for; several reasons may hold at once.

    Up to STALE the command was refused and the last one held; POSITION, LEAD and STEP narrowed
    it; FAULT is latched: the gate holds until `begin` is called again.
    """

    CLEAN = 0
    SHAPE = 1
    NONFINITE = 2
    JUMP = 4
    MEASUREMENT = 8
    STALE = 16
    POSITION = 32
    LEAD = 64
    STEP = 128
    FAULT = 256


MEANING = {
    GateCode.SHAPE: "refused, another number of joints",
    GateCode.NONFINITE: "refused, not a finite number",
    GateCode.JUMP: "refused, too far from the command before it",
    GateCode.MEASUREMENT: "refused, the arm's own position is not a finite number",
    GateCode.STALE: "refused, the observation was too old",
    GateCode.POSITION: "narrowed, beyond a joint's limits",
    GateCode.LEAD: "narrowed, too far ahead of the arm",
    GateCode.STEP: "narrowed, faster than a joint may move",
    GateCode.FAULT: "held, after refusals in a row",
}
REFUSALS = (
    GateCode.SHAPE | GateCode.NONFINITE | GateCode.JUMP | GateCode.MEASUREMENT | GateCode.STALE
)


@dataclass(frozen=True)
class Joint:
    """One commanded joint, in the unit its robot uses.

    Attributes:
        name: the robot's feature without its ".pos".
        unit: what `lower`, `upper` and the rest are in, such as "deg".
        lower: smallest position that may ever be commanded.
        upper: largest.
        margin: commands keep this far inside the limits; from closer they may only move inwards.
        max_velocity: unit/s that consecutive commands may ask for.
        max_lead: how far a command may run ahead of the measured position (a blocked arm
            would otherwise leap when freed); infinite where force comes from the lead.
        fault_step: a request further than this from the last command is refused, not followed.
    """

    name: str
    unit: str
    lower: float
    upper: float
    margin: float
    max_velocity: float
    max_lead: float
    fault_step: float


@dataclass(frozen=True)
class GateConfig:
    """Limits of every joint, and when refusals become a fault.

    Attributes:
        joints: A joints, in the order of the command.
        control_hz: ticks a second; a tick's travel is max_velocity / control_hz.
        refusals_to_fault: that many refused commands in a row latch FAULT.
    """

    joints: tuple[Joint, ...]
    control_hz: float
    refusals_to_fault: int = 15


@dataclass(frozen=True)
class GateResult:
    """One verdict.

    Attributes:
        sent: float64 (A,), the command to send.
        code: the reasons, CLEAN when `sent` is what was asked for.
        changed: bool (A,), joints whose command is not the requested one.
    """

    sent: np.ndarray
    code: GateCode
    changed: np.ndarray

    @property
    def refused(self) -> bool:
        """The request was not followed at all: the last command is held."""
        return bool(self.code & (REFUSALS | GateCode.FAULT))


class CommandGate:
    """Checks commands one after another against the arm's limits and the last command sent.

    Attributes:
        max_step: float64 (A,), the most a joint's command changes from one tick to the next.
        counts: how many verdicts carried each code.
        fault: why the gate is latched; empty while it is not.
    """

    def __init__(self, config: GateConfig) -> None:
        self.config = config
        joints = config.joints
        self._lower = np.array([j.lower for j in joints], np.float64)
        self._upper = np.array([j.upper for j in joints], np.float64)
        self._margin = np.array([j.margin for j in joints], np.float64)
        self._max_lead = np.array([j.max_lead for j in joints], np.float64)
        self._fault_step = np.array([j.fault_step for j in joints], np.float64)
        self.max_step = np.array([j.max_velocity for j in joints], np.float64) / config.control_hz
        _check(config)
        self._last: np.ndarray | None = None
        self._refused_in_a_row = 0
        self.counts: Counter[GateCode] = Counter()
        self.fault = ""

    def begin(self, measured: np.ndarray) -> np.ndarray:
        """Start (again) from where the arm stands; clears a latched fault.

        Args:
            measured: (A,) positions.

        Returns:
            float64 (A,), the command that holds the arm: `measured`, moved into the limits.

        Raises:
            UserError: a position is not finite, or outside its limits by more than a tick's travel.
        """
        measured = np.asarray(measured, np.float64)
        for joint, position, slack in zip(self.config.joints, measured, self.max_step, strict=True):
            if not joint.lower - slack <= position <= joint.upper + slack:
                raise UserError(
                    f"joint {joint.name} stands at {position:.1f} {joint.unit}; expected "
                    f"{joint.lower:g} to {joint.upper:g}. Move the arm by hand, then start again."
                )
        self._last = np.clip(measured, self._lower, self._upper)
        self._refused_in_a_row, self.fault = 0, ""
        return self._last.copy()

    def check(self, requested: np.ndarray, measured: np.ndarray) -> GateResult:
        """The command to send for this tick.

        Args:
            requested: (A,) positions asked for; anything at all is survived.
            measured: (A,) positions the arm reports.
        """
        last = self._held()
        if self.fault:
            return self._hold(GateCode.FAULT, requested)
        asked = _vector(requested, len(last))
        if asked is None:
            return self.refuse(GateCode.SHAPE, requested)
        if not np.isfinite(asked).all():
            return self.refuse(GateCode.NONFINITE, asked)
        stands = _vector(measured, len(last))
        if stands is None or not np.isfinite(stands).all():
            return self.refuse(GateCode.MEASUREMENT, asked)
        if (np.abs(asked - last) > self._fault_step).any():
            return self.refuse(GateCode.JUMP, asked)
        self._refused_in_a_row = 0
        return self._narrow(asked, stands, last)

    def refuse(self, code: GateCode, requested: np.ndarray | None = None) -> GateResult:
        """Hold the last command for a reason of the gate's or of the loop's; may latch FAULT."""
        self._refused_in_a_row += 1
        if not self.fault and self._refused_in_a_row >= self.config.refusals_to_fault:
            self.fault = f"{self._refused_in_a_row} commands in a row refused, last: {code.name}"
        return self._hold(code | (GateCode.FAULT if self.fault else GateCode.CLEAN), requested)

    def _narrow(self, requested: np.ndarray, measured: np.ndarray, last: np.ndarray) -> GateResult:
        # Where the last command lies within the margin, it and all that is further in is allowed.
        lower = np.minimum(self._lower + self._margin, last)
        upper = np.maximum(self._upper - self._margin, last)
        led = np.clip(requested, measured - self._max_lead, measured + self._max_lead)
        inside = np.clip(led, lower, upper)
        # `last` is inside, so narrowing towards it cannot leave the limits again.
        sent = np.clip(inside, last - self.max_step, last + self.max_step)
        reasons = {
            GateCode.POSITION: ((requested < lower) | (requested > upper)).any(),
            GateCode.LEAD: (led != requested).any(),
            GateCode.STEP: (sent != inside).any(),
        }
        code = GateCode.CLEAN
        for reason, holds in reasons.items():
            code |= reason if holds else GateCode.CLEAN
        self._last = sent
        self._count(code)
        return GateResult(sent.copy(), code, sent != requested)

    def _hold(self, code: GateCode, requested: np.ndarray | None) -> GateResult:
        last = self._held()
        self._count(code)
        asked = _vector(requested, len(last))
        changed = np.ones(len(last), bool) if asked is None else asked != last
        return GateResult(last.copy(), code, changed)

    @property
    def held(self) -> np.ndarray:
        """float64 (A,), the last command sent: what the arm holds."""
        return self._held().copy()

    def _held(self) -> np.ndarray:
        if self._last is None:
            raise RuntimeError("begin() must accept the arm's position before a command")
        return self._last

    def _count(self, code: GateCode) -> None:
        for reason in code:
            self.counts[reason] += 1


def _vector(values: object, length: int) -> np.ndarray | None:
    """`values` as float64 (length,), or None when they are no such thing."""
    try:
        vector = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        return None
    return vector if vector.shape == (length,) else None


def _check(config: GateConfig) -> None:
    """A profile that could not be kept is the recipe author's mistake, found before the arm."""
    for joint in config.joints:
        positive = (joint.max_velocity, joint.max_lead, joint.fault_step)
        if not all(value > 0 for value in positive) or not math.isfinite(joint.max_velocity):
            raise ValueError(f"{joint.name}: velocity, lead and fault step must be positive")
        if not 0 <= 2 * joint.margin < joint.upper - joint.lower < math.inf:
            raise ValueError(f"{joint.name}: expected lower + margin < upper - margin, all finite")
    if not config.control_hz > 0 or config.refusals_to_fault < 1:
        raise ValueError("control_hz and refusals_to_fault must be positive")
