"""Clips in, a dataset out: looks at every file, decides, stores what is usable.

Each clip is decoded twice, both times small: once to find its shots and judge them, once to cut
the kept ones to size. A clip that is done is cached in the stage's work directory, so a killed run
goes on with the next one; the dataset is assembled from that cache at the end.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robowm.artefact import open_stage, write_json
from robowm.errors import UserError
from robowm.progress import progress
from robowm.video.assemble import MANIFEST, assemble
from robowm.video.clock import capture_times
from robowm.video.config import IngestConfig
from robowm.video.decode import UnusableClip
from robowm.video.judge import Verdict, verdict
from robowm.video.sample import pick, take
from robowm.video.shots import Shot, survey
from robowm.video.sources.entry import Entry, Found, Search, described, read_label
from robowm.video.sources.files import find_files
from robowm.video.sources.hub import on_disk
from robowm.video.sources.labels import SHOWN, attach, check_rates, same_columns
from robowm.video.tally import cached_rows
from robowm.video.transnet import check_installed
from robowm.video.workers import run_jobs

Row = dict[str, Any]
Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class IngestSummary:
    """What an ingest did.

    Attributes:
        out: the dataset's directory.
        manifest: its parquet file, a row per shot.
        clips: files looked at; `others` were passed over as no video files.
        shots: number of rows by reason; "ok" is what was kept.
        frames: stored frames.
        seconds: of source time that they span.
        added: clips that an append found new; None for an ingest.
    """

    out: Path
    manifest: Path
    clips: int
    others: int
    frames: int
    seconds: float
    shots: dict[str, int] = field(default_factory=dict)
    added: int | None = None


def ingest(
    sources: Sequence[Path | str],
    out: Path,
    config: IngestConfig | None = None,
    workers: int = 1,
    find: Callable[[Search], Found] = find_files,
    cameras: tuple[str, ...] = (),
    keep_actions: bool = False,
) -> IngestSummary:
    """Package clips as a LeRobotDataset v3, without actions unless they are asked for.

    Columns are `observation.images.main`, uint8 (size_px, size_px, 3), and `capture_time_s`, the
    source's own clock. `manifest.parquet` beside it has a row for every shot of every clip.
    The same call goes on where a killed one stopped. If nothing at all is usable there is no
    dataset; the manifest is then `OUT.manifest.parquet`, so that the reasons can be read.

    With `keep_actions` there are the source's `action` and `observation.state` too, and `ee_delta`
    (metres, until the next stored picture) where it tells where the hand is. Rows are chosen by
    time, as the pictures are. Actions that are changes per step cannot be thinned out that way:
    `fps` below the source's rate is refused for them. See `robowm.video.sources.labels`.

    Args:
        sources: what `find` takes: by default files or folders, searched to the bottom.
        out: directory to create.
        find: lists the clips of the sources; the `find` of a recipe in `datasets/`.
        cameras: which of a source's cameras, each a clip of its own; empty: the first.
        workers: processes that decode; with more than one, a script that calls this needs the
            usual `if __name__ == "__main__":`.

    Raises:
        UserError: no clips, nothing usable in them, or `out` is taken or cannot be written.
    """
    config = config or IngestConfig()
    config.check()
    if config.detector == "transnet":
        check_installed()
    out = Path(out)
    given = tuple(map(str, sources))
    search = Search(on_disk(given), cameras, out.with_name(f"{out.name}.downloads"))
    found, others = find(search)
    check_rates(found, config.fps, keep_actions)
    clips = {entry.name: entry for entry in found}
    keys = {name: clip_key(entry) for name, entry in clips.items()}
    inventory = hashlib.sha256("".join(keys.values()).encode()).hexdigest()
    settings = {
        "sources": given,
        "cameras": cameras,
        "find": described(find),
        "keep_actions": keep_actions,
        "config": asdict(config),
    }
    stage = open_stage(out, "ingest", settings)
    trash = stage.out.with_name(f".{stage.out.name}.cache")
    shutil.rmtree(trash, ignore_errors=True)
    if stage.done:
        if stage.card["clips_sha256"] != inventory:
            raise UserError(
                f"--out {out} was made from the same sources when they held other files; "
                "expected a new or empty directory. Name another one, or delete this one first."
            )
        return IngestSummary(out=stage.out, manifest=stage.out / MANIFEST, **stage.card["summary"])
    cache = stage.work / "clips"
    cache.mkdir(exist_ok=True)
    decide_all(clips, keys, cache, config, workers, keep_actions)
    folders = ((name, cache / keys[name]) for name in clips)
    rows = cached_rows(folders, config.max_copy_distance)
    if keep_actions:
        rows = same_columns(rows)
    tally = assemble(stage.work, cache, rows, config, len(clips))
    summary: dict[str, Any] = {
        "clips": len(clips),
        "others": others,
        "frames": tally.frames,
        "seconds": round(tally.seconds, 3),
        "shots": tally.shots,
    }
    if not tally.kept:
        manifest = stage.out.with_name(f"{stage.out.name}.{MANIFEST}")
        (stage.work / MANIFEST).replace(manifest)
        shutil.rmtree(stage.work)
        why = ", ".join(f"{n} {reason}" for reason, n in tally.shots.items())
        raise UserError(
            f"none of {len(clips)} clips is usable ({why}); expected one usable shot or more. "
            f"What is wrong with each: {manifest}"
        )
    dropped = {reason: n for reason, n in summary["shots"].items() if reason != "ok"}
    write_json(
        stage.work / "summary.json", {"clips": len(clips), "kept": tally.kept, "dropped": dropped}
    )
    cache.rename(trash)
    stage.finish(clips_sha256=inventory, summary=summary)
    shutil.rmtree(trash, ignore_errors=True)
    return IngestSummary(out=stage.out, manifest=stage.out / MANIFEST, **summary)


def decide(path: Any, config: IngestConfig) -> tuple[list[Row], Iterator[Columns]]:
    """One clip's manifest rows (without `source`), and the columns of its kept shots in order.

    Args:
        path: what `robowm.video.decode.open_video` takes.
    """
    try:
        seen = survey(path, config)
    except UnusableClip as unusable:
        return [_row(reason=unusable.reason, note=unusable.note)], iter(())
    rows: list[Row] = []
    picks: list[tuple[Shot, np.ndarray]] = []
    times: list[Columns] = []
    for shot in seen.shots:
        taken_s, end_s = capture_times(seen.times_s, shot, path, config)
        indices = pick(taken_s, taken_s[0], end_s, config.fps)
        rate_hz = float(len(indices) / (end_s - taken_s[0]))
        found = verdict(shot.look, len(indices), rate_hz, config)
        if shot.mixed:
            found = Verdict("transition")
        kept = found.reason == "ok"
        rows.append(
            _row(
                start_s=shot.start_s,
                end_s=shot.end_s,
                kept=kept,
                note=seen.note,
                frames=len(indices) if kept else 0,
                rate_hz=round(rate_hz, 3),
                speed=round(float(end_s - taken_s[0]) / (shot.end_s - shot.start_s), 3),
                width_px=seen.width_px,
                height_px=seen.height_px,
                first_frame=shot.first,
                **asdict(found),
                **shot.look.scores(),
            )
        )
        if kept:
            picks.append((shot, indices + shot.first))
            shown_s = seen.times_s[indices + shot.first]
            times.append({"capture_time_s": taken_s[indices], SHOWN: shown_s})
    taken = take(path, seen.times_s, picks, config) if picks else ()
    columns = ({"frames": frames, **clocks} for frames, clocks in zip(taken, times, strict=True))
    return rows, columns


def decide_all(
    clips: dict[str, Entry],
    keys: dict[str, str],
    cache: Path,
    config: IngestConfig,
    workers: int,
    keep_actions: bool,
) -> None:
    """Fill the cache with the clips that are not in it yet."""
    left = sum(not (cache / key).is_dir() for key in keys.values())
    if not left:
        return
    jobs = (
        (entry, cache / keys[name], config, keep_actions)
        for name, entry in clips.items()
        if not (cache / keys[name]).is_dir()
    )
    with progress("looking at clips", total=len(clips), done=len(clips) - left) as advance:
        for _, folder, *_ in run_jobs(_decide_one, jobs, min(workers, left), advance):
            _store(folder, [_row(reason="failed", note="its decoding process died")], iter(()))


def _decide_one(entry: Entry, folder: Path, config: IngestConfig, keep_actions: bool) -> None:
    try:
        label = read_label(entry, keep_actions)
        _store(folder, *attach(label, *decide(entry.clip, config), keep_actions))
    except UnusableClip as unusable:
        _store(folder, [_row(reason=unusable.reason, note=unusable.note)], iter(()))
    except Exception as error:  # one odd file must not stop ten thousand others
        note = f"{type(error).__name__}: {error}"
        _store(folder, [_row(reason="failed", note=note)], iter(()))


def _store(folder: Path, rows: list[Row], shots: Iterator[Columns | None]) -> None:
    """Cache a clip's outcome, a shot at a time: a folder that is whole or absent.

    A shot that is None is dropped; what yields the shots has said so in its row.
    """
    building = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    kept = [row for row in rows if row["kept"]]
    for n, columns in enumerate(shots):
        if columns is None:
            continue
        columns.pop(SHOWN)
        np.savez_compressed(building / f"{n}.npz", allow_pickle=False, **columns)
        kept[n]["cached"] = f"{folder.name}/{n}.npz"
    write_json(building / "rows.json", rows)
    building.rename(folder)


def _row(**values: Any) -> Row:
    """A manifest row in the making; what a clip that cannot be opened has is the default."""
    row = {"start_s": 0.0, "end_s": 0.0, "kept": False, "frames": 0, "note": ""}
    return row | values


def clip_key(entry: Entry) -> str:
    """The cache's name for a clip: another one when what is behind it changes."""
    text = f"{entry.name}\n{entry.state}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:24]
