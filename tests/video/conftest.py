"""Makes small clips of known content, in every format that matters."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from robowm.video import ingest as stage
from robowm.video.config import IngestConfig

MakeClip = Callable[..., Path]
FORMATS = {
    ".mp4": ("libx264", "yuv420p", {"crf": "10", "preset": "ultrafast"}),
    ".mkv": ("libx264", "yuv420p", {"crf": "10", "preset": "ultrafast"}),
    ".mov": ("mpeg4", "yuv420p", {"qscale": "2"}),
    ".avi": ("mpeg4", "yuv420p", {"qscale": "2"}),
    ".webm": ("libvpx-vp9", "yuv420p", {"crf": "15", "b": "0", "deadline": "realtime"}),
    ".gif": ("gif", "rgb8", {}),
}


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """make_clip(name, frames, times_s=None or fps=10.0, **codec options) -> path."""

    def make(
        name: str,
        frames: Iterable[np.ndarray],
        times_s: Sequence[float] | None = None,
        fps: float = 10.0,
        **options: str,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        codec, pixels, defaults = FORMATS[path.suffix.lower()]
        tick = Fraction(1, {".gif": 100, ".avi": round(fps)}.get(path.suffix.lower(), 1000))
        muxer = {key: options.pop(key) for key in ("movflags",) if key in options}
        with av.open(str(path), "w", options=muxer) as container:
            stream = None
            for n, picture in enumerate(frames):
                if stream is None:
                    chosen = defaults | options
                    stream = container.add_stream(codec, rate=round(fps), options=chosen)
                    stream.height, stream.width = picture.shape[:2]
                    even = not picture.shape[0] % 2 and not picture.shape[1] % 2
                    stream.pix_fmt = pixels if even or codec == "gif" else "yuv444p"
                    stream.codec_context.time_base = tick
                time_s = n / fps if times_s is None else times_s[n]
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts, frame.time_base = round(time_s / tick), tick
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return make


@pytest.fixture
def moving() -> Callable[..., np.ndarray]:
    """moving(n, height, width, seed): uint8 (n, H, W, 3), a disc that crosses a fixed texture."""

    def make(n: int, height: int = 72, width: int = 128, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        coarse = rng.integers(30, 220, (6, 8, 3)).astype(np.uint8)
        texture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        y, x = np.mgrid[:height, :width]
        frames = np.repeat(texture[None], n, axis=0)
        for t, frame in enumerate(frames):
            centre = width * (0.2 + 0.6 * t / max(n - 1, 1))
            frame[(x - centre) ** 2 + (y - height / 2) ** 2 < (height / 5) ** 2] = (250, 40, 20)
        return frames

    return make


@pytest.fixture
def levels() -> Callable[..., np.ndarray]:
    """levels(values, height, width): uint8 (len(values), H, W, 3), each frame of one grey."""

    def make(values: Sequence[int], height: int = 48, width: int = 64) -> np.ndarray:
        grey = np.asarray(values, np.uint8)[:, None, None, None]
        return np.broadcast_to(grey, (len(values), height, width, 3)).copy()

    return make


@pytest.fixture
def killed_ingest(killed: Callable[..., None]) -> Callable[..., None]:
    """`robowm ingest` in a process that dies as it would store its second clip."""

    def run(*words: str) -> None:
        killed("main(words)", *words, "--workers", "1", last=2, into="clips")

    return run


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The clips that this process has decided on, as it does."""
    clips: list[Any] = []
    decide = stage.decide

    def spy(clip: Any, config: IngestConfig) -> Any:
        clips.append(clip)
        return decide(clip, config)

    monkeypatch.setattr(stage, "decide", spy)
    return clips
