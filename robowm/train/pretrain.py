"""The stage `pretrain`: a world model from frames and latent actions together."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from robowm.artefact import open_stage, plain, write_json
from robowm.batch import INVALID_CODE, Batch
from robowm.episodes import DEFAULT_LABELS, LABEL_COLUMNS, Episodes, label_columns
from robowm.errors import UserError
from robowm.nn.directory import save_model
from robowm.train.frames import Frames, held_out, load_frames
from robowm.train.labels_on_disk import provenance_in
from robowm.train.loop import TrainConfig, drop_checkpoints, train
from robowm.world.backbone import load_pretrained, read_pretrained
from robowm.world.contract import WorldModel
from robowm.world.targets import LatentCodes, LatentVectors
from robowm.world.vipra import ViPRAConfig, ViPRAWorldModel

KIND = "robowm_vipra"
PRETRAINED = "--model.backbone.pretrained"
NO_CODES = {"code_accuracy": 0.0, "code_chance": 0.0}


@dataclass(frozen=True)
class PretrainConfig:
    """What the world model is and how it is trained."""

    model: ViPRAConfig = field(default_factory=ViPRAConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    held_out: float = 0.1
    """share of episodes kept for validation"""


@dataclass(frozen=True)
class Validation:
    """Held-out figures of a world model, and what trivial answers score.

    Attributes:
        future_l1: mean absolute error of the frame H ahead on pixels that changed, 0 to 1.
        still_l1: the same for showing the present frame again.
        code_accuracy: share of latent codes guessed right, given the earlier ones; 0 where latent
            actions are continuous.
        code_chance: the share the commonest code has at each token; likewise.
        windows: how many windows were judged.
        latent_r2: share of the variance of continuous latent actions that is foretold, given the
            earlier ones; None where they are codes.
    """

    future_l1: float
    still_l1: float
    code_accuracy: float
    code_chance: float
    windows: int
    latent_r2: float | None = None


def pretrain(
    datasets: Sequence[Path], out: Path, config: PretrainConfig, labels: str = DEFAULT_LABELS
) -> Validation:
    """Train a world model on labelled datasets.

    Args:
        datasets: LeRobotDataset v3 directories that `label` has been through, by one labeller.
        out: model directory to write: `config.json`, `model.safetensors`, curves, pictures.
        config: see PretrainConfig; the shape of latent actions is taken from the labels.
        labels: name of the label set to train on, the same in every dataset.

    Raises:
        UserError: a dataset is missing, unlabelled, or labelled by another labeller or at another
            rate.
    """
    if not datasets:
        raise UserError("no dataset was named; expected one or more labelled datasets.")
    opened = [Episodes(path) for path in datasets]
    provenance = one_labeller(opened, labels)
    weights = config.model.backbone.pretrained
    backbone = read_pretrained(config.model.backbone, PRETRAINED)
    config = replace(config, model=replace(config.model, backbone=backbone))
    shape = replace(
        config.model,
        tokens=provenance["tokens"],
        codes=provenance["codes"],
        latent_dim=opened[0].features[label_columns(labels)[0]]["shape"][0],
    )
    config = replace(config, model=shape)
    settings = {
        "config": plain(config),
        "datasets": [str(d) for d in datasets],
        "labels": labels,
        "labeller": provenance["sha256"],
        "frames": [int(e.lengths.sum()) for e in opened],
    }
    stage = open_stage(out, "world_model", settings)
    if stage.done:
        return Validation(**stage.card["validation"])
    columns = dict(zip(LABEL_COLUMNS, label_columns(labels), strict=True))
    frames = load_frames(opened, shape.backbone.size_px, columns, stage.work / "frames")
    kept_back = held_out(int(frames.episode[-1]) + 1, config.held_out, config.train.seed)
    rows, judged = windows(frames, kept_back)
    torch.manual_seed(config.train.seed)
    model = ViPRAWorldModel(shape)
    load_pretrained(model.backbone, weights, PRETRAINED)
    if isinstance(model.latents, LatentVectors):
        model.latents.know_scale(torch.from_numpy(frames.columns["latent_action"][rows]))

    def loss_of(
        ready: torch.nn.Module, rng: np.random.Generator, share: float
    ) -> tuple[torch.Tensor, dict[str, float]]:
        chosen = rng.choice(rows, min(config.train.batch_size, len(rows)))
        return ready(window_batch(frames, chosen, shape))

    train(model, loss_of, config.train, stage.work, "world model")
    validation = validate(model, frames, judged)
    write_gallery(stage.work, model, shape, frames, judged)
    save_model(stage.work, model, KIND, shape)
    drop_checkpoints(stage.work)
    (stage.work / "frames" / "frames.npy").unlink()
    (stage.work / "frames").rmdir()
    stage.finish(validation=asdict(validation), labeller=provenance)
    return validation


def one_labeller(datasets: Sequence[Episodes], labels: str = DEFAULT_LABELS) -> dict[str, Any]:
    """The provenance that all datasets' labels share.

    Raises:
        UserError: labels are missing, come from different labellers or are of different rates:
            their codes would mean different things.
    """
    found: dict[str, Any] | None = None
    for dataset in datasets:
        info = provenance_in(dataset, labels)
        if found is not None and info["sha256"] != found["sha256"]:
            raise UserError(
                f"{dataset.root} was labelled by another model than {datasets[0].root}; expected "
                "one labeller for all: pass the first one's labels/model to label --labeller."
            )
        if found is not None and info["fps"] != found["fps"]:
            raise UserError(
                f"{dataset.root} was labelled at {info['fps']} frames a second, {datasets[0].root} "
                f"at {found['fps']}: a latent action of one is not as long as one of the other; "
                f"expected one rate (`robowm ingest --fps {found['fps']}` resamples video)."
            )
        found = found or info
    assert found is not None
    return found


def windows(frames: Frames, kept_back: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that a window may begin at, for training and for validation.

    Raises:
        UserError: there is no valid latent action to train on.
    """
    usable = frames.columns["latent_action_valid"].astype(bool)
    mine = kept_back[frames.episode]
    rows, judged = np.flatnonzero(usable & ~mine), np.flatnonzero(usable & mine)
    if not len(rows):
        raise UserError("no valid latent action in the training episodes: nothing to train on.")
    return rows, judged if len(judged) else rows[:0]


