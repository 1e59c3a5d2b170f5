"""The stage `label`: from frames to one latent action per transition, written into the dataset."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from robowm.artefact import plain, write_json
from robowm.batch import INVALID_CODE, LatentActions
from robowm.episodes import DEFAULT_LABELS, Episodes
from robowm.errors import UserError
from robowm.latent import vipra_model
from robowm.latent.gallery import write_gallery
from robowm.latent.labeller import KIND
from robowm.latent.model import LatentActionConfig, LatentActionModel
from robowm.latent.report import Reality, reality
from robowm.latent.transitions import TransitionStore, batches, measure
from robowm.nn.directory import (
    fingerprint,
    load_weights,
    read_config,
    read_kind,
    resolve,
    save_model,
)
from robowm.train.frames import check_fit, held_out
from robowm.train.label_vipra import Labelled, ViPRALabelConfig, label_windows, portable
from robowm.train.labels_on_disk import commit_labels, open_labels, provenance_of, stage_labels
from robowm.train.loop import TrainConfig, drop_checkpoints, train

SPEED_PX = (0.1, 1.0)  # a transition is drawn in proportion to its speed, between these


@dataclass(frozen=True)
class LabelConfig:
    """What the labeller is and how it is trained."""

    model: LatentActionConfig = field(default_factory=LatentActionConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    held_out: float = 0.1
    """share of episodes that the labeller does not train on; the reality report uses them"""


@dataclass(frozen=True)
class LabelResult:
    """What was written, and what the held-out transitions say of it."""

    directory: Path
    transitions: int
    valid: int
    reality: Reality


def label(
    dataset: Path,
    config: LabelConfig | ViPRALabelConfig,
    model: str | None = None,
    camera: str | None = None,
    labels: str = DEFAULT_LABELS,
    replace: bool = False,
) -> LabelResult:
    """Label every transition of a dataset; nothing else that was in it is changed.

    Args:
        dataset: LeRobotDataset v3 directory.
        config: used to train the labeller, and which family it is of; with `model`, only what is
            not of the model counts.
        model: directory or Hub id of a trained labeller; None trains one on this dataset.
        camera: image column; None takes the first.
        labels: name of the label set, for several side by side; see `label_columns`.
        replace: put the new set in the place of one of that name made with other settings.

    Returns:
        counts and the reality report; `DATASET/labels/` (`labels.NAME/`) holds model, report and
        pictures.

    Raises:
        UserError: not a dataset, no transition in it, frames of another size or rate than the
            labeller's, or labels made with other settings.
    """
    episodes = Episodes(dataset)
    key = episodes.camera(camera)
    source = fingerprint(resolve(model)) if model else None
    settings = {
        "config": plain(portable(config)),
        "model": source,
        "camera": key,
        "frames": int(episodes.lengths.sum()),
    }
    stage = open_labels(Path(dataset), labels, settings, replace)
    if stage.done:
        facts = stage.card
        return LabelResult(
            stage.out, facts["transitions"], facts["valid"], Reality(**facts["reality"])
        )
    if not (episodes.lengths > 1).any():
        raise UserError(f"{dataset} has no episode of two frames or more: nothing to label.")
    if _family(config, model) == vipra_model.KIND:
        made = label_windows(episodes, key, _as(ViPRALabelConfig, config), model, stage.work)
    else:
        made = _label_pairs(episodes, key, _as(LabelConfig, config), model, stage.work)
    sha256 = fingerprint(stage.work / "model")
    provenance = provenance_of(made.shape, sha256, episodes.fps, key) | made.facts
    moves = stage_labels(episodes, labels, made.rows, made.actions, provenance)
    write_json(stage.work / "report.json", {"provenance": provenance, "reality": made.reality})
    drop_checkpoints(stage.work)
    rows, valid = len(made.rows), int(made.actions.valid.sum())
    kept_back = held_out(len(episodes), config.held_out, config.train.seed)
    stage.seal(
        transitions=rows,
        valid=valid,
        reality=plain(made.reality),
        provenance=provenance,
        held_out=None if model else np.flatnonzero(kept_back).tolist(),
    )
    commit_labels(Path(dataset), moves, stage)
    return LabelResult(stage.out, rows, valid, made.reality)


def _family(config: LabelConfig | ViPRALabelConfig, model: str | None) -> str:
    """The kind of the labeller: that of `model`, or the one that `config` trains."""
    if model:
        return read_kind(resolve(model)) or KIND
    return vipra_model.KIND if isinstance(config, ViPRALabelConfig) else KIND


def _as[C: (LabelConfig, ViPRALabelConfig)](
    family: type[C], config: LabelConfig | ViPRALabelConfig
) -> C:
    """The configuration of a family; from the other one's, what both have."""
    if isinstance(config, family):
        return config
    return family(train=config.train, held_out=config.held_out)


