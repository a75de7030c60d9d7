"""TFRecords: what is written is read, by us and by another reader, and every damaged byte is noticed."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.data.tfrecords import decode_example, encode_example, masked_crc, read_examples, write_examples
from blemish.errors import UserError

FEATURES = st.dictionaries(
    st.text(min_size=1, max_size=6),
    st.binary(max_size=50)
    | st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=3)
    | st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=3),
    max_size=4,
)
EXAMPLES = [{"filename": f"train/{i}.png".encode(), "score": [0.25 * i]} for i in range(3)]


@given(FEATURES)
def test_an_example_comes_back(features):
    assert decode_example(encode_example(features)) == features


@settings(max_examples=25)
@given(st.lists(FEATURES, max_size=4))
def test_a_file_comes_back(tmp_path_factory, examples):
    path = tmp_path_factory.mktemp("round") / "a.tfrecord"
    assert write_examples(path, iter(examples)) == len(examples)
    assert [features for _, features in read_examples(path)] == examples


def test_the_checksum_is_that_of_the_format():
    """CRC-32C of "123456789" is 0xE3069283 (RFC 3720); the mask is TensorFlow's."""
    assert masked_crc(b"123456789") == (((0xE3069283 >> 15) | (0xE3069283 << 17)) + 0xA282EAD8) % 2**32


def test_another_reader_opens_it(tmp_path):
    reader = pytest.importorskip("tfrecord.reader")
    path = tmp_path / "a.tfrecord"
    write_examples(path, EXAMPLES)
    read = list(reader.tfrecord_loader(str(path), None, {"filename": "byte", "score": "float"}))
    assert [bytes(r["filename"]) for r in read] == [e["filename"] for e in EXAMPLES]
    assert [r["score"].tolist() for r in read] == [e["score"] for e in EXAMPLES]


def test_another_writers_file_is_read(tmp_path):
    writer = pytest.importorskip("tfrecord.writer")
    path = tmp_path / "a.tfrecord"
    other = writer.TFRecordWriter(str(path))
    other.write({"filename": (b"train/a.png", "byte"), "score": (0.5, "float"), "n": (3, "int")})
    other.close()
    assert list(read_examples(path)) == [(0, {"filename": b"train/a.png", "score": [0.5], "n": [3]})]


def test_every_flipped_bit_is_noticed(tmp_path):
    whole = tmp_path / "whole.tfrecord"
    write_examples(whole, EXAMPLES)
    content = whole.read_bytes()
    offsets = [offset for offset, _ in read_examples(whole)]
    damaged = tmp_path / "damaged.tfrecord"
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        damaged.write_bytes(flipped)
        first = max(offset for offset in offsets if offset <= at)
        with pytest.raises(UserError, match=f"damaged.tfrecord .* at byte {first:,} ") as error:
            list(read_examples(damaged))
        assert "fetch it again" in str(error.value)


def test_every_cut_is_noticed(tmp_path):
    whole = tmp_path / "whole.tfrecord"
    write_examples(whole, EXAMPLES)
    content = whole.read_bytes()
    offsets = [offset for offset, _ in read_examples(whole)]
    cut = tmp_path / "cut.tfrecord"
    for end in range(1, len(content)):
        cut.write_bytes(content[:end])
        if end in offsets:
            assert len(list(read_examples(cut))) == offsets.index(end)
            continue
        first = max(offset for offset in offsets if offset < end)
        with pytest.raises(UserError, match=f"at byte {first:,} is cut off"):
            list(read_examples(cut))


def test_the_records_before_the_damage_are_still_given(tmp_path):
    path = tmp_path / "a.tfrecord"
    write_examples(path, EXAMPLES)
    path.write_bytes(path.read_bytes()[:-1])
    examples = read_examples(path)
    assert [next(examples)[1], next(examples)[1]] == EXAMPLES[:2]


def test_another_file_is_named(tmp_path):
    path = tmp_path / "page.tfrecord"
    path.write_text("<html><body>Please sign in</body></html>")
    with pytest.raises(UserError, match="at byte 0 fails the checksum of its length"):
        list(read_examples(path))
    length = struct.pack("<Q", 3)
    junk = b"\xff\xff\xff"
    path.write_bytes(length + struct.pack("<I", masked_crc(length)) + junk + struct.pack("<I", masked_crc(junk)))
    with pytest.raises(UserError, match=r"at byte 0 is not a tf.train.Example"):
        list(read_examples(path))
    with pytest.raises(UserError, match=r"absent.tfrecord is missing"):
        list(read_examples(tmp_path / "absent.tfrecord"))
