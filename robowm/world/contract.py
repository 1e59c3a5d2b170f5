"""What every world model can do, whatever family it is of."""

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from robowm.batch import Batch


@dataclass(frozen=True)
class Capabilities:
    """What a family can be steered with, and how far one step goes.

    Attributes:
        controls: of "action", "latent_action", "text"; empty when it only continues.
        frames_per_step: how many frames later the frame is that `step` returns.
    """

    controls: tuple[str, ...]
    frames_per_step: int


class WorldModel(Protocol):
    """Loss for training; `start` and `step` for imagining."""

    capabilities: Capabilities

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Training loss and its parts."""

    def start(self, context: Batch) -> Any:
        """A state from context frames (B, T, 3, H, W) and instructions."""

    def step(self, state: Any, control: Tensor | None = None) -> tuple[Tensor, Any]:
        """The next frame float32 (B, 3, H, W) in [0, 1], and the state after it."""
