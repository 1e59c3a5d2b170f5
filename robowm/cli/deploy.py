"""Drive an arm with a policy, at a fixed rate, every command checked before it is sent.

Refused are commands that are no finite numbers, that jump, or that come from an observation too
old; narrowed are those beyond a joint's limits or faster than it may move. Refusals in a row end
the run with the arm held. The log is a LeRobotDataset of what was observed, asked and sent.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Args:
    """Flags of `robowm deploy`."""

    policy: Annotated[str, tyro.conf.Positional]
    """Policy directory or Hub id, or: null (hold still), scripted (a sweep that makes
    demonstrations)."""
    robot: str
    """Name of a recipe in real_robot/: so101_emulated is the arm everybody has."""
    seconds: float
    """How long the arm is driven, in seconds."""
    out: Path | None = None
    """Directory of the log, new or empty. Default: the next free runs/deploy/ROBOT-NNN."""
    dry_run: bool = False
    """Observe, decide, check and log, but send nothing."""
    port: str = ""
    """Serial port of the arm, such as /dev/ttyACM0; none for an emulated arm."""
    task: str = ""
    """The instruction, in words."""
    episode_s: float = 10.0
    """The log is cut into episodes of this length, in seconds."""
    seed: int = 0
    """Seed of the policy's noise and of the scripted sweep."""


def run(args: Args) -> int:
    """Exit code: 0, 1 after a fault, 130 when interrupted."""
    from robowm import recipes
    from robowm.robot.deploy import DeployConfig, deploy

    profile = recipes.load(f"real_robot/{args.robot}").ROBOT
    out = args.out or _next_free(Path("runs/deploy"), args.robot)
    config = DeployConfig(args.seconds, args.dry_run, args.seed, args.episode_s, args.task)
    done = deploy(args.policy, profile.make(args.port), profile, out, config)

    print(f"{done.robot}: {done.claim}" + ("; dry run, nothing was sent" * done.dry_run))
    if done.already_there:
        print("This run had been made before; the arm did not move. Name another --out to drive.")
    print(f"stopped   {done.stopped}")
    print(
        f"rate      {done.rate_hz:.2f} of {done.control_hz:g} Hz; period p50 "
        f"{done.period_p50_s * 1e3:.1f} ms, p99 {done.period_p99_s * 1e3:.1f} ms; "
        f"missed {done.missed} of {done.ticks + done.missed} ticks"
    )
    for line in _gate(done.interventions, done.ticks):
        print(f"gate      {line}")
    print(f"log       {out}, {done.ticks} frames in {done.episodes} episodes")
    if profile.afterwards and not done.already_there:
        print(f"now       {profile.afterwards}")
    if done.stopped.startswith("fault"):
        return 1
    return 130 if done.stopped == "interrupted" else 0


def _gate(interventions: dict[str, int], ticks: int) -> list[str]:
    """What became of commands that were not sent as asked for: a line a reason."""
    from robowm.robot.gate import MEANING, GateCode

    return [
        f"{name} in {count} of {ticks} ticks: {MEANING[GateCode[name]]}"
        for name, count in interventions.items()
    ] or ["no command was changed"]


def _next_free(folder: Path, robot: str) -> Path:
    taken = {path.name for path in folder.glob(f"{robot}-*")}
    number = next(n for n in range(1, 10**6) if f"{robot}-{n:03d}" not in taken)
    return folder / f"{robot}-{number:03d}"
