"""Directories that are whole or absent: write beside the target, rename when complete.

Every stage writes one directory. While it runs, its files live in `.NAME.partial` next to the
target, so a killed stage leaves no half artefact and finds its checkpoints when it is run again.
`robowm.json` in the directory says what it is and which settings made it. The same command given
twice at once does not mix: the second is refused while the first is at work (`robowm.hold`).
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

from robowm import __version__
from robowm.errors import UserError
from robowm.hold import hold, let_go

CARD = "robowm.json"


@dataclass(frozen=True)
class Stage:
    """One output directory in the making.

    Attributes:
        out: where the artefact will stand.
        work: where to write now; survives a kill and is found again by the same command.
        done: the artefact already stands there, made with the same settings: nothing to do.
    """

    out: Path
    work: Path
    card: dict[str, Any]
    done: bool

    def seal(self, **facts: Any) -> None:
        """Write the card with `facts` added; the caller moves the work into its place."""
        write_json(self.work / CARD, self.card | facts)

    def finish(self, **facts: Any) -> None:
        """Write the card with `facts` added, and move the work into its place."""
        self.seal(**facts)
        if self.out.is_dir():  # empty: open_stage refused anything else
            self.out.rmdir()
        self.work.rename(self.out)
        let_go(self.out)


def open_stage(out: Path, kind: str, settings: Any, replace: bool = False) -> Stage:
    """Begin, resume or recognise the artefact `out`.

    Args:
        out: target directory; may be absent or empty.
        kind: what it will be, such as "world_model".
        settings: JSON-like or dataclass; the same settings resume, others start afresh.
        replace: work on although `out` is of this kind and other settings; it stays as it is
            until the caller swaps it for the sealed work.

    Raises:
        UserError: `out` holds something else, cannot be written, or is being written by another
            process.
    """
    out = Path(out)
    card = {"kind": kind, "robowm": __version__, "settings": plain(settings)}
    work = out.with_name(f".{out.name}.partial")
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file; expected a directory that is new or empty.")
    if out.is_dir() and any(out.iterdir()):
        found = read_card(out)
        if found and found["kind"] == kind and found["settings"] == card["settings"]:
            return Stage(out, out, found, done=True)
        if replace and found and found["kind"] == kind:
            return Stage(out, _begin(out, work, card), card, done=False)
        what = f"a {found['kind']} made with other settings" if found else "other files"
        raise UserError(
            f"--out {out} already holds {what}; expected a new or empty directory. "
            "Name another one, or delete this one first."
        )
    return Stage(out, _begin(out, work, card), card, done=False)


def _begin(out: Path, work: Path, card: dict[str, Any]) -> Path:
    """The working directory, with what an earlier run of the same settings left in it."""
    try:
        work.mkdir(parents=True, exist_ok=True)
        if not hold(work):
            raise UserError(
                f"--out {out} is being written by another process; expected one that nobody "
                "writes. Wait for that process or stop it: this command then goes on."
            )
        if (read_card(work) or {}).get("settings") != card["settings"]:
            _empty(work)
        write_json(work / CARD, card)
    except OSError as error:
        raise UserError(
            f"--out {out} cannot be written ({error.strerror}); expected a directory "
            "this user may create files in."
        ) from error
    return work


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def read_card(directory: Path) -> dict[str, Any] | None:
    """The card of an artefact, or None where there is none (or it is not ours)."""
    try:
        card = json.loads((Path(directory) / CARD).read_text())
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) and {"kind", "settings"} <= card.keys() else None


def directory_sha256(directory: Path) -> str:
    """sha256 over the names and contents of all files of a directory."""
    digest = hashlib.sha256()
    for path in sorted(p for p in Path(directory).rglob("*") if p.is_file()):
        digest.update(str(path.relative_to(directory)).encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that the file is whole or absent."""
    write_text(path, json.dumps(plain(value), indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text under a temporary name, then rename."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def plain(value: Any) -> Any:
    """Dataclasses, paths and tuples as the JSON types they are read back as."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value
