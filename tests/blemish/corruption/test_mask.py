import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from blemish.corruption.mask import blend, corrupted_area, label_of, latent_distance, latent_mask, overlap
from blemish.errors import UserError


@given(
    st.lists(st.tuples(st.integers(0, 31), st.integers(0, 31)), max_size=40),
    st.sampled_from(["any", "majority", "nearest"]),
)
def test_a_latent_cell_is_selected_by_its_own_pixels(points, rule):
    mask = torch.zeros(1, 32, 32, dtype=torch.bool)
    for y, x in points:
        mask[0, y, x] = True
    blocks = mask.view(8, 4, 8, 4).transpose(1, 2).flatten(2).float()
    expected = {
        "any": blocks.amax(-1) > 0,
        "majority": blocks.mean(-1) > 0.5,
        "nearest": mask[0, 2::4, 2::4],
    }[rule]
    selected = latent_mask(mask, (8, 8), rule)
    assert selected.shape == (1, 1, 8, 8)
    assert torch.equal(selected[0, 0] > 0, expected)


MASKS = arrays(bool, (32, 32), elements=st.sampled_from([False, False, False, True]))


@given(MASKS, st.sampled_from(["any", "majority", "nearest"]))
def test_the_corrupted_area_is_the_selected_cells(mask, rule):
    selected = latent_mask(torch.from_numpy(mask)[None], (8, 8), rule)
    area = corrupted_area(selected, (32, 32))
    assert torch.equal(area, selected[:, 0].bool().repeat_interleave(4, 1).repeat_interleave(4, 2))


@given(MASKS, st.sampled_from(["any", "majority", "nearest"]))
def test_every_mark_of_a_label_meets_what_was_corrupted(mask, rule):
    area = corrupted_area(latent_mask(torch.from_numpy(mask)[None], (8, 8), rule), (32, 32))[0].numpy()
    label = label_of(mask, area)
    assert not (label & ~mask).any(), "a label adds nothing"
    left = grown(label & area, label)
    assert (left == label).all(), "what is labelled is connected with something corrupted"
    assert not (mask & area & ~label).any(), "what is corrupted stays labelled"
    if rule == "any":
        assert (label == mask).all() and (area | ~mask).all()


def grown(seed, mask):
    """The parts of a mask that hold a pixel of the seed, by growing it."""
    while True:
        padded = np.pad(seed, 1)
        wider = mask & np.any([np.roll(padded, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)], 0)[1:-1, 1:-1]
        if (wider == seed).all():
            return seed
        seed = wider


def test_a_mark_between_the_cells_centres_is_no_part_of_the_label():
    mask = np.zeros((32, 32), bool)
    mask[0, 0], mask[8:16, 8:16] = True, True
    area = corrupted_area(latent_mask(torch.from_numpy(mask)[None], (8, 8), "nearest"), (32, 32))[0].numpy()
    label = label_of(mask, area)
    assert not label[0, 0] and label[8:16, 8:16].all() and overlap(label, area) == 1
    assert np.isnan(overlap(label & False, area & False)) and overlap(label, area & False) == 0


@pytest.mark.parametrize(("marked", "selected"), [(7, False), (8, False), (9, True), (16, True)])
def test_a_majority_is_more_than_half_of_a_cells_pixels(marked, selected):
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[0, :4, 4:] = (torch.arange(16) < marked).view(4, 4)
    expected = torch.tensor([[[[0.0, float(selected)], [0.0, 0.0]]]])
    assert torch.equal(latent_mask(mask, (2, 2), "majority"), expected)


def test_an_unknown_mask_rule_is_refused():
    with pytest.raises(UserError, match="any, majority or nearest"):
        latent_mask(torch.ones(1, 8, 8, dtype=torch.bool), (2, 2), "most")


@given(st.integers(0, 2**32))
def test_nothing_is_blended_in_outside_the_mask(seed):
    generator = torch.Generator().manual_seed(seed)
    z_t, z_sel = torch.randn(2, 3, 4, 8, 8, generator=generator)
    z_sel[:, :, 0] = torch.nan  # a product with the mask would let it through
    mask = (torch.rand(3, 1, 8, 8, generator=generator) > 0.5).float()
    mask[:, :, 0] = 0
    z = blend(mask, z_t, z_sel)
    inside = mask.expand_as(z) > 0
    assert torch.equal(z[~inside], z_t[~inside])
    assert torch.equal(z[inside], z_sel[inside])


def test_latent_distance_is_measured_inside_the_mask():
    z0 = torch.zeros(2, 4, 8, 8)
    z, mask = z0.clone(), torch.zeros(2, 1, 8, 8)
    z[0, :, :4], z[0, :, 4:] = 3, 100
    mask[0, :, :4] = 1
    distance = latent_distance(z, z0, mask)
    assert distance[0] == 3 and distance[1].isnan()


def test_latent_distance_is_each_samples_own_difference_from_its_image():
    z0, z = np.random.default_rng(0).normal(5, 1, (2, 3, 4, 8, 8))
    mask = np.random.default_rng(1).random((3, 1, 8, 8)) < 0.4
    inside = [np.broadcast_to(m, (4, 8, 8)) for m in mask]
    expected = [np.sqrt(np.mean((a[m] - b[m]) ** 2)) for a, b, m in zip(z, z0, inside, strict=True)]
    distance = latent_distance(torch.from_numpy(z), torch.from_numpy(z0), torch.from_numpy(mask).double())
    assert distance.tolist() == pytest.approx(expected)
