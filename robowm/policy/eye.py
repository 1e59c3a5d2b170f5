"""Where in the picture a robot's hand is, learnt from its own demonstrations: no calibration.

A camera that stands still is a map from poses to places in the picture. It is fitted to two things
that motion shows. While the arm moves, one end of what moves follows the hand: that tells roughly
where it is. And at the hand's place the picture moves just as the map says that the hand does,
which is true of a point of the hand and nowhere else on the arm: that tells it finely, up to which
point of the hand it is. What is taught with the map (`robowm.nn.points.map_loss`) only needs to be
consistent. With the end alone it was 8 of 128 pixels astray on SIMPLER, with both 2
(docs/leads.md).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from robowm.motion.extent import Moving
from robowm.policy.linear import Linear

MOST_ERROR = 0.6
LEAST_ROWS = 20
HELD_OUT = 5  # every fifth episode
STEPS, RATE = 150, 0.02
BLURS = (5, 3, 1)  # cells; first over much: a wider basin
RIDGE = 1e-3
LIKE = 100.0  # over the number of pairs: some hundred outweigh another room's map
SQUARES = 0.3


@dataclass(frozen=True)
class Eye:
    """Proprioception to a place in the picture.

    Attributes:
        columns: the numbers of the state that are used: the hand's place where it is among them
            (the map is then a camera's, a projection), else all (linear and quadratic).
        centre, spread: float64 (C,), of these.
        weights: float64 (F + 1, 2), of the features and of 1.
        depth: float64 (F,), by which a projection divides; zeros if it is none.
        error: the mean difference between the flow at the hand's places and the motion of these
            places, as a share of the latter, on episodes that were not fitted. 1 says nothing.
    """

    columns: tuple[int, ...]
    centre: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    depth: np.ndarray
    error: float

    @classmethod
    def fit(
        cls,
        states: np.ndarray,
        then: np.ndarray,
        seen: Moving,
        episode: np.ndarray,
        names: Sequence[str] | None = None,
        like: Self | None = None,
    ) -> Self | None:
        """Fit to N pairs of frames; None where motion does not tell where the hand is.

        Args:
            states, then: (N, S), proprioception at the first and at the second frame.
            seen: the motion between them.
            episode: (N,).
            names: of the state's numbers, where known.
            like: another room's, from which it sets out, and no further than these pairs say.
        """
        rows = np.isfinite(seen.extents).all((1, 2))
        if rows.sum() < LEAST_ROWS:
            return None
        states, then, episode = states[rows], then[rows], episode[rows]
        place = place_columns(names)
        columns = place or tuple(range(states.shape[1]))
        used = states[:, columns].astype(np.float64)
        centre, spread = used.mean(0), np.maximum(used.std(0), 1e-6)
        if like is not None:
            centre, spread = like.centre, like.spread
        x, x_then = (
            _features((s[:, columns] - centre) / spread, not place).astype(np.float32)
            for s in (states, then)
        )
        held = np.unique(episode, return_inverse=True)[1] % HELD_OUT == 0
        if held.all() or not held.any():
            held = np.arange(len(x)) % HELD_OUT == 0
        flow = torch.from_numpy(seen.flow[rows].astype(np.float32)).permute(0, 3, 1, 2)
        if like is None:
            begin = _follow_an_end(x, seen.extents[rows].astype(np.float64), episode)
            prior = _Prior(begin, np.zeros(x.shape[1]), 0 * begin, RIDGE)
        else:
            prior = _Prior(like.weights, like.depth, like.weights, LIKE / len(x))
        now, later = torch.from_numpy(x), torch.from_numpy(x_then)
        some = _agree_with_flow(now[~held], later[~held], flow[~held], prior, bool(place))
        error = float(_astray(_seen(now[held], *some), _seen(later[held], *some), flow[held]))
        if not error < MOST_ERROR:
            return None
        found = _agree_with_flow(now, later, flow, prior, bool(place))
        weights, depth = (part.double().numpy() for part in found)
        return cls(columns, centre, spread, weights, depth, error)

    def places(self, states: np.ndarray) -> np.ndarray:
        """Where poses (..., S) would be seen: float32 (..., 2), from -1 to 1."""
        scaled = (states[..., self.columns] - self.centre) / self.spread
        x = _features(scaled, squares=len(self.weights) > len(self.columns) + 1)
        flat = x @ self.weights[:-1] + self.weights[-1]
        return np.asarray(flat / (1 + x @ self.depth)[..., None], np.float32)

    @property
    def projects(self) -> bool:
        """Whether it is a camera's map, a projection."""
        return len(self.weights) == 4  # x, y, z and 1

    def moved(self, by: np.ndarray) -> Self:
        """That of a point of the hand which is elsewhere by so much, (C,), in units of `spread`."""
        return replace(self, centre=self.centre - by * self.spread)

    def camera(self, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray | None:
        """Its projection as a matrix, float32 (3, 4); None if it is no projection.

        From a place in normalised units, and 1, to (x, y) in the picture, homogeneous.

        Args:
            mean, deviation: (S,), of the state, by which it is normalised.
        """
        if not self.projects:
            return None
        columns = list(self.columns)
        matrix = np.zeros((3, 4))
        matrix[:2, :3], matrix[:2, 3] = self.weights[:-1].T, self.weights[-1]
        matrix[2, :3], matrix[2, 3] = self.depth, 1
        to_own = np.eye(4)
        to_own[:3, :3] = np.diag(deviation[columns] / self.spread)
        to_own[:3, 3] = (mean[columns] - self.centre) / self.spread
        whole = matrix @ to_own
        return np.asarray(whole / whole[2, 3], np.float32)


def place_columns(names: Sequence[str] | None) -> tuple[int, ...]:
    """Which numbers of a state are a place: those named x, y and z, as in "hand_x_m"; else none."""
    found = [
        [i for i, name in enumerate(names or ()) if re.search(rf"(^|[_.]){axis}(_m)?$", name)]
        for axis in "xyz"
    ]
    return tuple(f[0] for f in found) if all(len(f) == 1 for f in found) else ()


def _features(scaled: np.ndarray, squares: bool) -> np.ndarray:
    """The numbers (..., C); and with `squares` all products of two."""
    if not squares:
        return scaled
    first, second = np.triu_indices(scaled.shape[-1])
    products = SQUARES * scaled[..., first] * scaled[..., second]
    return np.concatenate([scaled, products], axis=-1)


def _follow_an_end(x: np.ndarray, ends: np.ndarray, episode: np.ndarray) -> np.ndarray:
    """A linear map to that quantile of the motion, in x and in y, whose foretold part varies most.

    Args:
        x: (N, F); ends: (N, 2, 3); episode: (N,).
    """
    flat = ends.reshape(len(ends), -1)
    fitted = Linear.fit(x.astype(np.float64), flat, episode)
    foretold = np.sqrt(fitted.held_out_r2.clip(0)) * flat.std(0)
    chosen = np.array([0, 3]) + foretold.reshape(2, -1).argmax(1)
    weights = fitted.basis @ fitted.weights[:, chosen] / fitted.spread[:, None]
    return np.vstack([weights, fitted.offset[chosen] - fitted.centre @ weights])


@dataclass(frozen=True)
class _Prior:
    """Where a fit sets out, weights (F+1, 2) and depth (F,), and the weights it is drawn to, how
    strongly; of the depth it is drawn to that with which it sets out."""

    weights: np.ndarray
    depth: np.ndarray
    towards: np.ndarray
    strength: float


def _agree_with_flow(
    now: Tensor, then: Tensor, flow: Tensor, prior: _Prior, projection: bool
) -> tuple[Tensor, Tensor]:
    """Refine a map of features (N, F) by the flow (N, 2, h, w): weights (F+1, 2), depth (F,)."""
    blurred = [F.avg_pool2d(flow, blur, 1, blur // 2) for blur in BLURS]
    w = torch.tensor(prior.weights, dtype=torch.float32, requires_grad=True)
    depth = torch.tensor(prior.depth, dtype=torch.float32, requires_grad=projection)
    towards, deep = torch.tensor(prior.towards, dtype=torch.float32), depth.detach().clone()
    optimiser = torch.optim.Adam([w, depth] if projection else [w], RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    with torch.enable_grad():
        for step in range(STEPS):
            field = blurred[step * len(BLURS) // STEPS]
            penalty = (w - towards)[:-1].square().sum() + 10 * (depth - deep).square().sum()
            off = _astray(_seen(now, w, depth), _seen(then, w, depth), field)
            loss = off + prior.strength * penalty
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return w.detach(), depth.detach()


def _seen(features: Tensor, weights: Tensor, depth: Tensor) -> Tensor:
    """Where features (N, F) are seen, (N, 2)."""
    return (features @ weights[:-1] + weights[-1]) / (1 + features @ depth)[:, None]


def _astray(at: Tensor, then: Tensor, flow: Tensor) -> Tensor:
    """By how much flow (N, 2, h, w) at places (N, 2) differs from the way to where these are then,
    as a share of that way."""
    step = then - at
    found = F.grid_sample(flow, at[:, None, None], align_corners=False)[:, :, 0, 0]
    return (found - step).norm(dim=1).sum() / step.norm(dim=1).sum().clamp_min(1e-6)
