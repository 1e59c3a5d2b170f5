"""Batched warps of pictures that are tensors already, on their own device (kornia)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def warp_by_flow(frames: "Tensor", flow: "Tensor") -> "Tensor":
    """Each second frame as the first one's pixels would see it: out(x) = frame(x + flow(x)).

    Args:
        frames: float (B, C, H, W).
        flow: float (B, 2, H, W), pixels, x before y, first→second.

    Returns:
        float (B, C, H, W); beyond the edge the nearest pixel.
    """
    from kornia.geometry import create_meshgrid
    from kornia.geometry.transform import remap

    height, width = frames.shape[-2:]
    grid = create_meshgrid(height, width, False, flow.device, flow.dtype)
    x, y = (grid.permute(0, 3, 1, 2) + flow).unbind(1)
    return remap(frames, x, y, padding_mode="border", align_corners=True)


def warp_by_camera(frames: "Tensor", camera: "Tensor") -> "Tensor":
    """Each second frame from the first one's camera: out(x) = frame(camera · x).

    Args:
        frames: float (B, C, H, W).
        camera: float (B, 2, 3) similarities or (B, 3, 3) homographies, pixels, first→second.

    Returns:
        float (B, C, H, W); beyond the edge the nearest pixel.
    """
    import torch
    from kornia.geometry.transform import warp_perspective

    if camera.shape[-2] == 2:
        last = camera.new_tensor([[[0.0, 0.0, 1.0]]]).expand(len(camera), 1, 3)
        camera = torch.cat([camera, last], dim=1)
    size = (frames.shape[-2], frames.shape[-1])
    back = torch.linalg.inv(camera).to(frames.dtype)  # kornia's matrices go from source to result
    return warp_perspective(frames, back, size, padding_mode="border", align_corners=True)
