"""Moments to practise on: the right rows, turned together; and which head a policy gets."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from robowm import recipes
from robowm.episodes import Episodes, EpisodeWriter, image_feature, vector_feature
from robowm.errors import UserError
from robowm.policy.shown import Practice
from robowm.policy.turning import Turning
from robowm.train import practice
from robowm.train.build_policy import PolicyConfig, build_policy, choose_head, steps_between_looks
from robowm.train.finetune import finetune
from robowm.train.frames import Frames
from robowm.train.goals import Goals, goal_rows
from robowm.train.practice import draw, practise, turning_of
from robowm.world.backbone import BackboneConfig

NAMES = ["hand_x", "hand_y", "hand_z", "open"]


def frames_of(lengths: list[int]) -> Frames:
    ends, counts = np.cumsum(lengths), np.array(lengths)
    rng = np.random.default_rng(0)
    rows = ends[-1]
    return Frames(
        pixels=np.zeros((rows, 1, 1, 3), np.uint8),
        start=np.repeat(ends - counts, counts),
        end=np.repeat(ends, counts),
        task=np.zeros(rows, np.int64),
        tasks=[""],
        episode=np.repeat(np.arange(len(lengths)), counts),
        columns={
            "observation.state": rng.normal(size=(rows, 4)).astype(np.float32),
            "action": rng.normal(size=(rows, 4)).astype(np.float32),
        },
    )


def same(batch: dict[str, Any]) -> dict[str, Any]:
    return batch


@pytest.fixture
def shown() -> tuple[Frames, Goals]:
    frames = frames_of([5, 7])
    rows = goal_rows(frames, 2)
    rest = frames.columns["observation.state"][rows] + 1  # where it rests, not where told
    return frames, Goals(rest, rows)


def test_moments_stay_within_their_episode(shown: tuple[Frames, Goals]) -> None:
    frames, goals = shown
    state, action = (frames.columns[name] for name in ("observation.state", "action"))
    p = practise(frames, goals, np.array([5, 8]), (3, 5), None, same)
    np.testing.assert_array_equal(p.state, state[[[5, 5, 5], [6, 7, 8]]])
    np.testing.assert_array_equal(p.actions, action[[[5, 6, 7, 8, 9], [8, 9, 10, 11, 11]]])
    assert p.valid.tolist() == [[True] * 5, [True] * 4 + [False]]
    np.testing.assert_array_equal(p.subgoals, goals.states[[5, 8]])


@pytest.mark.parametrize(("control_hz", "steps"), [(5.0, 4), (10.0, 8)])
def test_half_of_what_is_practised_leads_to_a_keyframe_at_once(
    control_hz: float, steps: int
) -> None:
    frames = frames_of([40, 60])
    frames.columns["action"][:, -1] = 1
    frames.columns["action"][20:30, -1] = -1  # keyframes: 20, 30, 39 and 99
    ahead = goal_rows(frames, 2)
    goals = Goals(frames.columns["observation.state"][ahead], ahead)
    rows = np.arange(10, 100)
    drawn = draw(np.random.default_rng(0), rows, goals, 2000, control_hz)
    last = np.concatenate([np.arange(k - steps + 1, k + 1) for k in (20, 30, 39, 99)])
    assert np.isin(drawn, rows).all()
    assert np.isin(drawn, last).mean() == pytest.approx(0.5 + 0.5 * 4 * steps / 90, abs=0.03)


def test_state_goal_and_action_turn_by_one_angle(shown: tuple[Frames, Goals]) -> None:
    torch.manual_seed(0)
    rows = np.arange(12)
    plain = practise(*shown, rows, (3, 4), None, same)
    turned = practise(*shown, rows, (3, 4), Turning.of(NAMES, NAMES), same, 0, False)

    def angle(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        a, b = (torch.complex(v[..., 0], v[..., 1]) for v in (one, other))
        return torch.view_as_real(b / a / (b / a).abs())

    by = angle(plain.state[:, 0], turned.state[:, 0])
    for name in ("state", "subgoals", "actions"):
        one, other = getattr(plain, name), getattr(turned, name)
        torch.testing.assert_close(angle(one, other), by[:, None].expand(-1, one.shape[1], 2))
        torch.testing.assert_close(one[..., 2:], other[..., 2:])
    assert by[:, 0].std() > 0.3  # every moment by another


def test_half_of_the_moments_are_mirrored_as_a_whole(shown: tuple[Frames, Goals]) -> None:
    torch.manual_seed(0)
    rows = np.arange(12).repeat(20)
    plain = practise(*shown, rows, (3, 4), None, same)
    seen = practise(*shown, rows, (3, 4), Turning.of(NAMES, NAMES), same, unsure=False)

    def handed(p: Practice) -> torch.Tensor:
        """From which side the first action passes the way to the goal: a turn keeps it."""
        way = (p.subgoals - p.state[:, -1:])[:, 0]
        return way[:, 0] * p.actions[:, 0, 1] - way[:, 1] * p.actions[:, 0, 0]

    was, now = handed(plain), handed(seen)
    torch.testing.assert_close(was.abs(), now.abs())
    assert 0.4 < (was * now < 0)[was != 0].float().mean() < 0.6


def test_where_later_goals_are_on_the_level_is_no_matter(
    shown: tuple[Frames, Goals], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the height and with all else that was demonstrated; the next goal stays."""
    monkeypatch.setattr(practice, "later_of_another", lambda subgoals, turning: subgoals)
    rows, turning = np.arange(12).repeat(100), Turning.of(NAMES, NAMES)
    torch.manual_seed(0)
    seen = practise(*shown, rows, (3, 4), turning, same, 0).subgoals
    torch.manual_seed(0)
    plain = practise(*shown, rows, (3, 4), turning, same, 0, unsure=False).subgoals
    # turned by other angles: compared by what a turn keeps
    way, was = ((p[:, 1] - p[:, 0])[:, :2] for p in (seen, plain))
    torch.testing.assert_close(seen[:, :, 2:], plain[:, :, 2:])
    torch.testing.assert_close(seen[:, 0, :2].norm(dim=1), plain[:, 0, :2].norm(dim=1))
    off_m = (way.norm(dim=1) - was.norm(dim=1))[was.norm(dim=1) > 0.5]
    assert off_m.std() == pytest.approx(practice.LATER_M, rel=0.1)
    assert abs(off_m.mean()) < 0.1 * practice.LATER_M


