"""Pretrained weights from a file, a directory or the Hub; never a pickle that could run code."""

import hashlib
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from robowm.errors import UserError
from robowm.nn.directory import resolve

RANDOM = "random"
"""asks for random weights in words: nobody gets them by accident"""
SUFFIXES = (".safetensors", ".pth", ".pt")


def read_weights(name: str, flag: str) -> dict[str, Tensor]:
    """A state dict.

    Args:
        name: a .safetensors, .pth or .pt file, a directory with one of them, or a Hub id.
        flag: the setting that `name` came from, for the error.

    Raises:
        UserError: there is none, or it is something else.
    """
    path = _file(name, flag)
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(str(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises what the file's own parts raise
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{flag} {name} cannot be read as weights: {why}") from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(f"{flag} {name} holds no state dict; expected tensors by name.")
    return state


def load_into(network: nn.Module, state: dict[str, Tensor], name: str, flag: str) -> None:
    """Load a state dict into a network; every tensor of the network must be in it.

    Raises:
        UserError: one is missing, or has another shape.
    """
    wanted = network.state_dict()
    wrong = [k for k, v in wanted.items() if k not in state or state[k].shape != v.shape]
    if wrong:
        raise UserError(
            f"{flag} {name} does not fit: {len(wrong)} of {len(wanted)} tensors are missing or of "
            f"another shape, the first is {wrong[0]!r}."
        )
    network.load_state_dict({k: state[k] for k in wanted})


def without_place(name: str) -> str:
    """What may be written into an artefact: a Hub id or a word as it is, of a local path only its
    last part and a hash of its weights, for where it lies is nobody else's business."""
    path = Path(name)
    if not path.exists():
        return name
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.suffix in SUFFIXES)
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return f"{path.resolve().name}@sha256:{digest.hexdigest()[:16]}"


def _file(name: str, flag: str) -> Path:
    path = Path(name)
    if path.is_file():
        if path.suffix in SUFFIXES:
            return path
        raise UserError(f"{flag} {name}: expected a file that ends in {', '.join(SUFFIXES)}.")
    try:
        directory = resolve(name)
    except UserError as error:
        raise UserError(f"{flag}: {error} {RANDOM!r} asks for random weights.") from None
    for suffix in SUFFIXES:
        found = sorted(directory.glob(f"*{suffix}"))
        if len(found) == 1:
            return found[0]
    raise UserError(f"{flag} {name}: expected one file of weights ({', '.join(SUFFIXES)}) in it.")
