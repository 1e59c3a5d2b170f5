"""The one error that is the user's to mend, and the words that help to mend it."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake at the border: says what came, what was expected and what is allowed.

    The command line prints it as one line and exits with 2; nothing is left half-written.
    """


def nearest(word: str, allowed: Iterable[str]) -> str:
    """A sentence that names the allowed words, the closest first: for the end of an error.

    >>> nearest("tinny", ["tiny", "small"])
    "Did you mean 'tiny'? Allowed: small, tiny."
    """
    allowed = sorted(allowed)
    return f"{meant(word, allowed)}Allowed: {', '.join(allowed) or 'none'}."


def meant(word: str, allowed: Iterable[str]) -> str:
    """The question alone, with a space after it; empty where no word is close."""
    close = difflib.get_close_matches(word, allowed, n=1)
    return f"Did you mean {close[0]!r}? " if close else ""
