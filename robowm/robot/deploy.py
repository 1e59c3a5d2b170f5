"""A policy on an arm, and the log of it as a dataset.

Everything that can be found wrong is found before the arm is connected. However the run ends,
the last command is held, then the robot disconnected, then the log written.
"""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robowm.artefact import CARD, Stage, open_stage
from robowm.errors import UserError
from robowm.policy.controller import Controller
from robowm.progress import progress
from robowm.robot.arm import Arm
from robowm.robot.fit import check_run, make_controller
from robowm.robot.gate import CommandGate
from robowm.robot.log import RunLog
from robowm.robot.loop import Clock, LoopConfig, LoopStats, Tick, WallClock, run_loop
from robowm.robot.profile import RobotProfile

if TYPE_CHECKING:
    from lerobot.robots import Robot

KIND = "robot_log"


@dataclass(frozen=True)
class DeployConfig:
    """One run.

    Attributes:
        seconds: how long the arm is driven.
        dry_run: everything is done but the sending.
        seed: of the controller.
        episode_s: the log is cut into episodes of this length.
        task: the instruction given to the policy, and the task of the log.
    """

    seconds: float = 10.0
    dry_run: bool = False
    seed: int = 0
    episode_s: float = 10.0
    task: str = ""


@dataclass(frozen=True)
class DeploySummary:
    """What happened; written into the log's robowm.json as well.

    Attributes:
        robot: its name.
        claim: what this run may be called: an emulated arm, or a real one.
        policy: as given.
        dry_run: nothing was sent.
        stopped: "completed", "interrupted", "fault: ..." or "error: ...".
        control_hz: the rate asked for; rate_hz, the one reached over the whole run.
        ticks: commands decided on; `missed`, deadlines that passed without one.
        period_p50_s: median time between ticks; period_p99_s, the 99th percentile.
        work_p50_s: median time from a tick's beginning to its command sent; work_p99_s likewise.
        lateness_p99_s: how late a tick began, 99th percentile.
        travel: joint to [lowest, highest] measured position, joint units.
        interventions: gate code to how many ticks carried it.
        episodes: in the log.
        already_there: this very run had been made before; the arm did not move.
    """

    robot: str
    claim: str
    policy: str
    dry_run: bool
    stopped: str
    control_hz: float
    rate_hz: float
    ticks: int
    missed: int
    period_p50_s: float
    period_p99_s: float
    work_p50_s: float
    work_p99_s: float
    lateness_p99_s: float
    travel: dict[str, list[float]] = field(default_factory=dict)
    interventions: dict[str, int] = field(default_factory=dict)
    episodes: int = 0
    already_there: bool = False


def deploy(
    policy: str | Path | Controller,
    robot: Robot,
    profile: RobotProfile,
    out: Path,
    config: DeployConfig | None = None,
    clock: Clock | None = None,
) -> DeploySummary:
    """Drive `robot` with `policy`, every command through the gate; write the log to `out`.

    Args:
        policy: a policy directory, "null" (hold still), "scripted" (the profile's sweep), or a
            controller.
        robot: any unconnected LeRobot robot that is commanded by joint positions.
        profile: its rate and limits.
        out: directory of the log, a LeRobotDataset v3. If this very run is there already, the arm
            does not move and its summary is returned.
        clock: monotonic time; the machine's own when None.

    Raises:
        UserError: robot, profile and policy do not fit, `out` holds something else, the arm cannot
            be reached, or it stands outside its limits.
    """
    config, clock = config or DeployConfig(), clock or WallClock()
    name = str(policy) if isinstance(policy, str | Path) else type(policy).__name__
    arm = Arm(robot, clock)
    check_run(arm, profile, config.seconds, config.episode_s)
    controller = make_controller(policy, arm, profile, config.seed)
    stage = open_stage(out, KIND, {"policy": name, "robot": profile.name, "run": config})
    if stage.done:
        return DeploySummary(**stage.card["summary"] | {"already_there": True})
    log = RunLog(arm, profile.name, profile.control_hz, config.dry_run)
    gate, loop = CommandGate(profile.gate), _loop(profile, config)
    try:
        with progress(f"driving {profile.name}", total=loop.ticks) as advance:

            def record(tick: Tick) -> None:
                log.record(tick)
                if len(log.ticks) % profile.control_hz == 0:  # once a second: the loop has no time
                    advance(profile.control_hz)

            with _terminated_is_interrupted(), _connected(robot):
                stats = run_loop(arm, controller, gate, loop, clock, record)
    finally:
        if not log.ticks:  # the arm was never commanded: leave nothing behind
            shutil.rmtree(stage.work, ignore_errors=True)
    if not log.ticks:
        raise stats.error or KeyboardInterrupt
    summary = _write(stage, log, config, _summary(name, profile, config, stats, gate, log))
    if stats.error is not None:
        raise stats.error
    return summary