def test_later_goals_are_anothers_only_while_they_do_not_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(practice, "LATER_M", 0.0)
    torch.manual_seed(0)
    frames = frames_of([9, 12])
    frames.columns["action"][:, -1] = 1
    frames.columns["action"][6:9, -1] = -1  # keyframes: 6 and 8, and 20
    ahead = goal_rows(frames, 2)
    goals = Goals(frames.columns["observation.state"][ahead], ahead)
    rows, turning = np.array([0, 2, 3, 7, 9, 10]), Turning.of(NAMES, NAMES)
    seen = [practise(frames, goals, rows, (1, 4), turning, same, 0, ex) for ex in (False, True)]

    def seen_from_the_hand(subgoals: torch.Tensor) -> torch.Tensor:
        """How far and how high the second goal lies from the first."""
        way = subgoals[:, 1] - subgoals[:, 0]
        return torch.stack([way[:, :2].norm(dim=1), way[:, 2]], dim=1)

    plain, other = (seen_from_the_hand(p.subgoals) for p in seen)
    np.testing.assert_array_equal(goals.rows[rows, 0] - rows >= 4, [1, 1, 0, 0, 1, 1])
    torch.testing.assert_close(other[2:4], plain[2:4])  # the chunk reaches the keyframe
    changed = (other - plain).norm(dim=1)[[0, 1, 4, 5]] > 1e-4
    assert changed.any()
    for way in other:  # but some demonstration's
        assert ((plain - way).norm(dim=1) < 1e-4).any()
    for p in seen:  # the first goal lies from the hand as it did
        way = (p.subgoals[:, 0] - p.state[:, -1])[:, :2].norm(dim=1)
        true = goals.states[rows, 0] - frames.columns["observation.state"][rows]
        torch.testing.assert_close(way, torch.from_numpy(true)[:, :2].norm(dim=1))