def _label_pairs(
    episodes: Episodes, camera: str, config: LabelConfig, model: str | None, work: Path
) -> Labelled:
    network = _build(config, model, episodes, camera)
    scratch = work / "transitions"
    store = measure(episodes, camera, scratch, network.config.motion)
    kept_back = held_out(len(episodes), config.held_out, config.train.seed)[store.episode]
    if model is None:
        _train(network, store, kept_back, config, work)
    network.eval()
    save_model(work / "model", network, KIND, network.config)
    actions = encode_all(network, store)
    judged = reality(network, store, np.flatnonzero(kept_back & store.valid), actions)
    write_gallery(work, network, store, actions, np.flatnonzero(kept_back))
    shutil.rmtree(scratch)
    return Labelled(network.config, store.rows, actions, judged)


def _build(
    config: LabelConfig, model: str | None, episodes: Episodes, camera: str
) -> LatentActionModel:
    directory = resolve(model) if model else None
    if directory:
        shape = read_config(directory, KIND, LatentActionConfig)
    else:
        shape = config.model
        if shape.stride_s is None:
            shape = replace(shape, stride_s=1 / episodes.fps)
    check_fit(episodes, camera, shape.size_px, shape.stride_s)
    torch.manual_seed(config.train.seed)
    network = LatentActionModel(shape)
    if directory:
        load_weights(directory, network)
    return network


def _train(
    network: LatentActionModel,
    store: TransitionStore,
    kept_back: np.ndarray,
    config: LabelConfig,
    work: Path,
) -> None:
    rows = np.flatnonzero(store.valid & ~kept_back)
    if not len(rows):
        raise UserError("optical flow failed on every transition: nothing to train on.")
    # most transitions of found video are nearly still and would teach that nothing happens
    share = store.speed[rows].clip(*SPEED_PX)
    share = share / share.sum()

    def loss_of(
        model: torch.nn.Module, rng: np.random.Generator, progress: float
    ) -> tuple[torch.Tensor, dict[str, float]]:
        chosen = rng.choice(rows, min(config.train.batch_size, len(rows)), p=share)
        return model(store.batch(chosen), progress)

    def after_step(step: int) -> None:
        # ViPRA's schedule, scaled: often at first, and never in the last half
        if step % 20 == 0 and step <= config.train.steps // 2:
            network.quantiser.replace_dead()

    train(network, loss_of, config.train, work, "latent actions", after_step)


@torch.no_grad()
def encode_all(network: LatentActionModel, store: TransitionStore) -> LatentActions:
    """Latent actions of all N transitions, in the store's order."""
    every = np.arange(len(store))
    encoded = [network.encode(store.batch(every[part])) for part in batches(len(store))]
    vectors = torch.cat([v for v, _ in encoded]).flatten(1).numpy().astype(np.float32)
    codes = torch.cat([c for _, c in encoded]).numpy().astype(np.int64)
    codes[~store.valid], vectors[~store.valid] = INVALID_CODE, 0
    return LatentActions(codes=codes, vectors=vectors, valid=np.array(store.valid))
