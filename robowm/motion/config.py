"""How motion is measured: settings that a labeller is trained with and keeps."""

from dataclasses import dataclass
from typing import Literal

Estimator = Literal["dis", "farneback", "raft_small", "raft_large"]
DisPreset = Literal["auto", "ultrafast", "fast", "medium"]
CameraModel = Literal["auto", "similarity", "homography"]

RANDOM_WEIGHTS = "random"


@dataclass(frozen=True)
class MotionConfig:
    """How motion is measured; a labeller uses what it was trained with."""

    estimator: Estimator = "dis"
    """optical flow by DIS (default), Farneback, or a RAFT network (needs raft_weights)"""
    dis_preset: DisPreset = "auto"
    """DIS's search; auto is medium below 256 pixels and fast from there"""
    dis_finest_scale: int = 0
    """pyramid level at which DIS stops: 0 is every pixel, 1 every second one (4 times as fast)"""
    raft_weights: str = ""
    """RAFT's weights: a .safetensors or torchvision .pth file, a folder or Hub id with one such
    file, or "random": no weights, flow without meaning, for tests and timing only"""
    compensate_camera: bool = True
    """take the camera's motion out of flow and frames; False is the ablation"""
    camera_model: CameraModel = "auto"
    """similarity: shift, turn, zoom; homography: tilt too; auto: a homography where the picture
    has 64 pixels or more and it explains the border clearly better"""


DEFAULT = MotionConfig()
