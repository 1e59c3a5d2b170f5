"""A knocked camera, and other light, are undone: at an episode's first look, and in video."""

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature

from robowm.policy.cameras import Cameras, looks_of
from robowm.policy.configuration_vipra import VipraConfig
from robowm.policy.modeling_vipra import VipraPolicy
from robowm.policy.so_far import SoFar
from robowm.policy.standpoint import ROOM_PX, STILL, Standpoint
from robowm.train.eyes import Eyes
from robowm.train.frames import Frames
from robowm.train.righted import right_films

CAMERA = "observation.images.front"
TURN, LIGHT = np.deg2rad([2.0, -3.0, 2.5]), np.array([0.3, 0.25, 0.2, 0.1, 0.0])
KNOCK = Standpoint(-TURN, -LIGHT, 1.0)  # what it undoes has been turned the other way


def room(seed: int) -> np.ndarray:
    """Blobs and edges of many sizes, uint8 (ROOM_PX, ROOM_PX, 3)."""
    rng = np.random.default_rng(seed)
    picture = np.full((ROOM_PX, ROOM_PX, 3), 120, np.uint8)
    for _ in range(80):
        centre, size = rng.integers(0, ROOM_PX, 2), rng.integers(3, ROOM_PX // 5)
        colour = rng.integers(50, 180, 3).tolist()
        cv2.rectangle(picture, centre.tolist(), (centre + size).tolist(), colour, -1)
    return cv2.GaussianBlur(picture, (3, 3), 0)


ROOMS = np.stack([room(seed) for seed in range(2)])
LOOKS = looks_of(torch.from_numpy(ROOMS).permute(0, 3, 1, 2).float() / 255)
MIDDLE = (slice(24, -24),) * 2


def off(picture: np.ndarray, true: np.ndarray) -> float:
    """Mean absolute difference in the middle, of 255."""
    return float(np.abs(picture[MIDDLE].astype(float) - true[MIDDLE]).mean())


@pytest.fixture
def cameras() -> Cameras:
    known = Cameras()
    known.know(torch.eye(3, 4).expand(2, -1, -1), LOOKS, ROOMS)
    return known


def test_a_picture_is_compared_with_its_own_room(cameras: Cameras) -> None:
    read = Cameras()
    read.load_state_dict(cameras.state_dict())
    for true in ROOMS:
        found = read.standpoint(KNOCK.undo(true) / np.float32(255))
        np.testing.assert_allclose(found.turn, TURN, atol=np.deg2rad(0.2))
    assert read.standpoint(room(5) / np.float32(255)) is STILL


def test_policies_of_before_know_no_room(cameras: Cameras) -> None:
    state = cameras.state_dict()
    del state["rooms"]
    read = Cameras()
    read.load_state_dict(state)
    assert read.known and read.standpoint(KNOCK.undo(ROOMS[0]) / np.float32(255)) is STILL
    read.load_state_dict(cameras.state_dict())
    read.load_state_dict(state)
    assert not read.rooms.any()  # nor what another policy knew


def policy(**changes: Any) -> VipraPolicy:
    """One that goes by goals, and knows both rooms."""
    shapes = {CAMERA: (FeatureType.VISUAL, (3, ROOM_PX, ROOM_PX))}
    shapes["observation.state"] = (FeatureType.STATE, (4,))  # type: ignore[assignment]
    fields: dict[str, Any] = {
        "device": "cpu",
        "input_features": {key: PolicyFeature(*shape) for key, shape in shapes.items()},
        "output_features": {"action": PolicyFeature(FeatureType.ACTION, (3,))},
        "action_head": "goals",
        "state_places": [0, 1, 2],
        "size_px": ROOM_PX,
        "points": 4,
        "channels": 16,
        "width": 32,
        "depth": 1,
        "heads": 2,
    }
    torch.manual_seed(0)
    made = VipraPolicy(VipraConfig(**fields | changes)).eval()
    made.decoder.reader.cameras.know(torch.eye(3, 4).expand(2, -1, -1), LOOKS, ROOMS)
    return made


def test_an_episodes_first_look_tells_how_its_camera_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[np.ndarray] = []
    made = policy()

    def sample(frames: torch.Tensor, *args: Any) -> torch.Tensor:
        seen.append((255 * frames[:, -1]).permute(0, 2, 3, 1).numpy())
        return torch.zeros(len(frames), 8, 3)

    monkeypatch.setattr(made.decoder, "sample", sample)
    so_far = [SoFar(), SoFar()]
    first = [KNOCK.undo(ROOMS[0]), ROOMS[1]]
    # then an arm fills the knocked one's picture, by which nothing could be told
    for pictures in (first, [np.full_like(ROOMS[0], 60), ROOMS[1]]):
        frames = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
        batch = {CAMERA: frames[:, None].expand(-1, 2, -1, -1, -1), "task": ["go", "go"]}
        batch["observation.state"] = torch.zeros(2, 2, 4)
        made.predict_action_chunk(batch, so_far=so_far)
    assert off(first[0], ROOMS[0]) > 20 > 5 > off(seen[0][0], ROOMS[0])
    np.testing.assert_allclose(seen[0][1], ROOMS[1], atol=1e-3)  # as it came
    assert so_far[0].stands is not None and so_far[0].stands.turned
    np.testing.assert_allclose(seen[1][0].mean((0, 1)), 60 * np.exp(LIGHT[:3]), rtol=0.03)
    made.config.right_pictures = False
    made.predict_action_chunk(batch, so_far=[SoFar(), SoFar()])
    np.testing.assert_allclose(seen[2][0], 60, atol=1e-3)


def test_video_is_righted_but_not_that_of_other_hands() -> None:
    shown = [ROOMS[0], ROOMS[0], KNOCK.undo(ROOMS[0]), room(5), KNOCK.undo(ROOMS[0])]
    number = np.repeat(np.arange(5), 3)
    frames = Frames(
        pixels=np.repeat(np.stack(shown), 3, axis=0),
        start=number * 3,
        end=number * 3 + 3,
        task=np.zeros(15, np.int64),
        tasks=[""],
        episode=number,
        columns={},
        other=number == 4,
    )
    before = frames.pixels.copy()
    eyes = Eyes((), LOOKS, np.zeros(15, int), ROOMS)
    assert right_films(frames, number > 0, eyes) == 1
    for episode in (0, 1, 3, 4):
        np.testing.assert_array_equal(frames.pixels[number == episode], before[number == episode])
    assert off(shown[2], ROOMS[0]) > 20 > 5 > off(frames.pixels[8], ROOMS[0])
    unknown = Eyes((), LOOKS[:1], np.zeros(15, int))
    assert right_films(frames, number > 0, unknown) == 0
