"""What can be read from a feature: ridge and MLP probes, judged on episodes they did not see.

`probe(x, y, episode)` predicts every row from probes fitted to other episodes (grouped k-fold) and
gives R² per dimension. All choices (ridge penalty, when the MLP stops) are made inside the
training episodes.
"""

from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import numpy as np

from robowm.metrics.bootstrap import Estimate, bootstrap, episode_sums

if TYPE_CHECKING:
    import torch

PENALTIES = np.logspace(-4, 3, 15)  # of features with unit variance; loss is a mean over rows
INNER_FOLDS = 4
BATCH, CHECK_EVERY = 256, 20  # rows of a step of the MLP; steps between its validations


@dataclass(frozen=True)
class ProbeConfig:
    """How a probe is fitted."""

    kind: str = "linear"
    """linear (ridge) or mlp"""
    folds: int = 5
    """parts that the episodes are dealt into; each is predicted from the others"""
    hidden: int = 64
    """width of the MLP's two hidden layers"""
    steps: int = 300
    """most steps of the MLP's training; it keeps the step that is best on inner validation"""
    seed: int = 0
    """of the folds and of the MLP"""


@dataclass(frozen=True)
class Probe:
    """A probe's out-of-fold result.

    Attributes:
        predicted: float64 (N, D), each row predicted by a probe that did not see its episode.
        r2: float64 (D,), 1 - squared error / variance; nan where the truth does not vary.
        sums: float64 (episodes, 3 D + 1), what `r2_of` needs of each episode.
    """

    predicted: np.ndarray
    r2: np.ndarray
    sums: np.ndarray

    def estimate(self) -> Estimate:
        """Mean R² over the dimensions that vary, with its interval."""
        return bootstrap(self.sums, mean_r2)


def probe(
    x: np.ndarray, y: np.ndarray, episode: np.ndarray, config: ProbeConfig = ProbeConfig()
) -> Probe:
    """Predict y from x across episodes.

    Args:
        x: (N, F), features.
        y: (N, D), truth.
        episode: (N,), which episode a row belongs to.

    Raises:
        ValueError: fewer than two episodes, or lengths that differ.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if not len(x) == len(y) == len(episode) or x.ndim != 2 or y.ndim != 2:
        raise ValueError(
            f"expected (N, F), (N, D), (N,); got {x.shape}, {y.shape}, {episode.shape}"
        )
    fold = grouped_folds(episode, config.folds, config.seed)
    fit = {"linear": _ridge, "mlp": _mlp}[config.kind]
    predicted = fit(x, y, episode, fold, config)
    sums = r2_sums(y, predicted, episode)
    return Probe(predicted, r2_of(sums.sum(0)), sums)


def difference(first: Probe, second: Probe) -> Estimate:
    """Mean R² of the first minus that of the second on the same rows, resampled in pairs."""
    width = first.sums.shape[1]
    both = np.concatenate([first.sums, second.sums], axis=1)
    return bootstrap(both, lambda t: mean_r2(t[..., :width]) - mean_r2(t[..., width:]))


def r2_sums(y: np.ndarray, predicted: np.ndarray, episode: np.ndarray) -> np.ndarray:
    """Per episode: squared error, y, y² (each D columns, y from its overall mean), and rows."""
    y = y - (mean := y.mean(0))
    return episode_sums(np.concatenate([(y - predicted + mean) ** 2, y, y**2], axis=1), episode)


def r2_of(totals: np.ndarray) -> np.ndarray:
    """R² (..., D) from totals (..., 3 D + 1); nan where the truth does not vary."""
    error, first, second = np.split(totals[..., :-1], 3, axis=-1)
    spread = second - first**2 / totals[..., -1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 1e-12 * totals[..., -1:], 1 - error / spread, np.nan)


def mean_r2(totals: np.ndarray) -> np.ndarray:
    """Mean of R² over the dimensions that vary; nan when none does."""
    r2 = r2_of(totals)
    known = np.isfinite(r2)
    return np.where(known, r2, 0).sum(-1) / np.where(known.any(-1), known.sum(-1), np.nan)


def grouped_folds(episode: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """int64 (N,), the fold of each row: no episode in two, their row counts alike.

    Raises:
        ValueError: fewer than two episodes.
    """
    names, index, counts = np.unique(episode, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise ValueError(f"expected at least two episodes, got {len(names)}")
    load = np.zeros(min(folds, len(names)))
    of = np.zeros(len(names), np.int64)
    shuffled = np.random.default_rng((seed, 0xF01D)).permutation(len(names))
    for name in shuffled[np.argsort(-counts[shuffled], kind="stable")]:
        of[name] = load.argmin()
        load[of[name]] += counts[name]
    return of[index]


def _inner_folds(episode: np.ndarray, seed: int) -> np.ndarray:
    """Grouped folds; of a single episode, stretches of it."""
    if len(np.unique(episode)) > 1:
        return grouped_folds(episode, INNER_FOLDS, seed + 1)
    return np.arange(len(episode)) * INNER_FOLDS // len(episode)


def _standard(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of columns; a column that does not vary gets spread 1."""
    spread = train.std(0)
    return train.mean(0), np.where(spread > 1e-9, spread, 1.0)


