"""The hand seen in video: learnt from few demonstrations, and only with a camera."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from robowm import recipes
from robowm.artefact import read_card
from robowm.episodes import EpisodeWriter, image_feature, vector_feature
from robowm.errors import UserError
from robowm.policy.eye import Eye
from robowm.train.elsewhere import Elsewhere
from robowm.train.eyes import Eyes
from robowm.train.finetune import finetune
from robowm.train.finetune_plan import FinetuneConfig
from robowm.train.frames import Frames
from robowm.train.seen_hands import fill_in

SIZE_PX, STEPS = 32, 12
HALF_SIDE_M = 0.25  # of the table that the picture shows
NAMES = ["x", "y", "z", "fingers"]


def episode(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A bright hand over a grey table: it goes somewhere, closes, and goes on; seen from above."""
    way = rng.uniform(-0.6, 0.6, (3, 2))
    t = np.linspace(0, 2, STEPS)
    at = np.stack([np.interp(t, [0, 1, 2], way[:, i]) for i in range(2)], axis=1)
    closed = t >= 1
    line = (np.arange(SIZE_PX) + 0.5) * 2 / SIZE_PX - 1
    far_x = np.abs(line[None, None] - at[:, 0, None, None])
    far_y = np.abs(line[None, :, None] - at[:, 1, None, None])
    fingers = np.where(closed, 0.1, 0.3)
    frames = np.full((STEPS, SIZE_PX, SIZE_PX, 3), 100, np.uint8)
    frames[(far_x < fingers[:, None, None]) & (far_y < 0.15)] = 230
    state = np.column_stack([HALF_SIDE_M * at, np.zeros(STEPS), fingers]).astype(np.float32)
    action = np.zeros((STEPS, 2), np.float32)
    action[:, 1] = np.where(closed, -1, 1)
    return frames, state, action


@pytest.fixture(scope="module")
def shown() -> tuple[Frames, np.ndarray, np.ndarray]:
    """4 demonstrations and 20 videos, whose truth stands beside."""
    rng = np.random.default_rng(0)
    parts = zip(*(episode(rng) for _ in range(24)), strict=True)
    pixels, states, actions = (np.concatenate(part) for part in parts)
    number = np.repeat(np.arange(24), STEPS)
    video = number >= 4
    columns = {"observation.state": states.copy(), "action": actions.copy()}
    for values in columns.values():
        values[video] = np.nan
    frames = Frames(
        pixels=pixels,
        start=number * STEPS,
        end=(number + 1) * STEPS,
        task=np.zeros(len(number), np.int64),
        tasks=[""],
        episode=number,
        columns=columns,
    )
    return frames, states, actions


def overhead() -> Eye:
    """The camera of these pictures."""
    weights = np.array([[1.0, 0], [0, 1.0], [0, 0], [0, 0]]) / HALF_SIDE_M
    return Eye((0, 1, 2), np.zeros(3), np.ones(3), weights, np.zeros(3), 0.0)


def test_a_hand_learnt_from_four_demonstrations_is_seen_in_video(
    shown: tuple[Frames, np.ndarray, np.ndarray],
) -> None:
    frames, states, actions = shown
    before = {name: values[:48].copy() for name, values in frames.columns.items()}
    eyes = Eyes((overhead(),), torch.zeros(1, 256), np.zeros(len(frames.end), int))
    places = fill_in(frames, eyes, (), 5, steps=250, seed=0)
    for name, values in before.items():  # demonstrations keep what they are
        np.testing.assert_array_equal(frames.columns[name][:48], values)
    np.testing.assert_allclose(places, overhead().places(states), atol=0.5)
    off = np.linalg.norm(places - overhead().places(states), axis=1)
    assert (off[:48] == 0).all()
    assert np.median(off[48:]) < 0.015 / HALF_SIDE_M  # one pixel; the table's middle is 0.4 away
    seen, told = frames.columns["observation.state"][48:], frames.columns["action"][48:]
    assert (told[:, 0] == 0).all()  # no action is guessed but the gripper's
    agrees = (told[:, 1] > 0.5) == (actions[48:, 1] > 0)
    assert agrees.mean() > 0.88
    np.testing.assert_allclose(seen[agrees, -1], states[48:][agrees, -1], atol=1e-6)


