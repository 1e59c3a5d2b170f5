"""ViPRA's labeller at its published size: built, trained for one step, saved, loaded, on a CPU.

    python benchmarks/vipra_step.py --work DIR --json benchmarks/results/vipra_step.json

Backbone, VGG-16 and RAFT have random weights, by their explicit switch: this proves that the preset
fits together and what it costs, and says nothing of what it learns. One synthetic clip of a
textured square moving over a texture; every term of the loss is on.
"""

import os
import resource
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
import tyro
from _versions import made_with

from robowm import recipes
from robowm.artefact import write_json
from robowm.latent.vipra_loss import load_judges
from robowm.latent.vipra_model import KIND, Windows
from robowm.latent.window_labeller import WindowLabeller
from robowm.nn.directory import save_model
from robowm.train.label_vipra import ViPRALabelConfig, build
from robowm.train.loop import drop_checkpoints, train

PACKAGES = ("robowm", "torch", "torchvision", "transformers", "lpips", "accelerate")


@dataclass(frozen=True)
class Args:
    """Flags of the benchmark."""

    work: Path
    """directory for checkpoint (5 GB, removed at the end) and model (1.3 GB)"""
    json_file: Annotated[Path, tyro.conf.arg(name="json")]
    """file to write"""
    batch_size: int = 1
    """clips a step"""
    flow: bool = True
    """run RAFT, as after the kick-in"""
    seed: int = 0
    """seed of weights and clip"""


def main(args: Args) -> None:
    """Build, step, save, load; write the figures."""
    config = settings(args)
    took: dict[str, float] = {}
    begun = time.monotonic()
    network = build(config)
    judges = load_judges(config.model.loss, config.model.size_px)
    took["build_s"] = time.monotonic() - begun
    clip = moving_clip(config.model.size_px, config.model.window, args.seed)
    frames = torch.from_numpy(clip).permute(0, 3, 1, 2).float().div(255)
    frames = frames.expand(args.batch_size, *frames.shape)
    real = torch.ones(frames.shape[:2], dtype=torch.bool)
    batch = Windows(frames, real, real[:, 1:])
    before = network.decoder.bias.net[0].weight.detach().clone()
    begun = time.monotonic()
    rates = {"backbone.": config.model.backbone.rate}
    curves = train(
        network, lambda m, _, p: m(batch, p, judges), config.train, args.work, "vipra", None, rates
    )
    took["step_and_checkpoint_s"] = time.monotonic() - begun
    begun = time.monotonic()
    save_model(args.work / "model", network, KIND, network.config)
    took["save_s"] = time.monotonic() - begun
    codes = WindowLabeller(network).encode(clip)[1]  # type: ignore[arg-type]
    begun = time.monotonic()
    loaded = WindowLabeller.read(args.work / "model")
    took["load_s"] = time.monotonic() - begun
    begun = time.monotonic()
    same = bool((loaded.encode(clip)[1] == codes).all())
    took["encode_window_s"] = time.monotonic() - begun
    drop_checkpoints(args.work)
    result = {
        "command": "python benchmarks/vipra_step.py --work DIR --json FILE",
        "config": config,
        "weights": "random: backbone, VGG-16, RAFT; LPIPS heads are real",
        "parameters_millions": parameters(network),
        "loss": {name: values[-1][1] for name, values in curves["series"].items()},
        "weights_moved": not torch.equal(before, network.decoder.bias.net[0].weight),
        "loaded_codes_are_the_same": same,
        "saved_mb": round((args.work / "model" / "model.safetensors").stat().st_size / 1e6),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "seconds": {name: round(value, 1) for name, value in took.items()},
        "cpu_s": round(time.process_time()),
        "load_average": os.getloadavg(),
        "threads": torch.get_num_threads(),
        **made_with(*PACKAGES),
    }
    args.json_file.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.json_file, result)
    print(args.json_file.read_text())


def settings(args: Args) -> ViPRALabelConfig:
    """The preset `vipra`; weights, batch, steps, kick-in and precision differ from it, and blocks
    are computed twice, for this has to fit beside other work (without: about 15 GB)."""
    config = recipes.load("policies/vipra").vipra().label
    assert isinstance(config, ViPRALabelConfig)
    model = config.model
    loss = replace(
        model.loss,
        perceptual_weights="random",
        flow_weights="random",
        flow_from=-1.0,  # the ramp is over before the first step
        flow_weight=model.loss.flow_weight if args.flow else 0.0,
    )
    backbone = replace(model.backbone, weights="random")
    return replace(
        config,
        model=replace(model, loss=loss, backbone=backbone, recompute_blocks=True),
        train=replace(
            config.train, steps=1, batch_size=args.batch_size, precision="float32", seed=args.seed
        ),
    )


def parameters(network: torch.nn.Module) -> dict[str, float]:
    """Millions of weights, in all and of each part."""
    parts = dict(network.named_children())
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    total = sum(counts.values())
    return {name: round(n / 1e6, 2) for name, n in {"all": total, **counts}.items()}


def moving_clip(size_px: int, length: int, seed: int) -> np.ndarray:
    """uint8 (T, S, S, 3): a square that moves over a texture."""
    rng = np.random.default_rng(seed)
    scene = cv2.resize(rng.integers(0, 255, (28, 28, 3), dtype=np.uint8), (size_px, size_px))
    side = size_px // 4
    tile = cv2.resize(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8), (side, side))
    frames = np.repeat(scene[None], length, axis=0)
    for t in range(length):
        x = size_px // 4 + t * size_px // 40
        frames[t, x : x + side, x : x + side] = tile
    return frames


if __name__ == "__main__":
    main(tyro.cli(Args))
