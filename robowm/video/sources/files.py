"""Video files and folders of them."""

from pathlib import Path

from robowm.video.decode import find_clips
from robowm.video.sources.entry import Entry, Found, Search, state_of


def find_files(search: Search) -> Found:
    """Every video file in the sources.

    Raises:
        UserError: a source is absent, or there is no video file in any of them.
    """
    clips, others = find_clips([Path(source) for source in search.sources])
    return Found([Entry(name, state_of(path), path) for name, path in clips.items()], others)
