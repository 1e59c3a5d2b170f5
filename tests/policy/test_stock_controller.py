"""LeRobot's own policies in our harness: every episode has its own history, and its own noise."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies.factory import get_policy_class, make_policy_config, make_pre_post_processors

from robowm.batch import Observation
from robowm.policy.lerobot_controller import LeRobotController, load_controller

# its residual VQ has learnt nothing, like the rest of it
pytestmark = pytest.mark.filterwarnings("ignore:To evaluate in the environment, your VQ-BeT")
CAMERA = "observation.images.agentview"
SMALL = {
    "act": {
        **{"dim_model": 16, "n_heads": 2, "dim_feedforward": 16, "n_encoder_layers": 1},
        **{"n_vae_encoder_layers": 1, "latent_dim": 4, "chunk_size": 4, "n_action_steps": 3},
    },
    "vqbet": {"gpt_n_layer": 1, "gpt_n_head": 2, "gpt_hidden_dim": 16, "crop_shape": None},
}


@pytest.fixture(scope="module", params=sorted(SMALL))
def controller(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LeRobotController:
    torch.manual_seed(0)
    config = make_policy_config(
        request.param,
        device="cpu",
        input_features={
            CAMERA: PolicyFeature(FeatureType.VISUAL, (3, 64, 64)),
            "observation.state": PolicyFeature(FeatureType.STATE, (3,)),
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, (2,))},
        pretrained_backbone_weights=None,
        **SMALL[request.param],
    )
    sizes = {"observation.state": (3,), "action": (2,), CAMERA: (3, 1, 1)}
    stats = {
        key: {"mean": torch.zeros(s), "std": torch.ones(s), "min": -torch.ones(s)}
        | {"max": torch.ones(s)}
        for key, s in sizes.items()
    }
    folder = tmp_path_factory.mktemp(request.param)
    get_policy_class(request.param)(config).save_pretrained(folder)
    for processor in make_pre_post_processors(config, dataset_stats=stats):
        processor.save_pretrained(folder)
    return load_controller(Path(folder))


def seen(slot: int, tick: int) -> Observation:
    rng = np.random.default_rng((slot, tick))
    frame = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    return Observation(frame, rng.normal(size=3).astype(np.float32), "push")


def test_an_episode_is_the_same_beside_others_and_alone(controller: LeRobotController) -> None:
    for slot in (3, 4):
        controller.reset(slot, seed=slot)
    together = [controller.act([3, 4], [seen(3, t), seen(4, t)])[1] for t in range(6)]
    controller.reset(0, seed=4)
    alone = [controller.act([0], [seen(4, t)])[0] for t in range(6)]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert np.isfinite(alone).all() and np.shape(alone) == (6, 2)


def test_a_reset_forgets(controller: LeRobotController) -> None:
    controller.reset(0, seed=1)
    first = [controller.act([0], [seen(1, t)])[0] for t in range(2)]
    controller.reset(0, seed=1)
    again = [controller.act([0], [seen(1, t)])[0] for t in range(2)]
    np.testing.assert_array_equal(first, again)
