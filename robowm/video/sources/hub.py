"""Datasets of the Hugging Face Hub: `owner/name`, fetched once, then read from disk."""

import re
from pathlib import Path

from robowm.errors import UserError
from robowm.video.decode import SUFFIXES

_ID = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*")


def is_hub_id(source: str) -> bool:
    """Whether a source can only be meant for the Hub: `owner/name`, and no such folder here."""
    here = Path(source)
    named = _ID.fullmatch(source) and not here.exists() and not here.parent.exists()
    return bool(named) and here.suffix.lower() not in SUFFIXES


def on_disk(sources: tuple[str, ...]) -> tuple[str, ...]:
    """The sources with Hub ids replaced by the folder of their snapshot in the Hub's cache.

    What an interrupted download has is kept there, and the same call goes on from it.

    Raises:
        UserError: a dataset cannot be had.
    """
    return tuple(str(fetch(source)) if is_hub_id(source) else source for source in sources)


def fetch(dataset_id: str) -> Path:
    """The newest snapshot of a dataset; only what it has not yet is fetched."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(dataset_id, repo_type="dataset"))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        why = str(error).strip().splitlines()[0]
        raise UserError(
            f"{dataset_id} is no folder here, and as a dataset of the Hugging Face Hub it cannot "
            f"be had ({type(error).__name__}: {why}); expected a file, a folder, or OWNER/NAME of "
            "a public dataset. The same command goes on from what was fetched already."
        ) from error
