"""What a source yields: entries, one a clip, cheap to list and opened in a worker process.

A recipe in `datasets/` is a module with `SPEC`, an IngestConfig, and `find`, which lists entries.
Everything after that (shots, judging, resampling by time, manifest, resume) is the same for all.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from robowm.video.decode import UnusableClip
from robowm.video.sources.labels import Label

# Reason codes of this package, beside those in `robowm.video.judge`.
REASONS = {
    "missing": "named by the source's metadata, absent on disk",
    "label_gap": "actions were to be kept, and the source has none for some of the pictures",
    "skipped_steps": "per-step actions were to be kept, but pictures between were not",
}


@dataclass(frozen=True)
class Entry:
    """One clip of a source.

    Attributes:
        name: stable and unique in its source; the manifest's `source`.
        state: another text when what is behind the name changes: sizes and times, no contents.
        clip: what `robowm.video.decode.open_video` takes: a file, or a picklable function without
            arguments that gives a context manager of something with Video's members.
        label: picklable function without arguments: the clip's text and numbers, read only then.
        steps_hz: the source's rate where its actions are per-step changes, else None.
    """

    name: str
    state: str
    clip: Path | Callable[[], AbstractContextManager[Any]]
    label: Callable[[], Label] = field(default=Label)
    steps_hz: float | None = None


class Found(NamedTuple):
    """Entries of some sources, and how many files there are none."""

    entries: list[Entry]
    others: int = 0


@dataclass(frozen=True)
class Search:
    """What a recipe's `find` is asked for.

    Attributes:
        sources: files, folders, addresses or names, as they were given.
        cameras: names of cameras, each an entry of its own; empty: the source's first.
        downloads: folder for what has to be fetched first; made when needed.
    """

    sources: tuple[str, ...]
    cameras: tuple[str, ...] = ()
    downloads: Path = Path("downloads")


@dataclass(frozen=True)
class Missing:
    """The `clip` of an entry that is known by name only; opening it says why."""

    note: str
    reason: str = "missing"

    def __call__(self) -> AbstractContextManager[Any]:
        raise UnusableClip(self.reason, self.note)


def read_label(entry: Entry, keep_actions: bool) -> Label:
    """An entry's label; one that cannot be read matters only where actions are to be kept."""
    try:
        return entry.label()
    except UnusableClip:
        if keep_actions:
            raise
        return Label()


def described(find: Callable[..., Any]) -> str:
    """A finder's name, for the card of what it made."""
    inner = find.func if isinstance(find, partial) else find
    settings = f" {find.keywords}" if isinstance(find, partial) else ""
    return f"{inner.__module__}.{inner.__qualname__}{settings}"


def state_of(*paths: Path) -> str:
    """Size and time of last change of files; "absent" for those that are not there."""
    states = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            states.append("absent")
        else:
            states.append(f"{stat.st_size} {stat.st_mtime_ns}")
    return "\n".join(states)
