"""Video from the web: a folder as yt-dlp leaves it, or addresses to fetch with it.

A folder holds clips with `.info.json` and subtitles (`.en.vtt`, `.srt`) beside them. Addresses, or
a text file of them (one a line), need `robowm[youtube]`; what is fetched is kept in OUT.downloads
and not fetched again. Subtitles become the text of the shots they overlap. Whether you may use a
video is between you and its owner.
"""

from robowm.video.config import IngestConfig
from robowm.video.sources.web import find_web as find

SPEC = IngestConfig(size_px=128, fps=10, fit="crop")
__all__ = ["SPEC", "find"]
