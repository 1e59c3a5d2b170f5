"""The page of `robowm reality`: a verdict, and each test with its baselines on one axis."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robowm.artefact import write_text
from robowm.errors import UserError
from robowm.report.label_viewer import write_viewer
from robowm.report.template import environment

WIDTH = 300.0  # of the bars, in the chart's units
MARKS = {True: "met", False: "missed", None: "not run"}


@dataclass(frozen=True)
class Row:
    """One figure on its test's axis.

    Attributes:
        kind: "labels" or "baseline".
        text: the figure, with its interval.
        at, low, high: in the chart's units; None where there is nothing to draw.
    """

    name: str
    kind: str
    text: str
    at: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Card:
    """One test as it stands on the page.

    Attributes:
        mark: "met", "missed" or "not run".
        zero: where zero is on the axis; None when it is not on it.
        tables: further figures: heading, then rows of (name, text).
    """

    test: dict[str, Any]
    mark: str
    rows: list[Row]
    zero: float | None
    axis: tuple[str, str]
    tables: list[tuple[str, list[tuple[str, str]]]]


def write_reality_pages(directory: Path) -> Path:
    """Write reality.html, and viewer.html where there are clips to show.

    Args:
        directory: holds reality.json, and viewer.json with its pictures.

    Returns:
        reality.html.

    Raises:
        UserError: no reality.json there.
    """
    try:
        found = json.loads((directory / "reality.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{directory} has no readable reality.json ({error}).") from error
    viewer = write_viewer(directory) if (directory / "viewer.json").is_file() else None
    page = environment().get_template("reality.html.j2")
    text = page.render(
        title=f"Are the latent actions of {found['dataset']} real?",
        found=found,
        verdict=found["verdict"],
        level={"real": "good", "gates missed": "fair"}.get(found["verdict"]["outcome"], "bad"),
        cards=[card(test) for test in found["tests"]],
        viewer=viewer.name if viewer else "",
        width=WIDTH,
        facts=_facts(found),
    )
    write_text(directory / "reality.html", text)
    return directory / "reality.html"


def card(test: dict[str, Any]) -> Card:
    """Lay out one test."""
    figures = [("latent actions", "labels", test["value"])] if test["value"] else []
    figures += [(name, "baseline", figure) for name, figure in test["baselines"].items()]
    ends = [0.0]
    for _, _, figure in figures:
        ends += [v for v in figure.values() if v is not None]
    # a baseline far below nothing (a probe that misleads) must not flatten the rest
    low, high = max(min(ends), -1.0), max(ends)
    span = (high - low) or 1.0

    def place(value: float | None) -> float | None:
        return None if value is None else round(WIDTH * min(max((value - low) / span, 0), 1), 1)

    rows = [
        Row(name, kind, number(f), place(f["value"]), place(f["low"]), place(f["high"]))
        for name, kind, f in figures
    ]
    return Card(
        test=test,
        mark=MARKS[test["passed"]],
        rows=rows,
        zero=place(0.0),
        axis=(_two(low), _two(high)),
        tables=_tables(test["details"]),
    )


def number(figure: dict[str, float | None]) -> str:
    """A figure and its interval in words.

    >>> number({"value": 0.514, "low": 0.4, "high": 0.6})
    '0.51 (0.40 to 0.60)'
    """
    if figure["value"] is None:
        return "none"
    text = _two(figure["value"])
    if figure["low"] is not None and figure["high"] is not None:
        text += f" ({_two(figure['low'])} to {_two(figure['high'])})"
    return text


def _two(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")  # + 0.0: no "−0.00"


def _tables(details: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Details as tables: single figures in one, each group of them in its own."""
    single: list[tuple[str, str]] = []
    groups: list[tuple[str, list[tuple[str, str]]]] = []
    for name, value in details.items():
        words = name.replace("_", " ")
        if isinstance(value, dict) and "value" not in value:
            groups.append((words, [(key, _text(v)) for key, v in value.items()]))
        else:
            single.append((words, _text(value)))
    return ([("", single)] if single else []) + groups


def _text(value: Any) -> str:
    if isinstance(value, dict):
        if "value" in value:
            return number(value)
        return ", ".join(f"{key} {_text(v)}" for key, v in value.items())
    if isinstance(value, list):
        return ", ".join(_text(v) for v in value)
    if isinstance(value, float):
        return f"{value:.3g}".replace("-", "−")
    return "none" if value is None else str(value)


def _facts(found: dict[str, Any]) -> list[tuple[str, str]]:
    episodes = found["episodes"]
    rows = [
        ("dataset", found["dataset"]),
        ("episodes judged", f"{len(episodes)}, none of them in the labeller's training"),
        ("truth", found["truth"] or "the dataset's own, where it has one"),
        ("labeller", f"sha256 {found['labeller']['sha256'][:16]}"),
    ]
    if any("seen" in line or "may be" in line for line in found["warnings"]):
        rows[1] = ("episodes judged", f"{len(episodes)}; see the notes above")
    rows += [(name, _text(value)) for name, value in found["config"].items()]
    return rows + [(name, text) for name, text in found["versions"].items()]
