"""TFRecord files of `tf.train.Example` without TensorFlow, every checksum checked.

A record is: length (8 bytes, little-endian), masked CRC-32C of the length, data, masked CRC-32C of the data.
Source: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from os import PathLike, fstat
from pathlib import Path
from typing import BinaryIO

from crc32c import crc32c
from google.protobuf.message import DecodeError
from tfrecord import example_pb2

from blemish.data.files import atomic
from blemish.errors import UserError

Example = dict[str, bytes | list[float] | list[int]]

_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")


def read_examples(path: str | PathLike) -> Iterator[tuple[int, Example]]:
    """Yields (byte offset, features) of every record, in file order, one record in memory at a time.

    A bytes feature comes as its one value, a number feature as the list of its values.

    Raises:
        UserError: the file is missing, ends within a record, fails a checksum or holds something other than
            examples; the sentence names the file and the byte offset of the record.
    """
    if not Path(path).exists():
        raise UserError(f"the TFRecord file {path} is missing: fetch it first.")
    with open(path, "rb") as file:
        size = fstat(file.fileno()).st_size
        while (offset := file.tell()) < size:
            try:
                yield offset, decode_example(_read_record(file, size))
            except _Damage as damage:
                raise UserError(
                    f"the TFRecord file {path} is damaged: the record at byte {offset:,} {damage}; "
                    "delete the file and fetch it again."
                ) from damage


def write_examples(path: str | PathLike, examples: Iterable[Example]) -> int:
    """Writes examples as one TFRecord file, with checksums, and returns their number."""
    count = 0
    with atomic(Path(path)) as temporary, open(temporary, "wb") as file:
        for features in examples:
            data = encode_example(features)
            for part in (struct.pack("<Q", len(data)), data):
                file.write(part + _CHECKSUM.pack(masked_crc(part)))
            count += 1
    return count


def encode_example(features: Example) -> bytes:
    """Serialises features as a `tf.train.Example`: bytes, or a list of floats, or a list of ints each."""
    example = example_pb2.Example()
    for name, value in features.items():
        feature = example.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        elif all(isinstance(number, int) for number in value):
            feature.int64_list.value.extend(value)
        else:
            feature.float_list.value.extend(value)
    return example.SerializeToString(deterministic=True)


def decode_example(data: bytes) -> Example:
    """The inverse of `encode_example`; floats come back in single precision.

    Raises:
        _Damage: the data is not an example.
    """
    try:
        example = example_pb2.Example.FromString(data)
    except DecodeError as error:
        raise _Damage("is not a tf.train.Example") from error
    features: Example = {}
    for name, feature in example.features.feature.items():
        values = getattr(feature, feature.WhichOneof("kind") or "bytes_list").value
        features[name] = b"".join(values) if feature.HasField("bytes_list") else list(values)
    return features


def masked_crc(data: bytes) -> int:
    """The checksum of the format: CRC-32C, rotated right by 15 bits, plus a constant."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class _Damage(Exception):
    """What is wrong with one record."""


def _read_record(file: BinaryIO, size: int) -> bytes:
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise _Damage("is cut off within its header")
    length, checksum = _HEADER.unpack(header)
    if masked_crc(header[:8]) != checksum:
        raise _Damage("fails the checksum of its length")
    if file.tell() + length + _CHECKSUM.size > size:
        raise _Damage(f"is cut off: {length:,} bytes are announced, the file ends at byte {size:,}")
    data = file.read(length)
    if masked_crc(data) != _CHECKSUM.unpack(file.read(_CHECKSUM.size))[0]:
        raise _Damage("fails the checksum of its data")
    return data
