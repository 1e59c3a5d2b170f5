"""Say what this machine can do, and the mend for what is missing.

Exits with 1 when something is missing that the main job needs.
"""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robowm.doctor import Finding

COLOURS = {"ok": "green", "warn": "yellow", "missing": "red"}


@dataclass(frozen=True)
class Args:
    """Flags of `robowm doctor`."""

    json: bool = False
    """Print JSON instead of a table: `fit` and a list of `findings`."""


def run(args: Args) -> int:
    """Examine, print; 0 when nothing required is missing, else 1."""
    from robowm import doctor

    findings = doctor.examine()
    fit = doctor.fit(findings)
    if args.json:
        print(json.dumps({"fit": fit, "findings": [asdict(f) for f in findings]}, indent=2))
    else:
        _table(findings, fit)
    return 0 if fit else 1


def _table(findings: "list[Finding]", fit: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "part", "found", "mend"):
        table.add_column(column, overflow="fold", no_wrap=column in ("", "part"))
    for finding in findings:
        colour = COLOURS[finding.state] if finding.required or finding.state != "missing" else "dim"
        state = Text(finding.state, style=colour)
        table.add_row(state, finding.part, Text(finding.found), Text(finding.mend))
    console = Console(soft_wrap=False)
    console.print(table)
    console.print(
        "\nThis machine can run robowm."
        if fit
        else "\nSomething that robowm needs is missing: see the red lines."
    )
