"""One of LeRobot's policies, trained by `lerobot-train` on several datasets for a given time.

    python benchmarks/lerobot_arm.py act DATASET... --seconds 1200 --seed 0 --out DIR

The datasets are merged (`lerobot-edit-dataset`), a few steps are timed, and as many are trained as
fit. SETTINGS below says where a policy is not as LeRobot has it by default, and why. DIR is then a
policy directory for `robowm eval`, with `lerobot_arm.json` beside the weights. Diffusion needs the
package diffusers.
"""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import numpy as np
import tyro
from _versions import made_with
from tyro.conf import Positional

from robowm.artefact import write_json

PROBE_STEPS = 8
MERGED = "merged"
SHARED = (
    "--policy.device=cpu",
    "--policy.push_to_hub=false",
    "--policy.pretrained_backbone_weights=null",  # nothing can be fetched
    "--wandb.enable=false",
    "--num_workers=0",
)
SETTINGS = {
    # half the width, as ours is small; chunks as ours; a rate for hundreds of steps, not 100,000,
    # and the backbone's too, for it is not pretrained
    "act": (
        "--policy.dim_model=256",
        "--policy.n_heads=4",
        "--policy.dim_feedforward=1024",
        "--policy.chunk_size=8",
        "--policy.n_action_steps=4",
        "--policy.optimizer_lr=1e-4",
        "--policy.optimizer_lr_backbone=1e-4",
    ),
    # narrow, horizon as short as its U-Net allows; a short warm-up
    "diffusion": (
        "--policy.down_dims=[64,128,256]",
        "--policy.horizon=8",
        "--policy.n_action_steps=4",
        "--policy.drop_n_last_frames=3",
        "--policy.num_inference_steps=10",
        "--policy.noise_scheduler_type=DDIM",
        "--policy.use_group_norm=true",
        "--policy.scheduler_warmup_steps=50",
    ),
    # its codebook takes a third of the steps, which are few
    "vqbet": (
        "--policy.gpt_hidden_dim=256",
        "--policy.gpt_input_dim=256",
        "--policy.gpt_output_dim=256",
        "--policy.gpt_n_layer=4",
        "--policy.gpt_n_head=4",
        "--policy.crop_shape=[112,112]",
        "--policy.use_group_norm=true",
        "--policy.scheduler_warmup_steps=50",
    ),
}


@dataclass(frozen=True)
class Args:
    """Flags."""

    policy: Positional[Literal["act", "diffusion", "vqbet"]]
    """which of LeRobot's"""
    datasets: Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DATASET...")]]
    """demonstrations"""
    seconds: float
    """how long it trains"""
    out: Path
    """policy directory to write"""
    seed: int = 0
    """of training"""
    batch_size: int = 8
    """LeRobot's own"""


def main(args: Args) -> None:
    """Merge, time, train."""
    with TemporaryDirectory(dir=args.out.parent, prefix=f".{args.out.name}.") as scratch:
        work = Path(scratch)
        merge(args.datasets, work / MERGED)
        took = []
        for count in (1, 1 + PROBE_STEPS):
            at = np.array([time.monotonic(), processor_s()])
            train(args, work, count, work / f"probe{count}")
            took.append(np.array([time.monotonic(), processor_s()]) - at)
        # on one core the processor's time is what it takes when nothing else runs beside it
        step_s = max(float(min(took[1] - took[0])) / PROBE_STEPS, 1e-3)
        steps = max(1, round(args.seconds / step_s))
        begun = time.monotonic()
        command = train(args, work, steps, work / "run")
        found = (work / "run" / "checkpoints" / "last" / "pretrained_model").resolve()
        write_json(
            found / "lerobot_arm.json",
            {
                "command": [word.replace(str(work), "WORK") for word in command],
                "steps": steps,
                "step_s": step_s,
                "seconds": round(time.monotonic() - begun),
                "threads": os.environ.get("OMP_NUM_THREADS"),
                **made_with("lerobot", "torch", "robowm"),
            },
        )
        found.rename(args.out)  # whole or not at all


def processor_s() -> float:
    """What the commands that have ended have had of the processor, all threads together."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def merge(datasets: tuple[Path, ...], out: Path) -> None:
    """One dataset of several."""
    words = ["lerobot-edit-dataset", "--new_repo_id", f"local/{MERGED}", "--new_root", str(out)]
    words += ["--operation.type", "merge"]
    words += ["--operation.repo_ids", json.dumps([f"local/{path.name}" for path in datasets])]
    words += ["--operation.roots", json.dumps([str(path.resolve()) for path in datasets])]
    quietly(words)


def train(args: Args, work: Path, steps: int, out: Path) -> list[str]:
    """Run `lerobot-train`; the command."""
    words = ["lerobot-train", f"--policy.type={args.policy}", *SHARED, *SETTINGS[args.policy]]
    if args.policy == "vqbet":
        words.append(f"--policy.n_vqvae_training_steps={max(1, steps // 3)}")
    words += [f"--dataset.repo_id=local/{MERGED}", f"--dataset.root={work / MERGED}"]
    words += [f"--output_dir={out}", f"--steps={steps}", f"--save_freq={steps}"]
    words += [f"--batch_size={args.batch_size}", f"--seed={args.seed}", "--log_freq=100"]
    quietly(words)
    return words


def quietly(words: list[str]) -> None:
    """Run a command; its output is shown only when it fails."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(words, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.stderr.write(done.stdout[-2000:] + done.stderr[-4000:])
        raise SystemExit(f"{words[0]} failed with exit code {done.returncode}.")


if __name__ == "__main__":
    main(tyro.cli(Args))
