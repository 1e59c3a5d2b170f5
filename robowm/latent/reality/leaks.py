"""Test 2: what should not be in a latent action: the camera's motion, and things that only pass by.

Both are put into clips that had neither, so their truth is known. Each transition is used
REPEATS times with different motions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from robowm.latent.reality.footage import Latents, Measured, measure_pairs
from robowm.latent.reality.result import SUGGESTED, Result, not_run
from robowm.latent.reality.truth import flow_grid, frame_differences, principal
from robowm.metrics.bootstrap import Estimate
from robowm.metrics.probe import Probe, ProbeConfig, probe

KINDS = ("linear", "mlp")
REPEATS = 2
MARGIN = 0.12  # of each side: the shaken camera never sees beyond the picture
SHIFT_PX, TURN_DEG, ZOOM = 2.5, 1.5, 0.02  # hand-held jitter at 64 px (vipra brief, 4.3)
PATCH_SHARE, PATCH_PX = 1 / 5, 3.0  # side of the distractor; most it moves, at 64 px
GATE = 0.2
CAMERA_DIMS = ("shift x", "shift y", "rotation", "zoom")
PATCH_DIMS = ("velocity x", "velocity y")


@dataclass(frozen=True)
class Disturbed:
    """Pairs of frames with something put in, and what.

    Attributes:
        first, second: uint8 (N, S, S, 3).
        truth: float64 (N, D).
        episode: int64 (N,).
        where: bool (N, S, S), the pixels of what was put in; None for a camera.
    """

    first: np.ndarray
    second: np.ndarray
    truth: np.ndarray
    episode: np.ndarray
    where: np.ndarray | None = None


def camera_leak(
    labeller: Latents,
    uncompensated: Latents | None,
    sample: Measured,
    kinds: Sequence[str] = KINDS,
) -> Result:
    """R² of the camera's motion read from the latent action, with compensation on and off."""
    name, title = "camera_leak", "Camera motion in the latent action"
    shaken = shake(sample)
    measured = measure_pairs(labeller, shaken.first, shaken.second, shaken.episode)
    if len(set(shaken.episode[measured.valid].tolist())) < 2:
        return not_run(name, title, "needs two episodes that the labeller did not train on")
    leak, baselines, details = _leak(measured, shaken, CAMERA_DIMS, kinds)
    compensates = bool(labeller.config.motion.compensate_camera)
    lower: bool | None = None
    if uncompensated is not None and compensates:
        without = measure_pairs(uncompensated, shaken.first, shaken.second, shaken.episode)
        off, other, _ = _leak(without, shaken, CAMERA_DIMS, kinds)
        baselines = {
            "latents, compensation off": off,
            "flow on a 4x4 grid, compensation off": other["flow on a 4x4 grid"],
        } | baselines
        lower = leak.value < off.value
    off_says = "" if lower is None else f" (with compensation off {100 * max(off.value, 0):.0f} %)"
    return Result(
        name=name,
        title=title,
        value=leak,
        unit="R²",
        baselines=baselines,
        gate=f"R² <= {GATE:g}, and lower than with compensation off ({SUGGESTED})",
        passed=leak.value <= GATE and lower is not False,
        says=(
            f"{100 * max(leak.value, 0):.0f} % of a hand-held camera's motion can be read from the "
            f"latent action{off_says}; what is read is not about the arm."
        ),
        mend=(
            "Label with camera compensation on; if it is on, look at the camera's agreement in "
            "the label viewer: where it is low the fit is not believed and the motion stays in."
        ),
        details=details | {"compensation": compensates},
    )


def distractor_leak(labeller: Latents, sample: Measured, kinds: Sequence[str] = KINDS) -> Result:
    """R² of a passing patch's velocity read from the latent action."""
    name, title = "distractor_leak", "A passing object in the latent action"
    busy = add_distractor(sample)
    measured = measure_pairs(labeller, busy.first, busy.second, busy.episode)
    if len(set(busy.episode[measured.valid].tolist())) < 2:
        return not_run(name, title, "needs two episodes that the labeller did not train on")
    leak, baselines, details = _leak(measured, busy, PATCH_DIMS, kinds)
    return Result(
        name=name,
        title=title,
        value=leak,
        unit="R²",
        baselines=baselines,
        gate=f"R² <= {GATE:g} ({SUGGESTED})",
        passed=leak.value <= GATE,
        says=(
            f"{100 * max(leak.value, 0):.0f} % of the velocity of an object that only passes by "
            "can be read from the latent action. A labeller that sees no actions cannot know "
            "what passes by and what is acted on."
        ),
        mend=(
            "Crop or mask what moves on its own in your footage, or add a few true labels "
            "(LAOM needs 1 to 2.5 %): video alone does not say who acts."
        ),
        details=details,
    )


