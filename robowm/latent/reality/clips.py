"""What the label viewer shows: frames, flow, the camera's vector and codes over time."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from robowm.artefact import write_json
from robowm.batch import LatentActions
from robowm.episodes import Episodes
from robowm.latent.reality.footage import Latents
from robowm.latent.reality.result import finite
from robowm.motion.camera import Motion, motion_between

CELL_PX = 128
COLUMNS = 8
FULL_SPEED_PX = 4.0  # at 64 px: flow this fast has full colour
ROWS = [
    "frame, with the flow that is left when the camera's is removed",
    "that flow as colour: hue is direction, strength is speed; grey where it is not trusted",
    "the true next frame, from the first frame's camera",
    "the next frame as redrawn from the latent action alone",
]


def write_clips(
    directory: Path,
    labeller: Latents,
    episodes: Episodes,
    camera: str,
    chosen: Sequence[int],
    labels: Sequence[LatentActions],
) -> None:
    """Write `viewer.json` and a sheet of pictures for each of the chosen clips."""
    shown = []
    for number, (e, own) in enumerate(zip(chosen, labels, strict=True)):
        clip = episodes.clip(e, camera)
        motions = [motion_between(a, b, labeller.config.motion) for a, b in pairwise(clip.frames)]
        if not motions:
            continue
        at = np.unique(np.linspace(0, len(motions) - 1, COLUMNS).round().astype(int))
        sheet = draw_sheet(labeller, clip.frames, motions, own, at)
        name = f"clip_{number}.jpg"
        bgr = cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(directory / name), bgr, [cv2.IMWRITE_JPEG_QUALITY, 88])
        times = (clip.timestamps_s - clip.timestamps_s[0])[:-1]
        shown.append(
            {"episode": int(e), "task": clip.task, "sheet": name, "columns_s": times[at].tolist()}
            | {"times_s": times.tolist()}
            | over_time(motions)
            | {"codes": own.codes.tolist(), "valid": own.valid.tolist()}
        )
    card = {"rows": ROWS, "codebook": labeller.config.codes, "clips": shown}
    write_json(directory / "viewer.json", finite(card))


def over_time(motions: Sequence[Motion]) -> dict[str, Any]:
    """The camera's similarity as a vector, and how far to believe it; one value a transition.

    Shifts are of the picture's centre, as a share of its side in per cent, so that they do not
    depend on the size.
    """
    size = motions[0].flow.shape[0]
    centre = np.array([(size - 1) / 2] * 2)
    matrices = np.stack([m.camera for m in motions]).astype(np.float64)
    shift = matrices[:, :, :2] @ centre + matrices[:, :, 2] - centre
    speed = [np.linalg.norm(m.flow, axis=-1)[m.mask] for m in motions]
    return {
        "camera": {
            "shift right": (100 * shift[:, 0] / size).tolist(),
            "shift down": (100 * shift[:, 1] / size).tolist(),
            "rotation": np.rad2deg(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])).tolist(),
            "zoom": (100 * (np.hypot(matrices[:, 0, 0], matrices[:, 1, 0]) - 1)).tolist(),
        },
        "agreement": [float(m.agreement) for m in motions],
        "trusted": [float(m.mask.mean()) for m in motions],
        "speed": [float(100 * s.mean() / size) if len(s) else 0.0 for s in speed],
    }


def draw_sheet(
    labeller: Latents,
    frames: np.ndarray,
    motions: Sequence[Motion],
    labels: LatentActions,
    at: np.ndarray,
) -> np.ndarray:
    """uint8 (4 · cell, columns · cell, 3): the rows of ROWS at transitions `at`."""
    latent = labeller.pairs(frames[at], frames[at + 1]).latent
    redrawn, _ = labeller.imagine(frames[at], latent)
    columns = []
    for i, t in enumerate(at):
        cells = [
            with_arrows(frames[t], motions[t]),
            _cell(flow_colours(motions[t])),
            _cell(motions[t].next_frame),
            _cell(redrawn[i]) if labels.valid[t] else np.full((CELL_PX,) * 2 + (3,), 128, np.uint8),
        ]
        columns.append(np.concatenate(cells))
    return np.concatenate(columns, axis=1)


def with_arrows(frame: np.ndarray, motion: Motion) -> np.ndarray:
    """uint8 (cell, cell, 3): the frame, an arrow where it moves."""
    picture, size = _cell(frame), frame.shape[0]
    scale, step = CELL_PX / size, max(2, size // 10)
    for y in range(step // 2, size, step):
        for x in range(step // 2, size, step):
            dx, dy = (float(v) for v in motion.flow[y, x])
            if motion.mask[y, x] and dx * dx + dy * dy > (0.5 * size / 64) ** 2:
                start = (round(x * scale), round(y * scale))
                end = (round((x + 2 * dx) * scale), round((y + 2 * dy) * scale))
                cv2.arrowedLine(picture, start, end, (0, 0, 0), 2, cv2.LINE_AA, tipLength=0.3)
                cv2.arrowedLine(picture, start, end, (255, 220, 0), 1, cv2.LINE_AA, tipLength=0.3)
    return picture


def flow_colours(motion: Motion) -> np.ndarray:
    """uint8 (S, S, 3): direction as hue, speed as saturation on white; grey where not trusted."""
    size = motion.flow.shape[0]
    speed = np.linalg.norm(motion.flow, axis=-1) / (FULL_SPEED_PX * size / 64)
    hue = (np.arctan2(motion.flow[..., 1], motion.flow[..., 0]) / (2 * np.pi)) % 1
    hsv = np.stack([hue * 179, speed.clip(0, 1) * 255, np.full_like(hue, 255)], axis=-1)
    picture = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)
    picture[~motion.mask] = 150
    return picture


def _cell(picture: np.ndarray) -> np.ndarray:
    bigger = picture.shape[0] <= CELL_PX
    return cv2.resize(
        picture,
        (CELL_PX, CELL_PX),
        interpolation=cv2.INTER_NEAREST if bigger else cv2.INTER_AREA,
    )
