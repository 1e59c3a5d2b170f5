"""Clips in: finds the files, opens them, and yields upright pictures with their times.

Nothing here holds more than a few decoded frames: pictures are made small as they come.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from robowm.errors import UserError

SUFFIXES = (".avi", ".gif", ".mkv", ".mov", ".mp4", ".webm")
# What a file of those names may hold in truth. Playlists are not among it: they would make the
# decoder open other files and addresses.
FORMATS = (
    *("avi", "matroska", "mov", "gif", "flv", "asf", "mpeg", "mpegts", "ogg", "h264", "hevc"),
    *("mp3", "aac", "wav", "flac", "image2", "gif_pipe"),
    *("png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe"),
)
MAX_BAD_PACKETS = 1000  # then the rest of the file is taken for noise


class UnusableClip(Exception):
    """A file that yields no shots: `reason` is a manifest code, `note` says it in words."""

    def __init__(self, reason: str, note: str) -> None:
        super().__init__(f"{reason}: {note}")
        self.reason, self.note = reason, note


def find_clips(sources: list[Path]) -> tuple[dict[str, Path], int]:
    """Video files in `sources`, folders searched to the bottom, hidden files left out.

    Returns:
        name to file, sorted by name, and the number of other files passed over. A name is the
        source folder's own name and the path below it; where two sources would share a name, the
        path as it was given takes its place.

    Raises:
        UserError: a source is absent, or there is no video file in any of them.
    """
    if not sources:
        raise UserError(f"no SRC; expected video files ({', '.join(SUFFIXES)}) or folders of them.")
    found: dict[Path, tuple[str, str, Path]] = {}
    others = 0
    for source in sources:
        if not source.exists():
            raise UserError(f"{source} does not exist; expected a video file or a folder of them.")
        own_name = name_of(source)
        for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
            below = PurePath(own_name) / path.relative_to(source)
            if path.name.startswith(".") or path.is_dir():
                continue
            if path.suffix.lower() not in SUFFIXES:
                others += 1
                continue
            found.setdefault(path.resolve(), (_text(below), _text(path), path))
    if not found:
        where = ", ".join(map(str, sources))
        raise UserError(
            f"no clips in {where} ({others} other files there); "
            f"expected files that end in {', '.join(SUFFIXES)}."
        )
    short = Counter(name for name, *_ in found.values())
    names = {(s if short[s] == 1 else given): path for s, given, path in found.values()}
    return dict(sorted(names.items())), others


def name_of(source: Path) -> str:
    """A source's own name: of "." the folder's, of a Hub snapshot "owner/name"."""
    whole = source.resolve()
    if whole.parent.name == "snapshots":  # in the cache: datasets--owner--name/snapshots/COMMIT
        return whole.parents[1].name.removeprefix("datasets--").replace("--", "/")
    return source.name if source.name not in ("", "..") else whole.name


def _text(path: PurePath) -> str:
    """A path as the manifest can hold it: names that are no UTF-8 exist too."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@dataclass
class Video:
    """One open video stream.

    Attributes:
        width_px, height_px: of the upright picture, its pixels made square.
        duration_s: as the file claims; 0 where it does not say.
        note: what went wrong while decoding; empty when nothing did.
        end_s: once all frames were read, when the last one stops being shown.
    """

    width_px: int
    height_px: int
    duration_s: float
    rate_hz: float
    _reel: "_Reel"
    _reformatter: Any
    note: str = ""
    end_s: float = 0.0

    def frames(self) -> Iterator[tuple[float, Any]]:
        """Yield (time_s, av.VideoFrame) once, times strictly rising."""
        last_s, out_of_time = -np.inf, 0
        for frame in self._reel:
            time_s = frame.time
            if time_s is None:  # some AVI files: no clock but the nominal rate
                time_s = 0.0 if last_s < 0 else last_s + 1 / self.rate_hz
            if time_s <= last_s:
                out_of_time += 1
                continue
            shown_s = float(frame.duration * frame.time_base) if frame.duration else 0.0
            last_s, self.end_s = time_s, time_s + (shown_s or 1 / self.rate_hz)
            yield time_s, frame
        self.note = self._reel.note
        if out_of_time and not self.note:
            self.note = f"{out_of_time} frames passed over whose times repeat or go back"
        missing_s = self.duration_s - self.end_s
        if not self.note and missing_s > max(0.5, 0.1 * self.duration_s):
            self.note = "cut off"
        if self.note:
            self.note += f"; {self.end_s:.1f} s of {self.duration_s:.1f} s read"

    def small(self, frame: Any, width_px: int, height_px: int) -> np.ndarray:
        """The upright picture area-averaged to uint8 (height_px, width_px, 3), RGB."""
        turns = _quarter_turns(frame)
        across, down = (height_px, width_px) if turns % 2 else (width_px, height_px)
        scaled = self._reformatter.reformat(
            frame, width=across, height=down, format="rgb24", interpolation="AREA"
        )
        return np.rot90(scaled.to_ndarray(), turns)


