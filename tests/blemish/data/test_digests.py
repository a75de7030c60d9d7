from blemish.data.digests import digest


def test_the_order_of_keys_does_not_count_and_every_value_does():
    assert digest({"a": 1, "b": 2}, 3) == digest({"b": 2, "a": 1}, 3)
    assert len({digest({"a": 1}, 3), digest({"a": 2}, 3), digest({"a": 1}, 4)}) == 3
