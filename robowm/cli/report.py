"""Write one HTML file of what a run did: table, rollouts, pictures, learning curves.

It opens without a network; every part that the run has not got is named in it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Args:
    """Flags of `robowm report`."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run directory, such as runs/quickstart."""

    out: Path | None = None
    """HTML file to write; None means RUN/report.html."""


def run(args: Args) -> int:
    """Write the report and say where it is."""
    from robowm.report.page import write_report

    written = write_report(args.run, args.out)
    print(f"{written}: {written.stat().st_size / 1e6:.1f} MB, opens in any browser")
    return 0
