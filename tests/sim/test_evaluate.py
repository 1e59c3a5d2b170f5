"""Evaluation: honest numbers, resumable, and one line for every mistake."""

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature

from robowm import recipes
from robowm.__main__ import main
from robowm.errors import UserError
from robowm.machine import machine
from robowm.metrics.intervals import wilson
from robowm.metrics.result import read_result
from robowm.policy.configuration_vipra import VipraConfig
from robowm.policy.modeling_vipra import VipraPolicy
from robowm.policy.processor_vipra import make_vipra_pre_post_processors
from robowm.sim.evaluate import EvalConfig, Journal, evaluate, summary
from robowm.sim.lerobot_env import RobowmEnv
from robowm.sim.rollout import EpisodeResult
from robowm.sim.suite import Task

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def lift() -> Task:
    task: Task = recipes.load("sim_eval/robosuite").SUITE.task("Lift")
    return task


@pytest.fixture(scope="module")
def glimpse(lift: Task) -> Task:
    """Lift, cut off after four steps."""
    return replace(lift, make_env=partial(lift.make_env, max_steps=4))


def policy_directory(
    folder: Path,
    action_dim: int = 7,
    state_dim: int = 10,
    camera: str = "agentview",
    size_px: int = 64,
    control_hz: float = 10.0,
    statistics: bool = True,
) -> Path:
    """A LeRobot policy with random weights."""
    torch.manual_seed(0)
    config = VipraConfig(
        device="cpu",
        width=32,
        depth=1,
        heads=2,
        control_hz=control_hz,
        input_features={
            f"observation.images.{camera}": PolicyFeature(
                FeatureType.VISUAL, (3, size_px, size_px)
            ),
            "observation.state": PolicyFeature(FeatureType.STATE, (state_dim,)),
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, (action_dim,))},
    )
    stats = {
        name: {"mean": torch.zeros(size), "std": torch.ones(size)}
        for name, size in (("observation.state", state_dim), ("action", action_dim))
    }
    VipraPolicy(config).save_pretrained(folder)
    for processor in make_vipra_pre_post_processors(config, stats if statistics else None):
        processor.save_pretrained(folder)
    return folder


def test_the_expert_beats_nothing_and_chance(lift: Task, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "expert.json"
    config = EvalConfig(episodes=2, seed=20, baseline_episodes=1, videos=1)
    report = evaluate("expert", lift, out, config, num_envs=1)
    assert report == json.loads(out.read_text())
    assert [episode["seed"] for episode in report["episodes"]] == [20, 21]
    assert report["successes"] == 2 and report["success_rate"] == 1.0
    assert report["interval"] == pytest.approx(wilson(2, 2))
    assert set(report["baselines"]) == {"null", "random"}
    for baseline in report["baselines"].values():
        (episode,) = baseline["episodes"]
        assert episode.pop("stage") in ("never reached", "missed grasp", "dropped", "misplaced")
        assert episode == {"seed": 20, "success": False, "length": 50}
        assert (baseline["errors"], baseline["retries"]) == (0, 0)
    assert {episode["stage"] for episode in report["episodes"]} == {"success"}
    assert report["versions"]["robosuite"] == "1.5.1"
    read = read_result(out)
    assert [e.end for e in read.episodes] == ["success", "success"]
    assert read.weightless and read.machine == machine() and report["schema"] == 1
    (film,) = (tmp_path / "deep" / "expert_videos").iterdir()
    assert film.name == "000_success_seed_20.mp4"
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.codec_context.pix_fmt) == (256, "yuv420p")
        assert sum(1 for _ in container.decode(stream)) == report["episodes"][0]["length"] + 1