class _Reel:
    """Iterates the decodable frames of a container; `note` tells what was not decodable."""

    def __init__(self, container: Any) -> None:
        self.note = ""
        self._frames = self._decode(container)
        self._first: Any = next(self._frames, None)

    @property
    def first(self) -> Any:
        """The first frame, or None where there is none; it is iterated again."""
        return self._first

    def __iter__(self) -> Iterator[Any]:
        first, self._first = self._first, None
        if first is not None:
            yield first
        del first  # an 8K picture is 50 MB
        yield from self._frames

    def _decode(self, container: Any) -> Iterator[Any]:
        import av

        bad = 0
        packets = container.demux(container.streams.video[0])
        while bad < MAX_BAD_PACKETS:
            try:
                packet = next(packets, None)
                frames = packet.decode() if packet is not None else []
            except av.error.InvalidDataError:
                bad += 1
                continue
            except av.error.FFmpegError as error:
                self.note = f"decoding stopped: {error.strerror}"
                return
            if packet is None:
                break
            bad += sum(frame.is_corrupt for frame in frames)
            yield from (frame for frame in frames if not frame.is_corrupt)
        if bad:
            self.note = f"damaged: {bad} pieces could not be decoded"


@contextmanager
def open_video(clip: Path | Callable[[], AbstractContextManager[Any]]) -> Iterator[Video]:
    """Open a clip: the first video stream of a file, or whatever a source's own function opens.

    Raises:
        UnusableClip: as `open_file`, or what the source's function raises.
    """
    with open_file(clip) if isinstance(clip, Path) else clip() as video:
        yield video


@contextmanager
def open_file(path: Path, start_s: float = 0.0) -> Iterator[Video]:
    """Open the first video stream of `path`, at the key picture at or before `start_s`.

    Raises:
        UnusableClip: empty_file, unreadable, no_video_stream or still_image.
    """
    import av
    from av.video.reformatter import VideoReformatter

    av.logging.set_level(av.logging.PANIC)  # broken files are told in the manifest, not on stderr
    try:
        if not path.stat().st_size:
            raise UnusableClip("empty_file", "0 bytes")
        container = av.open(str(path), options={"format_whitelist": ",".join(FORMATS)})
    except (av.error.FFmpegError, OSError) as error:
        raise UnusableClip("unreadable", error.strerror or str(error)) from error
    with container:
        if not container.streams.video:
            kinds = sorted({stream.type for stream in container.streams})
            raise UnusableClip("no_video_stream", f"holds only: {', '.join(kinds) or 'nothing'}")
        if container.format.name == "image2" or container.format.name.endswith("_pipe"):
            raise UnusableClip("still_image", f"one picture ({container.format.name})")
        stream = container.streams.video[0]
        if stream.disposition & av.stream.Disposition.attached_pic:
            raise UnusableClip("no_video_stream", "holds only sound and its cover picture")
        # one thread: clips run side by side, and every frame thread holds full pictures
        stream.codec_context.thread_count = 1
        if start_s > 0 and stream.time_base:
            container.seek(int(start_s / stream.time_base), stream=stream)
        reel = _Reel(container)
        if reel.first is None:
            raise UnusableClip("unreadable", f"no frame can be decoded; {reel.note}".rstrip("; "))
        width, height = _upright_size(reel.first, stream.sample_aspect_ratio)
        duration_s = _duration_s(container, stream)
        rate_hz = float(stream.average_rate or stream.guessed_rate or 25)
        yield Video(width, height, duration_s, rate_hz, reel, VideoReformatter())


def _upright_size(frame: Any, pixel_aspect: Any) -> tuple[int, int]:
    """Width and height as shown: pixels made square, the camera's rotation undone."""
    width = max(1, round(frame.width * float(pixel_aspect or 1)))
    return (frame.height, width) if _quarter_turns(frame) % 2 else (width, frame.height)


def _quarter_turns(frame: Any) -> int:
    return round(frame.rotation / 90) % 4


def _duration_s(container: Any, stream: Any) -> float:
    """What the file claims for its pictures; a sound track may last longer."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if len(container.streams) > 1 or not container.duration:
        return 0.0
    return float(container.duration) / 1e6
