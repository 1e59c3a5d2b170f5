"""One training loop for everything: deterministic by step, resumable to the bit, no pickle.

All randomness of step n comes from (seed, n), so a run that was killed and resumed has the same
weights as one that was not.
"""

import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from robowm.artefact import write_json
from robowm.progress import progress

LossOf = Callable[[nn.Module, np.random.Generator, float], tuple[Tensor, dict[str, float]]]
"""(model, the step's generator, share of training done) to the loss and figures to plot."""

LOG_EVERY = 10


@dataclass(frozen=True)
class TrainConfig:
    """How long and how fast to train."""

    steps: int = 1000
    """optimiser steps"""
    batch_size: int = 64
    """samples per step"""
    learning_rate: float = 1e-3
    """peak of the cosine schedule"""
    warmup_steps: int = 50
    """steps of linear warm-up; the rest falls to 2 % of the peak along a cosine"""
    weight_decay: float = 0.01
    """AdamW's decoupled weight decay"""
    grad_clip: float = 1.0
    """largest gradient norm"""
    seed: int = 0
    """seed of weights, batches and noise"""
    precision: str = "auto"
    """bf16, float32, or auto: bf16 where the processor or GPU has units for it"""
    checkpoint_every_s: float = 20.0
    """seconds between checkpoints"""


def train(
    model: nn.Module,
    loss_of: LossOf,
    config: TrainConfig,
    work: Path,
    title: str,
    after_step: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Train in place; goes on from the newest checkpoint under `work` if there is one.

    Args:
        model: what to train; moved to the accelerator's device.
        loss_of: draws its own batch from the generator it is given.
        config: see TrainConfig.
        work: the stage's directory; checkpoints and `curves.json` are written there.
        title: for the progress bar and the plot.
        after_step: called with the number of steps done.

    Returns:
        the curves: {"title", "x", "series": {name: [[step, value], ...]}}.
    """
    from accelerate import Accelerator  # a second to import: not for --help

    accelerator = Accelerator(mixed_precision="bf16" if use_bf16(config.precision) else "no")
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        betas=(0.9, 0.99),
    )
    begun, series = load_checkpoint(work, model, optimizer)
    ready, optimizer = accelerator.prepare(model, optimizer)
    ready.train()
    saved_at = time.monotonic()
    with progress(title, config.steps, begun) as advance:
        for step in range(begun, config.steps):
            torch.manual_seed(_mix(config.seed, step))
            rng = np.random.default_rng((config.seed, step))
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * schedule(step, config)
            with accelerator.autocast():
                loss, parts = loss_of(ready, rng, step / config.steps)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(ready.parameters(), config.grad_clip)
            optimizer.step()
            optimizer.zero_grad()
            done = step + 1
            if after_step is not None:
                after_step(done)
            if done % LOG_EVERY == 0 or done == config.steps:
                for name, value in {"loss": loss.item(), **parts}.items():
                    series.setdefault(name, []).append([done, round(value, 6)])
            advance(loss=loss.item())
            if time.monotonic() - saved_at > config.checkpoint_every_s or done == config.steps:
                save_checkpoint(work, done, model, optimizer, series)
                saved_at = time.monotonic()
    model.eval()
    curves = {"title": title, "x": "step", "series": series}
    write_json(work / "curves.json", curves)
    return curves


def schedule(step: int, config: TrainConfig) -> float:
    """Learning rate at `step` as a share of the peak: linear up, cosine down to 0.02."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    span = max(config.steps - config.warmup_steps, 1)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - config.warmup_steps) / span))


def use_bf16(precision: str) -> bool:
    """Whether to train in bf16: as asked, or "auto" where there are units for it."""
    if precision != "auto":
        return precision == "bf16"
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def save_checkpoint(
    work: Path,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    series: dict[str, list[list[float]]],
) -> None:
    """Write `checkpoint-STEP` whole, then drop the older ones."""
    target = work / f"checkpoint-{step:08d}"
    temporary = work / ".checkpoint.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    safetensors.torch.save_model(model, str(temporary / "model.safetensors"))
    moments = {
        f"{name}/{key}": value.contiguous()
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }
    safetensors.torch.save_file(moments, str(temporary / "optimizer.safetensors"))
    write_json(temporary / "step.json", {"step": step, "series": series})
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    for old in work.glob("checkpoint-*"):
        if old.name < target.name:
            shutil.rmtree(old)


def load_checkpoint(
    work: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, dict[str, list[list[float]]]]:
    """Restore the newest checkpoint: steps done and curves; (0, {}) when there is none."""
    newest = max(work.glob("checkpoint-*"), default=None, key=lambda path: path.name)
    if newest is None:
        return 0, {}
    safetensors.torch.load_model(model, str(newest / "model.safetensors"))
    moments = safetensors.torch.load_file(str(newest / "optimizer.safetensors"))
    parameters = dict(model.named_parameters())
    for key, value in moments.items():
        name, _, part = key.rpartition("/")
        optimizer.state[parameters[name]][part] = value
    state = json.loads((newest / "step.json").read_text())
    return state["step"], state["series"]


def drop_checkpoints(work: Path) -> None:
    """Remove what only a resumed run needs."""
    for path in [*work.glob("checkpoint-*"), work / ".checkpoint.tmp"]:
        shutil.rmtree(path, ignore_errors=True)


def _mix(seed: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, step)).generate_state(1)[0])
