"""The view of a labelled dataset in which `action` is the latent action, for any LeRobot policy.

Stock policies know one mask, that of the padding after an episode's end. So every row of the view
has a valid latent: each unbroken run of valid transitions becomes an episode of its own. A source
episode's last row, which has no transition, and rows whose flow failed are in none of them.
"""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robowm.artefact import directory_sha256, open_stage, write_json
from robowm.columns import arrow_column, hub_metadata, numbers, rewrite, set_column
from robowm.episodes import DEFAULT_LABELS, Episodes, label_columns
from robowm.errors import UserError
from robowm.nn.directory import fingerprint, resolve
from robowm.policy.control_map import ControlMap
from robowm.statistics import Stats, as_json, read_stats, replace_stats, stats_of
from robowm.train.labels_on_disk import PROVENANCE, provenance_in, read_provenance
from robowm.train.pseudo_labels import decode, map_for

KIND = "latent_action_view"
SHORTEST_RUN = 2  # rows; of one alone a policy learns no more than a constant
NO_NUMBERS = ("image", "video", "string", "language")


@dataclass(frozen=True)
class ActionView:
    """What was written.

    Attributes:
        directory: the view.
        episodes, frames: what is in it.
        left_out: rows of the source that are not.
        linked, copied: files shared with the source, and those that could only be copied.
    """

    directory: Path
    episodes: int
    frames: int
    left_out: int
    linked: int
    copied: int


@dataclass(frozen=True)
class Runs:
    """R unbroken runs of valid rows, in the source's order; each is an episode of the view.

    Attributes:
        episode: int64 (R,), the source episode.
        start, length: int64 (R,), first row within that episode, and how many.
        row: int64 (R,), first row within the source.
        first: int64 (R,), first row within the view.
    """

    episode: np.ndarray
    start: np.ndarray
    length: np.ndarray
    row: np.ndarray
    first: np.ndarray


def as_action(
    dataset: Path,
    out: Path,
    labels: str = DEFAULT_LABELS,
    labeller: str | None = None,
    controls: Path | None = None,
) -> ActionView:
    """Write the view: stock `lerobot-train` pretrains any policy on it.

    The latent vectors become `action`; the robot's own, and whatever else has a name that
    lerobot would take for an action, are kept as `robot_action...`. Videos are hard-linked,
    pictures inside parquet are copied row by row.

    Args:
        dataset: LeRobotDataset v3 directory that `label` has been through.
        out: directory to write: new or empty.
        labels: the label set.
        labeller: if given, the model that the labels must come from.
        controls: if given, a policy directory with a map from latent actions to controls: `action`
            is then what it reads from the latents (`robowm.train.pseudo_labels`), `control_std` its
            standard deviation, both in the robot's units.

    Raises:
        UserError: no such labels, none of them valid, from another labeller, no map to controls or
            one of another labeller, or `out` is taken.
    """
    source = Episodes(dataset)
    provenance = provenance_in(source, labels)
    if labeller and fingerprint(resolve(labeller)) != provenance["sha256"]:
        raise UserError(
            f"the labels {labels!r} of {dataset} come from another labeller than {labeller}; "
            "label under another --name, or with --replace."
        )
    decoder = None if controls is None else map_for(source, controls, labels)
    names = _names(source, labels)
    runs = find_runs(source, label_columns(labels)[2])
    rows = int(source.lengths.sum())
    settings = {"dataset": str(dataset), "labels": labels, "sha256": provenance["sha256"]}
    if controls is not None:
        settings["controls_sha256"] = directory_sha256(controls)
    stage = open_stage(Path(out), KIND, settings | {"frames": rows})
    if not stage.done:
        linked, copied = _write(source, stage.work, labels, names, runs, decoder)
        frames = int(runs.length.sum())
        counts = {"episodes": len(runs.row), "frames": frames, "left_out": rows - frames}
        stage.finish(view=counts | {"linked": linked, "copied": copied})
        return ActionView(stage.out, **counts, linked=linked, copied=copied)
    return ActionView(stage.out, **stage.card["view"])


def find_runs(source: Episodes, valid: str) -> Runs:
    """The unbroken runs of rows that column `valid` marks, of SHORTEST_RUN rows or more.

    Raises:
        UserError: there is none.
    """
    begins = np.concatenate([[0], np.cumsum(source.lengths)[:-1]])
    found = []
    for episode, begin in enumerate(begins):
        marks = np.concatenate([[0], source.column(valid, episode).astype(np.int8), [0]])
        edges = np.flatnonzero(np.diff(marks)).reshape(-1, 2)
        found += [(episode, a, b - a, begin + a) for a, b in edges if b - a >= SHORTEST_RUN]
    if not found:
        raise UserError(f"{source.root} has no {SHORTEST_RUN} valid latent actions in a row.")
    episode, start, length, row = np.array(found, np.int64).T
    return Runs(episode, start, length, row, first=np.cumsum(length) - length)


def _names(source: Episodes, labels: str) -> dict[str, str]:
    """Columns that are called otherwise in the view: lerobot takes `action*` for an action."""
    names = {name: f"robot_{name}" for name in source.features if name.startswith("action")}
    for name in names.values():
        if name in source.features:
            raise UserError(
                f"{source.root} has a column {name!r} already: is it such a view itself? "
                "Expected the dataset that it was made from."
            )
    return names | {label_columns(labels)[0]: "action"}


