"""The map from latent actions to a robot's controls and back, fitted on few demonstrations.

What a latent action means for one robot under one camera is nearly linear (it is flow, and flow is
linear in joint speeds for a small step), so a hundred labelled transitions fit it. Each embodiment
has its own map. It decodes latent actions with an uncertainty, and encodes real actions to latent
ones, by which a world model that knows only these can be driven.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import safetensors.numpy

from robowm.artefact import write_json
from robowm.errors import UserError
from robowm.policy.linear import Linear

ARRAYS, CARD = "control_map.safetensors", "control_map.json"
DECODER = "decoder"  # the folder of the map by which a policy's latent actions become controls


@dataclass(frozen=True)
class Labelled:
    """Demonstrations with latent actions: N transitions, episode after episode.

    Attributes:
        latents: float32 (N, D); rows that are not valid hold zeros.
        valid: bool (N,).
        actions: float32 (N, A), in the robot's units.
        episode: int64 (N,).
    """

    latents: np.ndarray
    valid: np.ndarray
    actions: np.ndarray
    episode: np.ndarray


@dataclass(frozen=True)
class ControlMap:
    """Latent actions to controls and back, of one embodiment.

    Attributes:
        embodiment: the robot it was fitted for.
        axes: names of the action's numbers.
        neighbours: transitions before and after that are read along with each.
        to_actions: from latent actions with their neighbours.
        to_latents: from actions with their neighbours.
        labeller: sha256 of the model whose latent actions these are; empty: of none.
    """

    embodiment: str
    axes: tuple[str, ...]
    neighbours: int
    to_actions: Linear
    to_latents: Linear
    labeller: str = ""

    @classmethod
    def fit(
        cls,
        shown: Labelled,
        embodiment: str,
        axes: tuple[str, ...],
        neighbours: int = 1,
        labeller: str = "",
    ) -> Self:
        """Fit both directions.

        Raises:
            UserError: too few valid transitions.
        """
        rows = shown.valid
        if rows.sum() < 8:
            raise UserError(
                f"{int(rows.sum())} demonstrated transitions have a latent action; expected 8 or "
                "more. Label the demonstrations with `robowm label --labeller`."
            )
        latents = with_neighbours(shown.latents, shown.episode, neighbours)
        actions = with_neighbours(shown.actions, shown.episode, neighbours)
        episode = shown.episode[rows]
        return cls(
            embodiment=embodiment,
            axes=axes,
            neighbours=neighbours,
            to_actions=Linear.fit(latents[rows], shown.actions[rows].astype(np.float64), episode),
            to_latents=Linear.fit(actions[rows], shown.latents[rows].astype(np.float64), episode),
            labeller=labeller,
        )

    @property
    def latent_dim(self) -> int:
        """D, numbers of a latent action."""
        return len(self.to_actions.centre) // (2 * self.neighbours + 1)

    def decode(self, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Actions of one episode's, or one chunk's, latent actions.

        Args:
            latents: (T, D); zeros where there is none.

        Returns:
            actions and their standard deviations, float32 (T, A) each, in the robot's units.
        """
        mean, width = self.to_actions.predict(_of_one(latents, self.neighbours))
        return mean.astype(np.float32), width.astype(np.float32)

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """Latent actions float32 (T, D) of a chunk of actions (T, A)."""
        mean, _ = self.to_latents.predict(_of_one(actions, self.neighbours))
        return mean.astype(np.float32)

    def held_out(self) -> dict[str, dict[str, float]]:
        """Error on demonstrations that were not fitted: for each axis R² and RMSE (its units)."""
        pairs = zip(
            self.axes, self.to_actions.held_out_r2, self.to_actions.held_out_rmse, strict=True
        )
        return {axis: {"r2": float(r2), "rmse": float(rmse)} for axis, r2, rmse in pairs}

    def save(self, directory: Path) -> None:
        """Write `control_map.json` and `control_map.safetensors` into a directory."""
        arrays = {
            f"{name}.{key}": np.ascontiguousarray(value)
            for name in ("to_actions", "to_latents")
            for key, value in getattr(self, name).arrays().items()
        }
        safetensors.numpy.save_file(arrays, str(directory / ARRAYS))
        card = {
            "embodiment": self.embodiment,
            "axes": list(self.axes),
            "neighbours": self.neighbours,
            "labeller": self.labeller,
            "held_out": self.held_out(),
        }
        write_json(directory / CARD, card)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """From a directory that `save` has written to.

        Raises:
            UserError: there is none.
        """
        try:
            card = json.loads((directory / CARD).read_text())
            arrays = safetensors.numpy.load_file(str(directory / ARRAYS))
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            raise UserError(
                f"{directory} has no map to controls ({error}); expected {CARD} and {ARRAYS}."
            ) from None
        maps = {
            name: Linear(
                **{
                    key.removeprefix(f"{name}."): value
                    for key, value in arrays.items()
                    if key.startswith(f"{name}.")
                }
            )
            for name in ("to_actions", "to_latents")
        }
        return cls(
            card["embodiment"],
            tuple(card["axes"]),
            card["neighbours"],
            **maps,
            labeller=card["labeller"],
        )


def with_neighbours(values: np.ndarray, episode: np.ndarray, count: int) -> np.ndarray:
    """Each row with `count` rows before and after it in its episode; the ends are repeated.

    Args:
        values: (N, D), episode after episode.
        episode: (N,).
        count: 0 for the rows alone.

    Returns:
        float64 (N, D·(2·count + 1)).
    """
    _, start, size = np.unique(episode, return_index=True, return_counts=True)
    of = np.repeat(np.arange(len(start)), size)
    first, last = start[of], (start + size - 1)[of]
    at = np.arange(len(values))
    parts = [values[np.clip(at + k, first, last)] for k in range(-count, count + 1)]
    return np.concatenate(parts, axis=1).astype(np.float64)


def _of_one(values: np.ndarray, count: int) -> np.ndarray:
    return with_neighbours(values, np.zeros(len(values), np.int64), count)