@pytest.mark.parametrize(("length", "turns"), [(1.0, True), (0.7, False)])
def test_a_rotation_vector_is_no_axis(tmp_path: Path, length: float, turns: bool) -> None:
    names = [*NAMES[:3], "rotation_x", "rotation_y", "rotation_z", "fingers"]
    features = {
        "observation.images.main": image_feature(16),
        "observation.state": vector_feature("float32", names),
        "action": vector_feature("float32", ["dx", "dy", "dz", "gripper"]),
    }
    writer = EpisodeWriter(tmp_path / "arm", 10, features, "arm")
    state = np.tile(np.float32([1, 2, 3, 0, length, 0, 1]), (4, 1))
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    columns = {"observation.images.main": frames, "observation.state": state}
    writer.add(columns | {"action": np.zeros((4, 4), np.float32)}, "")
    writer.close()
    assert (turning_of(Episodes(tmp_path / "arm")) is not None) == turns


@pytest.fixture
def arm(tmp_path: Path) -> Episodes:
    """An arm told where its hand goes, and its gripper."""
    features = {
        "observation.images.main": image_feature(16),
        "observation.state": vector_feature("float32", [*NAMES[:3], "fingers"]),
        "action": vector_feature("float32", ["dx", "dy", "dz", "gripper"]),
    }
    writer = EpisodeWriter(tmp_path / "arm", 10, features, "arm")
    columns = {"observation.images.main": np.zeros((4, 16, 16, 3), np.uint8)}
    writer.add(columns | {name: np.zeros((4, 4), np.float32) for name in list(features)[1:]}, "")
    writer.close()
    return Episodes(tmp_path / "arm")


def test_auto_takes_goals_for_an_arm_with_a_gripper(arm: Episodes) -> None:
    config = PolicyConfig()
    assert choose_head(arm, config) == "goals"
    without = [
        replace(config, use_state=False),
        replace(config, subgoals=0),
        replace(config, backbone=BackboneConfig(points=1)),
    ]
    for other in without:
        assert choose_head(arm, other) == "flow"
        with pytest.raises(UserError, match=r"needs proprioception, subgoals and as many points"):
            choose_head(arm, replace(other, action_head="goals"))
    assert choose_head(arm, replace(config, action_head="flow")) == "flow"


@pytest.mark.parametrize(
    ("head", "asked", "executed"), [("goals", None, 4), ("flow", None, 4), ("goals", 3, 3)]
)
def test_how_many_actions_are_executed_may_be_said(
    arm: Episodes, head: Literal["goals", "flow"], asked: int | None, executed: int
) -> None:
    config = replace(recipes.load("policies/vipra").tiny().finetune.policy, chunk_size=8)
    policy = build_policy(arm, replace(config, action_head=head, n_action_steps=asked))
    assert policy.config.n_action_steps == executed


@pytest.mark.parametrize(("control_hz", "steps"), [(3, 1), (5, 1), (10, 4), (15, 6), (30, 8)])
def test_with_goals_it_looks_again_at_every_step_or_after_two_fifths_of_a_second(
    control_hz: float, steps: int
) -> None:
    assert steps_between_looks("goals", 8, control_hz) == steps
    assert steps_between_looks("flow", 8, control_hz) == 4


def test_auto_takes_flow_where_keyframes_may_not_tell_the_way(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    pusher = Episodes(make_dataset(tmp_path / "demos", actions=True))  # no gripper, no third axis
    assert choose_head(pusher, PolicyConfig()) == "flow"
    assert choose_head(pusher, PolicyConfig(action_head="goals")) == "goals"


def test_turning_is_read_off_the_datasets_names(
    arm: Episodes, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    assert turning_of(arm) == Turning(((0, 1, 2),), ((0, 1, 2),))
    assert turning_of(Episodes(make_dataset(tmp_path / "demos", actions=True))) is None
    info = json.loads((arm.root / "meta" / "info.json").read_text())
    state = info["features"]["observation.state"]
    state["names"] = {"motors": state["names"]}  # LeRobot writes this, too
    (arm.root / "meta" / "info.json").write_text(json.dumps(info))
    again = Episodes(arm.root)
    assert turning_of(again) == turning_of(arm) and choose_head(again, PolicyConfig()) == "goals"


def test_places_that_are_not_known_are_not_taught(arm: Episodes, tmp_path: Path) -> None:
    recipe = recipes.load("policies/vipra").tiny().finetune
    recipe = replace(recipe, train=replace(recipe.train, steps=2, batch_size=4))
    finetune("scratch", arm.root, tmp_path / "policy", recipe)  # nothing moves: no eye
    curves = json.loads((tmp_path / "policy" / "curves.json").read_text())["series"]
    assert "action_error" in curves and "place_nats" not in curves