def test_video_is_told_to_close_as_the_demonstrations_are(
    shown: tuple[Frames, np.ndarray, np.ndarray],
) -> None:
    frames, states, actions = shown
    columns = {"observation.state": states.copy(), "action": actions * [1, -1]}
    for values in columns.values():
        values[48:] = np.nan
    other = replace(frames, columns=columns, closes_upwards=True)
    eyes = Eyes((overhead(),), torch.zeros(1, 256), np.zeros(len(frames.end), int))
    fill_in(other, eyes, (), 5, steps=1, seed=0)
    shut = columns["action"][48:, 1] == 1
    assert 0 < shut.sum() < len(shut)
    gripper, told_shut = columns["observation.state"][:, -1], actions[:48, 1] < 0
    np.testing.assert_allclose(gripper[48:][shut], gripper[:48][told_shut].mean(), atol=1e-6)


def test_without_a_view_of_the_hand_video_is_refused_before_anything_is_learnt(
    shown: tuple[Frames, np.ndarray, np.ndarray],
) -> None:
    with pytest.raises(UserError, match="expected a camera that stands still"):
        fill_in(shown[0], None, (), 5, 9, 0)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Demonstrations; and videos that have pictures only."""
    rng = np.random.default_rng(1)
    camera = {"observation.images.top": image_feature(SIZE_PX)}
    arm = {
        "observation.state": vector_feature("float32", NAMES),
        "action": vector_feature("float32", ["speed", "gripper"]),
    }
    paths = []
    for name, features, count in (("demos", camera | arm, 6), ("video", camera, 8)):
        path = tmp_path_factory.mktemp("seen") / name
        writer = EpisodeWriter(path, 10, features, "arm")
        for _ in range(count):
            columns = dict(zip((*camera, *arm), episode(rng), strict=True))
            writer.add({key: columns[key] for key in features}, "go")
        writer.close()
        paths.append(path)
    return paths[0], paths[1]


def small(**changes: object) -> FinetuneConfig:
    recipe = recipes.load("policies/vipra").tiny().finetune
    train = replace(recipe.train, steps=3, batch_size=8)
    recipe = replace(recipe, train=train, hand_steps=5)
    return replace(recipe, **changes)  # type: ignore[arg-type]


def test_a_policy_learns_from_video_that_has_pictures_only(
    datasets: tuple[Path, Path], tmp_path: Path
) -> None:
    demos, video = datasets
    finetune("scratch", demos, tmp_path / "policy", small(video=(video,)))
    card = read_card(tmp_path / "policy")
    assert card is not None and card["settings"]["video_frames"] == [8 * STEPS]
    assert card["eye_error"] < 0.6
    assert 0 <= card["outlined"] <= 1
    curves = json.loads((tmp_path / "policy" / "curves.json").read_text())["series"]
    assert {"action_error", "subgoal_l1", "place_nats"} <= set(curves)


@pytest.mark.parametrize(("head", "shows"), [("goals", True), ("flow", False)])
def test_things_are_shown_elsewhere_only_to_a_head_that_acts_by_goals(
    datasets: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    head: Literal["goals", "flow"],
    shows: bool,
) -> None:
    """Another would be taught the actions that lead to where the thing lay."""
    of, asked = Elsewhere.of, []
    monkeypatch.setattr(Elsewhere, "of", lambda *args: asked.append(args) or of(*args))
    policy = replace(small().policy, action_head=head)
    finetune("scratch", datasets[0], tmp_path / "policy", small(policy=policy))
    card = read_card(tmp_path / "policy")
    assert card is not None and card["eye_error"] < 0.6  # it could be shown
    assert bool(asked) == shows


@pytest.mark.parametrize("share", [-0.1, 1.0])
@pytest.mark.parametrize("which", ["video_share", "elsewhere_share"])
def test_some_samples_must_be_demonstrations(
    datasets: tuple[Path, Path], tmp_path: Path, which: str, share: float
) -> None:
    demos, video = datasets
    flag = which.replace("_", "-")
    with pytest.raises(UserError, match=f"--{flag} {share}: expected a share from 0 to less"):
        finetune("scratch", demos, tmp_path / "p", small(video=(video,), **{which: share}))
    assert not (tmp_path / "p").exists()


def test_video_that_cannot_join_is_refused(datasets: tuple[Path, Path], tmp_path: Path) -> None:
    demos, video = datasets
    flow = replace(small().policy, action_head="flow")
    with pytest.raises(UserError, match="learns nothing from where a hand"):
        finetune("scratch", demos, tmp_path / "p", small(video=(video,), policy=flow))
    info = json.loads((video / "meta" / "info.json").read_text())
    (video / "meta" / "info.json").write_text(json.dumps(info | {"fps": 5}))
    with pytest.raises(UserError, match=r"has 5 frames a second, .* 10; expected"):
        finetune("scratch", demos, tmp_path / "p", small(video=(video,)))
    assert not (tmp_path / "p").exists()
