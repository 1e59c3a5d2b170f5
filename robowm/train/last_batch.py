"""The newest batch that a model was given, so that it can be looked at when training breaks."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn


class LastBatch:
    """Keeps references (no copies) to the arguments of a model's newest call."""

    def __init__(self, model: nn.Module) -> None:
        self._arguments: tuple[Any, ...] = ()
        self._hook = model.register_forward_pre_hook(self._keep, with_kwargs=True)

    def _keep(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._arguments = (*args, kwargs)

    def release(self) -> None:
        """Forget it, and listen no more."""
        self._hook.remove()
        self._arguments = ()

    def save(self, path: Path) -> None:
        """Every tensor of the arguments as safetensors, named by where it stood; whole or absent.

        A dataclass's tensors have its fields' names, those of dictionaries their keys, others
        their number.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        found = dict(_tensors(self._arguments, ""))
        whole = {name: t.detach().cpu().contiguous().clone() for name, t in found.items()}
        temporary = path.with_name(f".{path.name}.tmp")
        safetensors.torch.save_file(whole or {"empty": torch.zeros(0)}, str(temporary))
        temporary.replace(path)


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name or "tensor", value
        return
    if isinstance(value, nn.Module):
        return
    if is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: getattr(value, f.name) for f in fields(value)}
    elif isinstance(value, dict):
        parts = {str(k): v for k, v in value.items()}
    elif isinstance(value, list | tuple):
        parts = {str(i): v for i, v in enumerate(value)}
    else:
        return
    for key, part in parts.items():
        yield from _tensors(part, f"{name}.{key}" if name else key)
