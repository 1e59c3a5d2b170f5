"""Where a policy is: a directory here, or on the Hub."""

from collections.abc import Sequence
from pathlib import Path

from robowm.errors import UserError, nearest
from robowm.nn.directory import is_hub_id, resolve


def find_policy(policy: str | Path, words: Sequence[str]) -> Path:
    """A policy's directory; one that is on the Hub only is fetched.

    Args:
        policy: a directory or "owner/name".
        words: what else could have been meant, for the error.

    Raises:
        UserError: neither.
    """
    if not Path(policy).is_dir() and not is_hub_id(policy):
        raise UserError(
            f"no policy {str(policy)!r}; expected a policy directory, a Hub id owner/name, or one "
            f"of: {', '.join(words)}. {nearest(str(policy), words)}"
        )
    return resolve(policy)