def _write(
    source: Episodes,
    work: Path,
    labels: str,
    names: Mapping[str, str],
    runs: Runs,
    decoder: ControlMap | None,
) -> tuple[int, int]:
    """Everything but the card; returns the files linked and copied."""
    for part in ("data", "meta", "videos"):  # of a run that was killed
        shutil.rmtree(work / part, ignore_errors=True)
    features = {names.get(name, name): feature for name, feature in source.features.items()}
    decoded: dict[str, np.ndarray] = {}
    if decoder is not None:
        where = zip(runs.episode, runs.start, runs.length, strict=True)
        decoded = decode(source, label_columns(labels)[0], where, decoder)
        feature = {"dtype": "float32", "shape": [len(decoder.axes)], "names": list(decoder.axes)}
        features |= {name: dict(feature) for name in decoded}
    columns = _write_data(source, work, names, features, runs, decoded)
    spans = [slice(a, a + n) for a, n in zip(runs.first, runs.length, strict=True)]
    own = {name: [stats_of(values[span]) for span in spans] for name, values in columns.items()}
    _write_episodes(source, work, names, own, runs)
    shown = {k: v for k, v in read_stats(source.root).items() if k in source.image_keys}
    whole = {name: stats_of(values) for name, values in columns.items()}
    write_json(work / "meta" / "stats.json", shown | as_json(whole))
    write_json(work / "meta" / "info.json", _info(source, features, runs))
    others = {k: v for k, v in read_provenance(source.root).items() if k != labels}
    if others:
        write_json(work / "meta" / PROVENANCE, others)
    shared = [source.root / "meta" / "tasks.parquet"]
    shared += [p for p in (source.root / "videos").rglob("*") if p.is_file()]
    linked = sum(_link(path, work / path.relative_to(source.root)) for path in shared)
    return linked, len(shared) - linked


def _write_data(
    source: Episodes,
    work: Path,
    names: Mapping[str, str],
    features: dict[str, Any],
    runs: Runs,
    decoded: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """The data files; returns the view's numeric columns.

    Args:
        decoded: columns to put in, one row for each of the view's.
    """
    run_of = np.full(int(source.lengths.sum()), -1)  # the run that each source row is in
    for run, (row, length) in enumerate(zip(runs.row, runs.length, strict=True)):
        run_of[row : row + length] = run
    numeric = [name for name, feature in features.items() if feature["dtype"] not in NO_NUMBERS]
    taken: dict[str, list[np.ndarray]] = {name: [] for name in numeric}
    metadata = hub_metadata(features)

    def change(table: Any) -> Any:
        rows = table.column("index").to_numpy()
        table = table.filter(run_of[rows] >= 0)
        rows = rows[run_of[rows] >= 0]
        run = run_of[rows]
        frame = rows - runs.row[run]
        new = {
            "timestamp": (frame / source.fps).astype(np.float32),
            "frame_index": frame,
            "episode_index": run,
            "index": runs.first[run] + frame,
        }
        for name, values in new.items():
            table = set_column(table, name, arrow_column(values))
        table = table.rename_columns([names.get(n, n) for n in table.column_names])
        for name, values in decoded.items():
            table = set_column(table, name, arrow_column(values[new["index"]]))
        for name in numeric:
            shape = tuple(features[name]["shape"])
            taken[name].append(numbers(table.column(name), features[name]["dtype"], shape))
        return table.replace_schema_metadata((table.schema.metadata or {}) | metadata)

    for path in sorted((source.root / "data").glob("*/*.parquet")):
        target = work / path.relative_to(source.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        rewrite(path, target, change)
    return {name: np.concatenate(parts) for name, parts in taken.items()}


def _write_episodes(
    source: Episodes,
    work: Path,
    names: Mapping[str, str],
    own: Mapping[str, list[Stats]],
    runs: Runs,
) -> None:
    """An entry for each run: its own numbers, its source episode's picture statistics."""

    def change(table: Any) -> Any:
        here = {e: i for i, e in enumerate(table.column("episode_index").to_pylist())}
        mine = np.flatnonzero(np.isin(runs.episode, [*here]))
        table = table.take([here[e] for e in runs.episode[mine].tolist()])
        new = {
            "episode_index": mine,
            "length": runs.length[mine],
            "dataset_from_index": runs.first[mine],
            "dataset_to_index": runs.first[mine] + runs.length[mine],
            "source_episode_index": runs.episode[mine],
            "source_from_frame": runs.start[mine],
        }
        for key in source.image_keys:
            if source.features[key]["dtype"] == "video":
                begin = f"videos/{key}/from_timestamp"
                begin_s = table.column(begin).to_numpy() + runs.start[mine] / source.fps
                new[begin] = begin_s
                new[f"videos/{key}/to_timestamp"] = begin_s + runs.length[mine] / source.fps
        for name, values in new.items():
            table = set_column(table, name, arrow_column(values))
        stats = {name: [each[run] for run in mine] for name, each in own.items()}
        return replace_stats(table, stats, gone=names)

    for path in sorted((source.root / "meta" / "episodes").glob("*/*.parquet")):
        target = work / path.relative_to(source.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        rewrite(path, target, change)


def _info(source: Episodes, features: dict[str, Any], runs: Runs) -> dict[str, Any]:
    """`info.json`: the view's counts, and the source's splits at the runs' bounds."""
    splits = {}
    for name, span in (source.info.get("splits") or {}).items():
        if re.fullmatch(r"\d+:\d+", str(span)):
            bounds = np.searchsorted(runs.episode, [int(word) for word in span.split(":")])
            splits[name] = "{}:{}".format(*bounds)
    return source.info | {
        "features": features,
        "splits": splits,
        "total_episodes": len(runs.row),
        "total_frames": int(runs.length.sum()),
    }


def _link(path: Path, target: Path) -> bool:
    """Give a file a second name; where the file system cannot, copy it and return False."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path.resolve(), target)
    except OSError:
        shutil.copy2(path, target)
        return False
    return True
