"""Synthetic transitions whose truth is known: a camera moves, an object moves on top of it.

Backgrounds are frames of real clips where a corpus is given, else multi-octave textured noise.
Rendered at twice the size and averaged down; lengths are in pixels of a 64-pixel picture.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

Camera = Literal["still", "drift", "handheld", "tilt"]
Shape = Literal["square", "arm"]
FINER = 2  # rendered at so many times the size
ROOM = 1.5  # the background is so much larger than the picture


@dataclass(frozen=True)
class SceneConfig:
    """One kind of scene."""

    size_px: int = 64
    """side of the picture, pixels"""
    share: float = 0.2
    """share of the picture that the object covers"""
    shape: Shape = "square"
    """a square in the middle, or an arm that comes in from an edge"""
    camera: Camera = "handheld"
    """still; drift: up to 0.5 px of shift; handheld: up to 2.5 px, 1.5 degrees, 2 % of zoom;
    tilt: handheld with perspective"""
    noise: float = 2.0
    """standard deviation of the sensor's noise, grey levels"""


@dataclass(frozen=True)
class Scene:
    """Two pictures and the truth about them.

    Attributes:
        first, second: uint8 (S, S, 3).
        camera: float64 (3, 3), where static points of the first picture are in the second.
        residual: float32 (S, S, 2), pixels, what moved apart from the camera.
        object: bool (S, S), where the object is in the first picture.
    """

    first: np.ndarray
    second: np.ndarray
    camera: np.ndarray
    residual: np.ndarray
    object: np.ndarray


def make_scene(config: SceneConfig, rng: np.random.Generator, pictures: list[np.ndarray]) -> Scene:
    """A random scene; `pictures` (of any size) are its background and its object's skin."""
    size = config.size_px * FINER
    behind, skin = (
        _square(pictures[rng.integers(len(pictures))], round(size * ROOM), rng) for _ in "ab"
    )
    outline = _arm(config, rng) if config.shape == "arm" else _box(config, rng)
    camera = _camera_motion(config, rng)
    pivot = outline.mean(0) if config.shape == "square" else outline[0]
    turn = np.deg2rad(rng.uniform(-4, 4)) if config.shape == "arm" else 0.0
    length, heading = rng.uniform(1.5, 5), rng.uniform(0, 2 * np.pi)
    shift = length * np.array([np.cos(heading), np.sin(heading)]) * config.size_px / 64
    moved = camera @ _about(pivot, _similar(1, turn, *shift))
    covered = _fill(outline, np.eye(3), config.size_px)
    frames = [
        _render(behind, skin, outline, ground, piece, config, rng)
        for ground, piece in ((np.eye(3), np.eye(3)), (camera, moved))
    ]
    y, x = np.mgrid[: config.size_px, : config.size_px]
    grid = np.stack([x, y], axis=-1).astype(np.float64)
    apart = _through(moved, grid) - _through(camera, grid)
    inside = covered > 0.5
    residual = np.where(inside[..., None], apart, 0).astype(np.float32)
    return Scene(frames[0], frames[1], camera, residual, inside)


