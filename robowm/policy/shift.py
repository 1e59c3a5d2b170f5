"""Pictures moved by a few pixels in training, and the places in them moved along."""

import torch
from torch import Tensor
from torch.nn import functional as F


def shifted(
    frames: Tensor, places: Tensor | None, most_px: int, outlines: Tensor | None = None
) -> tuple[Tensor, Tensor | None, Tensor, Tensor | None]:
    """Every sample moved by up to `most_px` pixels; what comes in at the edge repeats it.

    Args:
        frames: (B, T, 3, S, S).
        places: (B, G, 2) in the pictures, from -1 to 1; moved along.
        most_px: at least 1.
        outlines: (B, S, S), moved along.

    Returns:
        the frames, the places, by how much each was moved, (B, 2) in the units of places, and the
        outlines.
    """
    size, moves = frames.shape[-1], torch.randint(-most_px, most_px + 1, (len(frames), 2))

    def cut(pictures: Tensor) -> Tensor:
        wide = F.pad(pictures, [most_px] * 4, mode="replicate")
        return torch.stack(
            [
                sample[..., most_px - y : most_px - y + size, most_px - x : most_px - x + size]
                for sample, (x, y) in zip(wide, moves.tolist(), strict=True)
            ]
        )

    moved = moves.to(frames) * 2 / size
    return (
        cut(frames.flatten(1, 2)).unflatten(1, (-1, 3)),
        None if places is None else places + moved[:, None],
        moved,
        None if outlines is None else cut(outlines),
    )
