"""Video from web addresses through yt-dlp: fetched once, kept beside the dataset, then read."""

import json
from pathlib import Path
from typing import Any

from robowm.artefact import write_json
from robowm.errors import UserError
from robowm.progress import progress
from robowm.video.sources.captions import forget
from robowm.video.sources.detect import is_address
from robowm.video.sources.entry import Entry, Found, Missing, Search
from robowm.video.sources.files import file_entry, find_files

INDEX = "fetched.json"  # address to files; what is in it is not asked for again
# One stream with pictures, sound or not: nothing has to be merged, so no ffmpeg is needed.
FORMAT = "bv*[height<=720]/b[height<=720]/bv*/b"


def find_web(search: Search) -> Found:
    """Clips behind addresses, those in text files of addresses (one a line), and plain folders.

    An address that cannot be fetched has an entry that says why. Files go to `search.downloads`;
    a download that was cut off goes on.

    Raises:
        UserError: yt-dlp is not installed, or a list is empty.
    """
    addresses = [address for source in search.sources for address in _addresses(source)]
    folders = [s for s in search.sources if not is_address(s) and not _is_list(s)]
    found = find_files(Search(tuple(folders))) if folders else Found([])
    entries: dict[str, Entry] = {entry.name: entry for entry in found.entries}
    if addresses:
        forget()
        for name, entry in _fetch(list(dict.fromkeys(addresses)), search.downloads):
            entries[name] = entry
    return Found(list(entries.values()), found.others)


def _is_list(source: str) -> bool:
    return Path(source).suffix == ".txt"


def _addresses(source: str) -> list[str]:
    if is_address(source):
        return [source]
    if not _is_list(source):
        return []
    try:
        lines = [line.strip() for line in Path(source).read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise UserError(
            f"{source} cannot be read ({error}); expected addresses, one a line."
        ) from error
    lines = [line for line in lines if line and not line.startswith("#")]
    wrong = [line for line in lines if not is_address(line)]
    if wrong or not lines:
        raise UserError(
            f"{source} holds {repr(wrong[0]) if wrong else 'no address'}; "
            "expected http:// or https:// addresses, one a line; # begins a comment."
        )
    return lines


def _fetch(addresses: list[str], folder: Path) -> list[tuple[str, Entry]]:
    folder.mkdir(parents=True, exist_ok=True)
    index = folder / INDEX
    known: dict[str, dict[str, str]] = json.loads(index.read_text()) if index.is_file() else {}
    entries: list[tuple[str, Entry]] = []
    failed: dict[str, str] = {}
    with progress("fetching", total=len(addresses)) as advance:
        for address in addresses:
            if not _is_here(known.get(address), folder):
                try:
                    known[address] = _download(address, folder)
                    write_json(index, known)
                except OSError as error:
                    failed[address] = str(error)
            advance()
    for address in addresses:
        if address in failed:
            missing = Missing(f"cannot be fetched: {failed[address]}")
            entries.append((address, Entry(address, "absent", missing)))
            continue
        for name, file in known[address].items():
            entries.append((name, file_entry(name, folder / file)))
    return entries


def _is_here(files: dict[str, str] | None, folder: Path) -> bool:
    return files is not None and all((folder / file).is_file() for file in files.values())


def _download(address: str, folder: Path) -> dict[str, str]:
    """Fetch what is behind an address: each clip's own address to its file's name.

    Raises:
        OSError: it cannot be had; the message says why.
    """
    try:
        import yt_dlp
    except ImportError as error:
        raise UserError(
            "web addresses need yt-dlp, which is not installed; pip install 'robowm[youtube]'."
        ) from error
    options = {
        "format": FORMAT,
        "outtmpl": "%(extractor)s-%(id)s.%(ext)s",
        "paths": {"home": str(folder)},
        "restrictfilenames": True,
        "writeinfojson": True,
        "writesubtitles": True,
        "subtitleslangs": ["en.*"],
        "fixup": "never",
        "quiet": True,
        "noprogress": True,
        "no_warnings": True,
        "logger": _Silent(),
    }
    try:
        with yt_dlp.YoutubeDL(options) as downloader:
            info = downloader.extract_info(address, download=True)
    except yt_dlp.utils.YoutubeDLError as error:
        raise OSError(" ".join(str(error).replace("ERROR:", "").split())) from error
    several = [part for part in info.get("entries") or [info] if part]
    files = {
        str(part.get("webpage_url") or address): Path(done["filepath"]).name
        for part in several
        for done in part.get("requested_downloads") or ()
    }
    if not files:
        raise OSError("no video behind this address")
    return files


class _Silent:
    """yt-dlp's messages: what matters of them comes as an exception."""

    def debug(self, message: str) -> None: ...
    def warning(self, message: str) -> None: ...
    def error(self, message: str) -> Any: ...
