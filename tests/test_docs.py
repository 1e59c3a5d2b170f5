"""The commands that the guides tell people to type, typed."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from robowm.__main__ import main
from robowm.sim.film import write_mp4

pytestmark = pytest.mark.slow

DOCS = Path(__file__).resolve().parents[1] / "docs"
GUIDE, POLICY_GUIDE = DOCS / "label-your-video.md", DOCS / "policy.md"
JUDGED = (0, 3)  # `reality` answers 3 when labels mean nothing, as those of `tiny` do


def commands(guide: Path) -> list[list[str]]:
    lines = re.findall(r"^    (robowm .*)$", guide.read_text(), flags=re.MULTILINE)
    return [shlex.split(line)[1:] for line in lines]


def test_the_guide_from_clips_to_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draw_square: Callable[..., np.ndarray]
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(9):
        steps = np.random.default_rng(number).uniform(-4, 4, (14, 2))
        folder = tmp_path / ("clips" if number < 6 else "more_clips")
        folder.mkdir(exist_ok=True)
        write_mp4(folder / f"{number}.mp4", draw_square(48, steps, number), fps=10)
    told = commands(GUIDE)
    assert [words[0] for words in told] == [
        *("ingest", "ingest", "ingest", "label", "label", "reality", "pretrain", "label")
    ]
    for words in told:
        code = main(words)
        assert code in (JUDGED if words[0] == "reality" else (0, None)), words
    for made in ("mine/manifest.parquet", "mine/labels/model/model.safetensors"):
        assert (tmp_path / "runs" / made).is_file()
    for made in ("mine/reality/reality.html", "mine/reality/viewer.html"):
        assert "<html" in (tmp_path / "runs" / made).read_text()
    assert (tmp_path / "runs/mine/labels.uncompensated").is_dir()
    assert (tmp_path / "runs/mine_as_action/meta/info.json").is_file()
    assert (tmp_path / "runs/mine_world/model.safetensors").is_file()


def test_the_guide_from_demonstrations_to_a_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    video = shlex.split("record --suite robosuite/Lift --seed 100 --out runs/video")
    smaller = {
        "label": shlex.split("--recipe tiny"),
        # one is too few to tell where in the picture the hand is, which --video needs
        "record": shlex.split("--episodes 4 --size-px 32 --workers 1"),
        "finetune": shlex.split("--recipe tiny --hand-steps 20"),
        "eval": shlex.split("--episodes 1 --size-px 32 --num-envs 1 --baseline-episodes 0"),
    }
    # the video of the guide, which other guides make; labels need some episodes to hold out
    several = shlex.split("--episodes 4 --size-px 32 --workers 1")
    assert main(video + several) in (0, None)
    assert main(["label", "runs/video", "--recipe", "tiny"]) in (0, None)
    told = commands(POLICY_GUIDE)
    assert [words[0] for words in told] == [
        *("record", "finetune", "eval", "finetune"),
        *("label", "finetune", "label", "finetune", "label", "finetune", "finetune"),
    ]
    for words in told:
        assert main(words + smaller[words[0]]) in (0, None), words
    assert (tmp_path / "runs" / "eval.json").is_file()
    assert (tmp_path / "runs/seen/model.safetensors").is_file()
    assert (tmp_path / "runs/mapped/control_map.json").is_file()
    assert (tmp_path / "runs/latent/decoder/control_map.json").is_file()
