"""A short run of `fuzz`; the long one is made by hand, see docs/faults.md."""

import logging

from fuzz import DECODERS, frame, fuzz
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.data import tfrecords


def test_no_decoder_crashes_hangs_or_grows(caplog):
    caplog.set_level(logging.CRITICAL)
    found = fuzz(4000, seed=1)
    assert all(counts.get("refused", 0) > 50 for counts in found["outcomes"].values())
    assert found["growth_mib"] < 40
    assert sum(sum(counts.values()) for counts in found["outcomes"].values()) == 4000


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes_in_a_sound_record_are_an_example_or_refused(content):
    assert frame(content)[12:-4] == content
    try:
        features = tfrecords.decode_example(content)
    except tfrecords._Damage:
        return
    assert isinstance(features, dict)


def test_every_decoder_is_tried():
    assert len(DECODERS) == 5