def noise_pictures(count: int, seed: int) -> list[np.ndarray]:
    """Multi-octave textures, uint8 (192, 192, 3)."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        layers = [
            cv2.resize(rng.normal(size=(192 // b, 192 // b, 3)), (192, 192), interpolation=2)
            for b in (2, 4, 8, 16, 48)
        ]
        total = sum(layers)
        made.append((128 + 45 * total / total.std()).clip(0, 255).astype(np.uint8))
    return made


def corpus_pictures(corpus: Path, count: int, seed: int) -> list[np.ndarray]:
    """A frame from the middle of each of `count` single-shot clips, RGB."""
    import av

    with (corpus / "INDEX.tsv").open(newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        usable = {"robot_single", "human_single"}
        paths = sorted(row["path"] for row in rows if row["kind"] in usable)
    paths = [path for path in paths if path.startswith("clips/")]
    made = []
    for n in np.random.default_rng(seed).permutation(len(paths))[:count]:
        with av.open(str(corpus / paths[n])) as container:
            frames = [it for it, _ in zip(container.decode(video=0), range(15), strict=False)]
        made.append(frames[-1].to_ndarray(format="rgb24"))
    return made


def _render(
    behind: np.ndarray,
    skin: np.ndarray,
    outline: np.ndarray,
    ground: np.ndarray,
    piece: np.ndarray,
    config: SceneConfig,
    rng: np.random.Generator,
) -> np.ndarray:
    size = config.size_px * FINER
    finer = _similar(FINER, 0, (FINER - 1) / 2, (FINER - 1) / 2)  # centres of pixels
    room = _similar(1, 0, -(ROOM - 1) / 2 * size, -(ROOM - 1) / 2 * size)

    def seen(picture: np.ndarray, motion: np.ndarray) -> np.ndarray:
        matrix = finer @ motion @ np.linalg.inv(finer) @ room
        return cv2.warpPerspective(
            picture, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )

    front = _fill(outline, piece, config.size_px, FINER)[..., None]
    mixed = seen(behind, ground) * (1 - front) + seen(skin, piece) * front
    small = cv2.resize(mixed, (config.size_px, config.size_px), interpolation=cv2.INTER_AREA)
    noise = rng.normal(0, config.noise, small.shape)
    return (small + noise).round().clip(0, 255).astype(np.uint8)


def _fill(outline: np.ndarray, motion: np.ndarray, size_px: int, finer: int = 1) -> np.ndarray:
    """float32 in [0, 1]: how much of each pixel the outline covers."""
    eighths = 8 // finer
    corners = (_through(motion, outline) + 0.5) * 8 - 0.5
    drawn = np.zeros((size_px * 8, size_px * 8), np.float32)
    cv2.fillPoly(drawn, [corners.round().astype(np.int32)], 1.0)
    return drawn.reshape(size_px * finer, eighths, size_px * finer, eighths).mean((1, 3))


def _box(config: SceneConfig, rng: np.random.Generator) -> np.ndarray:
    half = config.share**0.5 / 2
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]])
    room = max(0.0, 0.5 - half - 0.03)
    centre = 0.5 + rng.uniform(-1, 1, 2) * min(0.2, room)
    return (centre + corners) * config.size_px


def _arm(config: SceneConfig, rng: np.random.Generator) -> np.ndarray:
    """A tapering beam from outside an edge towards the middle; its first corner is at the base."""
    reach = rng.uniform(0.55, 0.85)
    width = config.share / reach
    base = rng.uniform(0.3, 0.7)
    tip = np.array([rng.uniform(0.25, 0.75), reach])
    side = np.array([1.0, 0.0])
    start = np.array([base, -0.15])
    corners = [
        start - side * width * 0.6,
        start + side * width * 0.6,
        tip + side * width * 0.4,
        tip - side * width * 0.4,
    ]
    outline = np.array(corners) * config.size_px
    for _ in range(rng.integers(4)):  # quarter turns: any edge
        outline = np.stack([config.size_px - outline[:, 1], outline[:, 0]], axis=-1)
    return outline


def _camera_motion(config: SceneConfig, rng: np.random.Generator) -> np.ndarray:
    unit = config.size_px / 64
    if config.camera == "still":
        return np.eye(3)
    if config.camera == "drift":
        return _similar(1, 0, *rng.uniform(-0.5, 0.5, 2) * unit)
    turn, zoom = np.deg2rad(rng.uniform(-1.5, 1.5)), 1 + rng.uniform(-0.02, 0.02)
    motion = _similar(zoom, turn, *rng.uniform(-2.5, 2.5, 2) * unit)
    if config.camera == "tilt":  # up to 1.6 px of bend at the corners
        motion[2, :2] = rng.uniform(-0.05, 0.05, 2) / config.size_px
    middle = np.full(2, (config.size_px - 1) / 2)
    return _about(middle, motion)


def _about(pivot: np.ndarray, motion: np.ndarray) -> np.ndarray:
    there = _similar(1, 0, *pivot)
    return there @ motion @ np.linalg.inv(there)


def _similar(scale: float, turn: float, x: float, y: float) -> np.ndarray:
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    return np.array([[c, -s, x], [s, c, y], [0, 0, 1]])


def _through(motion: np.ndarray, points: np.ndarray) -> np.ndarray:
    moved = points @ motion[:, :2].T + motion[:, 2]
    return moved[..., :2] / moved[..., 2:]


def _square(picture: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """A random square cut of a picture, as large as it goes, resized; as float32."""
    height, width = picture.shape[:2]
    edge = min(height, width)
    y, x = rng.integers(height - edge + 1), rng.integers(width - edge + 1)
    cut = picture[y : y + edge, x : x + edge]
    how = cv2.INTER_AREA if edge > side else cv2.INTER_CUBIC
    return cv2.resize(cut, (side, side), interpolation=how).astype(np.float32)
