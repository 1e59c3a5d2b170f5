"""What every harness holds: something that turns observations into actions, an episode a slot."""

from typing import Protocol

import numpy as np

from robowm.batch import Observation


class Controller(Protocol):
    """Acts in several episodes at once; a slot is one running episode.

    A controller's answer in a slot depends only on that slot's seed and observations, so results
    are the same however many episodes run side by side. One that also has a method
    `looks(slot) -> bool` says by it whether the frame of the slot's next observation will be looked
    at; if not it need not be drawn.

    Attributes:
        action_dim: A, how many numbers one action has.
    """

    action_dim: int

    def reset(self, slot: int, seed: int) -> None:
        """Begin a new episode in `slot`: forget its history, seed its noise."""

    def act(self, slots: list[int], observations: list[Observation]) -> np.ndarray:
        """Actions float32 (len(slots), A), one for each slot's newest observation."""


class NullController:
    """Asks for zero, always: what a policy that learnt nothing scores."""

    def __init__(self, action_dim: int) -> None:
        self.action_dim = action_dim

    def reset(self, slot: int, seed: int) -> None:
        """Nothing to forget."""

    def act(self, slots: list[int], observations: list[Observation]) -> np.ndarray:
        """Zeros (N, A)."""
        return np.zeros((len(slots), self.action_dim), np.float32)

    def looks(self, slot: int) -> bool:
        """Never."""
        return False


class RandomController:
    """Uniform actions between `low` and `high` (each (A,)): what chance scores."""

    def __init__(self, low: np.ndarray, high: np.ndarray) -> None:
        self.action_dim = len(low)
        self._low, self._high = low, high
        self._rngs: dict[int, np.random.Generator] = {}

    def reset(self, slot: int, seed: int) -> None:
        """Seed the slot's generator."""
        self._rngs[slot] = np.random.default_rng(seed)

    def act(self, slots: list[int], observations: list[Observation]) -> np.ndarray:
        """Uniform samples (N, A)."""
        draws = [self._rngs[slot].uniform(self._low, self._high) for slot in slots]
        return np.stack(draws).astype(np.float32)

    def looks(self, slot: int) -> bool:
        """Never."""
        return False