def _ridge(
    x: np.ndarray, y: np.ndarray, episode: np.ndarray, fold: np.ndarray, config: ProbeConfig
) -> np.ndarray:
    """Ridge regression, the penalty of each dimension by cross-validation in the other folds."""
    predicted = np.empty_like(y)
    for part in range(fold.max() + 1):
        test, train = fold == part, np.flatnonzero(fold != part)
        inner = _inner_folds(episode[train], config.seed)
        errors = np.zeros((len(PENALTIES), y.shape[1]))
        for held in np.unique(inner):
            fit, check = train[inner != held], train[inner == held]
            errors += ((_ridge_path(x[fit], y[fit], x[check]) - y[check]) ** 2).sum(1)
        best = errors.argmin(0)
        path = _ridge_path(x[train], y[train], x[test])
        predicted[test] = path[best, :, np.arange(y.shape[1])].T
    return predicted


def _ridge_path(x: np.ndarray, y: np.ndarray, x_test: np.ndarray) -> np.ndarray:
    """Predictions (penalties, N_test, D) of min |y - x w|² / N + penalty |w|²."""
    centre, spread = _standard(x)
    x, x_test = (x - centre) / spread, (x_test - centre) / spread
    values, basis = np.linalg.eigh(x.T @ x / len(x))
    target = basis.T @ (x.T @ (y - y.mean(0)) / len(x))
    weights = target / (values.clip(0)[:, None] + PENALTIES[:, None, None])
    return (x_test @ basis) @ weights + y.mean(0)


def _mlp(
    x: np.ndarray, y: np.ndarray, episode: np.ndarray, fold: np.ndarray, config: ProbeConfig
) -> np.ndarray:
    """Two hidden layers, all folds side by side; each kept where it predicts best what an inner
    part of its training episodes holds back."""
    import torch
    from torch.nn import functional as F

    parts = fold.max() + 1
    fits = np.zeros((parts, len(x)), bool)
    checks = np.zeros_like(fits)
    for part in range(parts):
        train = np.flatnonzero(fold != part)
        inner = _inner_folds(episode[train], config.seed)
        fits[part, train[inner != 0]], checks[part, train[inner == 0]] = True, True
    inputs, targets, y_mean, y_spread = _standard_folds(x, y, fold)
    check = torch.from_numpy(checks)
    batch = min(BATCH, int(fits.sum(1).min()))
    rows = [torch.from_numpy(np.flatnonzero(fit)) for fit in fits]
    generator = torch.Generator().manual_seed(config.seed)

    def layer(fan_in: int, fan_out: int) -> list[torch.Tensor]:
        weight = torch.randn(parts, fan_in, fan_out, generator=generator) / fan_in**0.5
        return [weight.requires_grad_(), torch.zeros(parts, 1, fan_out, requires_grad=True)]

    widths = (x.shape[1], config.hidden, config.hidden, y.shape[1])
    layers = [layer(a, b) for a, b in pairwise(widths)]
    optimiser = torch.optim.AdamW([*chain(*layers)], lr=5e-3, weight_decay=0.03)

    def forward(z: torch.Tensor) -> torch.Tensor:
        for weight, bias in layers[:-1]:
            z = F.relu(torch.baddbmm(bias, z, weight))
        weight, bias = layers[-1]
        return torch.baddbmm(bias, z, weight)

    every = torch.arange(parts)[:, None]
    best = torch.full((parts,), float("inf"))
    kept = torch.zeros_like(targets)
    for step in range(config.steps):
        drawn = [r[torch.randint(len(r), (batch,), generator=generator)] for r in rows]
        chosen = torch.stack(drawn)
        loss = (forward(inputs[every, chosen]) - targets[every, chosen]).square().mean((1, 2))
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
        if step % CHECK_EVERY == CHECK_EVERY - 1:
            with torch.no_grad():
                predicted = forward(inputs)
            errors = (predicted - targets).square().mean(2)
            error = (errors * check).sum(1) / check.sum(1)
            kept[error < best] = predicted[error < best]
            best = torch.minimum(best, error)
    own = kept[torch.from_numpy(fold), torch.arange(len(x))].double().numpy()
    return own * y_spread[fold] + y_mean[fold]


def _standard_folds(
    x: np.ndarray, y: np.ndarray, fold: np.ndarray
) -> tuple["torch.Tensor", "torch.Tensor", np.ndarray, np.ndarray]:
    """x and y as each fold's training rows scale them, (folds, N, ·); and y's means and spreads."""
    import torch

    scales = [(_standard(x[fold != p]), _standard(y[fold != p])) for p in range(fold.max() + 1)]
    inputs = np.stack([((x - mean) / spread).astype(np.float32) for (mean, spread), _ in scales])
    targets = np.stack([((y - mean) / spread).astype(np.float32) for _, (mean, spread) in scales])
    y_mean, y_spread = (np.stack([scale[1][i] for scale in scales]) for i in (0, 1))
    return torch.from_numpy(inputs), torch.from_numpy(targets), y_mean, y_spread
