"""Linear regression that knows how sure it is, for a few hundred rows.

Ridge regression read as Bayesian (Bishop, "Pattern Recognition and Machine Learning", 2006, section
3.3): a row far from those it was fitted to gets a wider answer. The penalty of each output and the
size of its noise come from rows of episodes that were held out.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from robowm.metrics.probe import PENALTIES, grouped_folds

FOLDS = 5


@dataclass(frozen=True)
class Linear:
    """y = x W + b, with a standard deviation; F inputs, A outputs.

    Attributes:
        centre, spread: float64 (F,), of the inputs.
        basis: float64 (F, F), directions in which the scaled inputs are uncorrelated.
        precision: float64 (A, F), how well each output is known along each direction.
        weights: float64 (F, A), in that basis.
        offset: float64 (A,).
        noise: float64 (A,), standard deviation of what the inputs do not explain.
        held_out_r2, held_out_rmse: float64 (A,), on episodes that were not fitted.
    """

    centre: np.ndarray
    spread: np.ndarray
    basis: np.ndarray
    precision: np.ndarray
    weights: np.ndarray
    offset: np.ndarray
    noise: np.ndarray
    held_out_r2: np.ndarray
    held_out_rmse: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, episode: np.ndarray) -> Self:
        """Fit to N rows.

        Args:
            x: (N, F).
            y: (N, A).
            episode: (N,), which episode a row is from: these are held out whole.

        Raises:
            ValueError: fewer than eight rows.
        """
        if len(x) < 8:
            raise ValueError(f"expected 8 rows or more, got {len(x)}")
        fold = _folds(episode)
        errors = np.zeros((len(PENALTIES), len(x), y.shape[1]))
        doubts = np.zeros_like(errors)
        for part in np.unique(fold):
            held = fold == part
            means, widths = _path(x[~held], y[~held], x[held])
            errors[:, held], doubts[:, held] = (means - y[held]) ** 2, widths
        best = errors.mean(1).argmin(0)
        axes = np.arange(y.shape[1])
        error, doubt = errors[best, :, axes].T, doubts[best, :, axes].T  # (N, A)
        centre, spread, values, basis = _directions(x)
        target = basis.T @ (((x - centre) / spread).T @ (y - y.mean(0)) / len(x))
        strength = values[None] + PENALTIES[best][:, None]
        variance = np.maximum(y.var(0), 1e-12)
        return cls(
            centre=centre,
            spread=spread,
            basis=basis,
            precision=strength * len(x),
            weights=target / strength.T,
            offset=y.mean(0),
            noise=np.sqrt((error / (1 + doubt)).mean(0)),
            held_out_r2=1 - error.mean(0) / variance,
            held_out_rmse=np.sqrt(error.mean(0)),
        )

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation, each float64 (N, A), for x (N, F)."""
        along = ((x - self.centre) / self.spread) @ self.basis
        doubt = along**2 @ (1 / self.precision.T)
        return along @ self.weights + self.offset, self.noise * np.sqrt(1 + doubt)

    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Its mean as x W + b: float64 (F, A), (A,)."""
        weights = self.basis @ self.weights / self.spread[:, None]
        return weights, self.offset - self.centre @ weights

    def arrays(self) -> dict[str, np.ndarray]:
        """Its attributes, by name: what is saved."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def _folds(episode: np.ndarray) -> np.ndarray:
    """Episodes dealt into folds; of a single episode, stretches of it."""
    if len(np.unique(episode)) > 1:
        return grouped_folds(episode, FOLDS, seed=0)
    return np.arange(len(episode)) * FOLDS // len(episode)


def _directions(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    centre, spread = x.mean(0), x.std(0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    scaled = (x - centre) / spread
    values, basis = np.linalg.eigh(scaled.T @ scaled / len(x))
    return centre, spread, values.clip(0), basis


def _path(x: np.ndarray, y: np.ndarray, x_test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every penalty the predictions (P, N_test, A), and how far off each row is (P, N_test, 1)
    in units of the noise's variance."""
    centre, spread, values, basis = _directions(x)
    target = basis.T @ (((x - centre) / spread).T @ (y - y.mean(0)) / len(x))
    along = ((x_test - centre) / spread) @ basis
    strength = values + PENALTIES[:, None]
    means = along @ (target / strength[:, :, None]) + y.mean(0)
    return means, (along**2 @ (1 / (strength * len(x))).T).T[..., None]
