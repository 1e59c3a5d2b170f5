"""What a source knows of a clip besides its pictures: words, actions, states.

Rows of numbers are matched to pictures by time: a picture gets the row that held when it was
shown. That is right for what holds at a moment (positions, absolute targets). It would be wrong
for actions that are *changes per step*: with every other picture dropped, half of the motion would
be gone. So those are kept only where no picture between two kept ones was dropped; otherwise the
shot is refused (`skipped_steps`), and `ee_delta`, which is computed from positions at the stored
rate, still says how far the hand went.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robowm.errors import UserError
from robowm.video.decode import UnusableClip

Row = dict[str, Any]
Columns = dict[str, np.ndarray]

ACTION, STATE, EE_DELTA = "action", "observation.state", "ee_delta"
SHOWN = "shown_s"  # the clip's own clock; capture times may have been corrected
EE_NAMES = ("dx_m", "dy_m", "dz_m")
COUNT_SLACK_S = 0.01
SLACK_S = 2e-3  # clocks that count milliseconds


@dataclass(frozen=True)
class Track:
    """Rows of numbers on the clip's own clock.

    Attributes:
        values: float32 (N, D).
        times_s: float64 (N,), strictly rising, when each row begins to hold.
        names: D names, with units.
        steps: each row is the change until the next row (see the module's docstring).
    """

    values: np.ndarray
    times_s: np.ndarray
    names: tuple[str, ...]
    steps: bool = False

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.times_s), len(self.names)):
            raise UnusableClip(
                "label_gap",
                f"{self.values.shape} numbers for {len(self.times_s)} rows of {len(self.names)}",
            )

    def at(self, times_s: np.ndarray) -> np.ndarray:
        """float32 (T, D): the row that holds at each of the times.

        Raises:
            UnusableClip: label_gap where a time is outside the rows, skipped_steps for steps when
                rows between two times would be lost.
        """
        rows = np.searchsorted(self.times_s, times_s + SLACK_S, side="right") - 1
        usual_s = float(np.median(np.diff(self.times_s))) if len(self.times_s) > 1 else 1.0
        if rows[0] < 0 or times_s[-1] > self.times_s[-1] + usual_s + SLACK_S:
            raise UnusableClip(
                "label_gap",
                f"rows cover {self.times_s[0]:.2f} to {self.times_s[-1] + usual_s:.2f} s, "
                f"pictures {times_s[0]:.2f} to {times_s[-1]:.2f} s",
            )
        if self.steps and (np.diff(rows) != 1).any():
            raise UnusableClip(
                "skipped_steps",
                f"actions are changes per step of {usual_s:.3f} s and some of the pictures between "
                "are dropped; expected --fps at the source's rate or above",
            )
        return self.values[rows].astype(np.float32)


@dataclass(frozen=True)
class Label:
    """The words and numbers of one clip.

    Attributes:
        task: what is done in it; empty when nobody said.
        task_from: where that comes from: "dataset", "sidecar", "file name".
        subtitles: (start_s, end_s, text); for the shots they overlap they replace `task`.
        tracks: columns by name: "action", "observation.state".
        ee_position: x, y, z of the hand in the robot's fixed frame, metres; becomes `ee_delta`.
        end_s: when the last picture stops being shown, if rows were counted against pictures: a
            clip that ends elsewhere has lost pictures, and its rows belong to others.
    """

    task: str = ""
    task_from: str = ""
    subtitles: tuple[tuple[float, float, str], ...] = ()
    tracks: dict[str, Track] = field(default_factory=dict)
    ee_position: Track | None = None
    end_s: float | None = None

    def words(self, start_s: float, end_s: float) -> tuple[str, str]:
        """Task of a shot, and where it comes from."""
        said = [text for begin, end, text in self.subtitles if begin < end_s and end > start_s]
        if said:
            return " ".join(dict.fromkeys(said)), "subtitles"
        return self.task, self.task_from if self.task else ""

    def columns(self, times_s: np.ndarray) -> Columns:
        """The tracks at the stored pictures' times, `ee_delta` among them."""
        found = {name: track.at(times_s) for name, track in self.tracks.items()}
        if self.ee_position is not None:
            found[EE_DELTA] = deltas(self.ee_position.at(times_s))
        return found

    def names(self) -> dict[str, list[str]]:
        """Column to the names of its elements."""
        names = {name: list(track.names) for name, track in self.tracks.items()}
        return names | ({EE_DELTA: list(EE_NAMES)} if self.ee_position is not None else {})


def check_rates(entries: Iterable[Any], fps: float, keep_actions: bool) -> None:
    """Refuse, before anything is decoded, to thin out actions that are changes per step.

    Raises:
        UserError: `fps` is below the rate of such a source, and actions are to be kept.
    """
    fast = [entry for entry in entries if keep_actions and (entry.steps_hz or 0) > fps]
    if fast:
        raise UserError(
            f"--fps {fps} with --keep-actions: the actions of {fast[0].name} are changes per step "
            f"at {fast[0].steps_hz:g} Hz, and half a motion would be lost with every picture that "
            f"is dropped; expected --fps {np.ceil(fast[0].steps_hz):g} or more."
        )


def same_columns(rows: Iterable[Row]) -> Iterator[Row]:
    """Pass manifest rows on, as long as all kept ones name the same columns.

    Raises:
        UserError: they differ, or none of the kept ones has any.
    """
    first, kept = None, 0
    for row in rows:
        if row["kept"]:
            kept += 1
            first = first or row
            if row["columns"] != first["columns"]:
                raise UserError(
                    f"--keep-actions: {row['source']} has {_told(row['columns'])}, "
                    f"{first['source']} has {_told(first['columns'])}; expected the same columns "
                    "in every kept clip."
                )
        yield row
    if first is not None and not first["columns"]:
        raise UserError(
            f"--keep-actions: none of the {kept} kept shots has actions or states; expected "
            "a labelled source. Leave the flag out for plain video."
        )


def _told(columns: dict[str, list[str]]) -> str:
    said = [f"{name} ({len(names)}: {', '.join(names[:3])} ...)" for name, names in columns.items()]
    return " and ".join(said) or "none"


def deltas(positions: np.ndarray) -> np.ndarray:
    """float32 (T, D): row t is positions[t+1] - positions[t]; the last row has none and is 0."""
    return np.diff(positions, axis=0, append=positions[-1:]).astype(np.float32)


def attach(
    label: Label, rows: list[Row], shots: Iterator[Columns], keep_actions: bool
) -> tuple[list[Row], Iterator[Columns]]:
    """Add `task` and `task_from` to a clip's manifest rows and, if wanted, its tracks to its shots.

    The shots' pictures are decoded as the iterator is used. A shot whose tracks do not fit it is
    still yielded, as None: its row then says why it is dropped.
    """
    for row in rows:
        row["task"], row["task_from"] = label.words(row["start_s"], row["end_s"])
    if not keep_actions:
        return rows, shots
    kept = [row for row in rows if row["kept"]]
    end_s = max(row["end_s"] for row in rows)
    if label.end_s is not None and abs(label.end_s - end_s) > COUNT_SLACK_S:
        note = f"{label.end_s:.2f} s of rows for {end_s:.2f} s of pictures"
        for row in kept:
            row.update(kept=False, reason="label_gap", note=note, frames=0)
        return rows, iter(())
    for row in kept:
        row["columns"] = label.names()
    return rows, _with_tracks(label, kept, shots)


def _with_tracks(label: Label, kept: list[Row], shots: Iterator[Columns]) -> Iterator[Any]:
    for row, columns in zip(kept, shots, strict=True):
        try:
            yield columns | label.columns(columns[SHOWN])
        except UnusableClip as misfit:
            row.update(kept=False, reason=misfit.reason, note=misfit.note, frames=0)
            yield None
