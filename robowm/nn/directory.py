"""Model directories: `config.json` and `model.safetensors`, local or on the Hugging Face Hub."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, get_type_hints

import safetensors.torch
from torch import nn

from robowm.artefact import plain, write_json
from robowm.errors import UserError, meant, nearest

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def save_model(directory: Path, model: nn.Module, kind: str, config: Any) -> None:
    """Write a model's directory; `config` is the dataclass that builds it again."""
    directory.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_model(model, str(directory / WEIGHTS))
    write_json(directory / CONFIG, {"kind": kind, **plain(config)})


def read_config[T](directory: Path, kind: str, config_class: type[T]) -> T:
    """The config dataclass of a model directory.

    Raises:
        UserError: not a model directory, of another kind, or with unknown fields.
    """
    path = directory / CONFIG
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError):
        raise UserError(
            f"{directory} is not a model: no readable {CONFIG} in it; expected a {kind} directory."
        ) from None
    found = values.pop("kind", None) or values.get("type")
    if found != kind:
        raise UserError(f"{directory} holds a {found!r} model; expected a {kind!r} one.")
    return _build(config_class, values, path)


def read_kind(directory: Path) -> str | None:
    """What kind of model a directory holds; None where it holds none."""
    try:
        values = json.loads((directory / CONFIG).read_text())
    except (OSError, ValueError):
        return None
    kind = values.get("kind") if isinstance(values, dict) else None
    return kind if isinstance(kind, str) else None


def _build[T](config_class: type[T], values: dict[str, Any], path: Path) -> T:
    """A dataclass from its JSON, those inside it too."""
    hints = get_type_hints(config_class)
    for name in values.keys() - hints.keys():
        raise UserError(f"{path} has an unknown field {name!r}. {nearest(name, hints)}")
    nested = {
        name: _build(hints[name], value, path)
        for name, value in values.items()
        if dataclasses.is_dataclass(hints[name]) and isinstance(value, dict)
    }
    return config_class(**values | nested)


def load_weights(directory: Path, model: nn.Module) -> None:
    """Load `model.safetensors` into `model`; every tensor must fit.

    Raises:
        UserError: the file is missing, broken, or of another architecture.
    """
    try:
        safetensors.torch.load_model(model, str(directory / WEIGHTS))
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        why = str(error).splitlines()[0]
        raise UserError(f"{directory / WEIGHTS} does not load into this model: {why}") from None


def fingerprint(directory: Path) -> str:
    """sha256 of the weights, for provenance."""
    return hashlib.sha256((directory / WEIGHTS).read_bytes()).hexdigest()


def resolve(name_or_path: str | Path) -> Path:
    """A local directory as it is; "owner/name" is fetched from the Hub (and cached there).

    Raises:
        UserError: neither exists.
    """
    path, text = Path(name_or_path), str(name_or_path)
    if path.is_dir():
        return path
    if not is_hub_id(name_or_path):
        raise UserError(
            f"no directory {text}; expected a model directory or a Hub id owner/name."
            f"{_beside(path)}"
        )
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(huggingface_hub.snapshot_download(text))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        why = str(error).splitlines()[0]
        raise UserError(
            f"{text} is neither a local directory nor a model the Hub gives: {why}{_beside(path)}"
        ) from None


def _beside(path: Path) -> str:
    """A sentence on what lies where this directory should be; none where nothing does."""
    try:
        found = [str(one) for one in path.parent.iterdir() if not one.name.startswith(".")]
    except OSError:
        return ""
    return f" {meant(str(path), found)}".rstrip()


def is_hub_id(name_or_path: str | Path) -> bool:
    """Whether it could be "owner/name"; a relative path of two parts could, too."""
    text = str(name_or_path)
    return text.count("/") == 1 and not text.startswith((".", "/"))
