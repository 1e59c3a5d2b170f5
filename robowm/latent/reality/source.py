"""What is judged: a labeller, a dataset, and the episodes of it that it did not train on."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from robowm.artefact import read_card
from robowm.episodes import (
    DEFAULT_LABELS,
    Episodes,
    held_out,
    label_columns,
    label_sets,
    labels_directory,
)
from robowm.errors import UserError, nearest
from robowm.nn.directory import resolve

COMPARED_FRAMES = 30_000  # datasets with more are not searched for training clips (minutes)


@dataclass(frozen=True)
class Source:
    """A labeller and where it is judged.

    Attributes:
        model: the labeller's directory.
        dataset: LeRobotDataset directory.
        camera: its image column.
        chosen: episodes that the labeller did not train on.
        training: the dataset that the labeller was trained on, where that is known.
        warnings: what the reader of the report must know, in sentences.
    """

    model: Path
    dataset: Path
    camera: str
    chosen: list[int]
    training: Path | None
    warnings: list[str] = field(default_factory=list)


def find_source(
    labels: str,
    on: Path | None = None,
    camera: str | None = None,
    name: str = DEFAULT_LABELS,
) -> Source:
    """The labeller named by `labels`, and the dataset to judge it on.

    Args:
        labels: a labelled dataset (its labeller is in labels/model), a labeller directory, or a
            Hub id.
        on: dataset to judge it on; None is the labelled dataset itself.
        camera: image column; None takes the one that was labelled, or the first.
        name: of the dataset's label set.

    Raises:
        UserError: there is no labeller, no dataset, or nothing that it did not train on.
    """
    root = Path(labels)
    if (root / "meta" / "info.json").is_file():
        model = labels_directory(root, name) / "model"
        if not model.is_dir():
            found = label_sets(Episodes(root).features)
            have = f" {nearest(name, found)}" if found else ""
            raise UserError(
                f"{root} is a dataset without {model.parent.name}/model; run robowm label "
                f"first.{have}"
            )
    else:
        model = resolve(labels)
        if on is None:
            raise UserError(f"{labels} is a labeller; expected --on DATASET to judge it on.")
    training = trained_on(model)
    dataset = root if on is None else Path(on)
    episodes = Episodes(dataset)
    key = episodes.camera(camera or _labelled_camera(dataset, episodes, name))
    chosen, warnings = fresh_episodes(model, training, episodes, key)
    return Source(model, dataset, key, chosen, training, warnings)


def trained_on(model: Path) -> Path | None:
    """The dataset one of whose label sets this is the model of, if it was trained there."""
    labels = model.resolve().parent
    own = model.name == "model" and labels.name.partition(".")[0] == "labels"
    card = read_card(labels) if own else None
    return labels.parent if card and card["settings"].get("model") is None else None


def fresh_episodes(
    model: Path, training: Path | None, episodes: Episodes, camera: str
) -> tuple[list[int], list[str]]:
    """Episodes that a labeller did not train on, and what is uncertain about it.

    Raises:
        UserError: it trained on every one of them.
    """
    everything = list(range(len(episodes)))
    if training is None:
        unknown = f"Nothing in {model} says what it was trained on; {episodes.root} may be part."
        return everything, [unknown]
    source = Episodes(training)
    labels = model.resolve().parent
    spared = kept_back(labels, len(source))
    if spared is None:
        unknown = f"{labels} does not say which episodes were kept from training."
        return everything, [unknown + " Figures may be of clips that the labeller has seen."]
    if training.resolve() == episodes.root.resolve():
        if spared.any():
            return np.flatnonzero(spared).tolist(), []
        warning = (
            f"No episode of {episodes.root} was kept from training (there are {len(source)}): "
            "every figure is of clips that the labeller has seen."
        )
        return everything, [warning]
    if source.lengths.sum() + episodes.lengths.sum() > COMPARED_FRAMES:
        return everything, [f"{episodes.root} was not searched for training clips: it is large."]
    seen = _digests(source, source.camera(camera if camera in source.image_keys else None))
    trained = {d for d, spare in zip(seen, spared, strict=True) if not spare}
    chosen = [i for i, d in enumerate(_digests(episodes, camera)) if d not in trained]
    if not chosen:
        raise UserError(
            f"the labeller was trained on every episode of {episodes.root}; "
            "expected episodes that it has not seen."
        )
    left_out = len(everything) - len(chosen)
    if left_out:
        return chosen, [f"{left_out} episodes of {episodes.root} were in training: left out."]
    return chosen, []


def kept_back(labels: Path, episodes: int) -> np.ndarray | None:
    """bool (episodes,): which ones `robowm label` kept from training; None where it is not said.

    Read from the list `held_out` on the card of the labels, or drawn again from its settings.
    """
    card = read_card(labels) or {"settings": {}}
    if isinstance(card.get("held_out"), list):
        return np.isin(np.arange(episodes), card["held_out"])
    try:
        config: dict[str, Any] = card["settings"]["config"]
        return held_out(episodes, config["held_out"], config["train"]["seed"])
    except KeyError:
        return None


def stored_codes(episodes: Episodes, model: Path, chosen: list[int]) -> list[np.ndarray] | None:
    """Codes (T, K) as the dataset has them, if they were written with the model beside them."""
    labels = model.resolve().parent
    name = labels.name.partition(".")[2] or DEFAULT_LABELS
    column = label_columns(name)[1]
    own = labels.parent == episodes.root.resolve() and labels.name.partition(".")[0] == "labels"
    if not own or column not in episodes.features:
        return None
    return [episodes.column(column, i) for i in chosen]


def dataset_digest(episodes: Episodes) -> str:
    """Changes when the episodes do: of a dataset's lengths and description."""
    facts = json.dumps([episodes.info.get("total_frames"), episodes.lengths.tolist()])
    return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _labelled_camera(dataset: Path, episodes: Episodes, name: str) -> str | None:
    card = read_card(labels_directory(dataset, name)) or {"settings": {}}
    camera = card["settings"].get("camera")
    return camera if camera in episodes.image_keys else None


def _digests(episodes: Episodes, camera: str) -> list[str]:
    """One digest an episode, of its first frame: the same clip in two datasets has the same."""
    first = (episodes.frames(i, camera)[0] for i in range(len(episodes)))
    return [hashlib.sha256(np.ascontiguousarray(frame).tobytes()).hexdigest() for frame in first]
