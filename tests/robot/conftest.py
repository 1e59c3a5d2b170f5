"""An emulated arm whose time is the test's, and controllers that misbehave."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from robowm import recipes
from robowm.batch import Observation
from robowm.robot.config_so101_emulated import SO101EmulatedConfig
from robowm.robot.profile import RobotProfile
from robowm.robot.so101_emulated import SO101Emulated


class ManualClock:
    """Time passes only when somebody sleeps or says so."""

    def __init__(self) -> None:
        self.time_s = 100.0

    def now_s(self) -> float:
        return self.time_s

    def sleep_until(self, deadline_s: float) -> None:
        self.time_s = max(self.time_s, deadline_s)


class Asks:
    """A controller that answers with what `answer(tick, state)` returns."""

    action_dim = 6

    def __init__(self, answer: Callable[[int, np.ndarray], object]) -> None:
        self._answer = answer
        self._resets = 0
        self._tick = 0

    def reset(self, slot: int, seed: int) -> None:
        self._resets += 1
        self._tick = 0

    def act(self, slots: list[int], observations: list[Observation]) -> np.ndarray:
        state = observations[0].state.astype(np.float64)
        if self._resets == 1:  # before the run a controller is tried once, then reset again
            return state[None]
        self._tick += 1
        return np.asarray(self._answer(self._tick - 1, state))[None]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def profile() -> RobotProfile:
    return recipes.load("real_robot/so101_emulated").ROBOT


@pytest.fixture
def robot(clock: ManualClock) -> SO101Emulated:
    """The arm without its camera, whose pictures take longer than its physics."""
    return SO101Emulated(SO101EmulatedConfig(id="test", image_px=0), clock=clock.now_s)


@pytest.fixture
def seeing(clock: ManualClock) -> SO101Emulated:
    """The arm with a small camera."""
    return SO101Emulated(SO101EmulatedConfig(id="test", image_px=16), clock=clock.now_s)


@pytest.fixture
def asks() -> type[Asks]:
    return Asks


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "log"
