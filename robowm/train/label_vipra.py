"""The part of `label` that is ViPRA's own: trains on windows, labels with windows."""

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robowm.artefact import write_json
from robowm.batch import LatentActions
from robowm.episodes import Episodes
from robowm.errors import UserError
from robowm.latent.alarm import CollapseWatch
from robowm.latent.backbone import load_backbone
from robowm.latent.model import LatentActionConfig
from robowm.latent.report import Reality
from robowm.latent.vipra_loss import Judges, load_judges
from robowm.latent.vipra_model import KIND, ViPRALatentConfig, ViPRALatentModel, replacement_due
from robowm.latent.window_labeller import WindowLabeller, masked
from robowm.latent.window_report import MOST, STRIP, draw_strip, judge
from robowm.nn.directory import resolve, save_model
from robowm.nn.pretrained import without_place
from robowm.train.frames import check_fit, held_out, load_frames
from robowm.train.loop import TrainConfig, train
from robowm.train.windows import WindowStore, find_flow


@dataclass(frozen=True)
class ViPRALabelConfig:
    """What ViPRA's labeller is and how it is trained."""

    model: ViPRALatentConfig = field(default_factory=ViPRALatentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    held_out: float = 0.1
    """share of episodes that the labeller does not train on"""


@dataclass(frozen=True)
class Labelled:
    """The labels of a dataset, and what made them; of either family.

    Attributes:
        shape: configuration of the labeller.
        rows: int64 (N,), the dataset row of each transition.
        actions: N latent actions.
        reality: what held-out transitions say of them.
        facts: what their provenance says beside what all families' says.
    """

    shape: ViPRALatentConfig | LatentActionConfig
    rows: np.ndarray
    actions: LatentActions
    reality: Reality
    facts: dict[str, Any] = field(default_factory=dict)


def label_windows(
    episodes: Episodes,
    camera: str,
    config: ViPRALabelConfig,
    model: str | None,
    work: Path,
) -> Labelled:
    """Train ViPRA's latent action model on a dataset (or load one), and label the dataset with it.

    Args:
        episodes: the dataset.
        camera: its image column.
        config: used to train; with `model`, only the seed and the held-out share count.
        model: directory or Hub id of a trained labeller; None trains one.
        work: the stage's directory; model, pictures and curves are written there.

    Raises:
        UserError: frames of another size or rate, or weights that cannot be had.
    """
    labeller = WindowLabeller.read(resolve(model)) if model else None
    shape = labeller.config if labeller else config.model
    check_fit(episodes, camera, shape.size_px, shape.stride_s)
    network = labeller.network if labeller else build(config)
    judges = None if labeller else load_judges(shape.loss, shape.size_px)
    scratch = work / "windows"
    frames = load_frames([episodes], shape.size_px, [], scratch, camera)
    store = WindowStore(
        frames, find_flow(frames, shape.motion, scratch / "found.npy"), shape.window
    )
    kept_back = held_out(len(episodes), config.held_out, config.train.seed)
    if judges is not None:
        train_windows(network, judges, store, kept_back, config, work)
    labeller = WindowLabeller(network.eval())  # type: ignore[arg-type]
    save_model(work / "model", network, KIND, network.config)
    actions = label_all(labeller, store)
    kept = np.flatnonzero(actions.valid & kept_back[frames.episode[store.rows]])
    judged = report(labeller, store, actions, kept, work)
    shutil.rmtree(scratch)
    # frames that the label of row t may look at, from t on: it stands anywhere in a window
    facts = {"window": [2 - shape.window, shape.window - 1], "stride_s": shape.stride_s}
    return Labelled(network.config, store.rows, actions, judged, {"labeller": KIND} | facts)


def report(
    labeller: WindowLabeller,
    store: WindowStore,
    actions: LatentActions,
    kept: np.ndarray,
    work: Path,
) -> Reality:
    """Judge and draw at most MOST of the held-out transitions `kept`, drawn with a fixed seed."""
    chosen = np.sort(np.random.default_rng(0).permutation(kept)[:MOST])
    c, rows = labeller.config, store.rows[chosen]
    latent = actions.vectors[chosen].reshape(len(chosen), c.tokens, c.code_dim)
    first, second = store.frames.pixels[rows], store.frames.pixels[rows + 1]
    few = slice(0, STRIP)
    draw_strip(work, labeller, first[few], second[few], latent[few], actions.codes[chosen[few]])
    return judge(labeller, first, second, latent, actions)


def build(config: ViPRALabelConfig) -> ViPRALatentModel:
    """The network as training begins; its config names weights without saying where they lay."""
    torch.manual_seed(config.train.seed)
    network = ViPRALatentModel(config.model)
    load_backbone(network.backbone, config.model.backbone)
    network.config = portable(config).model
    return network


def portable[C](config: C) -> C:
    """A configuration that may be saved: local paths to weights become names and hashes."""
    if not isinstance(config, ViPRALabelConfig):
        return config
    c = config.model
    loss = replace(
        c.loss,
        perceptual_weights=without_place(c.loss.perceptual_weights),
        flow_weights=without_place(c.loss.flow_weights),
    )
    backbone = replace(c.backbone, weights=without_place(c.backbone.weights))
    return replace(config, model=replace(c, loss=loss, backbone=backbone))


def train_windows(
    network: ViPRALatentModel,
    judges: Judges,
    store: WindowStore,
    kept_back: np.ndarray,
    config: ViPRALabelConfig,
    work: Path,
) -> None:
    """Train in place on windows of the episodes that are not kept back.

    Raises:
        UserError: nothing to train on.
    """
    episodes = np.flatnonzero(~kept_back)
    if not store.found[~kept_back[store.frames.episode]].any():
        raise UserError("optical flow failed on every transition: nothing to train on.")
    shape, steps = config.model, config.train.steps
    watch = CollapseWatch(shape.codes, every=max(steps // 50, 10), from_step=steps // 10)

    def loss_of(
        ready: torch.nn.Module, rng: np.random.Generator, progress: float
    ) -> tuple[torch.Tensor, dict[str, float]]:
        device = next(ready.parameters()).device
        batch = store.batch(store.draw(episodes, config.train.batch_size, rng)).to(device)
        return ready(batch, progress, judges.to(device))

    def after_step(step: int) -> None:
        if network.seen is not None:
            codes, vectors = network.seen
            watch.see(vectors, codes)
            watch.warn(step)
        if replacement_due(step, steps):
            network.quantiser.replace_dead(shape.dead_share)

    rates = {"backbone.": shape.backbone.rate} if shape.backbone.kind == "dinov2" else {}
    train(network, loss_of, config.train, work, "latent actions", after_step, rates)
    write_json(work / "health.json", [{"step": s, "health": h} for s, h in watch.log])


def label_all(labeller: WindowLabeller, store: WindowStore) -> LatentActions:
    """Latent actions of all transitions, in the order of `store.rows`, episode by episode."""
    frames = store.frames
    vectors, codes = [], []
    for start in np.unique(frames.start):
        latent, code = labeller.encode(frames.pixels[start : frames.end[start]])
        vectors.append(latent)
        codes.append(code)
    return masked(np.concatenate(vectors), np.concatenate(codes), store.found[store.rows])
