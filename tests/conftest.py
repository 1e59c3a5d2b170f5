"""Fixtures that every test may use."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

from robowm.episodes import EpisodeWriter, image_feature, vector_feature

CHECKOUT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first: where processes share the files, none is left alone with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def benchmark() -> Callable[[str], ModuleType]:
    """Loads a script of benchmarks/ as a module."""
    folder = CHECKOUT / "benchmarks"

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        if str(folder) not in sys.path:
            sys.path.append(str(folder))  # where it finds what it shares, as when it is run
        sys.modules[name] = module  # its dataclasses look themselves up there
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real test clips; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("ROBOWM_CORPUS", CHECKOUT.parent / "shared" / "corpus"))
    if not (folder / "INDEX.tsv").is_file():
        pytest.skip(f"no test clips: {folder} is absent (set ROBOWM_CORPUS to their folder)")
    return folder


def moving_square(size_px: int, steps: np.ndarray, seed: int) -> np.ndarray:
    """uint8 (T, S, S, 3): a textured square that moves by steps[t] (x, y) pixels over a texture."""
    rng = np.random.default_rng(seed)
    scene = cv2.resize(
        rng.integers(60, 200, (size_px // 4, size_px // 4, 3), dtype=np.uint8), (size_px, size_px)
    )
    side = size_px // 3
    tile = cv2.resize(rng.integers(0, 255, (5, 5, 3), dtype=np.uint8), (side, side))
    centre = np.array([size_px / 2, size_px / 2])
    frames = []
    for step in [np.zeros(2), *steps]:
        centre = np.clip(centre + step, side / 2 + 1, size_px - side / 2 - 1)
        shift = np.array([[1, 0, centre[0] - side / 2], [0, 1, centre[1] - side / 2]])
        picture = cv2.warpAffine(tile, shift, (size_px, size_px))
        inside = cv2.warpAffine(np.ones((side, side), np.float32), shift, (size_px, size_px))
        mixed = scene * (1 - inside[..., None]) + picture * inside[..., None]
        frames.append(mixed.astype(np.uint8))
    return np.stack(frames)


@pytest.fixture(scope="session")
def draw_square() -> Callable[..., np.ndarray]:
    """`moving_square`."""
    return moving_square


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., Path]:
    """Writes a small dataset of moving squares; with `actions`, each action is the coming step."""

    def make(
        root: Path,
        episodes: int = 5,
        length: int = 9,
        size_px: int = 32,
        actions: bool = False,
        bad_action: bool = False,
        fps: int = 10,
    ) -> Path:
        features = {
            "observation.images.main": image_feature(size_px),
            "capture_time_s": vector_feature("float64", ["s"]),
        }
        if actions:
            features["observation.state"] = vector_feature("float32", ["x_px", "y_px"])
            features["action"] = vector_feature("float32", ["dx_px", "dy_px"])
        writer = EpisodeWriter(root, fps, features, "square" if actions else None)
        for i in range(episodes):
            steps = np.random.default_rng(i).uniform(-3, 3, (length - 1, 2))
            columns = {
                "observation.images.main": moving_square(size_px, steps, i),
                "capture_time_s": np.arange(length) / fps,
            }
            if actions:
                move = np.vstack([steps, np.zeros((1, 2))]).astype(np.float32)
                columns["observation.state"] = np.cumsum(move, axis=0)
                if bad_action and i == episodes - 1:
                    move[3, 1] = np.nan
                columns["action"] = move
            writer.add(columns, "push the square" if actions else "")
        writer.close()
        return root

    return make


@pytest.fixture(scope="session")
def make_dino() -> Callable[[Path], Path]:
    """Writes a tiny DINOv2 with registers as its directories on the Hub are: random weights."""
    transformers = pytest.importorskip("transformers")

    def make(root: Path) -> Path:
        shape = transformers.Dinov2WithRegistersConfig(
            hidden_size=12,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=56,
            patch_size=14,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            transformers.Dinov2WithRegistersModel(shape).save_pretrained(root)
        return root

    return make


KILLED = """
import json, os, signal, sys
from pathlib import Path
from robowm.__main__ import main
from robowm.swap import commit
call, last, into, *words = sys.argv[1:]
seen = 0
def hook(event, args):
    global seen
    counts = event == "os.rename" and into in ("", Path(args[1]).parent.name)
    seen += counts
    if counts and seen == int(last):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
eval(call)
"""


@pytest.fixture(scope="session")
def killed() -> Callable[..., None]:
    """killed(call, *words, last, into=""): evaluates `call`, an expression of `main`, `commit` and
    `words`, in a process that dies before its rename `last` into a folder named `into`, or any."""

    def run(call: str, *words: str, last: int, into: str = "") -> None:
        command = [sys.executable, "-c", KILLED, call, str(last), into, *words]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr

    return run


@pytest.fixture(scope="session")
def killed_commit(killed: Callable[..., None]) -> Callable[..., None]:
    """`robowm.swap.commit` in a process that dies before its rename `last`; 1 is the journal's."""
    call = "commit(Path(words[0]), [(Path(n), Path(t)) for n, t in json.loads(words[1])])"

    def commit(root: Path, moves: list[tuple[Path, Path]], last: int) -> None:
        pairs = json.dumps([[str(path) for path in move] for move in moves])
        killed(call, str(root), pairs, last=last)

    return commit
