"""From a place in the world to one in the picture, and back at a height that is known."""

import torch
from torch import Tensor

LEAST_AREA = 1e-4
FARTHEST = 10.0  # deviations: further than that no hand goes


def seen_at(camera: Tensor, places: Tensor) -> Tensor:
    """Where in the picture places (B, N, 3) are, (B, N, 2), (x, y) from -1 to 1.

    Args:
        camera: (B, 3, 4), from a place, and 1, to a point in the picture, homogeneous.
        places: in the camera's units.
    """
    row = places @ camera[:, :, :3].mT + camera[:, None, :, 3]
    return row[..., :2] / row[..., 2:]


def along_the_ray(camera: Tensor, at: Tensor, height: Tensor) -> Tensor:
    """x and y (B, N, 2) of what is seen at `at` (B, N, 2) and `height` (B, N) high.

    Args:
        camera: (B, 3, 4), from a place, and 1, to a point in the picture, (x, y) from -1 to 1, as
            homogeneous coordinates.
        at: from -1 to 1.
        height: in the camera's units, which are normalised.
    """
    # two rows of a projection say (row - at * depth) . (x, y, z, 1) = 0: solve them for x, y
    camera = camera[:, None]
    rows = camera[..., :2, :] - at[..., None] * camera[..., 2:, :]
    (a, b), (c, d) = rows[..., 0, :2].unbind(-1), rows[..., 1, :2].unbind(-1)
    right = -(rows[..., 2] * height[..., None] + rows[..., 3])
    p, q = right.unbind(-1)
    area = a * d - b * c
    area = torch.where(area.abs() < LEAST_AREA, LEAST_AREA, area)  # a ray that is nearly level
    x = ((p * d - q * b) / area).clamp(-FARTHEST, FARTHEST)
    y = ((a * q - c * p) / area).clamp(-FARTHEST, FARTHEST)
    return torch.stack([x, y], dim=-1)
