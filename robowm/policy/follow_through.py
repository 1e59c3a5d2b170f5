"""How much of a chunk is executed before the next look."""

from torch import Tensor


def steps_to_execute(gripper: Tensor, told: float | None, count: int) -> int:
    """`count`, or all of the chunk where the gripper is to be told something else.

    While the fingers move, the picture and proprioception look like those before and those after: a
    policy that had stacked a block looked again at once, saw a block before an open hand, and
    took it. Followed to its end, the chunk carries the hand away, or lifts what it has taken.

    Args:
        gripper: (H,), the chunk's commands, normalised: 0, their mean, lies between open and shut.
        told: the command before it; None: there was none.
        count: actions that are executed else.
    """
    upper = gripper > 0
    before = upper[0] if told is None else told > 0
    return len(gripper) if bool((upper[:count] != before).any()) else count
