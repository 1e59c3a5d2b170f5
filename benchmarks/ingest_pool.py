"""Held-out check of what `robowm ingest` decides: clips that no limit was chosen on.

    python benchmarks/ingest_pool.py CORPUS --json benchmarks/results/ingest_pool.json

Every clip of `pool_droid/` is one usable shot of a robot, so whatever is dropped or cut is wrong.
Clips are decided on, not stored. Pairs of clips within the duplicate limit are named, to be looked
at; no two files are the same.
"""

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from _ingest import record

from robowm.artefact import write_json
from robowm.video.config import IngestConfig
from robowm.video.fingerprint import distances
from robowm.video.ingest import decide

COMMAND = "python benchmarks/ingest_pool.py CORPUS --json FILE"


@dataclass(frozen=True)
class Args:
    """Flags of the benchmark."""

    corpus: Annotated[Path, tyro.conf.Positional]
    """folder with pool_droid/"""
    json: Path
    """file to write"""
    workers: int = 2
    """processes that decode"""


def main(args: Args) -> None:
    """Decide on every clip, write the figures."""
    paths = sorted((args.corpus / "pool_droid").rglob("*.mp4"))
    with ProcessPoolExecutor(args.workers, get_context("spawn")) as pool:
        rows = [row for rows in pool.map(_decided, paths, chunksize=8) for row in rows]
    kept = {row["source"] for row in rows if row["kept"]}
    dropped = [row for row in rows if not row["kept"]]
    measures = ("moved", "action_s", "white", "text", "seam", "split", "aspect", "rate_hz")
    result = {
        "clips": len(paths),
        "with_a_kept_shot": len(kept),
        "share": round(len(kept) / len(paths), 4),
        "shots": dict(Counter(row["reason"] for row in rows)),
        "dropped": [[r["source"], r["reason"], r["measure"], r["score"]] for r in dropped],
        "false_cuts": [[r["source"], r["first_frame"]] for r in rows if r["first_frame"]],
        "range_of_measures": {
            name: [min(r[name] for r in rows), max(r[name] for r in rows)] for name in measures
        },
        **_pairs([(row["source"], row["copy_code"]) for row in rows if row["kept"]]),
    }
    args.json.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.json, record(COMMAND, args) | result)
    print(args.json.read_text())


def _decided(path: Path) -> list[dict[str, Any]]:
    return [row | {"source": path.name} for row in decide(path, IngestConfig())[0]]


def _pairs(shots: list[tuple[str, str]]) -> dict[str, Any]:
    """Pairs of kept shots that would be called copies, and the nearest that would not."""
    codes = np.stack([np.frombuffer(bytes.fromhex(code), np.uint8) for _, code in shots])
    near = [
        (round(float(apart), 3), name, shots[n + 1 + k][0])
        for n, (name, code) in enumerate(shots)
        for k, apart in enumerate(distances(bytes.fromhex(code), codes[n + 1 :]))
        if apart < 0.6
    ]
    limit = IngestConfig().max_copy_distance
    return {
        "pairs": len(shots) * (len(shots) - 1) // 2,
        "pairs_called_copies": sorted(pair for pair in near if pair[0] <= limit),
        "nearest_other_pairs": sorted(pair for pair in near if pair[0] > limit)[:5],
    }


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
