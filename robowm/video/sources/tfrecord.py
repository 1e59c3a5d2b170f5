"""TFRecord files and the `tf.train.Example` messages in them, without TensorFlow.

A record is a little-endian uint64 length, 4 bytes of checksum, the message, 4 bytes of checksum
(not verified here). An Example is a map from key to a list of bytes, floats or integers.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

Value = list[bytes] | np.ndarray
MAX_RECORD_BYTES = 1 << 31  # a length above this is no length


class Record(NamedTuple):
    """Where a message lies in its file; `whole` is False for one that the file ends inside of."""

    offset: int
    length: int
    whole: bool


def records(path: Path) -> Iterator[Record]:
    """Every record of a file, found by its lengths alone. Ends after one that is not whole."""
    size = path.stat().st_size
    offset = 0
    with path.open("rb") as file:
        while offset < size:
            file.seek(offset)
            head = file.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else MAX_RECORD_BYTES
            end = offset + 12 + length + 4
            whole = length < MAX_RECORD_BYTES and end <= size
            yield Record(offset + 12, length, whole)
            if not whole:
                return
            offset = end


def read_example(path: Path, record: Record) -> dict[str, Value]:
    """The Example in a record: bytes lists as they are, float32 and int64 lists as arrays.

    Raises:
        ValueError: the bytes are no Example.
    """
    with path.open("rb") as file:
        file.seek(record.offset)
        message = memoryview(file.read(record.length))
    features: dict[str, Value] = {}
    for number, part in _fields(message):
        for entry_number, entry in _fields(_message(part)) if number == 1 else ():
            if entry_number == 1:
                parts = dict(_fields(_message(entry)))
                features[str(_message(parts[1]), "utf-8")] = _value(_message(parts.get(2, b"")))
    return features


def _value(message: memoryview) -> Value:
    for number, part in _fields(message):
        items = list(_fields(_message(part)))
        if number == 1:
            return [bytes(_message(item)) for _, item in items]
        dtype = np.dtype("<f4") if number == 2 else np.dtype(np.int64)
        lists = [_numbers(item, number) for _, item in items]
        return np.concatenate(lists) if lists else np.zeros(0, dtype)
    return []


def _numbers(item: int | memoryview, number: int) -> np.ndarray:
    """One entry of a float or integer list: packed, or a number by itself."""
    if isinstance(item, int):
        return np.array([item], np.uint64).astype(np.int64)
    if number == 2:
        return np.frombuffer(item, "<f4")
    found, at = [], 0
    while at < len(item):
        value, at = _varint(item, at)
        found.append(value)
    return np.array(found, np.uint64).astype(np.int64)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of a protobuf message; 4- and 8-byte fields come as bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind not in (1, 2, 5):
            raise ValueError(f"no protobuf: wire type {kind}")
        length = {1: 8, 5: 4}.get(kind, 0)
        if kind == 2:
            length, at = _varint(message, at)
        if at + length > len(message):
            raise ValueError("no protobuf: a field is longer than its message")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("no protobuf: a number that does not end")
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at


def _message(value: int | memoryview | bytes) -> memoryview:
    if isinstance(value, int):
        raise ValueError("no protobuf Example: a number where a message was expected")
    return memoryview(value)
