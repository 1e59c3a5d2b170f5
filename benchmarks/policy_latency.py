"""One action chunk, from picture to actions: ours beside LeRobot's ACT, Diffusion and VQ-BeT.

    python benchmarks/policy_latency.py --json benchmarks/results/policy_latency.json

Policies have random weights and the shapes that `policies/` trains: 128 px, ten numbers of state,
seven of action. Each call begins a new episode, so it plans a whole chunk: the picture is scaled,
normalised, looked at, and the actions are unscaled again. Calls take turns, so that other work on
the machine hits all alike. Target: ours under 45 ms at the 99th percentile (22 chunks a second).
A policy that takes over a second (Diffusion: 100 denoising steps) has a tenth of the calls.
Diffusion needs `pip install 'lerobot[diffusion]'` and is left out, by name, where that is missing.
"""

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from _versions import made_with
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies.factory import get_policy_class, make_policy_config, make_pre_post_processors

import robowm.policy.modeling_vipra  # noqa: F401  registers the type "vipra"
from robowm import recipes
from robowm.artefact import write_json
from robowm.batch import Observation
from robowm.policy.cameras import GRID
from robowm.policy.lerobot_controller import LeRobotController, load_controller

SIZE_PX, STATE, ACTION = 128, 10, 7
CAMERA = "observation.images.agentview"
TARGET_MS = 45.0
SLOW_S, RARELY = 1.0, 10
"""a policy whose first chunk takes longer is called only in every tenth turn"""


@dataclass(frozen=True)
class Args:
    """Flags."""

    json: Path
    """result"""
    calls: int = 300
    """chunks of each policy"""
    threads: int = 2
    """threads of torch"""


def main(args: Args) -> None:
    """Build, take turns, write."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    left_out: dict[str, str] = {}
    controllers: dict[str, LeRobotController] = {}
    for name, changes in policies().items():
        try:
            controllers[name] = built(name, changes)
        except ImportError as error:
            left_out[name] = str(error).splitlines()[0]
    times_s = measured(controllers, args.calls)
    result = {
        "command": "python benchmarks/policy_latency.py --json FILE",
        "threads": args.threads,
        "calls": args.calls,
        "load_before": round(os.getloadavg()[0], 2),
        "policies": {name: figures(controllers[name], times_s[name]) for name in controllers},
        "left_out": left_out,
        "target": {"policy": "vipra", "p99_ms": TARGET_MS},
        **made_with("robowm", "torch", "lerobot"),
    }
    result["met"] = result["policies"]["vipra"]["p99_ms"] < TARGET_MS  # type: ignore[index]
    write_json(args.json, result)
    print(args.json.read_text())


def policies() -> dict[str, dict[str, Any]]:
    """LeRobot type (what follows a comma is ours) to its configuration, besides the features."""
    recipe = recipes.load("policies/vipra").small().finetune.policy
    b = recipe.backbone
    ours = {
        "n_obs_steps": recipe.state_frames,
        "context_frames": b.context_frames,
        "state_places": [0, 1, 2],
        "state_vectors": [[3, 4, 5], [6, 7, 8]],
        "action_vectors": [[0, 1, 2], [3, 4, 5]],
        "chunk_size": recipe.chunk_size,
        "flow_steps": recipe.flow_steps,
        "subgoals": recipe.subgoals,
        **{k: getattr(b, k) for k in ("size_px", "grid", "points", "channels", "width", "depth")},
    }
    plain = {"pretrained_backbone_weights": None}  # no download; the shape is the same
    return {
        "vipra": ours | {"action_head": "goals"},
        "vipra, flow head": ours | {"action_head": "flow"},
        "act": plain,
        "diffusion": plain,
        "vqbet": plain,
    }


def built(name: str, changes: dict[str, Any]) -> LeRobotController:
    """An untrained policy, through its directory, as the harness loads it."""
    kind = name.split(",")[0]
    config = make_policy_config(
        kind,
        device="cpu",
        input_features={
            CAMERA: PolicyFeature(FeatureType.VISUAL, (3, SIZE_PX, SIZE_PX)),
            "observation.state": PolicyFeature(FeatureType.STATE, (STATE,)),
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, (ACTION,))},
        **changes,
    )
    if kind == "vqbet":
        config.crop_shape = None
    policy = get_policy_class(kind)(config)
    if changes.get("action_head") == "goals":  # as trained: it knows a camera and turns the picture
        camera = np.diag([0.3, 0.3, 1])[:, [0, 1, 1, 2]] * [1, 1, 0, 1]
        axes = np.full(STATE, 3**-0.5, np.float32)  # of length one
        matrices = torch.from_numpy(camera.astype(np.float32))[None]
        policy.decoder.reader.know_cameras(matrices, torch.zeros(1, GRID**2), (0 * axes, axes))
        assert policy.decoder.reader.heading.directions.axes()
    sizes = {"observation.state": (STATE,), "action": (ACTION,), CAMERA: (3, 1, 1)}
    stats = {
        key: {
            "mean": torch.zeros(size),
            "std": torch.ones(size),
            "min": -torch.ones(size),
            "max": torch.ones(size),
        }
        for key, size in sizes.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        policy.save_pretrained(folder)
        for processor in make_pre_post_processors(config, dataset_stats=stats):
            processor.save_pretrained(folder)
        return load_controller(folder)


def measured(controllers: dict[str, LeRobotController], calls: int) -> dict[str, np.ndarray]:
    """Seconds of each call, the first few left out."""
    rng = np.random.default_rng(0)
    times_s: dict[str, list[float]] = {name: [] for name in controllers}
    slow: set[str] = set()
    warm = 5
    for call in range(calls + warm):
        frame = rng.integers(0, 255, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
        observation = Observation(frame, rng.normal(size=STATE).astype(np.float32), "a task")
        for name, controller in controllers.items():
            if name in slow and (call - warm) % RARELY:
                continue
            controller.reset(0, call)
            begun = time.perf_counter()
            controller.act([0], [observation])  # a new episode's first: a chunk is planned
            took_s = time.perf_counter() - begun
            if call == 0 and took_s > SLOW_S:
                slow.add(name)
            if call >= warm:
                times_s[name].append(took_s)
    return {name: np.array(values) for name, values in times_s.items()}


def figures(controller: LeRobotController, times_s: np.ndarray) -> dict[str, Any]:
    """Percentiles, and what a chunk is worth."""
    config = controller.config
    p50, p99 = np.percentile(times_s * 1e3, [50, 99])
    chunk = getattr(config, "chunk_size", None) or getattr(config, "horizon", None)
    return {
        "calls": len(times_s),
        "p50_ms": round(float(p50), 1),
        "p99_ms": round(float(p99), 1),
        "chunks_a_second": round(1000 / float(p50), 1),
        "actions_in_a_chunk": chunk or getattr(config, "action_chunk_size", None),
        "weights": sum(p.numel() for p in controller.policy.parameters()),
    }


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
