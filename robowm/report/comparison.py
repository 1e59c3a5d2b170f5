"""A comparison of policies as tables of words: for the terminal, and for Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from robowm.report.words import p_words, points, span

ENDS = ("success", "never reached", "missed grasp", "dropped", "misplaced", "not said", "stopped")


@dataclass(frozen=True)
class Sheet:
    """One table: a title, the heads of its columns, rows of as many cells."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def sheets(comparison: dict[str, Any]) -> list[Sheet]:
    """Rates, differences (with more than one arm) and ends of episodes.

    Args:
        comparison: as `robowm.metrics.compare.compare` gives it, or read back from its JSON.
    """
    tables = [_rates(comparison), _differences(comparison), _ends(comparison)]
    return [table for table in tables if table.rows]


def markdown(comparison: dict[str, Any]) -> str:
    """All tables and notes as GitHub's Markdown."""
    parts = [f"**{s.title}**\n\n{markdown_table(s.columns, s.rows)}" for s in sheets(comparison)]
    notes = "\n".join(f"- {note}" for note in comparison["notes"])
    return "\n\n".join([*parts, *([notes] if notes else [])]) + "\n"


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows of words as one table of GitHub's Markdown, without a newline at its end."""
    head, *body = (
        f"| {' | '.join(word.replace('|', '/') for word in words)} |" for words in (columns, *rows)
    )
    return "\n".join([head, "|" + "---|" * len(columns), *body])


def _rates(comparison: dict[str, Any]) -> Sheet:
    several = any(a["runs"] > 1 for a in comparison["arms"].values())
    columns = ("task", "arm", "trainings", "succeeded", "rate", "95 % Wilson")
    rows: list[tuple[str, ...]] = []
    for row in comparison["rows"]:
        for name, rate in row["rates"].items():
            wilson = f"{span(rate['wilson'])} %" if rate["wilson"] else "-"
            cells = (
                row["title"],
                name,
                str(rate["runs"]),
                f"{rate['successes']} of {rate['episodes']}",
                f"{100 * rate['success_rate']:.0f} %",
                wilson,
            )
            over = f"{span(rate['interval'])} % over {rate['covers']}"
            rows.append((*cells, over) if several else cells)
    return Sheet("Success", (*columns, "95 % interval") if several else columns, rows)


def _differences(comparison: dict[str, Any]) -> Sheet:
    rows: list[tuple[str, ...]] = []
    for row in comparison["rows"]:
        for found in row["differences"]:
            test = found["mcnemar"]
            rows.append(
                (
                    row["title"],
                    f"{found['first']} - {found['second']}",
                    f"{points(found['difference'])} points",
                    span(found["interval"], points),
                    found["covers"],
                    span(found["layouts_bootstrap"], points),
                    f"{test['only_first']} / {test['only_second']}" if test else "-",
                    p_words(test["p_value"]) if test else "-",
                )
            )
    columns = ("task", "arms", "difference", "95 %", "over", "layouts bootstrap")
    return Sheet("Differences", (*columns, "only one solved", "exact McNemar"), rows)


def _ends(comparison: dict[str, Any]) -> Sheet:
    arms = comparison["failures"]
    counts = [
        (task, name, found[task])
        for task in next(iter(arms.values()))
        for name, found in arms.items()
    ]
    shown = [end for end in ENDS if any(end in found for _, _, found in counts)]
    rows = [
        (task, name, *(str(found.get(end, 0)) for end in shown)) for task, name, found in counts
    ]
    return Sheet("How episodes ended", ("task", "arm", *shown), rows)