def _leak(
    measured: Measured, disturbed: Disturbed, dims: tuple[str, ...], kinds: Sequence[str]
) -> tuple[Estimate, dict[str, Estimate], dict[str, object]]:
    """The stronger of the probes, so that no leak is missed; the same for the baselines."""
    ok = measured.valid
    truth, episode, latent = disturbed.truth[ok], disturbed.episode[ok], measured.vectors[ok]
    differences = frame_differences(disturbed.first[ok], disturbed.second[ok])
    pairs = zip(measured.flow[ok], measured.mask[ok], strict=True)
    shuffled = np.random.default_rng(0x5FF2).permutation(len(latent))
    features = {
        "shuffled latents": latent[shuffled],
        "PCA of frame differences": principal(differences, latent.shape[1]),
        "flow on a 4x4 grid": np.stack([flow_grid(flow, mask) for flow, mask in pairs]),
    }
    if disturbed.where is not None:
        features |= {"flow at the object": _mean_at(measured.flow[ok], disturbed.where[ok])}
    own = _strongest(latent, truth, episode, kinds)
    baselines = {
        name: _strongest(x, truth, episode, kinds).estimate() for name, x in features.items()
    }
    details = {
        "per_dimension": dict(zip(dims, own.r2.tolist(), strict=True)),
        "pairs": len(truth),
        "invalid": int((~ok).sum()),
    }
    return own.estimate(), baselines, details


def _mean_at(flow: np.ndarray, where: np.ndarray) -> np.ndarray:
    """(N, 2): the mean of flow (N, S, S, 2) where it is true; that the motion can be seen."""
    return (flow * where[..., None]).sum((1, 2)) / where.sum((1, 2)).clip(1)[:, None]


def _strongest(x: np.ndarray, y: np.ndarray, episode: np.ndarray, kinds: Sequence[str]) -> Probe:
    made = [probe(x, y, episode, ProbeConfig(kind)) for kind in kinds]
    return max(made, key=lambda p: p.estimate().value)


def shake(sample: Measured, seed: int = 0) -> Disturbed:
    """Second frames seen by a camera that jittered by a known similarity; both cropped alike.

    The truth is (x, y) pixels of the cropped picture, degrees, and the logarithm of the zoom.
    """
    rng = np.random.default_rng((seed, 0xCA3))
    size = sample.first.shape[1]
    first, second, truth = [], [], []
    for i in np.repeat(np.arange(len(sample)), REPEATS):
        shift = rng.uniform(-1, 1, 2) * SHIFT_PX * size / 64
        turn, zoom = rng.uniform(-TURN_DEG, TURN_DEG), rng.uniform(-ZOOM, ZOOM)
        first.append(_seen(sample.first[i], np.zeros(2), 0.0, 0.0))
        second.append(_seen(sample.second[i], shift, turn, zoom))
        truth.append([*shift, turn, zoom])
    episode = np.repeat(sample.episode, REPEATS)
    return Disturbed(np.stack(first), np.stack(second), np.array(truth), episode)


def _seen(frame: np.ndarray, shift_px: np.ndarray, turn_deg: float, log_zoom: float) -> np.ndarray:
    """The middle of a frame at full size, from a camera that shifted, turned and zoomed."""
    size = frame.shape[0]
    centre = np.array([(size - 1) / 2] * 2)
    scale = (1 - 2 * MARGIN) * np.exp(log_zoom)
    turn = np.deg2rad(turn_deg)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    offset = centre - linear @ centre + (1 - 2 * MARGIN) * shift_px
    matrix = np.column_stack([linear, offset])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(frame, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT)


def add_distractor(sample: Measured, seed: int = 0) -> Disturbed:
    """A textured patch that moves by a random velocity (pixels a frame), away from the motion."""
    rng = np.random.default_rng((seed, 0xD15))
    size = sample.first.shape[1]
    side = max(4, round(size * PATCH_SHARE))
    first, second, truth, where = [], [], [], []
    for i in np.repeat(np.arange(len(sample)), REPEATS):
        velocity = rng.uniform(-1, 1, 2) * PATCH_PX * size / 64
        texture = rng.integers(0, 256, (max(2, side // 3),) * 2 + (3,), dtype=np.uint8)
        patch = cv2.resize(texture, (side, side), interpolation=cv2.INTER_LINEAR)
        corner = quiet_corner(sample.moving[i], side, rng)
        first.append(_paste(sample.first[i], patch, corner))
        second.append(_paste(sample.second[i], patch, corner + velocity))
        truth.append(velocity)
        x, y = corner.astype(int)
        where.append(np.zeros((size, size), bool))
        where[-1][y : y + side, x : x + side] = True
    episode = np.repeat(sample.episode, REPEATS)
    pictures = np.stack(first), np.stack(second)
    return Disturbed(*pictures, np.array(truth), episode, np.stack(where))


def quiet_corner(moving: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """(x, y), upper left corner of a square of this side on the fewest moving pixels."""
    size, reach = moving.shape[0], max(1, moving.shape[0] // 16)
    corners = rng.integers(reach, size - side - reach, (32, 2))
    busy = [
        moving[max(0, y - reach) : y + side + reach, max(0, x - reach) : x + side + reach].sum()
        for x, y in corners
    ]
    return corners[int(np.argmin(busy))].astype(np.float64)


def _paste(frame: np.ndarray, patch: np.ndarray, corner: np.ndarray) -> np.ndarray:
    size, side = frame.shape[0], patch.shape[0]
    move = np.array([[1, 0, corner[0]], [0, 1, corner[1]]])
    drawn = cv2.warpAffine(patch, move, (size, size)).astype(np.float32)
    alpha = cv2.warpAffine(np.ones((side, side), np.float32), move, (size, size))[..., None]
    return (frame * (1 - alpha) + drawn).clip(0, 255).round().astype(np.uint8)
