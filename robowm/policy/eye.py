"""Where in the picture a robot's hand is, learnt from its own demonstrations: no calibration.

While the arm moves, one end of the moving part of the picture follows the hand. A smooth map
(quadratic, ridge) from proprioception to that end says where any other pose would be seen, as long
as the camera stands still. It is a few pixels off, for an end is not a fingertip, but always in the
same way; what is taught with it (`robowm.nn.points.map_loss`) only needs to be told apart.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from robowm.policy.linear import Linear

LEAST_R2 = 0.3
LEAST_ROWS = 20


@dataclass(frozen=True)
class Eye:
    """Proprioception to a place in the picture.

    Attributes:
        map: from `features` of the state to (x, y), from -1 to 1.
        ends: which quantile of the motion's extent follows the hand, in x and y.
        held_out_r2: share of the end's variance that is foretold on other episodes, x and y.
    """

    map: Linear
    ends: tuple[int, int]
    held_out_r2: tuple[float, float]

    @classmethod
    def fit(cls, states: np.ndarray, extents: np.ndarray, episode: np.ndarray) -> Self | None:
        """Fit to N frames; None where motion does not tell where the hand is.

        Of the three quantiles that one is taken, in x and in y, whose foretold part varies most.

        Args:
            states: (N, S), proprioception.
            extents: (N, 2, 3), from `robowm.motion.extent`, NaN where nothing moves.
            episode: (N,).
        """
        rows = np.isfinite(extents).all((1, 2))
        if rows.sum() < LEAST_ROWS:
            return None
        x, seen = features(states[rows]), extents[rows].astype(np.float64)
        fitted = Linear.fit(x, seen.reshape(len(seen), -1), episode[rows])
        foretold = np.sqrt(fitted.held_out_r2.clip(0)) * seen.reshape(len(seen), -1).std(0)
        ends = foretold.reshape(2, -1).argmax(1)
        chosen = seen[:, [0, 1], ends]
        eye = Linear.fit(x, chosen, episode[rows])
        r2 = (float(eye.held_out_r2[0]), float(eye.held_out_r2[1]))
        if min(r2) < LEAST_R2:
            return None
        return cls(eye, (int(ends[0]), int(ends[1])), r2)

    def places(self, states: np.ndarray) -> np.ndarray:
        """Where poses (..., S) would be seen: float32 (..., 2), from -1 to 1."""
        flat = features(states.reshape(-1, states.shape[-1]))
        return self.map.predict(flat)[0].reshape(*states.shape[:-1], 2).astype(np.float32)


def features(states: np.ndarray) -> np.ndarray:
    """Every number of the state, and all products of two: float64 (N, S + S·(S+1)/2)."""
    states = states.astype(np.float64)
    first, second = np.triu_indices(states.shape[1])
    return np.concatenate([states, states[:, first] * states[:, second]], axis=1)
