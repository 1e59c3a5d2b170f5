"""A run directory as the stages leave it, small and made up."""

import json
import math
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

SEEDS = range(1000, 1050)


def paired(both: int, first: int, second: int, neither: int, p: float) -> dict[str, Any]:
    n = max(1, both + first + second + neither)
    difference = (first - second) / n
    return {
        "both": both,
        "only_first": first,
        "only_second": second,
        "neither": neither,
        "p_value": p,
        "difference": difference,
        "difference_interval": [difference - 0.14, difference + 0.14],
    }


def result(successes: int, episodes: int = 50, spread: float = 0.13) -> dict[str, Any]:
    rate = successes / episodes
    interval = [max(0.0, rate - spread), min(1.0, rate + spread)]
    return {
        "successes": successes,
        "episodes": episodes,
        "success_rate": rate,
        "interval": interval,
    }


def write_video(path: Path, frames: np.ndarray) -> None:
    """uint8 (T, H, W, 3) RGB as h264 at 10 Hz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=10)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def moving_square(steps: int, size_px: int, colour: tuple[int, int, int]) -> np.ndarray:
    frames = np.full((steps, size_px, size_px, 3), 205, np.uint8)
    for t, frame in enumerate(frames):
        at = round((0.5 + 0.35 * math.sin(t / 4)) * (size_px - size_px // 6))
        cv2.rectangle(frame, (at, size_px // 2), (at + size_px // 6, size_px * 2 // 3), colour, -1)
    return frames


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def make_run(root: Path) -> Path:
    """Every part that a report can show."""
    rng = np.random.default_rng(0)
    wins = {"pretrained": rng.random(50) < 0.62, "scratch": rng.random(50) < 0.5}
    baselines = {"null": result(0, spread=0.07), "random": result(1, spread=0.07)}
    for name, won in wins.items():
        for seed in SEEDS[:3]:
            colour = (30, 90, 200) if name == "pretrained" else (200, 90, 30)
            write_video(root / f"eval/{name}/{seed}.mp4", moving_square(24, 96, colour))
        episodes = [
            {"seed": seed, "success": bool(w), "length": 22 if w else 60}
            for seed, w in zip(SEEDS, won, strict=True)
        ]
        card = {"policy": name, "suite": "robosuite/Lift", "episodes": episodes}
        card |= result(int(won.sum())) | {"episodes": episodes, "baselines": baselines}
        card["videos"] = [f"{name}/{seed}.mp4" for seed in SEEDS[:3]]
        write_json(root / f"eval/eval_{name}.json", card)
    first, second = wins["pretrained"], wins["scratch"]
    counts = [int((first & second).sum()), int((first & ~second).sum())]
    counts += [int((~first & second).sum()), int((~first & ~second).sum())]
    write_json(
        root / "results.json",
        {
            "title": "Quickstart: does action-free video help?",
            "created": "2026-01-05 14:30",
            "task": "robosuite/Lift",
            "pretrained": result(int(first.sum())),
            "scratch": result(int(second.sum())),
            "baselines": baselines | {"expert": result(50, spread=0.07)},
            "paired_test": paired(*counts, p=0.41),
            "stages": [
                {"name": name, "wall_time_s": s, "directory": f"runs/quickstart/{name}"}
                for name, s in [("ingest", 8.2), ("label", 96.0), ("pretrain", 201.7)]
            ],
            "peak_memory_mb": 3480,
            "machine": {"processor": "2 cores", "memory": "25 GB", "GPU": "none"},
            "versions": {"robowm": "0.1.0", "torch": "2.11.0", "lerobot": "0.6.1"},
            "commands": ["robowm ingest runs/quickstart/video --out runs/quickstart/frames"],
        },
    )
    write_json(
        root / "ingest/summary.json",
        {"kept": 118, "dropped": {"still": 21, "too short": 9, "unreadable": 2}, "clips": 120},
    )
    told = {"delta_x": {"r2": 0.914, "rmse": 0.0123}, "gripper": {"r2": 0.31, "rmse": 0.7}}
    controls = {"embodiment": "panda", "held_out": told}
    write_json(root / "finetune_scratch/control_map.json", controls)
    write_json(root / "finetune_scratch/decoder/control_map.json", controls)
    _write_training(root, rng)
    return root


def _write_training(root: Path, rng: np.random.Generator) -> None:
    for stage, title in [("pretrain", "World model"), ("finetune_scratch", "Policy, scratch")]:
        steps = np.arange(0, 1200, 5)
        loss = 4 * np.exp(-steps / 200) + 0.03 + 0.01 * rng.random(len(steps))
        codes = 1.4 * np.exp(-steps / 300) + 0.9 + 0.05 * rng.random(len(steps))
        series = {"frame": loss, "codes": codes} if stage == "pretrain" else {"loss": codes}
        pairs = {k: np.stack([steps, v], axis=1).tolist() for k, v in series.items()}
        write_json(root / stage / "curves.json", {"title": title, "x": "step", "series": pairs})
    sheet = np.concatenate([moving_square(8, 96, (40, 150, 90)).swapaxes(0, 1)] * 2)
    sheet = sheet.reshape(192, -1, 3)
    (root / "pretrain").mkdir(exist_ok=True)
    cv2.imwrite(str(root / "pretrain/futures.png"), sheet)
    caption = "Top: what the world model expects 8 steps later. Bottom: what came."
    items = [{"file": "futures.png", "caption": "eight moments of held-out episodes"}]
    write_json(
        root / "pretrain/gallery.json",
        {"title": "Imagined against true frames", "caption": caption, "items": items},
    )
    (root / "label").mkdir(exist_ok=True)
    items = []
    for number in range(3):
        write_video(root / f"label/clip_{number}.mp4", moving_square(20, 64, (90, 60, 190)))
        cv2.imwrite(str(root / f"label/label_{number}.png"), moving_square(1, 64, (9, 60, 190))[0])
        items.append({"file": f"clip_{number}.mp4", "caption": f"clip {number}, flow and codes"})
        items.append({"file": f"label_{number}.png", "caption": f"clip {number}, codes 3 1 4 1"})
    write_json(
        root / "label/gallery.json",
        {
            "title": "Latent actions",
            "caption": "Arrows are flow; digits are codes.",
            "items": items,
        },
    )


@pytest.fixture(scope="session")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only: tests that change a run make their own."""
    return make_run(tmp_path_factory.mktemp("runs") / "quickstart")
