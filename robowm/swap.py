"""Several files of a directory replaced as one: after a kill, all of them are old or all are new.

New versions are written into `.robowm_swap/`, beside the old. Then one small file, the journal,
names them: from that moment the change has happened, and whoever opens the directory next
finishes the renames that a kill cut short. Without a journal, what lies there is waste.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from robowm.artefact import write_json
from robowm.errors import UserError

STAGING = ".robowm_swap"
JOURNAL = "journal.json"

type Move = tuple[Path, Path]


def open_swap(root: Path) -> Path:
    """An empty directory under `root` to write new versions into; an unfinished swap is finished.

    Raises:
        UserError: this user may not write there.
    """
    finish_swap(root)
    staging = Path(root) / STAGING
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
    except OSError as error:
        raise UserError(
            f"{root} cannot be written ({error.strerror}); expected a dataset that this user may "
            "change. Copy it first, or change its permissions."
        ) from error
    return staging


def commit(root: Path, moves: Iterable[Move]) -> None:
    """Put every new version in its place, all or none.

    Args:
        root: the directory that `open_swap` was given.
        moves: new version and target, both below `root`, in the order of the renames; a directory
            that stands at a target is removed first.
    """
    root = Path(root)
    pairs = [[str(path.relative_to(root)) for path in move] for move in moves]
    write_json(root / STAGING / JOURNAL, {"moves": pairs})
    finish_swap(root)


def finish_swap(root: Path) -> None:
    """Finish what a kill cut short; does nothing where nothing was.

    Raises:
        UserError: it cannot be finished: no permission, or the journal points elsewhere.
    """
    journal = Path(root) / STAGING / JOURNAL
    try:
        with journal.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # of several processes, the first one does it
            with suppress(FileNotFoundError):
                if os.fstat(file.fileno()).st_ino == journal.stat().st_ino:
                    _finish(Path(root), json.load(file)["moves"])
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise UserError(
            f"{root} holds a change that was cut short, and finishing it failed "
            f"({error.strerror}); expected a directory that this user may write."
        ) from error


def _finish(root: Path, moves: list[list[str]]) -> None:
    here = root.resolve()
    for words in moves:
        new, target = (root / word for word in words)
        for path in (new, target):  # a dataset may come from anywhere, and its journal with it
            if not path.parent.resolve().is_relative_to(here) or path.name in ("", ".."):
                raise UserError(f"{root / STAGING / JOURNAL} names {path}, outside of {root}.")
        if new.is_dir() and target.is_dir():
            shutil.rmtree(target)
        with suppress(FileNotFoundError):
            target.parent.mkdir(parents=True, exist_ok=True)
            new.replace(target)
    (root / STAGING / JOURNAL).unlink()
    shutil.rmtree(root / STAGING)
