"""Tables of docs/, made from the JSON files under benchmarks/results/.

    python benchmarks/tables.py            # write them
    python benchmarks/tables.py --check    # exit code 1 where the page says something else

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; NAME/PART is another table of the
same file. To add one: a function below, from what the JSON holds to Markdown, with its name in
TABLES; and the two marks in a page.
"""

import difflib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from robowm.artefact import write_text
from robowm.report.comparison import markdown_table
from robowm.report.words import span

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = tuple(ROOT / "docs" / name for name in ("results.md", "earlier-heads.md"))
MARKS = re.compile(r"(<!-- table: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Args:
    """Flags."""

    check: bool = False
    """write nothing; exit with 1 when a page differs from the results"""
    pages: tuple[Path, ...] = PAGES
    """Markdown files that have the marks between them"""


def quickstart(found: dict[str, Any]) -> str:
    """Success rates of a quickstart's policies and baselines."""
    config = found["config"]
    names = {
        "pretrained": f"pretrained on {config['videos']} action-free videos",
        "scratch": "from scratch, same budget",
    }
    rows = [(names[name], found[name]) for name in names] + list(found["baselines"].items())
    return markdown_table(
        ("policy", "successes", "95 % Wilson"),
        [
            (name, f"{part['successes']} of {part['episodes']}", f"{span(part['interval'])} %")
            for name, part in rows
        ],
    )


def kill_resume(found: dict[str, Any]) -> str:
    """A stage a row: how often it was killed at work, and how often the result was whole."""
    stages: dict[str, list[dict[str, Any]]] = {}
    for kill in found["kills"]:
        stages.setdefault(kill["stage"], []).append(kill)
    return markdown_table(
        ("stage", "undisturbed", "killed", "of these at work", "whole after the same command"),
        [
            (
                f"`{stage}`",
                f"{kills[0]['whole_s']:.0f} s",
                str(len(kills)),
                str(sum(kill["was_running"] for kill in kills)),
                f"{sum(kill['whole'] for kill in kills)} of {len(kills)}",
            )
            for stage, kills in stages.items()
        ],
    )


TASKS = ("spoon", "carrot", "stack", "eggplant")
BESIDE = {  # the baselines that a reader needs, by test
    "probe_linear": ("mean flow", "random encoder", "PCA of frame differences"),
    "probe_mlp": ("mean flow", "random encoder", "PCA of frame differences"),
    "camera_leak": ("latents, compensation off",),
    "transfer": ("random latents",),
    "psnr_gain": ("standing still",),
    "cut": ("standing still",),
    "codebook": (),
}


def labels(found: dict[str, Any]) -> str:
    """The battery's figures on each dataset: mean over training seeds (smallest to largest)."""

    def figure(values: list[float]) -> str:
        mean, low, high = values
        return f"{mean:.2f}" if low == high else f"{mean:.2f} ({low:.2f} to {high:.2f})"

    rows = []
    for dataset, tests in found["summary"].items():
        for name in (name for name in BESIDE if name in tests):
            unit = found["runs"][0][dataset][name]["unit"]
            baselines = tests[name]["baselines"]
            beside = [f"{what} {baselines[what][0]:.2f}" for what in BESIDE[name]]
            value = figure(tests[name]["mean_min_max"])
            rows.append((dataset, f"{name}, {unit}", value, "; ".join(beside) or "–"))
    return markdown_table(("judged on", "test", "latent actions", "beside it"), rows)


def simpler_scratch(found: dict[str, Any]) -> str:
    """Successes of every training seed, and the mean with its interval over them."""

    def percent(part: dict[str, Any]) -> str:
        mean, low, high = part["percent"]
        return f"{mean:.0f} ({low:.0f} to {high:.0f})"

    rows = [
        (
            f"seed {run['seed']}",
            *(f"{run[task]['successes']} of {len(run[task]['stages'])}" for task in TASKS),
            *(f"{found['table'][0][part]['by_run'][i]:.1f}" for part in ("table", "all")),
        )
        for i, run in enumerate(found["runs"])
    ]
    whole = found["table"][0]
    rows.append(
        ("**mean (95 %)**, %", *(percent(whole[name]) for name in (*TASKS, "table", "all")))
    )
    return markdown_table(("trained with", *TASKS, "table tasks, %", "all, %"), rows)


def goal_errors(found: dict[str, Any]) -> str:
    """Medians over frames of held-out layouts, by task, lowest to highest of the training seeds."""

    def spread(task: str, when: str, what: str) -> str:
        some = [run["goal_errors"][task][when]["median"][what] for run in found["runs"]]
        return f"{min(some):.1f} to {max(some):.1f}"

    parts = ("ground_cm", "height_cm", "heading_deg")
    return markdown_table(
        ("task", "frames", "on the ground, cm", "height, cm", "heading, degrees"),
        [
            (task, when, *(spread(task, when, what) for what in parts))
            for task in found["runs"][0]["goal_errors"]
            for when in ("first", "later")
        ],
    )


def ladder(found: dict[str, Any]) -> str:
    """Shares of successes by demonstrations a task and arm, with their interval over runs."""

    def percent(part: dict[str, Any]) -> str:
        mean, low, high = part["percent"]
        return f"{mean:.0f}" if low is None else f"{mean:.0f} ({low:.0f} to {high:.0f})"

    rows = sorted(found["table"], key=lambda row: row["rung"])
    return markdown_table(
        ("demonstrations a task", "arm", "runs", *TASKS, "table tasks", "all"),
        [
            (
                str(row["rung"]),
                row["arm"],
                str(row["runs"]),
                *(f"{row[task]['percent'][0]:.0f}" for task in TASKS),
                *(percent(row[part]) for part in ("table", "all")),
            )
            for row in rows
        ],
    )


def ladder_gains(found: dict[str, Any]) -> str:
    """Percentage points above `scratch`, matched run by run."""

    def points(part: dict[str, Any]) -> str:
        mean, low, high = part["points"]
        return f"{mean:+.1f}" if low is None else f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"

    return markdown_table(
        ("arm above scratch", "demonstrations a task", "runs", "table tasks", "all"),
        [
            (
                row["arm"],
                " and ".join(", ".join(map(str, row["rungs"])).rsplit(", ", 1)),
                str(row["runs"]),
                *(points(row[part]) for part in ("table", "all")),
            )
            for row in found["gains"]
        ],
    )


def ladder_recovered(found: dict[str, Any]) -> str:
    """Percent of what true actions for all the video would gain above `scratch`."""

    def percent(part: dict[str, Any]) -> str:
        share, *ends = ("-" if end is None else f"{100 * end:.0f}" for end in part["share"])
        return share if ends == ["-", "-"] else f"{share} ({' to '.join(ends)})"

    return markdown_table(
        ("arm", "demonstrations a task", "runs", "table tasks", "all"),
        [
            (
                row["arm"],
                str(row["rung"]),
                str(row["runs"]),
                *(percent(row[part]) for part in ("table", "all")),
            )
            for row in found["recovered"]
        ],
    )


def ladder_goals(found: dict[str, Any]) -> str:
    """First frames of held-out layouts: centimetres on the ground and degrees, mean over runs of
    medians, and on the ground of 90th percentiles."""

    def figure(runs: list[dict[str, Any]], task: str) -> str:
        first = [run["goal_errors"][task]["first"] for run in runs]
        ground, high, heading = (
            sum(part[share][what] for part in first) / len(first)
            for share, what in (
                ("median", "ground_cm"),
                ("p90", "ground_cm"),
                ("median", "heading_deg"),
            )
        )
        return f"{ground:.1f}, {high:.1f}, {heading:.0f}"

    by_row: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for run in found["runs"]:
        if "goal_errors" in run:
            by_row.setdefault((run["rung"], run["arm"]), []).append(run)
    return markdown_table(
        ("demonstrations a task", "arm", *TASKS),
        [
            (str(rung), arm, *(figure(runs, task) for task in TASKS))
            for (rung, arm), runs in sorted(by_row.items())
        ],
    )


def other_bodies(found: dict[str, Any]) -> str:
    """An arm of the comparison a row: successes, and points above `scratch`, over runs."""

    def figure(spread: list[float | None], form: str) -> str:
        mean, low, high = (None if end is None else format(end, form) for end in spread)
        return str(mean) if low is None else f"{mean} ({low} to {high})"

    return markdown_table(
        ("arm", "what is seen beside the demonstrations", "runs", "won, %", "points above scratch"),
        [
            (
                row["arm"],
                found["arms"][row["arm"]],
                str(row["runs"]),
                figure(row["percent"], ".0f"),
                figure(row["points"], "+.1f") if "points" in row else "–",
            )
            for row in found["table"]
        ],
    )


def standpoint(found: dict[str, Any]) -> str:
    """A size of knock a row: how many rooms are known again, and how far off in pixels of 128."""

    def span(part: dict[str, float]) -> str:
        return f"{part['median']:.1f}, {part['p95']:.1f}"

    return markdown_table(
        ("turned by up to", "known again", "off by, px (median, 95 %)", "if nothing is undone"),
        [
            (
                f"{row['largest_deg']:.0f}°",
                f"{row['known']} of {found['clips']}",
                span(row["astray_px_of_known"]),
                span(row["before_px"]),
            )
            for row in found["knocked"]
        ],
    )


def experts(found: dict[str, Any]) -> str:
    """An arm a row, with the successes of the expert of each task."""
    rows = {tuple(key.split()): row for key, row in found["rows"].items()}
    tasks, arms = (list(dict.fromkeys(key[i] for key in rows)) for i in (0, 1))

    def figure(task: str, arm: str) -> str:
        row = rows.get((task, arm))
        return f"{row['successes']} of {row['episodes']}" if row else "–"

    return markdown_table(
        ("arm", *tasks), [(arm, *(figure(task, arm) for task in tasks)) for arm in arms]
    )


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "quickstart": quickstart,
    "kill_resume": kill_resume,
    "robosuite_experts": experts,
    "other_bodies": other_bodies,
    "standpoint": standpoint,
    "simpler_scratch": simpler_scratch,
    "simpler_scratch/goals": goal_errors,
    "simpler_ladder": ladder,
    "simpler_ladder/gains": ladder_gains,
    "simpler_ladder/goals": ladder_goals,
    "simpler_ladder_mended": ladder,
    "simpler_ladder_mended/gains": ladder_gains,
    "simpler_ladder_mended/recovered": ladder_recovered,
    "simpler_ladder_mended/goals": ladder_goals,
    "simpler_ladder_next": ladder,
    "simpler_ladder_next/gains": ladder_gains,
    "simpler_ladder_next/goals": ladder_goals,
    "simpler_ladder_narrow": ladder,
    "simpler_ladder_narrow/gains": ladder_gains,
    "simpler_ladder_narrow/goals": ladder_goals,
    "labels_still": labels,
    "labels_shaken": labels,
    "labels_real": labels,
}


