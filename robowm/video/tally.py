"""A cached ingest read back, one clip at a time: rows in order, copies marked, figures summed."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from robowm.video.fingerprint import Copies

Row = dict[str, Any]


class Tally:
    """What an ingest did so far; nothing in it grows with the number of clips.

    Attributes:
        clips, rows, kept: how many.
        frames: stored frames.
        seconds: of source time that the kept shots span.
    """

    def __init__(self) -> None:
        self.clips = self.rows = self.kept = self.frames = 0
        self.seconds = 0.0
        self._reasons: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        """Count one manifest row."""
        self.rows += 1
        self._reasons[row["reason"]] += 1
        if row["kept"]:
            self.kept += 1
            self.frames += row["frames"]
            self.seconds += row["end_s"] - row["start_s"]

    @property
    def shots(self) -> dict[str, int]:
        """Rows by reason, the most frequent first."""
        return dict(self._reasons.most_common())


def cached_rows(
    clips: Iterable[tuple[str, Path]], max_copy_distance: float, copies: Copies | None = None
) -> Iterator[Row]:
    """Yield the manifest rows of cached clips, named by source and key; copies are dropped.

    Args:
        clips: name and cache folder of each clip, in order; the folder is named by its key.
        max_copy_distance: as in IngestConfig; negative keeps copies.
        copies: shots that are there already; those that are kept are added.
    """
    copies = Copies() if copies is None else copies
    names: list[str] = []
    for name, folder in clips:
        names.append(name)
        for row in json.loads((folder / "rows.json").read_text()):
            row["source"], row["key"] = name, folder.name
            if row["kept"] and max_copy_distance >= 0:
                _compare(row, copies, max_copy_distance, names)
            yield row


def _compare(row: Row, copies: Copies, limit: float, names: list[str]) -> None:
    """Remember a kept row, or make it a duplicate of the one it copies."""
    code = bytes.fromhex(row["copy_code"])
    distance, clip, start_s = copies.nearest(code)
    row["copy_distance"] = round(distance, 4)
    if distance > limit:
        copies.add(code, len(names) - 1, row["start_s"])
        return
    of = f"copy of {names[clip]} from {start_s:.2f} s" if clip >= 0 else "copy of an earlier shot"
    row |= {"kept": False, "reason": "duplicate", "frames": 0, "episode_index": -1}
    row |= {"measure": "copy_distance", "score": row["copy_distance"], "limit": limit}
    row["note"] = "; ".join(filter(None, [row["note"], of]))
