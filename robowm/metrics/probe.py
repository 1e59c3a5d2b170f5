"""What can be read from a feature: ridge and MLP probes, judged on episodes they did not see.

`probe(x, y, episode)` predicts every row from probes fitted to other episodes (grouped k-fold) and
gives R² per dimension. All choices (ridge penalty, when the MLP stops) are made inside the
training episodes.
"""

from dataclasses import dataclass

import numpy as np

from robowm.metrics.bootstrap import Estimate, bootstrap, episode_sums

PENALTIES = np.logspace(-4, 3, 15)  # of features with unit variance; loss is a mean over rows
INNER_FOLDS = 4


@dataclass(frozen=True)
class ProbeConfig:
    """How a probe is fitted."""

    kind: str = "linear"
    """linear (ridge) or mlp"""
    folds: int = 5
    """parts that the episodes are dealt into; each is predicted from the others"""
    hidden: int = 64
    """width of the MLP's two hidden layers"""
    steps: int = 400
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
    fit = {"linear": _ridge, "mlp": _mlp}[config.kind]
    fold = grouped_folds(episode, config.folds, config.seed)
    predicted = np.empty_like(y)
    for part in range(fold.max() + 1):
        own = fold == part
        predicted[own] = fit(x[~own], y[~own], episode[~own], x[own], config)
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
    x: np.ndarray, y: np.ndarray, episode: np.ndarray, x_test: np.ndarray, config: ProbeConfig
) -> np.ndarray:
    """Ridge regression, the penalty of each dimension by inner cross-validation."""
    fold = _inner_folds(episode, config.seed)
    errors = np.zeros((len(PENALTIES), y.shape[1]))
    for part in np.unique(fold):
        own = fold == part
        errors += ((_ridge_path(x[~own], y[~own], x[own]) - y[own]) ** 2).sum(1)
    best = errors.argmin(0)
    return _ridge_path(x, y, x_test)[best, :, np.arange(y.shape[1])].T


def _ridge_path(x: np.ndarray, y: np.ndarray, x_test: np.ndarray) -> np.ndarray:
    """Predictions (penalties, N_test, D) of min |y - x w|² / N + penalty |w|²."""
    centre, spread = _standard(x)
    x, x_test = (x - centre) / spread, (x_test - centre) / spread
    values, basis = np.linalg.eigh(x.T @ x / len(x))
    target = basis.T @ (x.T @ (y - y.mean(0)) / len(x))
    weights = target / (values.clip(0)[:, None] + PENALTIES[:, None, None])
    return (x_test @ basis) @ weights + y.mean(0)


def _mlp(
    x: np.ndarray, y: np.ndarray, episode: np.ndarray, x_test: np.ndarray, config: ProbeConfig
) -> np.ndarray:
    """Two hidden layers; stops where an inner part of the episodes is predicted best."""
    import torch
    from torch import nn

    (x_mean, x_spread), (y_mean, y_spread) = _standard(x), _standard(y)
    inputs, targets = (
        torch.from_numpy(part).float()
        for part in ((x - x_mean) / x_spread, (y - y_mean) / y_spread)
    )
    held = torch.from_numpy(_inner_folds(episode, config.seed) == 0)
    train_x, train_y = inputs[~held], targets[~held]
    generator = torch.Generator().manual_seed(config.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = nn.Sequential(
            nn.Linear(x.shape[1], config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, y.shape[1]),
        )
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.03)
    test = torch.from_numpy((x_test - x_mean) / x_spread).float()
    best, kept = float("inf"), torch.zeros(len(test), y.shape[1])
    for step in range(config.steps):
        rows = torch.randint(len(train_x), (min(256, len(train_x)),), generator=generator)
        loss = (network(train_x[rows]) - train_y[rows]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 10 == 9:
            with torch.no_grad():
                error = (network(inputs[held]) - targets[held]).square().mean().item()
                if error < best:
                    best, kept = error, network(test)
    return kept.double().numpy() * y_spread + y_mean
