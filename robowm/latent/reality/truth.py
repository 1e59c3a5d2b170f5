"""What the true actions can be read from: the labels' features and the baselines', row by row.

The principal components are those of all rows, also of the ones that a probe is tested on; they
see no action. It favours that baseline, not the labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from robowm.episodes import Episodes
from robowm.errors import UserError, nearest
from robowm.latent.reality.footage import Latents, moving
from robowm.motion.camera import motion_between

FRAME_SIDE = 12
DIFFERENCE_SIDE = 32
FLOW_CELLS = 4
STILL_CAMERA_PX = 0.25  # at 64 px, the median shift of the picture's centre


@dataclass(frozen=True)
class Readings:
    """N transitions with their true action and every feature that a probe may read it from.

    Attributes:
        features: name to float (N, F).
        truth: float64 (N, D).
        dims: name of each of the D.
        episode: int64 (N,).
        camera_px: median motion of the camera, pixels of a 64-pixel frame.
        left_out: transitions without a valid label (or at an end that the span does not fit).
    """

    features: dict[str, np.ndarray]
    truth: np.ndarray
    dims: list[str]
    episode: np.ndarray
    camera_px: float
    left_out: int


def read_truth(
    labeller: Latents,
    untrained: Latents,
    episodes: Episodes,
    camera: str,
    chosen: Sequence[int],
    column: str,
    dims: str | None = None,
    span: int = 1,
    limit: int = 5000,
) -> Readings | str:
    """Features and truth of the chosen episodes, or the reason why there are none.

    Args:
        labeller, untrained: the one that is judged, and the same network never trained.
        episodes, camera: the dataset and its image column.
        chosen: its episodes that the labeller did not train on.
        column: the true action; row t belongs to the transition t→t+1.
        dims: which of its dimensions, by number or name, with commas; None takes all.
        span: features of this many transitions from t on, side by side.
        limit: whole episodes are read until this many transitions are.

    Raises:
        UserError: no such column or dimension.
    """
    names = column_names(episodes, column)
    kept = pick_dims(names, dims)
    parts: list[dict[str, np.ndarray]] = []
    left_out = rows = 0
    for e in np.random.default_rng(0x7117).permutation(np.asarray(chosen)):
        if rows >= limit:
            break
        if episodes.lengths[e] <= span:
            continue
        part = _read_episode(labeller, untrained, episodes.frames(e, camera), span)
        truth = episodes.column(column, e).reshape(int(episodes.lengths[e]), -1)[:, kept]
        valid = part.pop("valid")
        truth = truth[: len(valid)].astype(np.float64)
        usable = valid & np.isfinite(truth).all(1)
        left_out += int((~usable).sum())
        part |= {"truth": truth, "episode": np.full(len(truth), e)}
        parts.append({name: values[usable] for name, values in part.items()})
        rows += int(usable.sum())
    if len({int(p["episode"][0]) for p in parts if len(p["episode"])}) < 2:
        return "a probe needs at least two episodes with truth that the labeller did not train on"
    if not np.ptp(np.concatenate([p["truth"] for p in parts]), axis=0).any():
        return f"nothing in {column!r} varies in these episodes"
    whole = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    truth, episode = whole.pop("truth"), whole.pop("episode")
    shift = float(np.median(whole.pop("camera")))
    latent = whole["latent"]
    whole["difference"] = principal(whole["difference"], latent.shape[1])
    whole["shuffled"] = latent[np.random.default_rng(0x5FF1).permutation(len(latent))]
    return Readings(whole, truth, [names[i] for i in kept], episode, shift, left_out)


def _read_episode(
    labeller: Latents, untrained: Latents, frames: np.ndarray, span: int
) -> dict[str, np.ndarray]:
    """Features of each transition of a clip that has `span` - 1 more behind it."""
    labels = labeller.clip(frames)
    unit = 64 / frames.shape[1]
    motions = [motion_between(a, b, labeller.config.motion) for a, b in pairwise(frames)]
    centre = np.array([(frames.shape[1] - 1) / 2] * 2)
    shifts = [m.camera[:, :2] @ centre + m.camera[:, 2] - centre for m in motions]
    features = {
        "latent": labels.vectors,
        "codes": one_hot(labels.codes, labeller.config.codes),
        "untrained": untrained.clip(frames).vectors,
        "difference": frame_differences(frames[:-1], frames[1:]),
        "mean flow": np.stack([mean_flow(m.flow, m.mask) for m in motions]),
        "flow grid": np.stack([flow_grid(m.flow, m.mask) for m in motions]),
        "camera": np.linalg.norm(shifts, axis=1)[:, None] * unit,
    }
    stacked = {name: stack(values, span) for name, values in features.items()}
    count = len(labels.valid) - span + 1
    stacked["frame"] = small_frames(frames[:count])
    stacked["valid"] = stack(labels.valid[:, None], span).min(axis=1)
    return stacked


def stack(values: np.ndarray, span: int) -> np.ndarray:
    """(N, F) to (N - span + 1, span · F): each row with the span - 1 rows behind it."""
    count = len(values) - span + 1
    return np.concatenate([values[i : i + count] for i in range(span)], axis=1)


def small_frames(frames: np.ndarray) -> np.ndarray:
    """float32 (N, 12 · 12 · 3): the frames, small."""
    size = (FRAME_SIDE, FRAME_SIDE)
    small = [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames]
    return np.stack(small).reshape(len(frames), -1).astype(np.float32) / 255


def frame_differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 (N, 32 · 32): second minus first, grey and small."""

    def grey(frame: np.ndarray) -> np.ndarray:
        picture = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        return cv2.resize(picture, (DIFFERENCE_SIDE,) * 2, interpolation=cv2.INTER_AREA)

    pairs = zip(first, second, strict=True)
    return np.stack([(grey(b) - grey(a)).ravel() for a, b in pairs])


