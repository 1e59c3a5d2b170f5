"""More clips into a dataset that `ingest` made: whole before, whole after, nothing in between.

The new episodes are written to a copy whose large files are hard links to the old ones, and the
copy takes the dataset's place in one step. Clips that are there already are known by their key, so
the same command again does nothing, and a killed one goes on.
"""

import ctypes
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from robowm.artefact import CARD, plain, read_card, write_json
from robowm.episodes import EpisodeWriter
from robowm.errors import UserError
from robowm.progress import progress
from robowm.video.assemble import MANIFEST, ManifestWriter, add_shot, features_of
from robowm.video.config import IngestConfig
from robowm.video.fingerprint import Copies
from robowm.video.ingest import IngestSummary, Row, clip_key, decide_all, ingest
from robowm.video.sources.entry import Entry, Found, Search
from robowm.video.sources.files import find_files
from robowm.video.sources.hub import on_disk
from robowm.video.sources.labels import check_rates, same_columns
from robowm.video.tally import cached_rows

RENAME_EXCHANGE, AT_FDCWD = 2, -100  # linux/fs.h


def append(
    sources: Sequence[Path | str],
    out: Path,
    config: IngestConfig | None = None,
    workers: int = 1,
    find: Callable[[Search], Found] = find_files,
    cameras: tuple[str, ...] = (),
    keep_actions: bool = False,
) -> IngestSummary:
    """`ingest` that adds to what is in `out`; with nothing there it is the same.

    Old episodes, their numbers and the manifest's rows for them stay. The dataset in `out` can be
    opened at every moment, also after a kill.

    Returns:
        the summary of the whole dataset; `added` is the number of clips that were new.

    Raises:
        UserError: as `ingest`; or `out` was made with other settings or columns, or by another
            stage; or a clip of a name that is in `out` is not the one that was.
    """
    out, config = Path(out), config or IngestConfig()
    config.check()
    work = out.with_name(f".{out.name}.append")
    _recover(out, work)
    if not out.is_dir() or not any(out.iterdir()):
        return ingest(sources, out, config, workers, find, cameras, keep_actions)
    card = _checked_card(out, config, keep_actions)
    search = Search(
        on_disk(tuple(map(str, sources))), cameras, out.with_name(f"{out.name}.downloads")
    )
    found, others = find(search)
    check_rates(found, config.fps, keep_actions)
    old = _read_manifest(out)
    new = _new(found, old, out)
    if not new:
        shutil.rmtree(work, ignore_errors=True)
        return IngestSummary(out, out / MANIFEST, **card["summary"], added=0)
    cache = _open_cache(work, card)
    keys = {name: clip_key(entry) for name, entry in new.items()}
    decide_all(new, keys, cache, config, workers, keep_actions)
    folders = ((name, cache / keys[name]) for name in new)
    fresh = cached_rows(folders, config.max_copy_distance, _copies(old))
    rows = [*(same_columns(fresh) if keep_actions else fresh)]
    kept = [row for row in rows if row["kept"]]
    if kept:
        _check_features(out, features_of(kept[0], config))
    building = work / "next"
    shutil.rmtree(building, ignore_errors=True)
    _clone(out, building)
    if kept:
        episodes = EpisodeWriter(building, config.fps, features_of(kept[0], config), more=True)
        with progress("assembling", total=len(kept)) as advance:
            for row in kept:
                add_shot(episodes, cache, row)
                advance()
        episodes.close()
    summary = _finish(building, card, old + rows, len(new), others, list(map(str, sources)))
    _exchange(building, out, work / "old")
    shutil.rmtree(work)
    return IngestSummary(out, out / MANIFEST, **summary, added=len(new))


def _copies(old: list[Row]) -> Copies:
    """The kept shots, so that a copy of one is not added."""
    copies = Copies()
    for row in old:
        if row["kept"] and row["copy_code"]:
            copies.add(bytes.fromhex(row["copy_code"]), -1, row["start_s"])
    return copies


def _checked_card(out: Path, config: IngestConfig, keep_actions: bool) -> dict[str, Any]:
    card = read_card(out)
    if not card or card["kind"] != "ingest":
        what = f"a {card['kind']}" if card else "something else"
        raise UserError(f"--append: --out {out} holds {what}; expected what `robowm ingest` made.")
    was = card["settings"]["config"] | {"keep_actions": card["settings"].get("keep_actions")}
    now = plain(asdict(config)) | {"keep_actions": keep_actions}
    for name in now:
        if was.get(name) != now[name]:
            flag = name.replace("_", "-")
            raise UserError(
                f"--append: {out} was made with {name} {was.get(name)}, now it is {now[name]}; "
                f"expected the same settings (--{flag}), or another --out."
            )
    return card


