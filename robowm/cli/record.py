"""Record a suite's scripted expert as labelled demonstrations, a LeRobotDataset v3.

Only episodes that succeed are kept. The same command goes on where a killed one stopped.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Args:
    """Flags of `robowm record`."""

    out: Path
    """Dataset directory to create."""
    suite: str = "robosuite/Lift"
    """Suite and task."""
    robot: str | None = None
    """Arm; None: the suite's default."""
    episodes: int = 10
    """Successful demonstrations to keep."""
    seed: int = 0
    """0 for the first of the seeds set aside for demonstrations."""
    action_noise: float = 0.1
    """Standard deviation of the disturbance of the expert's motion, in action units ([-1, 1])."""
    size_px: int = 128
    """Height and width of the frames, pixels."""
    workers: int = 2
    """Processes; the dataset does not depend on it."""


def run(args: Args) -> None:
    """Record and say what was kept."""
    from robowm.cli.eval import task_named
    from robowm.sim.record import RecordConfig, record

    config = RecordConfig(
        episodes=args.episodes,
        seed=args.seed,
        robot=args.robot,
        action_noise=args.action_noise,
        size_px=args.size_px,
    )
    card = record(task_named(args.suite), args.out, config, args.workers)
    kept, attempts = len(card["seeds"]), card["attempts"]
    print(f"{kept} demonstrations of {attempts} attempts: {args.out}")
