"""A chunk in which the gripper is told something else is executed to its end."""

import pytest
import torch

from robowm.policy.follow_through import steps_to_execute


@pytest.mark.parametrize(
    ("gripper", "told", "executed"),
    [
        ([0.9, 0.8, -1.0, -1.0], 0.9, 1),  # changes later: looks again before it does
        ([-0.1, -1.0, -1.0, -1.0], 0.9, 4),
        ([1.2, 1.0, 1.0, 1.0], -0.3, 4),
        ([-0.2, -1.0, 1.0, 1.0], -0.9, 1),
        ([-0.2, -1.0, 1.0, 1.0], None, 1),  # an episode begins as it begins
    ],
)
def test_a_change_is_followed_to_its_end(
    gripper: list[float], told: float | None, executed: int
) -> None:
    assert steps_to_execute(torch.tensor(gripper), told, 1) == executed


def test_a_change_within_what_is_executed_counts() -> None:
    chunk = torch.tensor([1.0, 1.0, -1.0, -1.0])
    assert [steps_to_execute(chunk, None, count) for count in (1, 2, 3, 4)] == [1, 2, 4, 4]
