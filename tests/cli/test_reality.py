"""`robowm reality` from a labelled dataset to its pages; it never judges what was trained on."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from robowm import recipes
from robowm.__main__ import main
from robowm.episodes import Episodes
from robowm.errors import UserError
from robowm.latent.reality.battery import reality
from robowm.latent.reality.config import RealityConfig
from robowm.latent.reality.source import find_source, kept_back
from robowm.train.label import label
from robowm.train.recipe import Recipe

TINY: Recipe = recipes.load("policies/vipra").tiny()
QUICK = RealityConfig(pairs=8, folds=2, code_clips=6)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    """Eight clips of moving squares, two of them kept from a labeller that learnt very little."""
    root = make_dataset(tmp_path_factory.mktemp("video") / "ds", episodes=8, length=7)
    label(root, replace(TINY.label, held_out=0.25))
    return root


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    """Twelve episodes with actions, of which the first eight are the video's."""
    root = tmp_path_factory.mktemp("truth") / "ds"
    return make_dataset(root, episodes=12, length=7, actions=True)


def test_from_labels_to_pages(
    video: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    words = ["reality", str(video), "--truth", str(truth), "--out", str(out)]
    words += ["--pairs", "8", "--folds", "2", "--dims", "dx_px"]
    assert main(words) in (0, 3)
    said = capsys.readouterr().out
    found = json.loads((out / "reality.json").read_text())
    assert found["verdict"]["sentence"] in said and str(out / "reality.html") in said
    names = [test["name"] for test in found["tests"]]
    assert names[:2] == ["probe_linear", "probe_mlp"] and names[-2:] == ["codebook", "on_disk"]
    assert {"camera_leak", "distractor_leak", "transfer", "cycle", "psnr_gain"} <= set(names)
    assert {"spcfc", "reversal", "additivity", "cut"} <= set(names)
    held = [i for i in range(8) if i in found["episodes"]]
    assert len(held) == 2 == len(found["episodes"])
    probe = found["tests"][0]
    assert probe["details"]["episodes"] == 6  # two kept back and four that are new
    assert list(probe["details"]["per_dimension"]["latent actions"]) == ["dx_px"]
    assert any("6 episodes of" in line and "left out" in line for line in found["warnings"])
    assert found["tests"][-1]["passed"], found["tests"][-1]  # the labels on disk
    for name in ("reality.html", "viewer.html"):
        page = (out / name).read_text()
        assert "http" not in page.replace("http-equiv", "") and "<script" not in page
    assert not [*out.glob("done_*")]


def test_the_outcome_is_the_exit_code(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report"
    for part in ("_probes", "moving_tests"):
        monkeypatch.setattr(f"robowm.latent.reality.battery.{part}", lambda *_: [])
    reality(str(video), QUICK, out)
    words = ["reality", str(video), "--out", str(out)]
    words += ["--pairs", "8", "--folds", "2", "--code-clips", "6"]
    report = json.loads((out / "reality.json").read_text())
    for outcome, code in [("no better than the baselines", 3), ("gates missed", 0), ("real", 0)]:
        report["verdict"]["outcome"] = outcome
        (out / "reality.json").write_text(json.dumps(report))
        assert main(words) == code  # the same settings: read again, not made again


def test_a_killed_run_goes_on_with_the_test_it_was_in(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("robowm.latent.reality.battery.moving_tests", lambda *_: [])
        patched.setattr("robowm.latent.reality.battery._codes", killed)
        with pytest.raises(KeyboardInterrupt):
            reality(str(video), QUICK, tmp_path / "report")
    assert not (tmp_path / "report").exists()
    monkeypatch.setattr("robowm.latent.reality.battery._probes", killed)
    monkeypatch.setattr("robowm.latent.reality.battery.moving_tests", killed)
    report = reality(str(video), QUICK, tmp_path / "report")
    assert [test["passed"] for test in report.results[:2]] == [None, None]
    assert "no truth" in report.results[0]["reason"]


def test_a_dataset_that_was_trained_on_whole_is_refused(
    video: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    source = find_source(str(video))
    assert len(source.chosen) == 2 and not source.warnings
    spared = set(source.chosen)
    if 0 not in spared:  # the first episodes of all these datasets are the same clips
        copy = make_dataset(tmp_path / "copy", episodes=1, length=7)
        with pytest.raises(UserError, match="was trained on every episode of"):
            find_source(str(video / "labels" / "model"), copy)
    other = make_dataset(tmp_path / "other", episodes=10, length=7)
    found = find_source(str(video / "labels" / "model"), other)
    assert set(found.chosen) == spared | {8, 9}


def test_episodes_kept_back_are_read_from_the_card(video: Path, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    card = {"kind": "latent_action_labels", "settings": {}}
    (tmp_path / "labels" / "robowm.json").write_text(json.dumps(card))
    assert kept_back(tmp_path / "labels", 8) is None
    (tmp_path / "labels" / "robowm.json").write_text(json.dumps(card | {"held_out": [1, 5]}))
    spared = kept_back(tmp_path / "labels", 8)
    assert spared is not None and spared.nonzero()[0].tolist() == [1, 5]
    spared = kept_back(video / "labels", 8)
    assert spared is not None and spared.nonzero()[0].tolist() == find_source(str(video)).chosen


def test_a_labeller_from_elsewhere_is_judged_with_a_warning(
    video: Path, truth: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "labeller"
    moved.mkdir()
    for file in (video / "labels" / "model").iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    found = find_source(str(moved), truth)
    assert len(found.chosen) == 12 and "Nothing in" in found.warnings[0]
    with pytest.raises(UserError, match="is a labeller; expected --on DATASET"):
        find_source(str(moved))


def test_mistakes_are_said(video: Path, truth: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a dataset without labels/model; run robowm label"):
        find_source(str(truth))
    wrong = replace(QUICK, truth_column="actoin")
    with pytest.raises(UserError, match=r"no numeric column 'actoin'\. Did you mean 'action'"):
        reality(str(video), wrong, tmp_path / "report", truth=truth)
    assert Episodes(video).features.keys() >= {"latent_action"}
