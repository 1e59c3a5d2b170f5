"""What long work shows: how far it is, and an estimate of what remains.

On a terminal a bar; elsewhere (a log, CI) one line now and then.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 15.0
Advance = Callable[..., None]


@contextmanager
def progress(title: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Yield `advance(n=1, **shown)`; `shown` are figures printed beside the bar.

    Args:
        title: what is being done, a few words.
        total: how many units there are in all.
        done: how many an earlier run had finished.
    """
    if sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[shown]}"),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(title, total=total, completed=done, shown="")
            yield lambda n=1, **shown: bar.update(task, advance=n, shown=_figures(shown))
    else:
        yield _lines(title, total, done)


def _lines(title: str, total: int, done: int) -> Advance:
    begun = said = time.monotonic()
    count = done

    def advance(n: int = 1, **shown: float) -> None:
        nonlocal count, said
        count += n
        now = time.monotonic()
        if now - said < LINE_EVERY_S and count < total:
            return
        said = now
        remains_s = (now - begun) / max(count - done, 1) * (total - count)
        line = f"{title}: {count}/{total}, about {remains_s:.0f} s left"
        print(f"{line}  {_figures(shown)}".rstrip(), file=sys.stderr, flush=True)

    return advance


def _figures(shown: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in shown.items())
