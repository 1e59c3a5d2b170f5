"""Flow matching over action chunks, as ViPRA does it (section 3.3; its fm_sampler).

x_t = (1 - 0.999 t) ε + t a, so the velocity to learn is a - 0.999 ε. Times are drawn towards the
noisy end, t = 0.999 (1 - Beta(1.5, 1)), where the choice between modes is made (as in π0).
"""

from collections.abc import Callable

import torch
from torch import Tensor

SIGMA_MIN = 1e-3


def draw_times(count: int, device: torch.device) -> Tensor:
    """float32 (count,) in [0, 0.999]."""
    # 1 - Beta(1.5, 1) by inverting its distribution function u = x^1.5
    return (1 - SIGMA_MIN) * (1 - torch.rand(count, device=device) ** (1 / 1.5))


def interpolate(actions: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The point x_t on the way and the velocity to learn there.

    Args:
        actions, noise: (B, H, A).
        t: (B,).
    """
    t = t[:, None, None]
    return (1 - (1 - SIGMA_MIN) * t) * noise + t * actions, actions - (1 - SIGMA_MIN) * noise


def integrate(velocity: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int) -> Tensor:
    """From noise (B, H, A) to actions by `steps` Euler steps of velocity(x, t)."""
    x = noise
    for i in range(steps):
        t = torch.full((len(x),), i / steps, device=x.device)
        x = x + velocity(x, t) / steps
    return x