def _loop(profile: RobotProfile, config: DeployConfig) -> LoopConfig:
    ticks = round(config.seconds * profile.control_hz)
    return LoopConfig(profile.control_hz, ticks, profile.max_age_s, config.dry_run, config.task)


@contextmanager
def _connected(robot: Robot) -> Iterator[None]:
    try:
        robot.connect(calibrate=False)  # calibration asks questions; it has its own command
        if not robot.is_calibrated:
            raise UserError(
                f"robot {robot} is not calibrated; calibrate it once with lerobot-calibrate."
            )
    except OSError as error:
        _disconnect(robot)
        reason = " ".join(str(error).split())
        raise UserError(f"robot {robot.name} cannot be reached: {reason}") from error
    except BaseException:
        _disconnect(robot)
        raise
    try:
        yield
    finally:
        _disconnect(robot)


def _disconnect(robot: Robot) -> None:
    if robot.is_connected:
        robot.disconnect()


@contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does, with the arm held; by default it would end it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _summary(
    policy: str,
    profile: RobotProfile,
    config: DeployConfig,
    stats: LoopStats,
    gate: CommandGate,
    log: RunLog,
) -> DeploySummary:
    periods_s = np.diff(stats.began_s) if len(stats.began_s) > 1 else np.zeros(1)
    measured = np.stack([tick.reading.measured for tick in log.ticks])
    lowest, highest = measured.min(axis=0).tolist(), measured.max(axis=0).tolist()
    joints = [joint.name for joint in profile.joints]
    return DeploySummary(
        robot=profile.name,
        claim=profile.claim,
        policy=policy,
        dry_run=config.dry_run,
        stopped=stats.stopped,
        control_hz=profile.control_hz,
        rate_hz=float(1 / max(periods_s.mean(), 1e-9)) if periods_s.any() else 0.0,
        ticks=len(log.ticks),
        missed=stats.missed,
        period_p50_s=float(np.percentile(periods_s, 50)),
        period_p99_s=float(np.percentile(periods_s, 99)),
        work_p50_s=float(np.percentile(stats.work_s, 50)),
        work_p99_s=float(np.percentile(stats.work_s, 99)),
        lateness_p99_s=float(np.percentile(stats.lateness_s, 99)),
        travel={j: [low, high] for j, low, high in zip(joints, lowest, highest, strict=True)},
        interventions={str(code.name): n for code, n in sorted(gate.counts.items())},
    )


def _write(
    stage: Stage, log: RunLog, config: DeployConfig, summary: DeploySummary
) -> DeploySummary:
    """The log into the stage's own directory, which then becomes `out`."""
    for left in stage.work.iterdir():  # of a run that was killed while it wrote
        if left.is_dir():
            shutil.rmtree(left)
        elif left.name != CARD:
            left.unlink()
    dataset = stage.work / "dataset"  # LeRobot makes the directory itself
    episodes = log.write(dataset, config.episode_s, config.task)
    shutil.rmtree(dataset / "images", ignore_errors=True)  # LeRobot's scratch folder, left empty
    for child in dataset.iterdir():
        child.rename(stage.work / child.name)
    dataset.rmdir()
    summary = DeploySummary(**asdict(summary) | {"episodes": episodes})
    stage.finish(summary=summary)
    return summary
