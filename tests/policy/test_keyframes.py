"""Keyframes: gripper changes and the end; every step knows those that come."""

import numpy as np

from robowm.policy.keyframes import closes_upwards, keyframes, next_keyframes

GRASP_AND_PLACE = np.array([1, 1, 1, -1, -1, -1, -1, 1, 1, 1.0])


def test_gripper_changes_and_the_end_are_keyframes() -> None:
    assert keyframes(GRASP_AND_PLACE).tolist() == [3, 7, 9]


def test_a_gripper_in_its_own_units_changes_in_the_middle_of_its_range() -> None:
    degrees = np.array([50, 49, 45, 30, 12, 5, 5, 6, 20, 44.0])
    assert keyframes(degrees).tolist() == [4, 9]


def test_without_a_change_there_is_only_the_end() -> None:
    assert keyframes(np.ones(5)).tolist() == [4]


def test_every_step_knows_the_next_ones_and_its_own() -> None:
    found = next_keyframes(GRASP_AND_PLACE, 2)
    assert found[:, 0].tolist() == [3, 3, 3, 3, 7, 7, 7, 7, 9, 9]
    assert found[:, 1].tolist() == [7, 7, 7, 7, 9, 9, 9, 9, 9, 9]
    assert (found >= np.arange(10)[:, None]).all()


def test_a_hand_sets_out_open_as_most_demonstrations_say() -> None:
    still, degrees = np.ones(5), np.array([50.0, 30, 5, 20, 44])
    assert not closes_upwards([GRASP_AND_PLACE, degrees, still])
    assert closes_upwards([-GRASP_AND_PLACE, still, -degrees, GRASP_AND_PLACE])
    assert not closes_upwards([still]) and not closes_upwards([])
