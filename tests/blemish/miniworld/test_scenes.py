import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.miniworld.scenes import CLASSES, draw_scene


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), wide=st.booleans())
def test_masks_are_exact(seed, wide):
    scene = draw_scene(np.random.default_rng(seed), width=112 if wide else 64)
    assert scene.image.shape == (64, 112 if wide else 64, 3)
    assert scene.labels.shape == scene.image.shape[:2]
    # Every labelled pixel belongs to exactly one object, and no other does.
    assert (scene.objects.sum(axis=0) == (scene.labels > 0)).all()
    assert len(scene.objects) >= 1 and scene.objects.any(axis=(1, 2)).all()
    # The caption names what is there.
    for index, name in enumerate(CLASSES[1:], start=1):
        assert (name in scene.caption) == (index in scene.labels)


def test_a_scene_follows_from_its_seed():
    one, two, other = (draw_scene(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert (one.image == two.image).all() and one.caption == two.caption
    assert (one.image != other.image).any()
