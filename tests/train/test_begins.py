"""Grippers before their first grip, in training."""

import numpy as np
import pytest

from robowm.train.begins import empty_from, open_until_told
from robowm.train.frames import Frames


def frames_of(told: list[str], closes_upwards: bool = False) -> Frames:
    """Episodes of grippers that are told to be (o)pen or (s)hut, 4 wide at first, 8 wide where open
    and 5 where they hold something."""
    lengths = np.array([len(words) for words in told])
    number = np.repeat(np.arange(len(told)), lengths)
    ends = lengths.cumsum()
    open_ = np.concatenate([[letter == "o" for letter in words] for words in told])
    width = np.where(open_, 8.0, 5.0)
    width[ends - lengths] = 4
    command = np.where(open_ != closes_upwards, 1.0, -1.0)
    return Frames(
        pixels=np.zeros((len(number), 1, 1, 3), np.uint8),
        start=(ends - lengths)[number],
        end=ends[number],
        task=np.zeros(len(number), np.int64),
        tasks=[""],
        episode=number,
        columns={
            "action": np.stack([np.zeros(len(number)), command], axis=1).astype(np.float32),
            "observation.state": np.stack([number, width], axis=1).astype(np.float32),
        },
        closes_upwards=closes_upwards,
    )


@pytest.mark.parametrize("closes_upwards", [False, True])
def test_until_it_is_told_to_shut_a_gripper_is_as_open_as_when_it_is(closes_upwards: bool) -> None:
    frames = frames_of(["ooosso", "oooss", "ssoo"], closes_upwards)
    frames.columns["observation.state"][[3, 9], 1] = 8  # told to shut, but not shut yet
    assert open_until_told(frames, np.arange(15)) == 8
    width = frames.columns["observation.state"][:, 1]
    np.testing.assert_array_equal(width[:6], [8, 8, 8, 8, 5, 8])
    np.testing.assert_array_equal(width[6:11], [8, 8, 8, 8, 5])
    np.testing.assert_array_equal(width[11:], [4, 5, 8, 8])  # what begins shut stays as it is
    assert frames.columns["observation.state"][:, 0].tolist() == [0] * 6 + [1] * 5 + [2] * 4


def test_a_gripper_that_never_grips_is_left_alone() -> None:
    frames = frames_of(["oooo", "ssss"])
    before = frames.columns["observation.state"].copy()
    assert open_until_told(frames, np.arange(8)) is None
    np.testing.assert_array_equal(frames.columns["observation.state"], before)


def test_what_is_shut_further_than_any_that_held_something_is_empty() -> None:
    frames = frames_of(["oossssssoo", "oosssssss", "sssssssso"])
    width = frames.columns["observation.state"][:, 1]
    width[2:5] = 1  # on its way, it may overshoot
    width[16] = 4  # a thin one
    width[19:27] = 0  # who begins shut holds nothing
    assert empty_from(frames, np.arange(28), 8.0, control_hz=5.0) == 4 - 0.25 * 4
    width[:] = 10 - width  # some states say how far it is shut
    assert empty_from(frames, np.arange(28), 2.0, control_hz=5.0) == 6 + 0.25 * 4


def test_whether_something_is_held_is_not_known_of_grips_that_do_not_last() -> None:
    assert empty_from(frames_of(["oosso", "oooo"]), np.arange(9), 8.0, control_hz=5.0) is None