def marks(page: str) -> list[str]:
    """The names of a page's tables.

    Raises:
        ValueError: a mark without its end.
    """
    marked = [name for _, name, _, _ in MARKS.findall(page)]
    if len(marked) != page.count("<!-- table:") or len(marked) != page.count("<!-- end -->"):
        raise ValueError("every <!-- table: NAME --> needs its own <!-- end -->, and no other")
    return marked


def fill(page: str, results: Path = RESULTS) -> str:
    """The page with every table as the results have it."""

    def filled(match: re.Match[str]) -> str:
        begin, name, _, end = match.groups()
        found = json.loads((results / f"{name.split('/')[0]}.json").read_text(encoding="utf-8"))
        return f"{begin}\n{TABLES[name](found)}\n\n{end}"

    return MARKS.sub(filled, page)


def main(argv: list[str] | None = None) -> int:
    """Write the tables, or say where they differ."""
    args = tyro.cli(Args, args=argv, description=__doc__)
    pages = {path: path.read_text(encoding="utf-8") for path in args.pages}
    names: list[str] = []
    for path, old in pages.items():
        try:
            names += marks(old)
        except ValueError as error:
            return failed(f"{path.name}: {error}")
    if odd := sorted(set(names) ^ set(TABLES)):
        return failed(f"in a page or in TABLES, but not in both: {', '.join(odd)}")
    new = {path: fill(old) for path, old in pages.items()}
    if args.check:
        for path, old in pages.items():
            lines = difflib.unified_diff(old.splitlines(True), new[path].splitlines(True))
            sys.stderr.writelines(lines)
        return int(new != pages)
    for path, page in new.items():
        write_text(path, page)
    return 0


def failed(why: str) -> int:
    """Say why nothing was written."""
    print(why, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
