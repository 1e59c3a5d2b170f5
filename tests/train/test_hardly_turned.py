"""What demonstrations never tell an arm is measured as the rest of its vector is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.spatial.transform import Rotation

from robowm import recipes
from robowm.episodes import Episodes, EpisodeWriter, image_feature, vector_feature
from robowm.train.demonstrations import level_vectors, read_stats
from robowm.train.finetune import finetune

PLACE, AXES = ["hand_x_m", "hand_y_m", "hand_z_m"], ["xx", "yx", "zx", "xy", "yy", "zy"]
STATE = [*PLACE, *(f"hand_rotation_{name}" for name in AXES), "gripper_gap_m"]
ACTION = ["dx", "dy", "dz", *(f"delta_rotation_{axis}" for axis in "xyz"), "gripper"]
STEPS = 40


@pytest.fixture
def arm(tmp_path: Path) -> Episodes:
    """An arm that moves, and tilts as it goes, but is never told to turn about the vertical."""
    features = {
        "observation.images.main": image_feature(16),
        "observation.state": vector_feature("float32", STATE),
        "action": vector_feature("float32", ACTION),
    }
    writer = EpisodeWriter(tmp_path / "arm", 10, features, "arm")
    for seed in range(2):
        rng = np.random.default_rng(seed)
        told = rng.normal(0, 0.3, (STEPS, 7)).astype(np.float32)
        told[:, 5] = 0
        told[:, 6] = np.where(np.arange(STEPS) < 25, -1, 1)
        place = np.cumsum(0.05 * told[:, :3], axis=0)
        facing = [Rotation.from_rotvec([np.pi, 0, 0])]
        for turn in told[:-1, 3:6]:
            facing.append(Rotation.from_rotvec(0.2 * turn) * facing[-1])
        axes = np.stack([one.as_matrix()[:, :2].T.reshape(-1) for one in facing])
        columns = {
            "observation.images.main": rng.integers(0, 255, (STEPS, 16, 16, 3), dtype=np.uint8),
            "observation.state": np.c_[place, axes, told[:, 6]].astype(np.float32),
            "action": told,
        }
        writer.add(columns, "take it")
    writer.close()
    return Episodes(tmp_path / "arm")


def test_practice_turns_a_hand_about_the_axis_that_was_never_told(
    arm: Episodes, tmp_path: Path
) -> None:
    recipe = recipes.load("policies/vipra").tiny().finetune
    train = replace(recipe.train, steps=3, batch_size=4)
    finetune("scratch", arm.root, tmp_path / "policy", replace(recipe, train=train))
    curves = json.loads((tmp_path / "policy" / "curves.json").read_text())["series"]
    assert max(value for _, value in curves["action_error"]) < 10  # it was millions
    (saved,) = (tmp_path / "policy").glob("policy_postprocessor*.safetensors")
    deviation = load_file(saved)["action.std"]
    own = read_stats([arm])["action"]["std"]
    assert own[5] == 0 and deviation[5] == pytest.approx(float(own[3:6].square().mean().sqrt()))
    assert torch.equal(deviation[[0, 1, 2, 3, 4, 6]], own[[0, 1, 2, 3, 4, 6]])


def test_what_varies_in_its_own_way_keeps_its_deviation() -> None:
    action = {"std": torch.tensor([0.3, 0.04, 0.2, 0.0, 0.0, 0.0, 1.0])}
    level_vectors(action, [(0, 1, 2), (3, 4, 5)])
    told = action["std"].tolist()
    assert told == pytest.approx([0.3, 0.04, 0.2, 0, 0, 0, 1])  # nor what is never told at all
