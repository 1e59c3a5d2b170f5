"""What the environments of all suites have in common: the words they know, and what they show."""

from collections.abc import Collection, Sequence

import numpy as np
from gymnasium import spaces

from robowm.errors import UserError, nearest


def require_known(suite: str, **words: tuple[str, Collection[str]]) -> None:
    """Nothing, where each word is one of those allowed: `task=("spoon", TASKS)`.

    Raises:
        UserError: one is not.
    """
    for what, (word, allowed) in words.items():
        if word not in allowed:
            raise UserError(f"{suite} has no {what} {word!r} here. {nearest(word, allowed)}")


def observation_space(size_px: int, state_names: Sequence[str], reach: float) -> spaces.Dict:
    """`frame`, uint8 (size_px, size_px, 3), and `state`, float32 within `reach` of zero."""
    return spaces.Dict(
        {
            "frame": spaces.Box(0, 255, (size_px, size_px, 3), np.uint8),
            "state": spaces.Box(-reach, reach, (len(state_names),), np.float32),
        }
    )
