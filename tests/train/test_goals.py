"""Where a keyframe leads: to where the hand rests, not to where it was when told to grip."""

import numpy as np

from robowm.train.goals import at_rest


def test_the_hand_rests_a_little_after_it_is_told_to_grip() -> None:
    x = np.array([0, 2, 4, 5, 5.2, 5.2, 5.3, 7, 9, 9.1, 20.0, 21, 22])
    places = np.stack([x, 0 * x], axis=1)
    start, end = np.repeat([0, 10], [10, 3]), np.repeat([10, 13], [10, 3])
    rest = at_rest(places, start, end, control_hz=5.0)
    assert rest[3] == 5  # of rows 3 to 6: between 5.2 and 5.3 on either side
    assert rest[8] == 9  # not beyond its episode, whose last step is short
    np.testing.assert_array_equal(rest[10:], [10, 11, 12])  # an even pace: at once


def test_how_far_ahead_is_looked_goes_by_the_clock() -> None:
    places = np.concatenate([np.linspace(5, 1, 12) ** 2, np.zeros(8)])[:, None]
    start, end = np.zeros(20, int), np.full(20, 20)
    assert at_rest(places, start, end, control_hz=5.0)[0] == 3  # 0.6 s: the slowest yet
    assert at_rest(places, start, end, control_hz=30.0)[0] == 13  # 18 rows: it stands
