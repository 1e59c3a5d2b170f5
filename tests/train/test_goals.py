"""Where a keyframe leads: to where the hand rests, not to where it was when told to grip."""

from dataclasses import replace

import numpy as np

from robowm.train.frames import Frames
from robowm.train.goals import goal_rows, let_go
from robowm.train.rest import at_rest, steadied, where_at_rest


def test_the_hand_rests_a_little_after_it_is_told_to_grip() -> None:
    x = np.array([0, 2, 4, 5, 5.2, 5.2, 5.3, 7, 9, 9.1, 20.0, 21, 22])
    places = np.stack([x, 0 * x], axis=1)
    start, end = np.repeat([0, 10], [10, 3]), np.repeat([10, 13], [10, 3])
    rest = at_rest(places, start, end, control_hz=5.0)
    assert rest[3] == 5  # of rows 3 to 6: between 5.2 and 5.3 on either side
    assert rest[8] == 9  # not beyond its episode, whose last step is short
    np.testing.assert_array_equal(rest[10:], [10, 11, 12])  # an even pace: at once


def test_where_the_place_is_known_the_picture_does_not_tell_who_rests() -> None:
    x = np.array([0, 2, 4, 5, 5.2, 5.2, 5.3, 7, 9, 9.1])
    hand = np.stack([x, 0 * x, 0 * x], axis=1)
    seen = np.stack([[0, 1, 2, 2, 2.5, 3, 4, 4, 5, 6], 0 * x], axis=1)  # stands where it rises
    states = np.concatenate([np.c_[hand, x], np.ones((10, 4))])  # of video they are made up
    frames = Frames(
        pixels=np.zeros((20, 1, 1, 3), np.uint8),
        start=np.repeat([0, 10], 10),
        end=np.repeat([10, 20], 10),
        task=np.zeros(20, np.int64),
        tasks=[""],
        episode=np.repeat([0, 1], 10),
        columns={"observation.state": states},
    )
    places = np.concatenate([seen, seen])
    filmed = np.repeat([False, True], 10)
    rest = where_at_rest(frames, places, filmed, (0, 1, 2), control_hz=5.0)
    np.testing.assert_array_equal(rest[:10], at_rest(hand, frames.start[:10], frames.end[:10], 5.0))
    by_sight = at_rest(places, frames.start, frames.end, 5.0)
    np.testing.assert_array_equal(rest[10:], by_sight[10:])  # video
    assert (rest[:10] != by_sight[:10]).any()
    np.testing.assert_array_equal(where_at_rest(frames, places, filmed, (), 5.0), by_sight)


def test_how_far_ahead_is_looked_goes_by_the_clock() -> None:
    places = np.concatenate([np.linspace(5, 1, 12) ** 2, np.zeros(8)])[:, None]
    start, end = np.zeros(20, int), np.full(20, 20)
    assert at_rest(places, start, end, control_hz=5.0)[0] == 3  # 0.6 s: the slowest yet
    assert at_rest(places, start, end, control_hz=30.0)[0] == 13  # 18 rows: it stands


def test_a_hand_at_rest_is_read_thrice_and_a_moving_one_once() -> None:
    rng = np.random.default_rng(0)
    true = np.concatenate([np.linspace(0, 1, 6), np.full(30, 1.0), np.linspace(0, -1, 6)])
    places = np.stack([true, 0 * true], axis=1) + rng.normal(0, 0.01, (42, 2))
    start, end = np.repeat([0, 36], [36, 6]), np.repeat([36, 42], [36, 6])
    found = steadied(places, start, end)
    moving = np.r_[0:5, 36:42]
    np.testing.assert_allclose(found[moving], places[moving], atol=1e-6)
    error = (found - np.stack([true, 0 * true], axis=1))[7:34]
    assert error.std() < 0.7 * 0.01  # 1 / sqrt(3)


def test_what_was_let_go_counts_from_the_step_after() -> None:
    gripper = [[1, 1, -1, -1, 1, 1, -1, 1], [-1, 1, 1]]
    rows = len(gripper[0]) + len(gripper[1])
    frames = Frames(
        pixels=np.zeros((rows, 1, 1, 3), np.uint8),
        start=np.repeat([0, 8], [8, 3]),
        end=np.repeat([8, 11], [8, 3]),
        task=np.zeros(rows, np.int64),
        tasks=[""],
        episode=np.repeat([0, 1], [8, 3]),
        columns={"action": np.concatenate(gripper)[:, None].astype(np.float32)},
    )
    expected = [0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1]
    np.testing.assert_array_equal(let_go(frames), expected)
    other = replace(frames, columns={"action": -frames.columns["action"]}, closes_upwards=True)
    np.testing.assert_array_equal(let_go(other), expected)
    np.testing.assert_array_equal(goal_rows(other, 2), goal_rows(frames, 2))
