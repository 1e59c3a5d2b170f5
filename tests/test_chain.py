"""The whole chain at `tiny`, by the command a newcomer types; and stages killed in mid-work."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from robowm.__main__ import main

pytestmark = pytest.mark.slow

ROBOWM = [sys.executable, "-m", "robowm"]
QUICKSTART = (
    *("quickstart", "--recipe", "tiny", "--videos", 4, "--demonstrations", 2, "--episodes", 2),
    *("--baseline-episodes", 1, "--workers", 1),  # to start two takes longer than the work
)


def robowm(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ROBOWM, *map(str, words)], capture_output=True, text=True)


def here(*words: object) -> int:
    """As `robowm`, in this process: ten seconds less each."""
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "quickstart"
    done = robowm(*QUICKSTART, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "paired p = " in done.stdout and str(out / "report.html") in done.stdout
    return out


def test_results_have_what_was_promised(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    for name in ("pretrained", "scratch"):
        part = results[name]
        assert part["episodes"] == 2 and 0 <= part["successes"] <= 2
        low, high = part["interval"]
        assert 0 <= low <= part["success_rate"] <= high <= 1
    assert results["paired_test"]["p_value"] == 1
    assert set(results["baselines"]) == {"null", "random"}
    assert results["peak_memory_mb"] > 100
    seeds = [
        [e["seed"] for e in json.loads((run / f"eval_{n}.json").read_text())["episodes"]]
        for n in ("pretrained", "scratch")
    ]
    assert seeds == [[0, 1], [0, 1]]


def test_every_stage_left_its_directory(run: Path) -> None:
    stages = json.loads((run / "results.json").read_text())["stages"]
    assert [s["name"] for s in stages][:4] == ["video", "ingest", "label", "pretrain"]
    assert all((run / stage["directory"]).exists() for stage in stages)
    assert not list(run.rglob(".*.partial"))


def test_the_video_has_no_actions_and_the_demonstrations_have(run: Path) -> None:
    video = LeRobotDataset("local/video", root=run / "ingest", video_backend="pyav")
    demos = LeRobotDataset("local/demos", root=run / "demonstrations", video_backend="pyav")
    assert "action" not in video.features and "latent_action" in video.features
    assert demos.features["action"]["shape"] == (7,)
    assert len(demos.meta.episodes) == 2
    policy = json.loads((run / "finetune_scratch" / "config.json").read_text())
    assert policy["closes_upwards"]  # robosuite's gripper; SIMPLER's opens by more


def test_the_report_opens_without_a_network(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert "data:image/png;base64" in page and "data:video/mp4;base64" in page
    assert 'src="http' not in page and "<link" not in page


def test_running_it_again_does_nothing_anew(run: Path) -> None:
    weights = run / "pretrain" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    assert here(*QUICKSTART, "--out", run) == 0
    assert weights.stat().st_mtime_ns == before


def test_a_policy_of_another_action_size_is_refused(run: Path, tmp_path: Path) -> None:
    policy = run / "finetune_scratch"
    config = json.loads((policy / "config.json").read_text())
    assert config["type"] == "vipra"
    done = robowm("deploy", policy, "--robot", "so101_emulated", "--seconds", 1, "--out", tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "expected" in done.stderr and "so101_emulated" in done.stderr
    assert not list(tmp_path.iterdir())


MISTAKES = [
    ["eval", "nowhere", "--out", "x.json"],
    ["finetune", "scratch", "nowhere", "--out", "x"],
    ["pretrain", "nowhere", "--out", "x"],
    ["label", "nowhere"],
    ["label", "nowhere", "--recipe", "tinny"],
    ["report", "nowhere"],
    ["ingest", "nowhere", "--out", "x"],
    ["deploy", "null", "--robot", "so102", "--seconds", "1"],
]


@pytest.mark.parametrize("words", MISTAKES, ids=lambda words: " ".join(words[:2]))
def test_a_mistake_is_one_line_and_leaves_nothing(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if words in MISTAKES[:2]:  # as typed: nor does what it imports say anything
        done = robowm(*words)
        code, said = done.returncode, done.stderr
    else:
        code, said = here(*words), capfd.readouterr().err
    assert code == 2
    assert said.startswith(f"robowm {words[0]}: ") and said.count("\n") == 1
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


def killed_at_a_checkpoint(words: list[object], work: Path) -> None:
    """Start a command and SIGKILL it once its second checkpoint is there."""
    process = subprocess.Popen(
        [*ROBOWM, *map(str, words)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    while process.poll() is None:
        if any(path.name > "checkpoint-00000001" for path in work.glob("checkpoint-*")):
            os.kill(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.02)
    assert process.returncode == -signal.SIGKILL
    assert work.is_dir()


def weights(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_killed_training_goes_on_to_the_same_weights(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    flags = ["--recipe", "tiny", "--train.checkpoint-every-s", 0, "--train.steps", 20]
    video = make_dataset(tmp_path / "video")
    killed_at_a_checkpoint(["label", video, *flags], video / ".labels.partial")
    assert here("label", video, *flags) == 0
    other = make_dataset(tmp_path / "other")
    assert here("label", other, *flags) == 0
    names = [d / "labels" / "model" / "model.safetensors" for d in (video, other)]
    assert weights(names[0]) == weights(names[1])

    demos = make_dataset(tmp_path / "demos", actions=True)
    for stage in (["pretrain", video], ["finetune", "scratch", demos]):
        killed, whole = tmp_path / f"{stage[0]}_killed", tmp_path / f"{stage[0]}_whole"
        killed_at_a_checkpoint(
            [*stage, *flags, "--out", killed], tmp_path / f".{killed.name}.partial"
        )
        for out in (killed, whole):
            assert here(*stage, *flags, "--out", out) == 0
        assert weights(killed / "model.safetensors") == weights(whole / "model.safetensors")
        assert sorted(p.name for p in killed.iterdir()) == sorted(p.name for p in whole.iterdir())
