"""One process at a time in a directory, without a file that says so and outlives a kill."""

import fcntl
import os
from pathlib import Path

_held: dict[tuple[int, int], int] = {}  # (device, inode) of a directory: what keeps it locked


def hold(directory: Path) -> bool:
    """Keep other processes out of `directory` until this one ends or lets it go.

    The lock is advisory: it keeps out who asks, and nobody where the file system knows no locks.
    It goes with the directory when that is renamed.

    Returns:
        whether it may be used: False while another process holds it.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    found = os.fstat(descriptor)
    place = (found.st_dev, found.st_ino)
    if place in _held:
        os.close(descriptor)
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    except OSError:  # such as NFS, which locks no directory
        os.close(descriptor)
        return True
    _held[place] = descriptor
    return True


def let_go(directory: Path) -> None:
    """Let others in again; nothing happens where this process does not hold it."""
    found = directory.stat()
    descriptor = _held.pop((found.st_dev, found.st_ino), None)
    if descriptor is not None:
        os.close(descriptor)
