"""Writes tfrecord files, as TFDS does, without TensorFlow."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _example(values: dict[str, object], packed: bool = True) -> bytes:
    """A tf.train.Example as a protobuf library writes it (packed) or may write it (not)."""
    entries = b""
    for key, value in values.items():
        if isinstance(value, list):
            inner = _field(1, b"".join(_field(1, item) for item in value))
        elif value.dtype.kind == "f":  # type: ignore[attr-defined]
            raw = value.astype("<f4").tobytes()  # type: ignore[attr-defined]
            parts = [_varint(1 << 3 | 5) + raw[n : n + 4] for n in range(0, len(raw), 4)]
            inner = _field(2, _field(1, raw) if packed else b"".join(parts))
        else:
            numbers = [_varint(int(n) & (1 << 64) - 1) for n in value]  # type: ignore[attr-defined]
            parts = [_varint(1 << 3) + n for n in numbers]
            inner = _field(3, _field(1, b"".join(numbers)) if packed else b"".join(parts))
        entries += _field(1, _field(1, key.encode()) + _field(2, inner))
    return _field(1, entries)


@pytest.fixture
def write_tfrecord() -> Callable[..., Path]:
    """write_tfrecord(path, [{key: bytes list or array}], packed=True) -> path."""

    def write(path: Path, episodes: list[dict], packed: bool = True) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        messages = [_example(values, packed) for values in episodes]
        frames = [struct.pack("<Q", len(m)) + b"crc!" + m + b"crc!" for m in messages]
        path.write_bytes(b"".join(frames))
        return path

    return write
