"""A camera that was knocked, and other light, are noticed and undone."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from robowm.policy.standpoint import ALIKE, ROOM_PX, STILL, Standpoint, find
from robowm.video.decode import open_file

FOCAL = 1.35  # of the side: not the one that is assumed
TURNS_DEG = ((3.0, -4.0, 2.0), (-4.0, 1.0, -4.0), (0.5, 3.5, 4.0), (-1.0, -0.5, 0.0))


def room(seed: int, side: int = ROOM_PX) -> np.ndarray:
    """Blobs and edges of many sizes, uint8 (side, side, 3)."""
    rng = np.random.default_rng(seed)
    picture = np.full((side, side, 3), 120, np.uint8)
    for _ in range(80):
        centre, size = rng.integers(0, side, 2), rng.integers(side // 40, side // 5)
        colour = rng.integers(30, 200, 3).tolist()
        cv2.rectangle(picture, centre.tolist(), (centre + size).tolist(), colour, -1)
    return cv2.GaussianBlur(picture, (3, 3), 0)


def pixels(turn_deg: tuple[float, ...], side: int) -> np.ndarray:
    """(3, 3), from a pixel before the camera turned to the same thing's after it."""
    middle = (side - 1) / 2
    camera = np.array([[FOCAL * side, 0, middle], [0, FOCAL * side, middle], [0, 0, 1]])
    turn = Rotation.from_rotvec(turn_deg, degrees=True).as_matrix()
    return np.asarray(camera @ turn @ np.linalg.inv(camera))


def knocked(picture: np.ndarray, turn_deg: tuple[float, ...]) -> np.ndarray:
    """Seen by the turned camera."""
    side = len(picture)
    return np.asarray(
        cv2.warpPerspective(
            picture, pixels(turn_deg, side), (side, side), borderMode=cv2.BORDER_REFLECT
        )
    )


def astray_px(found: Standpoint, turn_deg: tuple[float, ...]) -> float:
    """Mean error in the inner three quarters of a picture of ROOM_PX."""
    ticks = np.linspace(ROOM_PX / 8, ROOM_PX * 7 / 8, 5)
    grid = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 1, 2)
    true = cv2.perspectiveTransform(grid, pixels(turn_deg, ROOM_PX))
    return float(np.linalg.norm(found.seen_at(grid) - true, axis=-1).mean())


@pytest.mark.parametrize("turn_deg", TURNS_DEG)
@pytest.mark.parametrize("side", [64, 128, 224])
def test_a_turn_is_found_whatever_lies_about(turn_deg: tuple[float, ...], side: int) -> None:
    seen = knocked(room(0, side), turn_deg)
    seen[side // 3 : side * 3 // 4, side // 2 : side * 7 // 8] = (20, 20, 25)  # an arm
    found = find(seen, room(0, side))
    assert astray_px(found, turn_deg) < 0.5
    assert found.alike > ALIKE and found.turned


def test_light_is_undone() -> None:
    before = room(1) / 255
    ticks = np.linspace(-1, 1, ROOM_PX)
    gain = np.exp(0.25 * ticks[None, :, None] - 0.1 * ticks[:, None, None] - [0.5, 0.3, 0.4])
    seen = np.rint(255 * before * gain).astype(np.uint8)
    found = find(seen, room(1))
    assert found.lit and not found.turned
    np.testing.assert_allclose(found.light, [0.5, 0.3, 0.4, -0.25, 0.1], atol=0.02)
    assert np.abs(found.undo(seen) / 255 - before).mean() < 0.01


def test_a_turned_picture_is_turned_back() -> None:
    before, turn_deg = room(2), TURNS_DEG[0]
    seen = knocked(before, turn_deg)
    back = find(seen, before).undo(seen)
    inner = (slice(24, -24),) * 2
    wrong, was = (np.abs(p[inner].astype(float) - before[inner]).mean() for p in (back, seen))
    assert back.dtype == np.uint8 and wrong < 0.2 * was
    small = find(seen, before).undo((seen / 255).astype(np.float32))
    assert small.dtype == np.float32
    np.testing.assert_allclose(small, back / 255, atol=0.5 / 255 + 1e-6)


def test_a_picture_that_differs_little_is_left_as_it_is() -> None:
    seen = room(3)
    seen[40:80, 50:90] = (200, 30, 30)
    found = find(seen, room(3))
    assert not found.turned and not found.lit
    assert found.undo(seen) is seen


@pytest.mark.parametrize("seed", range(4, 12))
def test_another_room_is_not_alike(seed: int) -> None:
    assert find(room(seed), room(3)).alike < ALIKE


def test_an_arm_before_a_bare_wall_tells_nothing() -> None:
    wall = np.full((ROOM_PX, ROOM_PX, 3), 120, np.uint8)
    before, after = wall.copy(), wall.copy()
    before[40:80, 30:50], after[50:90, 36:56] = 20, 20
    for seen in (wall, before, after):
        assert find(seen, before) is STILL


def test_real_scenes_are_known_again_when_the_arm_is_elsewhere(corpus: Path) -> None:
    """Rooms of DROID, whose camera stands still: the first picture, and a later one, knocked."""
    for number, path in enumerate(sorted((corpus / "pool_droid").rglob("*.mp4"))[:200:20]):
        before, after = first_and_last(path)
        turn_deg = TURNS_DEG[number % len(TURNS_DEG)]
        found = find(knocked(after, turn_deg), before)
        assert found.alike > ALIKE and astray_px(found, turn_deg) < 0.5, path.name


def first_and_last(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with open_file(path) as video:
        shown = [video.small(frame, ROOM_PX, ROOM_PX) for _, frame in video.frames()]
    return shown[0], shown[-1]
