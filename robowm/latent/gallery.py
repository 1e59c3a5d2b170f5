"""Pictures of the labels: frames with flow and codes drawn on them, and the redrawn next frame."""

from pathlib import Path

import cv2
import numpy as np
import torch

from robowm.artefact import write_json
from robowm.batch import LatentActions
from robowm.latent.model import LatentActionModel
from robowm.latent.transitions import TransitionStore

SCALE = 3
STRIP = 8


@torch.no_grad()
def write_gallery(
    directory: Path,
    network: LatentActionModel,
    store: TransitionStore,
    labels: LatentActions,
    rows: np.ndarray,
    strips: int = 4,
) -> None:
    """Write `strips` pictures of up to 8 held-out transitions each, and `gallery.json`."""
    items = []
    rows = rows if len(rows) else np.arange(len(store))
    owners = np.unique(store.episode[rows])
    for number, episode in enumerate(owners[:: max(1, len(owners) // strips)][:strips]):
        own = rows[store.episode[rows] == episode]
        chosen = own[np.linspace(0, len(own) - 1, min(STRIP, len(own))).astype(int)]
        batch = store.batch(chosen)
        latent, _ = network.encode(batch)
        redrawn, _ = network.decode(batch.first, latent)
        drawn = (redrawn.clamp(0, 1) * 255).byte().permute(0, 2, 3, 1).numpy()
        columns = [
            np.concatenate(
                [
                    draw_label(store.arrays["first"][row], store.arrays["flow"][row], codes),
                    _enlarge(store.arrays["second"][row]),
                    _enlarge(picture),
                ]
            )
            for row, codes, picture in zip(chosen, labels.codes[chosen], drawn, strict=True)
        ]
        name = f"labels_{number}.png"
        sheet = np.concatenate(columns, axis=1)
        cv2.imwrite(str(directory / name), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
        items.append({"file": name, "caption": f"held-out clip {int(episode)}"})
    caption = (
        "Top: frame with optical flow (camera motion removed) and its latent codes. "
        "Middle: the true next frame. Bottom: the next frame redrawn from the latent action alone."
    )
    write_json(
        directory / "gallery.json", {"title": "Latent actions", "caption": caption, "items": items}
    )


def draw_label(frame: np.ndarray, flow: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """uint8 (3H, 3W, 3): the frame enlarged, flow as arrows, codes as digits; "-" where invalid."""
    picture = _enlarge(frame)
    step = max(4, len(frame) // 12)
    for y in range(step // 2, frame.shape[0], step):
        for x in range(step // 2, frame.shape[1], step):
            dx, dy = (float(v) for v in flow[y, x])
            if dx * dx + dy * dy > 0.25:
                ends = (x * SCALE, y * SCALE), (round((x + dx) * SCALE), round((y + dy) * SCALE))
                cv2.arrowedLine(picture, *ends, (255, 220, 0), 1, cv2.LINE_AA, tipLength=0.3)
    text = " ".join("-" if code < 0 else str(code) for code in codes)
    where = (3, picture.shape[0] - 6)
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_PLAIN, 0.9, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_PLAIN, 0.9, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def _enlarge(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(frame, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_NEAREST)
