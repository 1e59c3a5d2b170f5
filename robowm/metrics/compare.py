"""Arms side by side: success rates, differences in pairs, and where failures happened.

An *arm* is one way to make a policy; its *runs* are trainings of it that differ by seed (and by the
draw of demonstrations, where each run has its own). Episodes are paired by task, layout and seed.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from robowm.errors import UserError, nearest
from robowm.metrics.arms import Arm, check, same_draws
from robowm.metrics.bootstrap import DRAWS, Estimate
from robowm.metrics.hierarchical import over_runs
from robowm.metrics.intervals import paired_test, wilson

LAYOUTS = "layouts"
BOTH = "seeds, layouts"


def compare(arms: Sequence[Arm], apart: Sequence[str] = (), draws: int = DRAWS) -> dict[str, Any]:
    """Every arm's success rates, and the first arm minus each of the others.

    Args:
        arms: at least one, of the same tasks; the first is the one that others are held against.
        apart: tasks ("suite/task") that are also averaged apart from the others.
        draws: bootstrap resamples.

    Returns:
        JSON-like: `arms` (files, training seeds and data of each), `rows` (a task or an average
        each: `title`, `tasks`, `rates` by arm, `differences`), `failures` (arm, task, stage:
        count), `notes` (what the reader must know, in sentences), `draws`.

    Raises:
        UserError: arms of different tasks, of different robots, lengths or assets, without common
            seeds or layouts, or an unknown task apart.
    """
    check(arms)
    tasks = list(arms[0].tasks)
    aside = [t for t in tasks if t in apart or t.partition(" @ ")[0] in apart]
    known = {*tasks, *(t.partition(" @ ")[0] for t in tasks)}
    for name in apart:
        if name not in known:
            raise UserError(f"--apart {name}: no such task here. {nearest(name, known)}")
    together = [t for t in tasks if t not in aside]
    groups = [(task, [task]) for task in together + aside]
    averages = {"average": tasks}
    if aside and together:
        averages |= {"average but for those apart": together, "average of those apart": aside}
    groups += [(title, group) for title, group in averages.items() if len(group) > 1]
    return {
        "arms": {a.name: _origin(a) for a in arms},
        "rows": [
            {
                "title": title,
                "tasks": group,
                "rates": {a.name: _rate(a, group, draws) for a in arms},
                "differences": [_difference(arms[0], other, group, draws) for other in arms[1:]],
            }
            for title, group in groups
        ],
        "failures": {
            a.name: {t: dict(Counter(e.end for r in a.tasks[t] for e in r.episodes)) for t in tasks}
            for a in arms
        },
        "notes": _notes(arms),
        "draws": draws,
    }


def _rate(a: Arm, group: list[str], draws: int) -> dict[str, Any]:
    outcomes = [a.outcomes(task, sorted(a.keys(task))) for task in group]
    found = over_runs(outcomes, draws=draws)
    successes, episodes = sum(int(o.sum()) for o in outcomes), sum(o.size for o in outcomes)
    even = len({o.shape for o in outcomes}) == 1  # else a pooled rate is no average over tasks
    by_wilson = wilson(successes, episodes) if even else None
    interval, covers = found.runs, BOTH
    if interval is None or _flat(interval):  # without variation a bootstrap knows nothing
        layouts = sum(o.shape[1] for o in outcomes)
        low, high = wilson(round(found.value * layouts), layouts)
        usable = even or _flat(found.layouts)
        interval = Estimate(found.value, low, high) if usable else found.layouts
        covers = LAYOUTS
    return {
        "runs": len(a.runs),
        "successes": successes,
        "episodes": episodes,
        "success_rate": found.value,
        "wilson": by_wilson,
        "interval": _within(interval, 0.0),
        "covers": covers,
        "plain_bootstrap": _bounds(found.plain or found.layouts),
    }


def _difference(first: Arm, other: Arm, group: list[str], draws: int) -> dict[str, Any]:
    pairs = [sorted(first.keys(task) & other.keys(task)) for task in group]
    ours, theirs = (
        [a.outcomes(task, keys) for task, keys in zip(group, pairs, strict=True)]
        for a in (first, other)
    )
    matched = same_draws(first, other)
    found = over_runs(ours, theirs, matched, draws)
    flat = [np.concatenate([o[0] for o in outcomes]) for outcomes in (ours, theirs)]
    one_each = len(first.runs) == len(other.runs) == 1
    counted = paired_test(*flat)  # of the first runs where there are several
    if one_each and len(group) == 1:
        interval, covers, method = counted["difference_interval"], LAYOUTS, "Newcombe"
    elif found.runs is not None and first.over_seeds and other.over_seeds:
        interval, covers, method = _within(found.runs, -1.0), BOTH, "Student's t"
    else:
        interval, covers, method = _bounds(found.layouts), LAYOUTS, "bootstrap"
    if interval[0] == interval[1]:  # every pair differs alike: a bootstrap knows nothing
        interval, covers, method = counted["difference_interval"], LAYOUTS, "Newcombe"
    mcnemar = ("both", "only_first", "only_second", "neither", "p_value")
    return {
        "first": first.name,
        "second": other.name,
        "pairs": sum(map(len, pairs)),
        "difference": found.value,
        "interval": list(interval),
        "covers": covers,
        "method": method,
        "degrees_of_freedom": found.degrees if method == "Student's t" else None,
        "runs_matched_by_data": matched,
        "layouts_bootstrap": _bounds(found.layouts),
        "plain_bootstrap": _bounds(found.plain or found.layouts),
        "mcnemar": {name: counted[name] for name in mcnemar} if one_each else None,
    }


def _origin(a: Arm) -> dict[str, Any]:
    results = [result for found in a.tasks.values() for result in found]
    return {
        "runs": len(a.runs),
        "files": [str(r.path) for r in results],
        "training_seeds": [r.training.get("seed") for r in a.runs],
        "data_sha256": sorted({d for r in results if (d := r.training.get("data_sha256"))}),
        "assets": sorted({r.assets for r in results if r.assets}),
        "wall_time_s": sum(r.wall_time_s or 0.0 for r in results),
    }


def _notes(arms: Sequence[Arm]) -> list[str]:
    notes = []
    if all(a.over_seeds for a in arms) and any(len(a.runs) > 1 for a in arms):
        fewest = min(len(a.runs) for a in arms if len(a.runs) > 1)
        notes.append(
            f"Intervals cover other training seeds and other layouts; the seeds' share rests on "
            f"{fewest} trainings an arm, by Student's t: few seeds, wide intervals. "
            "Wilson's takes all episodes as independent, of other trainings it knows nothing."
        )
    elif not all(a.runs[0].weightless for a in arms):
        single = ", ".join(a.name for a in arms if not a.over_seeds)
        notes.append(
            f"Trained once: {single}. Intervals with it cover other layouts for these very "
            "policies, not other training seeds; no headline."
        )
    for other in arms[1:]:
        if same_draws(arms[0], other):
            notes.append(
                f"Trainings of {arms[0].name} and {other.name} are paired by the data they had."
            )
    stopped = sum(e.error is not None for e in _episodes(arms))
    if stopped:
        notes.append(f"{stopped} episodes were stopped by an error and count as failed.")
    dropped = sum(
        len(result.episodes) - len(a.keys(task))
        for a in arms
        for task, found in a.tasks.items()
        for result in found
    )
    if dropped:
        notes.append(f"{dropped} episodes are left out: not every run of their arm has them.")
    results = [r for a in arms for found in a.tasks.values() for r in found]
    for package in sorted({name for r in results for name in r.versions}):
        versions = sorted({r.versions[package] for r in results if package in r.versions})
        if len(versions) > 1:
            notes.append(f"Results were made with {package} {' and '.join(versions)}.")
    if any(r.assets for r in results):
        notes.append(f"Assets: {', '.join(sorted({r.assets for r in results if r.assets}))}.")
    if len(arms) > 2:
        notes.append(f"{len(arms) - 1} comparisons; p and intervals are not corrected for that.")
    return notes


def _episodes(arms: Sequence[Arm]) -> list[Any]:
    return [e for a in arms for found in a.tasks.values() for r in found for e in r.episodes]


def _flat(estimate: Estimate) -> bool:
    return estimate.low == estimate.high


def _bounds(estimate: Estimate) -> list[float]:
    assert estimate.low is not None and estimate.high is not None
    return [estimate.low, estimate.high]


def _within(estimate: Estimate, least: float) -> list[float]:
    low, high = _bounds(estimate)
    return [max(low, least), min(high, 1.0)]
