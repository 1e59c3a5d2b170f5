"""What is compared: arms, each of one or more trained policies, with their results by task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robowm.errors import UserError
from robowm.metrics.result import Result

PROTOCOL = ("robot", "max_steps")  # settings that must agree, or a seed is another episode
Key = tuple[str, int]  # layout and seed


@dataclass(frozen=True)
class Arm:
    """Results under one name.

    Attributes:
        name: in tables.
        tasks: the results of each task, one a run, runs in the same order in every task. A task
            may bear a condition, "suite/task @ condition", over which is averaged likewise.
    """

    name: str
    tasks: Mapping[str, list[Result]]

    @property
    def runs(self) -> list[Result]:
        """One result of each run."""
        return next(iter(self.tasks.values()))

    @property
    def over_seeds(self) -> bool:
        """Whether an interval can be over training seeds: several runs, or nothing trained."""
        return len(self.runs) > 1 or self.runs[0].weightless

    def keys(self, task: str) -> set[Key]:
        """Layouts and seeds that every run has."""
        return set.intersection(*({e.key for e in r.episodes} for r in self.tasks[task]))

    def outcomes(self, task: str, keys: Sequence[Key]) -> np.ndarray:
        """bool (runs, keys): successes."""
        table = [{e.key: e.success for e in result.episodes} for result in self.tasks[task]]
        return np.array([[run[key] for key in keys] for run in table], dtype=bool)


def arm(name: str, results: Sequence[tuple[str, Result]]) -> Arm:
    """Sort an arm's results, each with its condition ("" for none), into tasks and runs.

    Runs are put in the order of their training seeds where all are known, else stay as given.

    Raises:
        UserError: a policy twice, a task that some runs lack, other robots or lengths in one task.
    """
    tasks: dict[str, list[Result]] = {}
    for condition, result in results:
        label = f"{result.suite} @ {condition}" if condition else result.suite
        tasks.setdefault(label, []).append(result)
    for label, found in tasks.items():
        weights = [str(r.settings.get("policy_sha256", r.path.resolve())) for r in found]
        for number, digest in enumerate(weights):
            if digest in weights[:number]:
                twice = found[weights.index(digest)].path
                raise UserError(
                    f"arm {name!r}, {label}: {twice} and {found[number].path} are of one policy; "
                    "expected one file a training seed."
                )
        seeds = [r.training.get("seed") for r in found]
        if None not in seeds:
            found.sort(key=lambda r: (r.training["seed"], str(r.training.get("data_sha256"))))
    counts = {label: len(found) for label, found in tasks.items()}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{count} of {label}" for label, count in counts.items())
        raise UserError(f"arm {name!r} has {said}; expected every training seed on every task.")
    made = Arm(name, tasks)
    for label, found in tasks.items():
        if not made.keys(label):
            paths = ", ".join(str(r.path) for r in found)
            raise UserError(f"{paths}: no common seeds or layouts; expected the same episodes.")
    return made


def check(arms: Sequence[Arm]) -> None:
    """Refuse arms that cannot be paired.

    Raises:
        UserError: other tasks, robots, lengths or assets, or no common seeds or layouts.
    """
    first = arms[0]
    for other in arms[1:]:
        if set(other.tasks) != set(first.tasks):
            theirs, ours = (", ".join(sorted(a.tasks)) for a in (other, first))
            raise UserError(
                f"arms {first.name!r} and {other.name!r} are of different suites: {ours}; {theirs}."
            )
        for task in first.tasks:
            if not first.keys(task) & other.keys(task):
                raise UserError(
                    f"arms {first.name!r} and {other.name!r} have no common seeds or layouts of "
                    f"{task}; expected the same --seed and --episodes."
                )
    for task in first.tasks:
        results = [result for a in arms for result in a.tasks[task]]
        for name in (*PROTOCOL, "assets"):
            values = [(r, r.assets if name == "assets" else r.settings.get(name)) for r in results]
            said = {str(value): r.path for r, value in values if value is not None}
            if len(said) > 1:
                words = ", ".join(f"{value} in {path}" for value, path in said.items())
                raise UserError(f"{task}: {name} differs ({words}); expected one.")


def same_draws(first: Arm, other: Arm) -> bool:
    """Run i of both was trained on the same data, and every run on data of its own."""
    for task in first.tasks:
        ours, theirs = (
            [r.training.get("data_sha256") for r in a.tasks[task]] for a in (first, other)
        )
        if None in ours or ours != theirs or len(set(ours)) != len(ours) or len(ours) < 2:
            return False
    return True