def _read_manifest(out: Path) -> list[Row]:
    import pyarrow.parquet as pq

    rows: list[Row] = pq.read_table(out / MANIFEST).to_pylist()
    return rows


def _new(found: list[Entry], old: list[Row], out: Path) -> dict[str, Entry]:
    """Entries that are not in the manifest."""
    known = {row["source"]: row["key"] for row in old}
    new = {entry.name: entry for entry in found if known.get(entry.name) != clip_key(entry)}
    other = [name for name in new if name in known]
    if other:
        raise UserError(
            f"--append: {len(other)} clips have the names of clips in {out} but are other files "
            f"or changed since (first: {other[0]}). Nothing is replaced; for another folder of the "
            "same name give the folder above it, for changed files another --out."
        )
    return new


def _open_cache(work: Path, card: dict[str, Any]) -> Path:
    """The folder of decided clips; what was decided under other settings is thrown away."""
    mine = {"kind": "append", "settings": card["settings"]}
    if (read_card(work) or {}).get("settings") != card["settings"]:
        shutil.rmtree(work, ignore_errors=True)
    cache = work / "clips"
    cache.mkdir(parents=True, exist_ok=True)
    write_json(work / CARD, mine)
    return cache


def _clone(out: Path, building: Path) -> None:
    """A copy that shares what is never written again: parquet and media under data, videos, meta/
    episodes. What lerobot rewrites in place (info, stats, tasks) is a true copy."""
    for path in sorted(out.rglob("*")):
        below = path.relative_to(out)
        target = building / below
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if below.parts[0] in ("data", "videos") or below.parts[:2] == ("meta", "episodes"):
            try:
                os.link(path, target)
                continue
            except OSError:  # a file system without hard links
                pass
        shutil.copy2(path, target)


def _check_features(out: Path, features: dict[str, Any]) -> None:
    """Raise UserError unless the dataset has these columns, shapes and names."""
    there = json.loads((out / "meta" / "info.json").read_text())["features"]
    default = {"timestamp", "frame_index", "episode_index", "index", "task_index"}
    old = {name: plain(there[name]["names"]) for name in there if name not in default}
    new = {name: plain(feature["names"]) for name, feature in features.items()}
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            raise UserError(
                f"--append: column {name} of {out} is {_told(old.get(name))}, of the new clips "
                f"{_told(new.get(name))}; expected the same columns. A dataset that was labelled "
                "cannot be added to: append first, then label."
            )


def _told(names: list[str] | None) -> str:
    return "absent" if names is None else f"{len(names)} numbers ({', '.join(names)})"


def _finish(
    building: Path,
    card: dict[str, Any],
    rows: list[Row],
    clips: int,
    others: int,
    sources: list[str],
) -> dict[str, Any]:
    """Manifest, summary and card of the larger dataset."""
    kept = [row for row in rows if row["kept"]]
    was = card["summary"]
    shots = dict(Counter(row["reason"] for row in rows).most_common())
    summary = {
        "clips": was["clips"] + clips,
        "others": was["others"] + others,
        "frames": sum(row["frames"] for row in kept),
        "seconds": round(sum(row["end_s"] - row["start_s"] for row in kept), 3),
        "shots": shots,
    }
    with ManifestWriter(building / f".{MANIFEST}.tmp") as manifest:
        for row in rows:
            manifest.add(row)
    (building / f".{MANIFEST}.tmp").replace(building / MANIFEST)  # the clone must not be changed
    dropped = {reason: n for reason, n in shots.items() if reason != "ok"}
    brief = {"clips": summary["clips"], "kept": len(kept), "dropped": dropped}
    write_json(building / "summary.json", brief)
    appended = [*card.get("appended", []), {"sources": sources, "clips": clips}]
    write_json(building / CARD, card | {"summary": summary, "appended": appended})
    return summary


def _exchange(new: Path, out: Path, aside: Path) -> None:
    """Put `new` in the place of `out` in one step; what was there ends at `new` or `aside`."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    names = os.fsencode(new), os.fsencode(out)
    if rename and rename(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0:
        return
    out.rename(aside)  # a file system that cannot exchange: for a moment there is no `out`
    new.rename(out)


def _recover(out: Path, work: Path) -> None:
    """Undo an exchange that was killed between its two steps."""
    if not out.exists() and (work / "old").is_dir():
        (work / "old").rename(out)
