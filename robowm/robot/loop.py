"""The fixed-rate loop: read, ask the controller, check, send, by absolute deadlines.

Tick k is due at start + k / control_hz, so lateness never adds up to drift. A deadline that is
more than half a period past is missed and skipped, never caught up: two commands in quick
succession would be twice the speed. The controller runs inside the loop. While it thinks, the
arm holds its last command by itself; what it then answers is refused if the observation behind
it has become too old.
"""

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from robowm.policy.controller import Controller
from robowm.robot.arm import Arm, Reading
from robowm.robot.gate import CommandGate, GateCode, GateResult

SLOT = 0
COMPLETED, INTERRUPTED = "completed", "interrupted"


class Clock(Protocol):
    """Monotonic seconds; tests hand in one that does not wait."""

    def now_s(self) -> float:
        """Seconds since any fixed moment."""

    def sleep_until(self, deadline_s: float) -> None:
        """Return at `deadline_s`, or at once when it is past."""


class WallClock:
    """The machine's own monotonic clock."""

    def now_s(self) -> float:
        """Seconds."""
        return time.perf_counter()

    def sleep_until(self, deadline_s: float) -> None:
        """Sleep what remains."""
        time.sleep(max(0.0, deadline_s - self.now_s()))


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast.

    Attributes:
        control_hz: ticks a second.
        ticks: how many, those missed included.
        max_age_s: a command from an observation older than this is refused.
        dry_run: everything is done but the sending.
        task: the instruction given to the controller.
    """

    control_hz: float
    ticks: int
    max_age_s: float = 0.25
    dry_run: bool = False
    task: str = ""


@dataclass(frozen=True)
class Tick:
    """What happened in one tick.

    Attributes:
        reading: what was observed; repeated from before when the arm could not be read.
        requested: what the controller asked for, unchecked; None when it was not asked.
        result: the gate's verdict.
        sent: float64 (A,), what the robot says it sent; in a dry run the position held.
        lateness_s: how long after its deadline the tick began.
    """

    reading: Reading
    requested: object
    result: GateResult
    sent: np.ndarray
    lateness_s: float


@dataclass
class LoopStats:
    """How well the rate was kept.

    Attributes:
        began_s: when each tick began.
        lateness_s: how long after its deadline.
        work_s: from a tick's beginning to its command sent.
        missed: deadlines skipped.
        stopped: COMPLETED, INTERRUPTED, or what the fault or the error was.
        error: the exception that ended the run, for the caller to raise when the log is safe.
    """

    began_s: list[float] = field(default_factory=list)
    lateness_s: list[float] = field(default_factory=list)
    work_s: list[float] = field(default_factory=list)
    missed: int = 0
    stopped: str = COMPLETED
    error: Exception | None = None


def run_loop(
    arm: Arm,
    controller: Controller,
    gate: CommandGate,
    config: LoopConfig,
    clock: Clock,
    record: Callable[[Tick], None],
) -> LoopStats:
    """Drive a connected arm; however this ends, the last command is sent once more, held.

    `controller` must have been reset. Ctrl-C, a latched fault and an exception end the run and
    are told in `LoopStats.stopped`.

    Raises:
        UserError: the arm stands outside its limits.
    """
    stats = LoopStats()
    reading = arm.read()
    held = gate.begin(reading.measured)
    period_s, start_s, tick = 1.0 / config.control_hz, clock.now_s(), 0
    with _no_collector_pauses():
        try:
            while tick < config.ticks and not gate.fault:
                due_s = start_s + tick * period_s
                clock.sleep_until(due_s)
                began_s = clock.now_s()
                reading, requested, result = _decide(arm, controller, gate, config, clock, reading)
                sent = held if config.dry_run else arm.send(result.sent)
                done_s = clock.now_s()
                record(Tick(reading, requested, result, sent, began_s - due_s))
                stats.began_s.append(began_s)
                stats.lateness_s.append(began_s - due_s)
                stats.work_s.append(done_s - began_s)
                following = max(tick + 1, math.ceil((done_s - start_s) / period_s - 0.5))
                stats.missed += min(following, config.ticks) - (tick + 1)
                tick = following
            if gate.fault:
                stats.stopped = f"fault: {gate.fault}"
        except KeyboardInterrupt:
            stats.stopped = INTERRUPTED
        except Exception as error:
            stats.stopped, stats.error = f"error: {error!r}", error
        finally:
            if not config.dry_run:
                arm.send(gate.held)
    return stats


def _decide(
    arm: Arm,
    controller: Controller,
    gate: CommandGate,
    config: LoopConfig,
    clock: Clock,
    before: Reading,
) -> tuple[Reading, object, GateResult]:
    try:
        reading = arm.read()
    except OSError:  # a lost packet, a camera that timed out: LeRobot raises kinds of OSError
        return before, None, gate.refuse(GateCode.MEASUREMENT)
    answer = np.asarray(controller.act([SLOT], [reading.observation(config.task)]))
    requested = answer[0] if answer.ndim == 2 and len(answer) == 1 else answer
    if clock.now_s() - reading.capture_time_s > config.max_age_s:
        return reading, requested, gate.refuse(GateCode.STALE, requested)
    return reading, requested, gate.check(requested, reading.measured)


@contextmanager
def _no_collector_pauses() -> Iterator[None]:
    """A full collection with torch loaded takes longer than a tick."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
