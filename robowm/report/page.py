"""One HTML file of what a run did: it opens without a network and can be sent by mail."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robowm.artefact import write_text
from robowm.errors import UserError
from robowm.report import charts, words
from robowm.report.charts import Bar, Chart, interval_bar, line_chart
from robowm.report.media import Medium, embed
from robowm.report.read import Found, Run, read_run
from robowm.report.template import environment

POLICIES = ("pretrained", "scratch")
BASELINES = ("expert", "random", "null")
MAX_ROLLOUTS = 6
MAX_ITEMS = 24


@dataclass(frozen=True)
class Gallery:
    """Pictures of one stage."""

    title: str
    caption: str
    items: list[Medium]
    left_out: int


@dataclass(frozen=True)
class Strip:
    """Successes of one policy, a mark a seed: (seed, success, length in steps)."""

    name: str
    marks: list[tuple[int, bool, int]]


@dataclass(frozen=True)
class Rollouts:
    """Videos of one seed, a policy each, side by side."""

    seed: int
    media: list[Medium]


@dataclass(frozen=True)
class ControlTable:
    """A policy's map to controls: (axis, R², RMSE) on demonstrations that were not fitted."""

    name: str
    embodiment: str
    axes: list[tuple[str, str, str]]


def write_report(run: Path, out: Path | None = None) -> Path:
    """Write the report of the run directory `run`.

    Args:
        run: such as runs/quickstart; parts that are absent are named on the page.
        out: HTML file to write; `run`/report.html when None.

    Returns:
        the file written.

    Raises:
        UserError: `run` holds nothing known, or `out` cannot be written.
    """
    run = Path(run)
    out = run / "report.html" if out is None else Path(out)
    page = render(read_run(run))
    if out.is_dir():
        raise UserError(f"--out {out} is a directory; expected a file, such as {out}/report.html.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text(out, page)
    except OSError as error:
        raise UserError(
            f"--out {out} cannot be written ({error.strerror}); expected a file in a directory "
            "this user may write to."
        ) from error
    return out


def render(run: Run) -> str:
    """The page as one string of HTML; everything that comes from the run is escaped."""
    paired = run.results.get("paired_test") or {}
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            title=run.results.get("title") or f"Run {run.root.resolve().name}",
            results={"task": "", "created": "", "stages": [], "commands": []} | run.results,
            verdict=words.verdict(paired) if paired else "",
            difference=words.difference(paired) if paired else "",
            bars=_bars(run),
            strips=[_strip(found) for found in run.evals],
            rollouts=_rollouts(run),
            ingest=_ingest(run.ingest),
            maps=[_map(found) for found in run.maps],
            galleries=[_gallery(found, run.root) for found in run.galleries],
            charts=_charts(run),
            box=charts,
            lacks=run.lacks(),
            facts=_facts(run.results),
        )
    )


def _bars(run: Run) -> list[Bar]:
    """Policies, then baselines; figures of results.json, else of the evaluations themselves."""
    evals = {found.name: found.value for found in run.evals}
    baselines: dict[str, Any] = {}
    for source in [*evals.values(), run.results]:
        baselines |= source.get("baselines") or {}
    results = {name: run.results[name] for name in POLICIES if run.results.get(name)}
    rates = evals | baselines | results
    ordered = [
        *POLICIES,
        *(name for name in evals if name not in BASELINES),
        *BASELINES,
        *baselines,
    ]
    bars = []
    for name in dict.fromkeys(name for name in ordered if name in rates):
        kind = "baseline" if name in baselines or name in BASELINES else "policy"
        bars.append(interval_bar(name, kind, rates[name]))
    return [bar for bar in bars if bar]


def _strip(found: Found) -> Strip:
    episodes = sorted(found.value["episodes"], key=lambda e: int(e["seed"]))
    marks = [(int(e["seed"]), bool(e["success"]), int(e["length"])) for e in episodes]
    return Strip(found.name, marks)


def _rollouts(run: Run) -> list[Rollouts]:
    """The first seeds of which every policy (or, if none is, any) has a video."""
    shown = [found for found in run.evals if found.name in POLICIES] or run.evals
    videos = [_videos_by_seed(found.value) for found in shown]
    every = [set(files) for files in videos]
    seeds = sorted(set().union(*every).intersection(*every) or set().union(*every))
    rows = []
    for seed in seeds[:MAX_ROLLOUTS]:
        media = []
        for found, files in zip(shown, videos, strict=True):
            if seed in files:
                caption = f"{found.name}: {_outcome(found.value, seed)}"
                media.append(embed(found.path.parent, files[seed], caption, run.root))
        rows.append(Rollouts(seed, media))
    return rows


def _videos_by_seed(evaluation: dict[str, Any]) -> dict[int, str]:
    """Seed to video: by the number that ends the file's name if it is a seed, else by position."""
    seeds = [int(e["seed"]) for e in evaluation["episodes"]]
    found: dict[int, str] = {}
    for position, file in enumerate(evaluation.get("videos") or []):
        number = re.search(r"(\d+)$", Path(file).stem)
        if number and int(number[1]) in seeds:
            found[int(number[1])] = file
        elif position < len(seeds):
            found[seeds[position]] = file
    return found


def _outcome(evaluation: dict[str, Any], seed: int) -> str:
    episode = next(e for e in evaluation["episodes"] if int(e["seed"]) == seed)
    return f"{'success' if episode['success'] else 'failure'} after {episode['length']} steps"


def _gallery(found: Found, root: Path) -> Gallery:
    items = found.value["items"]
    directory = found.path.parent
    media = [embed(directory, i["file"], i.get("caption", ""), root) for i in items[:MAX_ITEMS]]
    title = found.value.get("title") or found.name
    return Gallery(title, found.value.get("caption", ""), media, max(0, len(items) - MAX_ITEMS))


def _charts(run: Run) -> list[tuple[str, Chart]]:
    drawn = []
    for found in run.curves:
        title = found.value.get("title") or found.name
        where = str(found.path.parent.relative_to(run.root))
        chart = line_chart(title, found.value.get("x", "step"), found.value["series"])
        drawn.append((where, chart))
    return drawn


def _ingest(summary: dict[str, Any]) -> dict[str, Any]:
    """Shots kept and dropped, most frequent reason first, with their share of all in [0, 1]."""
    if not summary:
        return {}
    dropped = sorted(summary["dropped"].items(), key=lambda pair: (-pair[1], pair[0]))
    rows = [("kept", summary["kept"]), *dropped]
    total = sum(n for _, n in rows) or 1
    return {"clips": summary.get("clips"), "rows": [(name, n, n / total) for name, n in rows]}


def _map(found: Found) -> ControlTable:
    """Axes of a map to controls, as it names them."""
    axes = [
        (axis, f"{error['r2']:.2f}", f"{error['rmse']:.3g}")
        for axis, error in found.value["held_out"].items()
    ]
    return ControlTable(found.name, str(found.value.get("embodiment", "")), axes)


def _facts(results: dict[str, Any]) -> list[tuple[str, list[tuple[str, Any]]]]:
    """Machine and versions as tables of two columns."""
    tables = [("Machine", dict(results.get("machine") or {}))]
    if results.get("peak_memory_mb"):
        tables[0][1]["peak memory of the run"] = f"{results['peak_memory_mb'] / 1000:.1f} GB"
    tables.append(("Versions", dict(results.get("versions") or {})))
    return [(title, list(table.items())) for title, table in tables if table]
