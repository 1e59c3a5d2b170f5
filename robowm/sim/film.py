"""Frames to a small mp4 that every player opens."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_mp4(path: Path, frames: np.ndarray, fps: int, crf: int = 18, scale: int = 1) -> None:
    """Write H.264 in yuv420p; the file is whole or absent.

    Args:
        path: where it will stand.
        frames: uint8 (T, H, W, 3) RGB; H * scale and W * scale must be even.
        fps: frames a second, constant; the first is shown at 0 s.
        crf: x264's quality, 0 (lossless) to 51.
        scale: each pixel becomes a square of this side, so that small frames can be looked at.
    """
    large = frames.repeat(scale, axis=1).repeat(scale, axis=2)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp.mp4")
    with av.open(str(temporary), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": str(crf)})
        stream.height, stream.width = large.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        stream.codec_context.thread_count = 1
        for index, picture in enumerate(large):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    temporary.replace(path)
