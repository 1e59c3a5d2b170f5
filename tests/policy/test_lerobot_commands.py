"""LeRobot's own commands, with no extra flag: they train the policy, resume it, start from it."""

import json
import shutil
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature
from safetensors.torch import load_file

from robowm.episodes import Episodes
from robowm.policy.configuration_vipra import VipraConfig
from robowm.policy.modeling_vipra import VipraPolicy
from robowm.policy.processor_vipra import make_vipra_pre_post_processors

pytestmark = pytest.mark.slow

SMALL = {
    "size_px": 32,
    "points": 2,
    "channels": 16,
    "width": 16,
    "depth": 1,
    "heads": 2,
    "chunk_size": 4,
    "n_action_steps": 2,
}


COMMAND = """
import importlib, os, sys
os.chdir(cwd)
said = os.open("said.txt", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
for stream in (1, 2):
    os.dup2(said, stream)
sys.argv = [command, *flags]
importlib.import_module(f"lerobot.scripts.lerobot_{command}").main()
"""


@pytest.fixture(scope="module")
def lerobot(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """lerobot(command, folder, *flags): runs one of LeRobot's commands there; what it logged.

    Each in a process of its own, forked from one that has imported LeRobot: that takes 12 s.
    """
    forkserver, cache = get_context("forkserver"), tmp_path_factory.mktemp("cache")
    forkserver.set_forkserver_preload(["lerobot.scripts.lerobot_train"])

    def run(command: str, cwd: Path, *flags: str) -> str:
        names = {"command": command, "cwd": str(cwd), "flags": flags}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HF_HUB_OFFLINE", "1")
            patch.setenv("HF_DATASETS_CACHE", str(cache))
            process = forkserver.Process(target=exec, args=(COMMAND, names))
            process.start()
        process.join()
        said = (cwd / "said.txt").read_text()
        assert process.exitcode == 0, said[-3000:]
        return said

    return run


@pytest.fixture(scope="module")
def train(lerobot: Callable[..., str]) -> Callable[..., Path]:
    """train(folder, *flags): runs `lerobot-train` there; its newest checkpoint."""

    def run(cwd: Path, *flags: str) -> Path:
        always = ["--wandb.enable=false", "--num_workers=0", "--batch_size=2"]
        lerobot("train", cwd, *always, *flags)
        output = next(f.partition("=")[2] for f in flags if f.startswith("--output_dir"))
        return cwd / output / "checkpoints" / "last" / "pretrained_model"

    return run


@pytest.fixture(scope="module")
def trained(
    train: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
    make_dataset: Callable[..., Path],
) -> tuple[Path, Path]:
    """A folder with a dataset, and the checkpoint of two steps from scratch."""
    cwd = tmp_path_factory.mktemp("lerobot")
    make_dataset(cwd / "demos", actions=True)
    checkpoint = train(
        cwd,
        "--policy.type=vipra",
        *(f"--policy.{name}={value}" for name, value in SMALL.items()),
        "--policy.device=cpu",
        "--dataset.repo_id=local/demos",
        "--dataset.root=demos",
        "--dataset.video_backend=pyav",
        "--output_dir=run",
        "--steps=2",
        "--save_freq=2",
    )
    return cwd, checkpoint


def test_it_trains_from_scratch(trained: tuple[Path, Path]) -> None:
    files = {path.name for path in trained[1].iterdir()}
    assert {"config.json", "model.safetensors", "policy_preprocessor.json"} <= files
    config = json.loads((trained[1] / "config.json").read_text())
    assert config["type"] == "vipra" and config["points"] == 2
    assert config["output_features"]["action"]["shape"] == [2]


def test_it_resumes(train: Callable[..., Path], trained: tuple[Path, Path]) -> None:
    cwd, checkpoint = trained
    before = (checkpoint / "model.safetensors").read_bytes()
    said = f"--config_path={checkpoint / 'train_config.json'}"
    newest = train(cwd, said, "--resume=true", "--output_dir=run", "--steps=3")
    assert json.loads((newest / "train_config.json").read_text())["steps"] == 3
    assert (newest / "model.safetensors").read_bytes() != before


def test_pretrained_features_are_kept_when_it_resumes(
    train: Callable[..., Path], trained: tuple[Path, Path], make_dino: Callable[[Path], Path]
) -> None:
    """Once trained with, an encoder's weights are no longer needed, nor is their place known."""
    cwd, dino = trained[0], make_dino(trained[0] / "secret" / "dino")
    checkpoint = train(
        cwd,
        "--policy.type=vipra",
        f"--policy.pretrained={dino}",
        *(f"--policy.{name}={value}" for name, value in SMALL.items()),
        "--policy.device=cpu",
        "--policy.push_to_hub=false",
        "--dataset.repo_id=local/demos",
        "--dataset.root=demos",
        "--dataset.video_backend=pyav",
        "--output_dir=features",
        "--steps=1",
        "--save_freq=1",
    )
    weights = load_file(dino / "model.safetensors")
    shutil.rmtree(dino)
    assert json.loads((checkpoint / "config.json").read_text())["pretrained_shape"]["width"] == 12
    assert "secret" not in "".join(path.read_text() for path in checkpoint.glob("*.json"))
    said = f"--config_path={checkpoint / 'train_config.json'}"
    newest = train(cwd, said, "--resume=true", "--output_dir=features", "--steps=2")
    kept = load_file(newest / "model.safetensors")
    for name, value in weights.items():
        assert kept[f"decoder.backbone.pretrained.network.{name}"].equal(value), name


def test_it_starts_from_a_policy(train: Callable[..., Path], trained: tuple[Path, Path]) -> None:
    cwd, checkpoint = trained
    tuned = train(
        cwd,
        f"--policy.path={checkpoint}",
        "--policy.device=cpu",
        "--policy.push_to_hub=false",
        "--dataset.repo_id=local/demos",
        "--dataset.root=demos",
        "--dataset.video_backend=pyav",
        "--output_dir=tuned",
        "--steps=1",
    )
    assert json.loads((tuned / "config.json").read_text())["width"] == SMALL["width"]


def test_it_drives_the_emulated_arm(lerobot: Callable[..., str], tmp_path: Path) -> None:
    config = VipraConfig(
        device="cpu",
        **SMALL,
        input_features={
            "observation.images.front": PolicyFeature(FeatureType.VISUAL, (3, 96, 96)),
            "observation.state": PolicyFeature(FeatureType.STATE, (6,)),
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, (6,))},
    )
    stats = {"mean": torch.zeros(6), "std": torch.ones(6)}
    VipraPolicy(config).save_pretrained(tmp_path / "policy")
    both = {"observation.state": stats, "action": stats}
    for part in make_vipra_pre_post_processors(config, both):
        part.save_pretrained(tmp_path / "policy")
    flags = ["--robot.type=so101_emulated", "--policy.path=policy", "--play_sounds=false"]
    dataset = {"repo_id": "local/rollout_arm", "root": "log", "push_to_hub": "false"}
    dataset |= {"single_task": "wave", "fps": "10"}
    flags += ["--strategy.type=sentry", "--fps=10", "--duration=2"]
    flags += [f"--dataset.{name}={value}" for name, value in dataset.items()]
    assert "Rollout finished" in lerobot("rollout", tmp_path, *flags)
    log = Episodes(tmp_path / "log")
    assert len(log) == 1 and log.features["action"]["shape"] == [6]
    asked = log.column("action", 0)
    assert len(asked) > 2 and np.isfinite(asked).all() and np.ptp(asked, axis=0).all()
