"""Pictures and videos as part of the page itself."""

import base64
import struct
from dataclasses import dataclass
from pathlib import Path

MIME = {
    ".png": "image/png",
    ".gif": "image/gif",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}
LARGEST_BYTES = 8_000_000
SMALL_PX = 256  # narrower pictures are enlarged with square pixels


@dataclass(frozen=True)
class Medium:
    """One picture or video.

    Attributes:
        uri: data URI, or empty when it could not be shown.
        problem: why it could not.
        kind: "image" or "video".
        width_px: natural width; 0 when unknown.
    """

    caption: str
    uri: str = ""
    problem: str = ""
    kind: str = "image"
    width_px: int = 0

    @property
    def small(self) -> bool:
        """Show its pixels as squares."""
        return 0 < self.width_px < SMALL_PX


def embed(directory: Path, file: str, caption: str, root: Path) -> Medium:
    """The file `directory/file` as a data URI; only files under `root` are shown."""
    path = (directory / file).resolve()
    mime = MIME.get(path.suffix.lower())
    if not path.is_relative_to(root.resolve()):
        problem = "outside the run directory"
    elif not path.is_file():
        problem = "file is absent"
    elif mime is None:
        problem = f"unknown format; shown are {' '.join(MIME)}"
    elif path.stat().st_size > LARGEST_BYTES:
        problem = f"{path.stat().st_size / 1e6:.1f} MB; at most {LARGEST_BYTES / 1e6:.0f} MB"
    else:
        raw = path.read_bytes()
        uri = f"data:{mime};base64,{base64.b64encode(raw).decode('ascii')}"
        return Medium(caption, uri, "", mime.split("/")[0], _width_px(raw))
    return Medium(caption, problem=f"{file}: {problem}")


def _width_px(raw: bytes) -> int:
    """Natural width of a png or gif; 0 for others."""
    if raw[:8] == b"\x89PNG\r\n\x1a\n":
        return int(struct.unpack(">I", raw[16:20])[0])
    return int(struct.unpack("<H", raw[6:8])[0]) if raw[:3] == b"GIF" else 0
