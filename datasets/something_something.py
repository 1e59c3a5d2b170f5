"""Something-Something V2: hands that do things to things, a webm of some seconds each, 12 a second.

The source is a folder with the clips (`ID.webm`, anywhere below) and the published label files
(`train.json`, `validation.json`: `id` and `label`). A clip that is in none of them has no text.
"""

from pathlib import Path

from robowm.video.config import IngestConfig
from robowm.video.decode import find_clips
from robowm.video.sources.captions import read_table
from robowm.video.sources.entry import Found, Search
from robowm.video.sources.files import file_entry

SPEC = IngestConfig(size_px=128, fps=12, fit="crop")


def find(search: Search) -> Found:
    """Every clip with its label."""
    sources = [Path(source) for source in search.sources]
    clips, others = find_clips(sources)
    tables = [table for source in sources for table in sorted(source.rglob("*.json"))]
    said: dict[str, str] = {}
    for table in tables:
        said |= read_table(table)
    entries = [file_entry(name, clip, said.get(clip.stem, "")) for name, clip in clips.items()]
    return Found(entries, others - len(tables))