def test_a_killed_run_goes_on_after_its_last_whole_episode(glimpse: Task, tmp_path: Path) -> None:
    config = EvalConfig(episodes=2, baseline_episodes=1, videos=0)
    whole = evaluate("random", glimpse, tmp_path / "whole.json", config, num_envs=1)
    out = tmp_path / "killed.json"
    journal = Journal(out, whole["settings"])
    journal.add("policy", EpisodeResult(seed=0, success=True, length=999))  # not to be run again
    with journal._path.open("a") as file:
        file.write('{"controller": "policy", "seed": 1, "succ')
    resumed = evaluate("random", glimpse, out, config, num_envs=1)
    assert resumed["episodes"][0] == {"seed": 0, "success": True, "length": 999}
    assert resumed["episodes"][1:] == whole["episodes"][1:]
    assert resumed["baselines"] == whole["baselines"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed.json", "whole.json"]


def test_what_an_episode_says_of_itself_is_kept(tmp_path: Path) -> None:
    said = EpisodeResult(0, False, 9, layout=3, stage="dropped", partial={"moved": True})
    stopped = EpisodeResult(1, False, 2, error="NaN from the policy")
    journal = Journal(tmp_path / "a.json", {})
    for result in (said, stopped):
        journal.add("policy", result)
    kept = Journal(tmp_path / "a.json", {}).episodes("policy", [0, 1])
    begun = {"success": False}
    assert kept[0] == begun | {
        **{"seed": 0, "length": 9, "layout": 3, "stage": "dropped"},
        "partial": {"moved": True},
    }
    assert kept[1] == begun | {"seed": 1, "length": 2, "error": "NaN from the policy"}


def test_errors_and_retries_stand_in_the_result(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.json", {"seed": 0})
    journal.add("policy", EpisodeResult(0, False, 7, stage="dropped", error="died", retries=2))
    journal.add("policy", EpisodeResult(1, True, 9, stage="success"))
    report = summary(journal.episodes("policy", [1, 0]))
    assert report["episodes"] == [
        {"seed": 1, "success": True, "length": 9, "stage": "success"},
        {
            **{"seed": 0, "success": False, "length": 7, "stage": "dropped"},
            **{"error": "died", "retries": 2},
        },
    ]
    assert (report["successes"], report["errors"], report["retries"]) == (1, 1, 2)


def test_a_journal_of_other_settings_is_not_used(tmp_path: Path) -> None:
    first = Journal(tmp_path / "a.json", {"seed": 0})
    first.add("policy", EpisodeResult(seed=0, success=True, length=5))
    assert Journal(tmp_path / "a.json", {"seed": 0}).finished("policy") == {0}
    assert Journal(tmp_path / "a.json", {"seed": 1}).finished("policy") == set()


def test_a_finished_evaluation_is_returned_or_protected(glimpse: Task, tmp_path: Path) -> None:
    out = tmp_path / "null.json"
    config = EvalConfig(episodes=1, baseline_episodes=0, videos=0)
    report = evaluate("null", glimpse, out, config, num_envs=1)
    written = out.stat().st_mtime_ns
    assert evaluate("null", glimpse, out, config, num_envs=1) == report
    with pytest.raises(UserError, match="already holds an evaluation with other settings"):
        evaluate("null", glimpse, out, replace(config, seed=1), num_envs=1)
    assert out.stat().st_mtime_ns == written


def test_a_policy_directory_is_run(glimpse: Task, tmp_path: Path) -> None:
    policy = policy_directory(tmp_path / "policy", action_dim=7)
    (policy / "train_config.json").write_text('{"seed": 5}')  # as lerobot-train leaves it
    config = EvalConfig(episodes=2, baseline_episodes=0, videos=0)
    report = evaluate(policy, glimpse, tmp_path / "p.json", config, num_envs=1)
    assert [episode["length"] for episode in report["episodes"]] == [4, 4]
    assert report["settings"]["policy_sha256"]
    assert report["training"] == {"data_sha256": None, "seed": 5}
    card = {"kind": "policy", "settings": {"config": {"train": {"seed": 7}}}}
    (policy / "robowm.json").write_text(json.dumps(card | {"dataset_sha256": "d"}))
    ours = evaluate(policy, glimpse, tmp_path / "ours.json", config, num_envs=1)
    assert ours["training"] == read_result(tmp_path / "ours.json").training
    assert ours["training"] == {"data_sha256": "d", "seed": 7}
    (policy / "robowm.json").unlink()
    (policy / "note.txt").write_text("other weights")
    with pytest.raises(UserError, match="other settings"):
        evaluate(policy, glimpse, tmp_path / "p.json", config, num_envs=1)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"action_dim": 6}, "actions of size 6; robosuite/Lift expects 7"),
        ({"state_dim": 3}, "states of size 3"),
        ({"camera": "wrist"}, r"images.wrist 64x64 pixels; .* gives observation.images.agentview"),
        ({"size_px": 96}, "96x96 pixels; robosuite/Lift gives .*agentview 64x64"),
        ({"control_hz": 30.0}, "at 30 Hz; robosuite/Lift runs at 10 Hz"),
        ({"statistics": False}, "no statistics for observation.state"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused(
    lift: Task, tmp_path: Path, other: dict[str, Any], said: str
) -> None:
    policy = policy_directory(tmp_path / "policy", **other)
    with pytest.raises(UserError, match=said):
        evaluate(policy, lift, tmp_path / "out" / "p.json", EvalConfig(size_px=64))
    assert not (tmp_path / "out").exists()


def test_frames_have_the_size_the_policy_was_trained_on(glimpse: Task, tmp_path: Path) -> None:
    policy = policy_directory(tmp_path / "policy", size_px=32)
    config = EvalConfig(episodes=1, baseline_episodes=0, videos=0)
    report = evaluate(policy, glimpse, tmp_path / "p.json", config, num_envs=1)
    assert report["settings"]["size_px"] == 32
    null = evaluate("null", glimpse, tmp_path / "null.json", config, num_envs=1)
    assert null["settings"]["size_px"] == 64


@pytest.mark.parametrize("missing", ["preprocessor", "postprocessor"])
def test_a_checkpoint_without_its_processors_is_refused(
    lift: Task, tmp_path: Path, missing: str
) -> None:
    policy = policy_directory(tmp_path / "policy")
    (policy / f"policy_{missing}.json").unlink()
    with pytest.raises(UserError, match="has no processors"):
        evaluate(policy, lift, tmp_path / "p.json")


def test_a_policy_that_answers_nan_fails_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = policy_directory(tmp_path / "policy")
    policy = VipraPolicy.from_pretrained(folder)
    with torch.no_grad():
        next(policy.decoder.backbone.parameters()).fill_(torch.nan)
    policy.save_pretrained(folder)
    out = tmp_path / "p.json"
    few = shlex.split("--episodes 2 --baseline-episodes 1 --videos 0 --num-envs 1")
    assert main(["eval", str(folder), "--out", str(out), *few]) in (0, None)
    report = json.loads(out.read_text())
    assert (report["successes"], report["errors"]) == (0, 2)
    why = "the policy's action is not finite: [nan nan nan nan nan nan nan]"
    assert [(e["length"], e["error"]) for e in report["episodes"]] == [(0, why)] * 2
    assert report["baselines"]["null"]["errors"] == 0
    assert f"seed 1 failed: {why}" in capsys.readouterr().out


def test_lerobot_eval_names_the_nearest_task() -> None:
    with pytest.raises(UserError, match=r"no task 'robosuite/Lifts'.*Did you mean 'robosuite/L"):
        RobowmEnv(task="robosuite/Lifts")


def test_lerobot_eval_runs_it(tmp_path: Path) -> None:
    words = [
        f"--policy.path={policy_directory(tmp_path / 'policy', size_px=128)}",  # as `record` has it
        "--env.type=robowm",
        "--env.task=robosuite/Lift",
        "--env.max_steps=3",
        "--eval.n_episodes=1",
        "--eval.batch_size=1",
        "--policy.device=cpu",
        f"--output_dir={tmp_path / 'out'}",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "lerobot.scripts.lerobot_eval", *words],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (report,) = (tmp_path / "out").rglob("eval_info.json")
    assert json.loads(report.read_text())["overall"]["pc_success"] == 0.0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["exprt"], "no policy 'exprt'.*Did you mean 'expert'"),
        (["expert", "--suite", "robosuite/Lifts"], "no task 'Lifts'.*Did you mean 'Lift'"),
        (["expert", "--suite", "robosuit/Lift"], "Did you mean 'robosuite'"),
        (["expert", "--suite", "Lift"], "expected suite/task"),
        (["expert", "--robot", "Pnda"], "no robot 'Pnda'.*Did you mean 'Panda'"),
        (["expert", "--seed", "999999", "--episodes", "2"], "leaves the block of seeds"),
        (["expert", "--episodes", "0"], "--episodes 0: expected 1 or more"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", *words, "--out", str(tmp_path / "out" / "e.json")]) == 2
    assert not list(tmp_path.iterdir())
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(said, line)


def test_an_unwritable_place_is_refused(glimpse: Task, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        evaluate("null", glimpse, tmp_path / "file" / "e.json", EvalConfig(episodes=1))
