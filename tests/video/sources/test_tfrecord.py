"""Examples are read back as they were written, and damaged files do not stop anything."""

import struct
from pathlib import Path

import numpy as np
import pytest

from robowm.video.sources.tfrecord import read_example, records


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def example(values: dict[str, object], packed: bool = True) -> bytes:
    """A tf.train.Example as a protobuf library writes it (packed) or may write it (not)."""
    entries = b""
    for key, value in values.items():
        if isinstance(value, list):
            inner = field(1, b"".join(field(1, item) for item in value))
        elif value.dtype.kind == "f":  # type: ignore[attr-defined]
            raw = value.astype("<f4").tobytes()  # type: ignore[attr-defined]
            parts = [varint(1 << 3 | 5) + raw[n : n + 4] for n in range(0, len(raw), 4)]
            inner = field(2, field(1, raw) if packed else b"".join(parts))
        else:
            numbers = [varint(int(n) & (1 << 64) - 1) for n in value]  # type: ignore[attr-defined]
            parts = [varint(1 << 3) + n for n in numbers]
            inner = field(3, field(1, b"".join(numbers)) if packed else b"".join(parts))
        entries += field(1, field(1, key.encode()) + field(2, inner))
    return field(1, entries)


def write_records(path: Path, messages: list[bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [struct.pack("<Q", len(m)) + b"crc!" + m + b"crc!" for m in messages]
    path.write_bytes(b"".join(frames))
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_round_trip(tmp_path, packed) -> None:
    values = {
        "bytes": [b"one", b"", bytes(range(256)) * 40],
        "floats": np.random.default_rng(0).normal(size=9).astype(np.float32),
        "integers": np.array([0, 1, 127, 128, -1, 2**62, -(2**62)]),
        "no floats": np.zeros(0, np.float32),
    }
    path = write_records(tmp_path / "a.tfrecord", [example({}), example(values, packed)])
    first, second = records(path)
    assert read_example(path, first) == {}
    found = read_example(path, second)
    assert found.keys() == values.keys()
    assert found["bytes"] == values["bytes"]
    np.testing.assert_array_equal(found["floats"], values["floats"])
    np.testing.assert_array_equal(found["integers"], values["integers"])
    assert found["floats"].dtype == np.float32 and found["integers"].dtype == np.int64


def test_a_file_that_was_cut_off(tmp_path) -> None:
    whole = example({"x": np.arange(5)})
    path = write_records(tmp_path / "a.tfrecord", [whole, whole])
    path.write_bytes(path.read_bytes()[:-9])
    assert [record.whole for record in records(path)] == [True, False]
    path.write_bytes(b"no records at all, only text")
    assert [record.whole for record in records(path)] == [False]


def test_noise_is_no_example(tmp_path) -> None:
    rng = np.random.default_rng(0)
    path = write_records(tmp_path / "a.tfrecord", [rng.bytes(200) for _ in range(200)])
    for record in records(path):
        try:
            read_example(path, record)
        except (ValueError, KeyError):
            continue
