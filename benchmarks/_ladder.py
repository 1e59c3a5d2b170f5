"""What the runs of `simpler_ladder.py` say: shares of successes, and gains above `scratch`."""

from typing import Any

import numpy as np
import scipy.optimize
from _outcomes import percent as shares
from _outcomes import spread

from robowm.metrics.bootstrap import Estimate
from robowm.metrics.hierarchical import over_runs

WIDEST = 10.0  # no share is looked for beyond this, either way
TASKS = ("spoon", "carrot", "stack", "eggplant")


def table(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By arm and rung: the share of successes in percent, of each run (a draw and a training seed),
    and its mean with the 95 % interval of `over_runs`, cut to what percentages can be: other runs
    and other layouts; no interval of one run."""
    rows = []
    for arm, rung in dict.fromkeys((run["arm"], run["rung"]) for run in runs):
        some = [run for run in runs if (run["arm"], run["rung"]) == (arm, rung)]
        row: dict[str, Any] = {"arm": arm, "rung": rung, "runs": len(some)}
        for what, tasks in (("all", TASKS), ("table", TASKS[:3]), *((t, (t,)) for t in TASKS)):
            outcomes = [percent(some, task) for task in tasks]
            mean, *interval = spread(over_runs(outcomes))
            row[what] = {
                "percent": (mean, *(e if e is None else clipped(e) for e in interval)),
                "by_run": np.mean([task.mean(1) for task in outcomes], axis=0).tolist(),
            }
        rows.append(row)
    return rows


def gains(runs: list[dict[str, Any]], arms: tuple[str, ...]) -> list[dict[str, Any]]:
    """Percentage points of each arm above `scratch`, of each rung and of their average, with the
    95 % interval of `over_runs`: run by run (the same draw and seed) and layout by layout. Runs
    without their fellow do not count, and rungs of fewer or of other runs are not averaged."""
    rows = []
    for arm in arms if "scratch" in arms else ():
        rungs = list(dict.fromkeys(run["rung"] for run in runs))
        pairs = {rung: matched(runs, rung, arm, "scratch") for rung in rungs}
        pairs = {rung: found for rung, found in pairs.items() if found}
        rungs = list(pairs)
        made = {rung: [key(run) for run, _ in found] for rung, found in pairs.items()}
        most = max(made.values(), key=len, default=[])
        alike = [rung for rung in rungs if made[rung] == most]
        averaged = [alike] if len(alike) > 1 else []
        for some in [] if arm == "scratch" else [*([rung] for rung in rungs), *averaged]:
            row: dict[str, Any] = {"arm": arm, "rungs": some, "runs": len(pairs[some[0]])}
            for what, tasks in (("all", TASKS), ("table", TASKS[:3])):
                sides = [
                    [
                        percent([pair[side] for pair in pairs[rung]], task)
                        for rung in some
                        for task in tasks
                    ]
                    for side in (0, 1)
                ]
                row[what] = {"points": tuple(spread(over_runs(*sides, matched=True)))}
            rows.append(row)
    return rows


def recovered(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What share of the ceiling's gain above `scratch` each other arm has, of each rung, over the
    draws and seeds that all three have been played with.

    The 95 % interval is Fieller's: the shares k for which the gain less k times the ceiling's is
    within the interval of `over_runs` about zero. No end where that is so as far as `WIDEST`.
    """
    rows = []
    for arm, rung in dict.fromkeys((run["arm"], run["rung"]) for run in runs):
        if arm in ("scratch", "ceiling"):
            continue
        found = matched(runs, rung, arm, "ceiling", "scratch")
        if not found:
            continue
        row: dict[str, Any] = {"arm": arm, "rung": rung, "runs": len(found)}
        for what, tasks in (("all", TASKS), ("table", TASKS[:3])):
            won = [
                [percent(list(side), task) for task in tasks] for side in zip(*found, strict=True)
            ]
            gain, most = (
                [one - base for one, base in zip(side, won[2], strict=True)] for side in won[:2]
            )
            row[what] = {"share": fieller(gain, most)}
        rows.append(row)
    return rows


def fieller(gain: list[np.ndarray], most: list[np.ndarray]) -> tuple[float | None, ...]:
    """`gain` as a share of `most`, each a task (runs, layouts), with its interval."""
    total = float(np.mean([task.mean() for task in most]))
    share = float(np.mean([task.mean() for task in gain])) / total if total else None

    def left(k: float) -> Estimate | None:
        return over_runs([one - k * other for one, other in zip(gain, most, strict=True)]).runs

    def end(which: str) -> float | None:
        def past(k: float) -> float:
            return float(getattr(left(k), which))

        if past(-WIDEST) * past(WIDEST) >= 0:
            return None
        return float(scipy.optimize.brentq(past, -WIDEST, WIDEST, xtol=1e-4))

    return (share, None, None) if left(0) is None else (share, end("low"), end("high"))


def matched(runs: list[dict[str, Any]], rung: int, *arms: str) -> list[tuple[dict[str, Any], ...]]:
    """A rung's runs of the same draw and seed, one of each arm, by these; what has no fellow in
    every arm is left out."""
    sides = [{key(r): r for r in runs if (r["arm"], r["rung"]) == (arm, rung)} for arm in arms]
    common = set(sides[0]).intersection(*sides)
    return [tuple(side[each] for side in sides) for each in sorted(common)]


def key(run: dict[str, Any]) -> tuple[int, int]:
    """The draw of the demonstrations, and the training seed."""
    return run["draw"], run["seed"]


def percent(runs: list[dict[str, Any]], task: str) -> np.ndarray:
    """100 where an episode succeeded, else 0: (runs, layouts)."""
    return shares(run[task]["stages"] for run in runs)


def clipped(value: float) -> float:
    """From 0 to 100."""
    return min(max(value, 0.0), 100.0)
