"""What an episode has led to: goals that were seen are remembered, until it grips."""

from copy import deepcopy

import pytest
import torch

from robowm.policy.so_far import MOST_LOOKS, SoFar, remember

PLACE = (0, 1, 2)


def goals_at(*x: float) -> torch.Tensor:
    """Goals (B, 2, 5) of episodes whose first goal lies at x."""
    goals = torch.zeros(len(x), 2, 5)
    goals[:, 0, 0] = torch.tensor(x)
    goals[:, :, 4] = torch.tensor(x)[:, None]  # the gripper's width there, say
    return goals


def test_a_goal_that_goes_along_with_the_hand_is_remembered_where_it_was() -> None:
    episode = [SoFar()]
    for x in (0.4, 0.42, 0.38, 0.4):
        remember(goals_at(x), PLACE, episode)
        episode[0].tell([1.0], closes_upwards=False)
    seen = goals_at(2.0)
    found = remember(seen, PLACE, episode)
    assert found[0, 0, 0] == pytest.approx(0.4)
    assert found[0, 0, 4] == 2.0  # only places are
    assert seen[0, 0, 0] == 2.0  # what was given is left alone


@pytest.mark.parametrize("closes_upwards", [False, True])
def test_what_was_missed_is_looked_for_anew(closes_upwards: bool) -> None:
    open_, shut = (-1.0, 1.0) if closes_upwards else (1.0, -1.0)
    episode = SoFar()
    remember(goals_at(0.4), PLACE, [episode])
    episode.tell([open_, open_], closes_upwards)
    assert len(episode.looks) == 1
    episode.tell([open_, shut, shut], closes_upwards)
    assert not episode.looks
    for x in (2.0, 3.0, 2.0):  # where to carry it
        found = remember(goals_at(x), PLACE, [episode])
        episode.tell([shut], closes_upwards)
    assert found[0, 0, 0] == 2.0 and len(episode.looks) == 3
    episode.tell([open_], closes_upwards)
    assert episode.released and episode.gripped
    for x in (7.0, 8.0, 7.0):
        found = remember(goals_at(x), PLACE, [episode])
    assert found[0, 0, 0] == 7.0


def test_episodes_side_by_side_remember_their_own() -> None:
    two = [SoFar(), SoFar()]
    for x in ((0.0, 1.0), (0.0, 1.0), (5.0, 5.0)):
        found = remember(goals_at(*x), PLACE, two)
    assert found[:, 0, 0].tolist() == [0.0, 1.0]
    two[0].tell([1.0, -1.0], closes_upwards=False)
    found = remember(goals_at(7.0, 7.0), PLACE, two)
    assert found[:, 0, 0].tolist() == [7.0, 3.0]  # the mean of the two in the middle


def test_an_arm_that_waits_goes_where_the_thing_was_moved_to() -> None:
    episode = SoFar()
    for x in [0.0] * 1000 + [1.0] * (MOST_LOOKS // 2 + 1):
        found = remember(goals_at(x), PLACE, [episode])
    assert len(episode.looks) == MOST_LOOKS
    assert found[0, 0, 0] == 1.0


def test_nothing_is_let_go_that_was_not_held() -> None:
    episode = SoFar()
    episode.tell([1.0, 1.0], closes_upwards=False)
    assert not episode.released and not episode.gripped
    episode.tell([-1.0], closes_upwards=False)
    assert episode.gripped and not episode.released


OPEN, EMPTY = 0.08, 0.04


@pytest.mark.parametrize("sign", [1.0, -1.0])  # some states say how far it is shut
def test_a_gripper_that_holds_nothing_is_opened_again_once_it_has_left(sign: float) -> None:
    episode = SoFar()
    episode.tell([1.0, -1.0], closes_upwards=False)
    for _ in range(7):
        episode.feel(sign * 0.01, sign * EMPTY, sign * OPEN, control_hz=5.0)
        assert episode.gripped  # it may still be shutting, or be where it has missed it
        episode.tell([-1.0], closes_upwards=False)
    holding = deepcopy(episode)
    holding.feel(sign * 0.05, sign * EMPTY, sign * OPEN, control_hz=5.0)
    assert holding.gripped and holding.shut_steps == 8
    episode.feel(sign * 0.01, sign * EMPTY, sign * OPEN, control_hz=5.0)
    assert not episode.gripped and episode.told is None
    episode.tell([1.0], closes_upwards=False)
    assert not episode.released  # there was nothing to let go
    holding.tell([1.0], closes_upwards=False)
    assert holding.released
