"""One training loop for everything: deterministic by step, resumable to the bit, no pickle.

All randomness of step n comes from (seed, n), so a run that was killed and resumed has the same
weights as one that was not.
"""

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from robowm.artefact import write_json
from robowm.errors import UserError
from robowm.progress import progress
from robowm.train.last_batch import LastBatch

LossOf = Callable[[nn.Module, np.random.Generator, float], tuple[Tensor, dict[str, float]]]
"""(model, the step's generator, share of training done) to the loss and figures to plot."""

LOG_EVERY = 10
BAD_BATCH = "bad_batch"


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
    """steps of linear warm-up; the rest falls along a cosine"""
    final_rate: float = 0.02
    """where the cosine ends, as a share of the peak; 1 keeps the rate constant"""
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
    rates: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Train in place; goes on from the newest checkpoint under `work` if there is one.

    Args:
        model: what to train; moved to the accelerator's device.
        loss_of: draws its own batch from the generator it is given.
        config: see TrainConfig.
        work: the stage's directory; checkpoints and `curves.json` are written there.
        title: for the progress bar and the plot.
        after_step: called with the number of steps done.
        rates: first words of parameter names to their share of the learning rate; others have 1.

    Returns:
        the curves: {"title", "x", "series": {name: [[step, value], ...]}}.

    Raises:
        UserError: the loss or its gradient is not finite. The step is not taken; the batch is
            kept in `work`.
    """
    from accelerate import Accelerator  # a second to import: not for --help

    # its own precision would hold for every training of this process
    accelerator = Accelerator(mixed_precision="no")
    bf16 = use_bf16(config.precision)
    optimizer = torch.optim.AdamW(
        _groups(model, rates or {}),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        betas=(0.9, 0.99),
    )
    begun, series = load_checkpoint(work, model, optimizer)
    ready, optimizer = accelerator.prepare(model, optimizer)
    ready.train()
    last = LastBatch(ready)
    saved_at = time.monotonic()
    with progress(title, config.steps, begun) as advance:
        for step in range(begun, config.steps):
            torch.manual_seed(_mix(config.seed, step))
            rng = np.random.default_rng((config.seed, step))
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * schedule(step, config) * group["share"]
            with torch.autocast(accelerator.device.type, torch.bfloat16, enabled=bf16):
                loss, parts = loss_of(ready, rng, step / config.steps)
            accelerator.backward(loss.float())
            norm = accelerator.clip_grad_norm_(ready.parameters(), config.grad_clip)
            _check_finite(loss, norm, last, work, step + 1)
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
    last.release()
    model.eval()
    curves = {"title": title, "x": "step", "series": series}
    write_json(work / "curves.json", curves)
    return curves


def _groups(model: nn.Module, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Parameters by their share of the learning rate; frozen ones are left out."""
    by_share: dict[float, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        share = next((rate for begins, rate in rates.items() if name.startswith(begins)), 1.0)
        by_share.setdefault(share, []).append(parameter)
    return [{"params": parameters, "share": share} for share, parameters in by_share.items()]


def _check_finite(
    loss: Tensor, norm: Tensor | None, last: LastBatch, work: Path, step: int
) -> None:
    """Stop before a step that would spoil the weights, and keep the batch that asked for it."""
    if torch.isfinite(loss) and (norm is None or torch.isfinite(norm)):
        return
    path = work / f"{BAD_BATCH}-{step:08d}.safetensors"
    last.save(path)
    what = f"the loss is {loss.item()}" if not torch.isfinite(loss) else f"the gradient is {norm}"
    raise UserError(
        f"training stopped at step {step}: {what}. The batch is in {path}; weights are unspoilt "
        "up to the newest checkpoint beside it. Look at the batch, or try a lower "
        "--train.learning-rate or --train.precision float32."
    )


def schedule(step: int, config: TrainConfig) -> float:
    """Learning rate at `step` as a share of the peak: linear up, cosine down to `final_rate`."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    span = max(config.steps - config.warmup_steps, 1)
    low = config.final_rate
    return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * (step - config.warmup_steps) / span))


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
    for path in work.glob(f"{BAD_BATCH}-*"):
        path.unlink()


def _mix(seed: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, step)).generate_state(1)[0])