def window_batch(frames: Frames, rows: np.ndarray, shape: ViPRAConfig) -> Batch:
    """Windows around `rows`: context frames up to each row, latent actions and frame after it.

    What lies past an episode's end is invalid: codes -1, latents NaN, `future_valid` False.
    """
    start, end = frames.start[rows], frames.end[rows]
    context = rows[:, None] + np.arange(1 - shape.backbone.context_frames, 1)
    context = np.maximum(context, start[:, None])
    codes, vectors = latents_ahead(frames, rows, shape.chunk)
    future = rows + shape.horizon
    return Batch(
        frames=frames.pictures(context),
        task=frames.instructions(rows),
        future=frames.pictures(np.minimum(future, end - 1)),
        future_valid=torch.from_numpy(future < end),
        codes=torch.from_numpy(codes),
        latents=torch.from_numpy(vectors),
    )


def latents_ahead(frames: Frames, rows: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Latent actions of the `horizon` transitions from each of N rows on.

    Returns:
        codes int64 (N, H, K), and the actions themselves float32 (N, H, D); -1 and NaN where there
        is none, be it past the episode's end or not valid.
    """
    _, steps, inside = frames.around(rows, 1, horizon)
    known = inside & frames.columns["latent_action_valid"][steps].astype(bool)
    codes = np.where(known[..., None], frames.columns["latent_action_index"][steps], INVALID_CODE)
    vectors = np.where(known[..., None], frames.columns["latent_action"][steps], np.nan)
    return codes, vectors.astype(np.float32)


@torch.no_grad()
def validate(model: ViPRAWorldModel, frames: Frames, rows: np.ndarray) -> Validation:
    """Judge a world model on at most 256 held-out windows, drawn with a fixed seed."""
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:256])
    if not len(rows):
        return Validation(0.0, 0.0, 0.0, 0.0, 0)
    batch = window_batch(frames, rows, model.config)
    assert batch.future is not None and batch.codes is not None and batch.future_valid is not None
    drawn, hidden = model.teacher_forced(batch)
    now = batch.frames[:, -1]
    changed = (batch.future - now).abs().amax(1, keepdim=True) > 0.1
    changed &= batch.future_valid[:, None, None, None]
    count = changed.sum().clamp_min(1)

    def l1(picture: torch.Tensor) -> float:
        gap = (picture - batch.future).abs().mean(1, keepdim=True)  # type: ignore[operator]
        return float((gap * changed).sum() / count)

    judged = (
        {"latent_r2": _explained(model.latents, hidden, batch)}
        if isinstance(model.latents, LatentVectors)
        else _right(model.latents, hidden, batch.codes)
    )
    return Validation(l1(drawn), l1(now), windows=len(rows), **NO_CODES | judged)


def _right(latents: LatentCodes, hidden: torch.Tensor, codes: torch.Tensor) -> dict[str, float]:
    """Share of codes (B, H, K) that hidden tokens tell, and that the commonest would."""
    told, flat = latents.outward(hidden).argmax(-1), codes.flatten(1)
    known = flat >= 0
    right = (told == flat) & known
    tokens = codes.flatten(0, 1)
    tokens = tokens[(tokens >= 0).all(-1)]
    commonest = [(t == t.mode().values).double().mean() for t in tokens.T]
    return {
        "code_accuracy": float(right.sum() / known.sum().clamp_min(1)),
        "code_chance": float(sum(commonest) / max(len(commonest), 1)),
    }


def _explained(latents: LatentVectors, hidden: torch.Tensor, batch: Batch) -> float:
    """Share of the variance of latent actions that hidden tokens tell."""
    assert batch.latents is not None
    known = batch.latents.isfinite().all(-1)
    wanted, told = batch.latents[known], latents.read(hidden)[known]
    left = (wanted - told).square().sum()
    return float(1 - left / (wanted - wanted.mean(0)).square().sum().clamp_min(1e-12))


@torch.no_grad()
def write_gallery(
    directory: Path, model: WorldModel, shape: ViPRAConfig, frames: Frames, rows: np.ndarray
) -> None:
    """Present, predicted and true frames of up to eight held-out windows, one above the other."""
    items, horizon = [], model.capabilities.frames_per_step
    if len(rows):
        rows = rows[frames.end[rows] - rows > horizon]
        rows = np.sort(np.random.default_rng(1).permutation(rows)[:8])
    if len(rows):
        batch = window_batch(frames, rows, shape)
        assert batch.future is not None
        predicted, _ = model.step(model.start(batch))
        lines = [batch.frames[:, -1], predicted.clamp(0, 1), batch.future]
        sheet = np.concatenate([_line(pictures) for pictures in lines])
        cv2.imwrite(str(directory / "futures.png"), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
        items.append({"file": "futures.png", "caption": "eight moments of held-out episodes"})
    caption = (
        f"Top: the present. Middle: what the world model expects {horizon} steps "
        "later. Bottom: what came."
    )
    gallery = {"title": "Imagined against true frames", "caption": caption, "items": items}
    write_json(directory / "gallery.json", gallery)


def _line(pictures: torch.Tensor) -> np.ndarray:
    frames = (pictures * 255).byte().permute(0, 2, 3, 1).numpy()
    line = np.concatenate(list(frames), axis=1)
    return cv2.resize(line, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
