"""Evaluate a policy in closed loop: fixed seeds, 95 % Wilson intervals, null and random beside it.

POLICY is a LeRobot policy directory or Hub id, or one of expert, random, null. The same command
goes on where a killed one stopped.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from robowm import recipes
from robowm.errors import UserError, nearest
from robowm.sim.suite import Task


@dataclass(frozen=True)
class Args:
    """Flags of `robowm eval`."""

    policy: tyro.conf.Positional[str]
    """Policy directory, or expert, random, null."""
    out: Path
    """JSON file to write; videos go to a folder beside it."""
    suite: str = "robosuite/Lift"
    """Suite and task."""
    robot: str | None = None
    """Arm; None: the suite's default."""
    episodes: int | None = None
    """Episodes of the policy; None: once through the suite's fixed layouts where it has them (24 in
    simpler), else 50."""
    seed: int = 0
    """Seed of the first episode, 0 to 999999; the others follow."""
    baseline_episodes: int | None = None
    """Episodes of the null and of the random policy; None: as many, at most 20; 0: none."""
    videos: int = 4
    """How many of the first episodes are kept as mp4."""
    size_px: int | None = None
    """Height and width of the frames the policy is given, pixels; None: what it was trained on."""
    num_envs: int = 2
    """Episodes side by side, each in a process; results do not depend on it."""


def run(args: Args) -> None:
    """Evaluate and print the table."""
    from robowm.report.words import succeeded
    from robowm.sim.evaluate import EvalConfig, evaluate

    task = task_named(args.suite)
    usual = task.layouts or EvalConfig.episodes
    config = EvalConfig(
        episodes=usual if args.episodes is None else args.episodes,
        seed=args.seed,
        robot=args.robot,
        baseline_episodes=args.baseline_episodes,
        videos=args.videos,
        size_px=args.size_px,
    )
    report = evaluate(args.policy, task, args.out, config, args.num_envs)
    baselines = [(f"baseline {name}", part) for name, part in report["baselines"].items()]
    for name, part in [(args.policy, report), *baselines]:
        print(f"{name}: {succeeded(part)}")
        for episode in (e for e in part["episodes"] if "error" in e):
            print(f"  seed {episode['seed']} failed: {episode['error']}")
        if part["retries"]:
            print(f"  {part['retries']} times the simulator crashed and an episode was begun again")
    print(args.out)


def task_named(name: str) -> Task:
    """The task "suite/task" of the recipes in sim_eval/.

    Raises:
        UserError: no such suite or task; the nearest is suggested.
    """
    suites = [recipe.partition("/")[2] for recipe in recipes.names("sim_eval")]
    suite, slash, task = name.partition("/")
    if suite not in suites or not slash:
        raise UserError(
            f"--suite {name!r}: expected suite/task, such as robosuite/Lift. "
            f"Suites: {nearest(suite, suites)}"
        )
    found: Task = recipes.load(f"sim_eval/{suite}").SUITE.task(task)
    return found
