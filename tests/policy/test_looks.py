"""Frames that a policy does not look at are not drawn, and it does the same without them."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature

from robowm.policy.configuration_vipra import VipraConfig
from robowm.policy.controller import NullController
from robowm.policy.lerobot_controller import LeRobotController
from robowm.policy.modeling_vipra import VipraPolicy
from robowm.policy.processor_vipra import make_vipra_pre_post_processors
from robowm.sim.pool import EnvPool
from robowm.sim.rollout import rollout

CAMERA = "observation.images.front"
STEPS = 13


class Noisy(gymnasium.Env[Any, np.ndarray]):
    """Every step has a frame of its own, drawn only when asked for."""

    observation_space = gymnasium.spaces.Dict({})
    action_space = gymnasium.spaces.Box(-9, 9, (2,), np.float32)

    def __init__(self) -> None:
        self.drawn: list[int] = []
        self.acted: list[np.ndarray] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        self._at = 0
        return self._observe(True), {"success": False}

    def step(self, action: np.ndarray, draw: bool = True) -> tuple[Any, float, bool, bool, Any]:
        self._at += 1
        self.acted.append(action)
        return self._observe(draw), 0.0, False, self._at >= STEPS, {"success": False}

    def _observe(self, draw: bool) -> dict[str, np.ndarray]:
        if draw:
            self.drawn.append(self._at)
            rng = np.random.default_rng(self._at)
            self._frame = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        state = np.random.default_rng(100 + self._at).normal(size=2).astype(np.float32)
        return {"frame": self._frame, "state": state}


def controller(context_frames: int, executed: int) -> LeRobotController:
    torch.manual_seed(0)
    config = VipraConfig(
        device="cpu",
        input_features={
            CAMERA: PolicyFeature(FeatureType.VISUAL, (3, 32, 32)),
            "observation.state": PolicyFeature(FeatureType.STATE, (2,)),
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, (2,))},
        n_obs_steps=3,
        context_frames=context_frames,
        chunk_size=5,
        n_action_steps=executed,
        size_px=32,
        points=4,
        channels=16,
        width=32,
        depth=1,
        heads=2,
    )
    stats = {
        key: {"mean": torch.zeros(2), "std": torch.ones(2)}
        for key in ("observation.state", "action")
    }
    policy = VipraPolicy(config).eval()
    return LeRobotController(policy, *make_vipra_pre_post_processors(config, stats))


def played(made: Any, filmed: Sequence[int] = ()) -> Noisy:
    env = Noisy()
    pool = EnvPool(lambda: env, 1)
    (result,) = rollout(pool, made, [7], keep_frames_of=filmed)
    assert result.length == STEPS
    return env


@pytest.mark.parametrize(("context_frames", "executed"), [(1, 4), (2, 4), (2, 1), (3, 5)])
def test_what_is_not_looked_at_is_not_drawn(context_frames: int, executed: int) -> None:
    made = controller(context_frames, executed)
    some, all_of_it = played(made), played(made, filmed=[7])
    np.testing.assert_array_equal(some.acted, all_of_it.acted)
    assert all_of_it.drawn == [*range(STEPS + 1)]
    planned = range(0, 2 * STEPS, executed)
    needed = {at for plan in planned for at in range(plan - context_frames + 1, plan + 1)}
    assert some.drawn == [at for at in range(STEPS + 1) if at in needed]


def test_for_one_that_never_looks_the_first_frame_is_enough() -> None:
    assert played(NullController(2)).drawn == [0]
