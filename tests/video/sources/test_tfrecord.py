"""Examples are read back as they were written, and damaged files do not stop anything."""

import struct

import numpy as np
import pytest

from robowm.video.sources.tfrecord import read_example, records


@pytest.mark.parametrize("packed", [True, False])
def test_round_trip(write_tfrecord, tmp_path, packed) -> None:
    values = {
        "bytes": [b"one", b"", bytes(range(256)) * 40],
        "floats": np.random.default_rng(0).normal(size=9).astype(np.float32),
        "integers": np.array([0, 1, 127, 128, -1, 2**62, -(2**62)]),
        "no floats": np.zeros(0, np.float32),
    }
    path = write_tfrecord(tmp_path / "a.tfrecord", [{}, values], packed)
    first, second = records(path)
    assert read_example(path, first) == {}
    found = read_example(path, second)
    assert found.keys() == values.keys()
    assert found["bytes"] == values["bytes"]
    np.testing.assert_array_equal(found["floats"], values["floats"])
    np.testing.assert_array_equal(found["integers"], values["integers"])
    assert found["floats"].dtype == np.float32 and found["integers"].dtype == np.int64


def test_a_file_that_was_cut_off(write_tfrecord, tmp_path) -> None:
    path = write_tfrecord(tmp_path / "a.tfrecord", [{"x": np.arange(5)}] * 2)
    path.write_bytes(path.read_bytes()[:-9])
    assert [record.whole for record in records(path)] == [True, False]
    path.write_bytes(b"no records at all, only text")
    assert [record.whole for record in records(path)] == [False]


def test_noise_is_no_example(tmp_path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "a.tfrecord"
    noise = [rng.bytes(200) for _ in range(200)]
    path.write_bytes(b"".join(struct.pack("<QI", 200, 0) + part + b"crc!" for part in noise))
    assert len(list(records(path))) == 200
    for record in records(path):
        try:
            read_example(path, record)
        except (ValueError, KeyError):
            continue
