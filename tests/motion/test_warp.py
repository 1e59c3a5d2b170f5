"""Batched warps of tensors agree with OpenCV's of one picture."""

import cv2
import numpy as np
import pytest
import torch

from robowm.motion.warp import warp_by_camera, warp_by_flow

SIMILAR = np.array([[1.01, -0.03, 2.4], [0.03, 1.01, -1.7]], np.float32)
TILTED = np.array([[1.01, -0.03, 2.4], [0.02, 0.99, -1.7], [2e-4, -3e-4, 1.0]], np.float32)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """float32 (3, 40, 56, 3), smooth."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 1, (3, 8, 8, 3)).astype(np.float32)
    return np.stack([cv2.resize(it, (56, 40), interpolation=cv2.INTER_CUBIC) for it in coarse])


def tensors(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2)


def check(found: torch.Tensor, wanted: np.ndarray) -> None:
    gap = np.abs(found.permute(0, 2, 3, 1).numpy() - wanted)
    assert gap.max() < 0.02 and gap.mean() < 0.002  # OpenCV rounds places to 1/32 pixel


def test_by_flow(pictures) -> None:
    rng = np.random.default_rng(1)
    flow = rng.uniform(-4, 4, (3, 5, 7, 2)).astype(np.float32)
    flow = np.stack([cv2.resize(it, (56, 40)) for it in flow])
    y, x = np.mgrid[:40, :56].astype(np.float32)
    wanted = [
        cv2.remap(p, x + f[..., 0], y + f[..., 1], 1, borderMode=cv2.BORDER_REPLICATE)
        for p, f in zip(pictures, flow, strict=True)
    ]
    found = warp_by_flow(tensors(pictures), torch.from_numpy(flow).permute(0, 3, 1, 2))
    check(found, np.stack(wanted))


@pytest.mark.parametrize("camera", [SIMILAR, TILTED], ids=["similarity", "homography"])
def test_by_camera(pictures, camera) -> None:
    square = np.vstack([camera, [0, 0, 1]])[:3]
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    wanted = [
        cv2.warpPerspective(p, square, (56, 40), flags=how, borderMode=cv2.BORDER_REPLICATE)
        for p in pictures
    ]
    cameras = torch.from_numpy(camera).expand(3, -1, -1)
    check(warp_by_camera(tensors(pictures), cameras), np.stack(wanted))


def test_each_picture_has_its_own_camera(pictures) -> None:
    cameras = torch.eye(3).repeat(3, 1, 1)[:, :2]
    cameras[1, 0, 2] = 3  # the second picture is seen three pixels further right
    found = warp_by_camera(tensors(pictures), cameras)
    torch.testing.assert_close(found[0], tensors(pictures)[0])
    torch.testing.assert_close(found[1, :, :, :-3], tensors(pictures)[1, :, :, 3:])


def test_gradients_reach_the_flow(pictures) -> None:
    flow = torch.full((3, 2, 40, 56), 0.3, requires_grad=True)
    warp_by_flow(tensors(pictures), flow).square().sum().backward()
    assert flow.grad is not None and flow.grad.abs().sum() > 0
