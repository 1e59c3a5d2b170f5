"""Where the hand is seen: found from motion and proprioception, refused where it cannot be."""

from collections.abc import Callable

import numpy as np
import pytest

from robowm.motion.extent import CELLS, Moving, moving
from robowm.policy.eye import Eye, place_columns

EPISODES, LENGTH = 10, 40
NAMES = ["hand_x_m", "hand_y_m", "hand_z_m"]
TOP = np.array([0.0, -1.0])


def project(states: np.ndarray) -> np.ndarray:
    """A camera's picture of places: from -1 to 1."""
    x, y, z = np.moveaxis(states, -1, 0)
    away = 1 + 0.2 * y + 0.1 * z
    return np.stack([0.5 * x + 0.1 * z, 0.1 + 0.4 * y - 0.1 * z], axis=-1) / away[..., None]


def arms(seed: int = 0, blind: bool = False) -> tuple[np.ndarray, np.ndarray, Moving, np.ndarray]:
    """An arm from the middle of the top edge to a hand, which moves as a whole."""
    rng = np.random.default_rng(seed)
    states = rng.uniform(-1, 1, (EPISODES * LENGTH, 3))
    then = states + rng.normal(0, 0.15, states.shape)
    hand, step = project(states), project(then) - project(states)
    if blind:
        hand = rng.uniform(-1, 1, hand.shape)
    centres = (np.arange(CELLS) + 0.5) * 2 / CELLS - 1
    at = np.stack(np.meshgrid(centres, centres), axis=-1)[None]  # (1, h, w, 2)
    along = hand - TOP
    share = ((at - TOP) * along[:, None, None]).sum(-1) / np.square(along).sum(-1)[:, None, None]
    nearest = TOP + share.clip(0, 1)[..., None] * along[:, None, None]
    thick = np.linalg.norm(at - nearest, axis=-1) < 0.12
    held = np.linalg.norm(at - hand[:, None, None], axis=-1) < 0.2
    moved = np.where(held, 1, np.where(thick, share.clip(0, 1) ** 2, 0))
    flow = moved[..., None] * step[:, None, None]
    low, high = np.minimum(hand, TOP), np.maximum(hand, TOP)
    ends = np.stack([low, (low + high) / 2, high], axis=-1) + rng.normal(0, 0.05, (len(hand), 2, 3))
    ends[::7] = np.nan
    seen = Moving(ends.astype(np.float32), flow.astype(np.float16))
    return states, then, seen, np.repeat(np.arange(EPISODES), LENGTH)


@pytest.mark.parametrize(("names", "astray"), [(NAMES, 0.03), (None, 0.05)])
def test_the_place_of_the_hand_is_found(names: list[str] | None, astray: float) -> None:
    eye = Eye.fit(*arms(), names)
    assert eye is not None and eye.error < 0.3
    poses = np.random.default_rng(5).uniform(-0.8, 0.8, (6, 50, 3))
    places = eye.places(poses)
    assert places.shape == (6, 50, 2) and places.dtype == np.float32
    away = places - project(poses)
    steady = away - np.median(away, axis=(0, 1))  # which point of the hand it is, is open
    assert np.median(np.linalg.norm(steady, axis=-1)) < astray
    assert np.linalg.norm(np.median(away, axis=(0, 1))) < 0.2


def test_flow_finds_it_finer_than_an_end_does(monkeypatch: pytest.MonkeyPatch) -> None:
    poses = np.random.default_rng(5).uniform(-0.8, 0.8, (300, 3))

    def astray() -> float:
        eye = Eye.fit(*arms(), NAMES)
        assert eye is not None
        away = eye.places(poses) - project(poses)
        return float(np.median(np.linalg.norm(away - np.median(away, axis=0), axis=-1)))

    with_flow = astray()
    monkeypatch.setattr("robowm.policy.eye.RATE", 0.0)
    monkeypatch.setattr("robowm.policy.eye.MOST_ERROR", 9.0)
    assert with_flow < 0.5 * astray()


def test_motion_that_does_not_follow_the_hand_is_refused() -> None:
    assert Eye.fit(*arms(blind=True), NAMES) is None
    states, then, seen, episode = arms()
    still = Moving(np.full_like(seen.extents, np.nan), np.zeros_like(seen.flow))
    assert Eye.fit(states, then, still, episode, NAMES) is None


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["gripper", "hand_x_m", "hand_y_m", "hand_z_m"], (1, 2, 3)),
        (["x", "y", "z", "roll", "pitch", "yaw"], (0, 1, 2)),
        (["hand_rotation_xx", "hand_rotation_yx", "hand_rotation_zx"], ()),
        (["left_x_m", "left_y_m", "left_z_m", "right_x_m", "right_y_m", "right_z_m"], ()),
        (["shoulder_pan.pos", "elbow_flex.pos"], ()),
        (None, ()),
    ],
)
def test_names_tell_which_numbers_are_a_place(
    names: list[str] | None, columns: tuple[int, ...]
) -> None:
    assert place_columns(names) == columns


def test_extents_frame_what_moves(draw_square: Callable[..., np.ndarray]) -> None:
    frames = draw_square(64, np.array([[6.0, 0.0], [6.0, 0.0], [0.0, 0.0]]), seed=3)
    seen = moving(frames[:-1], frames[1:])
    found = seen.extents
    assert found.shape == (3, 2, 3) and seen.flow.shape == (3, CELLS, CELLS, 2)
    assert np.isnan(found[2]).all()  # it stands still
    side = 21 * 2 / 64
    width = found[:2, 0, 2] - found[:2, 0, 0]
    assert ((width > 0.4 * side) & (width < 1.6 * side)).all()
    assert (found[1, 0] > found[0, 0] + 0.5 * 6 * 2 / 64).all()  # moves on to the right
    np.testing.assert_allclose(found[0, 1, 1], 0, atol=0.15)  # as high as the picture's middle
    middle = seen.flow[0, CELLS // 2, CELLS // 2].astype(np.float64)
    np.testing.assert_allclose(middle, [6 * 2 / 64, 0], atol=0.04)


def test_its_camera_sees_what_it_sees() -> None:
    eye = Eye.fit(*arms(), NAMES)
    assert eye is not None
    mean, deviation = np.array([0.1, -0.2, 0.3]), np.array([0.5, 2.0, 0.7])
    camera = eye.camera(mean, deviation)
    assert camera is not None and camera.shape == (3, 4)
    states = np.random.default_rng(2).uniform(-1, 1, (20, 3))
    seen = np.c_[(states - mean) / deviation, np.ones(20)] @ camera.T
    np.testing.assert_allclose(seen[:, :2] / seen[:, 2:], eye.places(states), atol=1e-5)
    quadratic = Eye.fit(*arms(), None)
    assert quadratic is not None and quadratic.camera(mean, deviation) is None
