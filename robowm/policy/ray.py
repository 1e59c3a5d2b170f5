"""From a place in the picture to a place in the world, at a height that is known."""

import torch
from torch import Tensor

LEAST_AREA = 1e-4
FARTHEST = 10.0  # deviations: further than that no hand goes


def along_the_ray(camera: Tensor, at: Tensor, height: Tensor) -> Tensor:
    """x and y (..., 2) of what is seen at `at` (..., 2) and `height` (...) high.

    Args:
        camera: (3, 4), from a place in normalised units, and 1, to a point in the picture, (x, y)
            from -1 to 1, as homogeneous coordinates.
        at: from -1 to 1.
        height: normalised.
    """
    # two rows of a projection say (row - at * depth) . (x, y, z, 1) = 0: solve them for x, y
    rows = camera[:2] - at[..., None] * camera[2]
    (a, b), (c, d) = rows[..., 0, :2].unbind(-1), rows[..., 1, :2].unbind(-1)
    right = -(rows[..., 2] * height[..., None] + rows[..., 3])
    p, q = right.unbind(-1)
    area = a * d - b * c
    area = torch.where(area.abs() < LEAST_AREA, LEAST_AREA, area)  # a ray that is nearly level
    x = ((p * d - q * b) / area).clamp(-FARTHEST, FARTHEST)
    y = ((a * q - c * p) / area).clamp(-FARTHEST, FARTHEST)
    return torch.stack([x, y], dim=-1)
