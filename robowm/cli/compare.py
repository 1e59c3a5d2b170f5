"""Compare results of `robowm eval`: intervals, paired tests, and how episodes ended.

Each FILE is an arm of its own, named after it. Files of one arm that differ by training seed, or
by task, go together: --arm pretrained=runs/a_s0.json,runs/a_s1.json,runs/a_s2.json. Episodes are
paired by task, layout and seed; the first arm is held against each of the others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robowm.errors import UserError

if TYPE_CHECKING:
    from robowm.metrics.arms import Arm


@dataclass(frozen=True)
class Args:
    """Flags of `robowm compare`."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE ...")] = ()
    """Results, an arm each; they come after those of --arm."""
    arm: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """NAME=FILE,FILE,...: files (or patterns with *) of one arm, one a training seed or task; again
    for another arm. NAME@CONDITION=...: averaged over conditions as over tasks."""
    apart: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A task that is also kept apart in the averages, such as simpler/eggplant; again for more."""
    json: Path | None = None
    """JSON file to write the comparison to."""
    markdown: Path | None = None
    """Markdown file to write the tables to."""


def run(args: Args) -> None:
    """Read everything, compare, print the tables, then write the files."""
    from robowm.artefact import write_json, write_text
    from robowm.metrics.compare import compare
    from robowm.report.comparison import markdown

    comparison = compare(_arms(args), args.apart)
    _print(comparison)
    if args.json:
        _write(args.json, lambda path: write_json(path, comparison))
    if args.markdown:
        _write(args.markdown, lambda path: write_text(path, markdown(comparison)))


def _write(path: Path, write: Callable[[Path], None]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}).") from error
    print(path)


def _arms(args: Args) -> "list[Arm]":
    from robowm.metrics.arms import arm
    from robowm.metrics.result import Result, read_result

    named: dict[str, list[tuple[str, Result]]] = {}
    for words in args.arm:
        label, equals, files = words.partition("=")
        name, _, condition = label.partition("@")
        if not (name and equals and files):
            raise UserError(f"--arm {words!r}: expected NAME=FILE,FILE,...")
        for path in _found(files):
            named.setdefault(name, []).append((condition, read_result(path)))
    stems = [path.stem.removeprefix("eval_") for path in args.files]
    for stem, path in zip(stems, args.files, strict=True):
        name = stem if stems.count(stem) == 1 else str(path)
        if name in named:
            raise UserError(f"two arms are named {name!r}; name one with --arm NAME={path}.")
        named[name] = [("", read_result(path))]
    if not named:
        raise UserError("nothing to compare; expected results of `robowm eval`, or --arm.")
    return [arm(name, results) for name, results in named.items()]


def _found(files: str) -> list[Path]:
    """Paths of a comma-separated list; * and ? stand for parts of a file's name."""
    paths: list[Path] = []
    for word in files.split(","):
        path = Path(word)
        pattern = any(sign in path.name for sign in "*?")
        found = sorted(path.parent.glob(path.name)) if pattern else [path]
        if not found:
            raise UserError(f"no file matches {word!r}.")
        paths += found
    return paths


def _print(comparison: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from robowm.report.comparison import sheets

    console = Console()
    for sheet in sheets(comparison):
        table = Table(title=sheet.title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for column in sheet.columns:
            table.add_column(column, overflow="fold")
        for row in sheet.rows:
            table.add_row(*map(Text, row))
        console.print(table)
    for note in comparison["notes"]:
        console.print(Text(f"note: {note}"))
