"""RLDS episodes in TFDS folders of tfrecord files: one Example an episode, steps end to end.

What the keys are called differs from dataset to dataset; a recipe says it in a `Layout`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from robowm.errors import UserError, nearest
from robowm.video.decode import UnusableClip, name_of
from robowm.video.sources.arrays import open_reel
from robowm.video.sources.entry import Entry, Found, Missing, Search, state_of
from robowm.video.sources.labels import ACTION, STATE, Label, Track
from robowm.video.sources.tfrecord import Record, Value, read_example, records

STEPS = "steps/is_first"
Named = tuple[tuple[str, tuple[str, ...]], ...]  # keys, each with the names of its elements


@dataclass(frozen=True)
class Layout:
    """How one dataset names what is in a step.

    Attributes:
        rate_hz: steps a second; the files do not say.
        cameras: name to key; the first is the default.
        tasks: keys of the instruction; the first that is there and says something is taken.
        actions, states: keys with the names of their elements; put end to end.
        action_steps: actions are changes per step, not places to be at.
        ee_key: key whose first three numbers are the hand's x, y, z in the robot's frame, metres.
    """

    rate_hz: float
    cameras: dict[str, str]
    tasks: tuple[str, ...]
    actions: Named
    states: Named
    action_steps: bool
    ee_key: str


def tfrecords(source: Path) -> list[Path]:
    """The tfrecord files in a folder, searched to the bottom, or the file itself."""
    if source.is_file():
        return [source] if ".tfrecord" in source.name else []
    return sorted(path for path in source.rglob("*.tfrecord*") if path.is_file())


def find_rlds(search: Search, layout: Layout) -> Found:
    """Every episode of every tfrecord file in the sources, once for each camera.

    Raises:
        UserError: a source holds no tfrecord file, or the layout has no camera of that name.
    """
    for camera in search.cameras:
        if camera not in layout.cameras:
            raise UserError(f"no camera {camera!r}. {nearest(camera, layout.cameras)}")
    cameras = search.cameras or (next(iter(layout.cameras)),)
    entries: list[Entry] = []
    for source in map(Path, search.sources):
        files = tfrecords(source)
        if not files:
            raise UserError(f"{source} holds no *.tfrecord* file; expected a TFDS folder of them.")
        for path in files:
            below = path.relative_to(source).as_posix() if path != source else ""
            entries += _entries(
                path, "/".join(filter(None, [name_of(source), below])), cameras, layout
            )
    return Found(entries)


def _entries(path: Path, name: str, cameras: tuple[str, ...], layout: Layout) -> Iterator[Entry]:
    state = state_of(path)
    steps_hz = layout.rate_hz if layout.action_steps else None
    for n, record in enumerate(records(path)):
        for camera in cameras:
            where = (path, record, layout)
            clip = partial(open_reel, load_pictures, *where, layout.cameras[camera])
            entry = Entry(
                f"{name}/{n}/{camera}", state, clip, partial(read_label, *where), steps_hz
            )
            if not record.whole:
                note = f"the file ends inside of record {n}"
                entry = Entry(entry.name, state, Missing(note, "unreadable"))
            yield entry


def load_pictures(
    path: Path, record: Record, layout: Layout, key: str
) -> tuple[list[bytes], np.ndarray]:
    """Encoded pictures of one camera and their times.

    Raises:
        UnusableClip: missing where the episode has no such camera, unreadable for other bytes.
    """
    example = _example(path, record)
    pictures = example.get(key)
    if not isinstance(pictures, list):
        cameras = [k for k, v in example.items() if isinstance(v, list) and len(v[0][:3]) == 3]
        raise UnusableClip("missing", f"no {key} in it; pictures or texts: {', '.join(cameras)}")
    return pictures, np.arange(len(pictures)) / layout.rate_hz


def read_label(path: Path, record: Record, layout: Layout) -> Label:
    """The instruction, actions, states and hand of one episode."""
    example = _example(path, record)
    steps = len(example[STEPS]) if STEPS in example else 0
    times_s = np.arange(steps) / layout.rate_hz
    tracks = {}
    for name, keys in ((ACTION, layout.actions), (STATE, layout.states)):
        parts = [_rows(example, key, steps) for key, _ in keys]
        if steps and all(part is not None for part in parts):
            names = tuple(name for _, names in keys for name in names)
            values = np.concatenate([part for part in parts if part is not None], axis=1)
            tracks[name] = Track(values, times_s, names, name == ACTION and layout.action_steps)
    hand = _rows(example, layout.ee_key, steps)
    ee_position = None if hand is None else Track(hand[:, :3], times_s, ("x_m", "y_m", "z_m"))
    task = next(filter(None, (_text(example.get(key)) for key in layout.tasks)), "")
    return Label(task, "dataset", tracks=tracks, ee_position=ee_position)


def _example(path: Path, record: Record) -> dict[str, Value]:
    try:
        return read_example(path, record)
    except (ValueError, KeyError) as error:
        raise UnusableClip("unreadable", str(error)) from error


def _rows(example: dict[str, Value], key: str, steps: int) -> np.ndarray | None:
    """float32 (steps, D), or None where the episode has no such numbers."""
    values = example.get(key)
    if not isinstance(values, np.ndarray) or not steps or len(values) % steps or not len(values):
        return None
    return values.reshape(steps, -1).astype(np.float32)


def _text(value: Value | None) -> str:
    """The first step's text: an instruction is repeated in every step."""
    return str(value[0], "utf-8", "replace").strip() if isinstance(value, list) and value else ""
