"""How well `robowm ingest` decides, on a folder of curated clips with an index.

    python benchmarks/ingest_corpus.py CORPUS --out DIR --json benchmarks/results/ingest_corpus.json

CORPUS holds `clips/`, `INDEX.tsv` (column `kind` for each path) and `SHOTS.tsv` (hard cuts).
Agreement: a usable kind has a kept shot, any other kind has none. The limits were chosen on these
clips; ingest_pool.py is the held-out check. Duplicates are named, to be looked at; a clip that is
dropped only as a copy agrees. Wall time counts only when DIR is new. The dataset is opened with
stock lerobot at the end.
"""

import resource
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pyarrow.parquet as pq
import tyro
from _ingest import USABLE, record, table

from robowm.artefact import write_json
from robowm.video.config import IngestConfig
from robowm.video.ingest import ingest

COMMAND = "python benchmarks/ingest_corpus.py CORPUS --out DIR --json FILE"


@dataclass(frozen=True)
class Args:
    """Flags of the benchmark."""

    corpus: Annotated[Path, tyro.conf.Positional]
    """folder with clips/, INDEX.tsv and SHOTS.tsv"""
    out: Path
    """directory for the dataset; new, or of an earlier run"""
    json: Path
    """file to write"""
    workers: int = 2
    """processes that decode"""


def main(args: Args) -> None:
    """Ingest, compare, write the figures."""
    fresh = not args.out.exists()
    begun = time.monotonic()
    done = ingest([args.corpus / "clips"], args.out, IngestConfig(), workers=args.workers)
    wall_s = time.monotonic() - begun
    rows = pq.read_table(done.manifest).to_pylist()
    kinds = {row["path"]: row["kind"] for row in table(args.corpus / "INDEX.tsv")}
    kinds = {path: kind for path, kind in kinds.items() if path.startswith("clips/")}
    missing = sorted(kinds.keys() - {row["source"] for row in rows})
    result = record(COMMAND, args) | {
        "wall_s": round(wall_s, 1) if fresh else None,
        "cpu_s": _cpu_s() if fresh else None,
        "peak_memory_mb": _peak_memory_mb() if fresh else None,
        "clips": len(kinds),
        "clips_without_decision": missing,
        "shots": done.shots,
        "frames": done.frames,
        "seconds": done.seconds,
        "agreement": _agreement(kinds, rows),
        "cuts": _cuts(args.corpus, rows),
        "copies": _copies(rows),
        "lerobot": _open_with_lerobot(args.out),
    }
    args.json.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.json, result)
    print(args.json.read_text())


def _copies(rows: list[dict[str, Any]]) -> list[list[Any]]:
    """What was dropped as a copy, of what, at which distance."""
    return [[r["source"], r["note"], r["score"]] for r in rows if r["reason"] == "duplicate"]


def _agreement(kinds: dict[str, str], rows: list[dict[str, Any]]) -> dict[str, Any]:
    reasons = defaultdict(set)
    for row in rows:
        reasons[row["source"]].add(row["reason"])
    kept = {path: bool(reasons[path] & {"ok", "duplicate"}) for path in kinds}
    by_kind = {
        kind: {
            "clips": sum(k == kind for k in kinds.values()),
            "with_a_kept_shot": sum(kept[path] for path, k in kinds.items() if k == kind),
            "shots": dict(Counter(r["reason"] for r in rows if kinds.get(r["source"]) == kind)),
        }
        for kind in sorted(set(kinds.values()))
    }
    wrong = sorted(path for path, kind in kinds.items() if kept[path] != (kind in USABLE))
    return {
        "share": round(1 - len(wrong) / len(kinds), 4),
        "by_kind": by_kind,
        "disagreements": {path: [kinds[path], *sorted(reasons[path])] for path in wrong},
    }


def _cuts(corpus: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Labelled cuts against the first frames of shots; clips without a label are only counted."""
    found = defaultdict(set)
    for row in rows:
        if row["first_frame"]:  # 0 begins the clip, null was never opened
            found[row["source"]].add(row["first_frame"])
    labels = {
        row["path"]: {int(n) for n in row["hard_cut_frames"].split(",") if n}
        for row in table(corpus / "SHOTS.tsv")
    }
    return {
        "labelled": sum(map(len, labels.values())),
        "found": sum(len(_near(cuts, found[path])) for path, cuts in labels.items()),
        "missed": {p: m for p, c in labels.items() if (m := sorted(c - _near(c, found[p])))},
        "extra": {p: m for p, c in labels.items() if (m := sorted(found[p] - _near(found[p], c)))},
        "in_clips_without_labels": {p: sorted(c) for p, c in found.items() if p not in labels},
    }


def _near(cuts: set[int], others: set[int]) -> set[int]:
    """Those within two frames of one of the others."""
    return {cut for cut in cuts if any(abs(cut - other) <= 2 for other in others)}


def _open_with_lerobot(root: Path) -> dict[str, Any]:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset("local/corpus", root=root)
    picture = dataset[len(dataset) - 1]["observation.images.main"]
    return {
        "episodes": dataset.num_episodes,
        "frames": len(dataset),
        "last_picture_shape": list(picture.shape),
    }


def _cpu_s() -> int:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(sum(it.ru_utime + it.ru_stime for it in used))


def _peak_memory_mb() -> dict[str, int]:
    who = {"parent": resource.RUSAGE_SELF, "largest_worker": resource.RUSAGE_CHILDREN}
    return {name: resource.getrusage(it).ru_maxrss // 1024 for name, it in who.items()}


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
