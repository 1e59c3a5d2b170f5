"""Label sets in a dataset: three columns and a directory each, side by side under names.

A set is there as a whole or not at all: its columns, their statistics, its entry in
`meta/latent_actions.json` and its directory change in one swap.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from robowm import __version__
from robowm.artefact import Stage, open_stage, plain, read_card, write_json
from robowm.batch import INVALID_CODE, LatentActions
from robowm.columns import stage_columns
from robowm.episodes import (
    DEFAULT_LABELS,
    Episodes,
    label_columns,
    label_sets,
    labels_directory,
)
from robowm.errors import UserError, nearest
from robowm.hold import let_go
from robowm.latent.labeller import KIND
from robowm.latent.model import LatentActionConfig
from robowm.latent.vipra_model import ViPRALatentConfig
from robowm.swap import STAGING, Move, commit

STAGE = "latent_action_labels"
PROVENANCE = "latent_actions.json"


def open_labels(dataset: Path, labels: str, settings: Any, replace: bool) -> Stage:
    """Begin, resume or recognise a label set.

    Raises:
        UserError: a set of that name was made with other settings, and `replace` is not set.
    """
    out = labels_directory(dataset, labels)
    found = read_card(out)
    if found and found["kind"] == STAGE and found["settings"] != plain(settings) and not replace:
        raise UserError(
            f"{dataset} already holds labels {labels!r}, made with other settings; add these "
            "beside them with --name OTHER, or put these in their place with --replace."
        )
    return open_stage(out, STAGE, settings, replace)


def provenance_of(
    config: LatentActionConfig | ViPRALatentConfig, sha256: str, fps: int, camera: str
) -> dict[str, Any]:
    """What made a label set: the same for the same labels, and without a date."""
    return {
        "labeller": KIND,
        "sha256": sha256,
        "codes": config.codes,
        "tokens": config.tokens,
        "code_dim": config.code_dim,
        "window": [0, 1],  # frames that the label of row t looks at, from t on
        "fps": fps,
        "camera": camera,
        "motion": plain(config.motion),
        "robowm": __version__,
    }


def provenance_in(episodes: Episodes, labels: str = DEFAULT_LABELS) -> dict[str, Any]:
    """What made a label set of a dataset.

    Raises:
        UserError: there is no such set.
    """
    feature = episodes.features.get(label_columns(labels)[0])
    info: dict[str, Any] = (feature or {}).get("info") or {}
    if "sha256" not in info:
        named = "" if labels == DEFAULT_LABELS else f" --name {labels}"
        found = label_sets(episodes.features)
        have = f" {nearest(labels, found)}" if found else ""
        which = "" if labels == DEFAULT_LABELS and not found else f" named {labels!r}"
        raise UserError(
            f"{episodes.root} has no latent actions{which}; expected the columns that "
            f"`robowm label {episodes.root}{named}` writes.{have}"
        )
    return info


def labeller_of(episodes: Episodes, labels: str = DEFAULT_LABELS) -> str | None:
    """sha256 of the model that made a label set of a dataset; None where there is no such set."""
    if label_columns(labels)[0] not in episodes.features:
        return None
    return str(provenance_in(episodes, labels)["sha256"])


def stage_labels(
    episodes: Episodes,
    labels: str,
    rows: np.ndarray,
    actions: LatentActions,
    provenance: dict[str, Any],
) -> list[Move]:
    """Write the dataset's files with a label set in them, beside those that stand.

    Args:
        episodes: the dataset.
        labels: name of the set.
        rows: int64 (N,), the dataset row of each transition; other rows become invalid.
        actions: N latent actions.
        provenance: kept with the columns and in `meta/latent_actions.json`.

    Returns:
        what `commit_labels` moves.
    """
    total = int(episodes.lengths.sum())
    vectors = np.zeros((total, actions.vectors.shape[1]), np.float32)
    codes = np.full((total, actions.codes.shape[1]), INVALID_CODE, np.int64)
    valid = np.zeros(total, bool)
    vectors[rows], codes[rows], valid[rows] = actions.vectors, actions.codes, actions.valid

    def feature(values: np.ndarray, dtype: str, word: str) -> dict[str, Any]:
        width = values.shape[1] if values.ndim > 1 else 1
        names = [f"{word}_{i}" for i in range(width)] if values.ndim > 1 else [word]
        return {"dtype": dtype, "shape": [width], "names": names, "info": provenance}

    names = label_columns(labels)
    of_vectors, of_codes, of_valid = names
    moves = stage_columns(
        episodes.root,
        {of_vectors: vectors, of_codes: codes, of_valid: valid},
        {
            of_vectors: feature(vectors, "float32", "latent"),
            of_codes: feature(codes, "int64", "code"),
            of_valid: feature(valid, "bool", "valid"),
        },
        counted={of_vectors: valid, of_codes: valid},
    )
    counts = {"columns": list(names), "rows": total, "valid": int(valid.sum())}
    staged = episodes.root / STAGING / PROVENANCE
    write_json(staged, read_provenance(episodes.root) | {labels: provenance | counts})
    return [*moves, (staged, episodes.root / "meta" / PROVENANCE)]


def read_provenance(dataset: Path) -> dict[str, Any]:
    """`meta/latent_actions.json`: label set to what made it; empty where there is none."""
    path = Path(dataset) / "meta" / PROVENANCE
    found = json.loads(path.read_text()) if path.is_file() else {}
    assert isinstance(found, dict)
    return found


def commit_labels(dataset: Path, moves: list[Move], stage: Stage) -> None:
    """Put a sealed stage and the staged columns in place, all of it or nothing."""
    commit(Path(dataset), [*moves, (stage.work, stage.out)])
    let_go(stage.out)


def has_labels(dataset: Path, labels: str = DEFAULT_LABELS) -> bool:
    """Whether a dataset has a label set of that name.

    Raises:
        UserError: not a dataset, or not a name.
    """
    return label_columns(labels)[0] in Episodes(dataset).features
