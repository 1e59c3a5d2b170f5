"""Video files and folders of them, with the words that lie beside them."""

from functools import lru_cache, partial
from pathlib import Path

from robowm.video.decode import find_clips
from robowm.video.sources.captions import forget, label_of, read_table, sidecars_of, tables_of
from robowm.video.sources.entry import Entry, Found, Search, state_of


def find_files(search: Search) -> Found:
    """Every video file in the sources.

    Raises:
        UserError: a source is absent, or there is no video file in any of them.
    """
    forget()
    _table.cache_clear()
    clips, others = find_clips([Path(source) for source in search.sources])
    return Found([file_entry(name, path) for name, path in clips.items()], others)


def file_entry(name: str, clip: Path, said: str = "") -> Entry:
    """The entry of one video file; `said` is what is known of it from elsewhere."""
    sidecars = sidecars_of(clip)
    for table in tables_of(clip) if not said else ():
        rows = _table(table)
        said = said or rows.get(clip.name, "") or rows.get(clip.stem, "")
    state = "\n".join([state_of(clip), state_of(*sidecars), said])
    return Entry(name, state, clip, partial(label_of, clip, sidecars, said))


_table = lru_cache(maxsize=4)(read_table)