def mean_flow(flow: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(2,): mean flow of the moving pixels; zero where nothing moves."""
    where = moving(flow, mask)
    return flow[where].mean(0) if where.any() else np.zeros(2, flow.dtype)


def flow_grid(flow: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(4 · 4 · 2,): masked flow, averaged over a coarse grid."""
    small = cv2.resize(
        flow * mask[..., None], (FLOW_CELLS, FLOW_CELLS), interpolation=cv2.INTER_AREA
    )
    return small.ravel()


def one_hot(codes: np.ndarray, size: int) -> np.ndarray:
    """Codes (N, K), -1 where invalid, to float32 (N, K · size); zeros where invalid."""
    marked = (codes[..., None] == np.arange(size)).astype(np.float32)
    return marked.reshape(len(codes), -1)


def principal(values: np.ndarray, count: int) -> np.ndarray:
    """The first `count` principal components of (N, F)."""
    from scipy.linalg import eigh, svd

    centred = values.astype(np.float64) - values.mean(0)
    rows, width = centred.shape
    if rows < width:
        left, strength, _ = svd(centred, full_matrices=False)
        return (left * strength)[:, :count]
    strongest = (max(0, width - count), width - 1)
    _, basis = eigh(centred.T @ centred, subset_by_index=strongest)
    return centred @ basis[:, ::-1]


def column_names(episodes: Episodes, column: str) -> list[str]:
    """Names of a column's dimensions; their numbers where the dataset has none.

    Raises:
        UserError: no such numeric column.
    """
    numeric = {
        name: feature
        for name, feature in episodes.features.items()
        if feature["dtype"].startswith(("float", "int")) and len(feature["shape"]) == 1
    }
    if column not in numeric:
        allowed = nearest(column, numeric)
        raise UserError(f"{episodes.root} has no numeric column {column!r}. {allowed}")
    width, names = numeric[column]["shape"][0], numeric[column].get("names")
    if isinstance(names, dict):  # lerobot also writes {"motors": [...]}
        names = next(iter(names.values()), None)
    known = isinstance(names, list) and len(names) == width
    return [str(name) for name in names] if known else [str(i) for i in range(width)]


def pick_dims(names: list[str], dims: str | None) -> list[int]:
    """Dimensions "0,2" or "x,y" as indices.

    Raises:
        UserError: one of them is not there.
    """
    if dims is None:
        return list(range(len(names)))
    picked = []
    for word in (part.strip() for part in dims.split(",")):
        if word in names:
            picked.append(names.index(word))
        elif word.isdigit() and int(word) < len(names):
            picked.append(int(word))
        else:
            allowed = nearest(word, names)
            raise UserError(f"--dims {word!r}: expected 0 to {len(names) - 1} or a name. {allowed}")
    return picked
