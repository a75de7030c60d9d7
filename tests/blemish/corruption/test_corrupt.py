import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from paper import parameters, renoise
from safetensors.torch import load_file

from blemish.corruption.corrupt import corrupt_shard
from blemish.corruption.invert import invert_shard
from blemish.corruption.latents import Latents
from blemish.corruption.mask import blend, latent_mask
from blemish.corruption.sampling import random_generator
from blemish.data.records import Record, read_ids, read_records, write_records
from blemish.errors import UserError

PROPOSED = {"name": "proposed-48", "method": "proposed", "step": 48}


@pytest.fixture
def inverted(tmp_path, diffusion, shard):
    """The shard's inversion, n -> file."""
    files = {n: tmp_path / f"{n}.safetensors" for n in (0, 1, 2)}
    for n, out in files.items():
        run_inversion(diffusion, shard, out, n, previous=files.get(n - 1))
    return files


def run_inversion(diffusion, shard, out, n, batch_size=2, seed=5, settings=None, previous=None):
    state = out.parent / "state"
    invert_shard(shard[0], previous, out, state, diffusion, settings or renoise(), 50, n, seed, batch_size)


def run_corruption(diffusion, shard, inverted, out, recipe=PROPOSED, batch_size=2, rule="any"):
    state, csv = out.parent / "state-c", out.with_suffix(".csv")
    inversion = inverted if isinstance(inverted, Path) else inverted[50 - recipe["step"]]
    corrupt_shard(*shard, inversion, out, csv, state, diffusion, recipe, 50, rule, 5, batch_size)
    return list(read_records(out)), pd.read_csv(csv)


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


def test_random_numbers_follow_from_all_the_names():
    draws = {
        torch.rand((), generator=random_generator(*names)).item()
        for names in [(0, "a", "b"), (1, "a", "b"), (0, "b", "a"), (0, "ab"), (0, "a", "c")]
    }
    assert len(draws) == 5
    again = torch.rand((), generator=random_generator(0, "a", "b")).item()
    assert again in draws


def test_an_inversion_shard_holds_what_was_asked_for(inverted, shard):
    latents = Latents(inverted[2])
    assert latents.ids == read_ids(shard[0])
    assert latents.steps == [0, 2]
    assert latents.evaluations == 5 * 2 * 3  # images x steps x (reference + two predictions)
    assert latents.at(2, slice(1, 3)).shape == (2, 4, 8, 8)
    with pytest.raises(UserError, match="not after 7"):
        latents.at(7)
    assert not (inverted[2].parent / "state").exists()


@pytest.mark.parametrize("settings", [renoise(), renoise(reference="noised")])
def test_a_deeper_inversion_goes_on_from_the_stored_one(tmp_path, diffusion, shard, settings):
    run_inversion(diffusion, shard, tmp_path / "long", 3, settings=settings)
    for n, previous in ((0, None), (1, "0"), (3, "1")):
        previous = previous and tmp_path / previous
        run_inversion(diffusion, shard, tmp_path / str(n), n, settings=settings, previous=previous)
    long, further = load_file(tmp_path / "long"), load_file(tmp_path / "3")
    assert long.keys() == further.keys()
    assert all(torch.equal(long[key], further[key]) for key in long)
    assert Latents(tmp_path / "long").evaluations == Latents(tmp_path / "3").evaluations


@pytest.mark.parametrize("change", [{"seed": 6}, {"settings": renoise(R=0)}, {"n": 0}])
def test_an_inversion_of_something_else_is_not_taken_further(diffusion, shard, inverted, change):
    with pytest.raises(UserError, match="no earlier step"):
        run_inversion(diffusion, shard, inverted[2], **{"n": 2, "previous": inverted[1]} | change)


def test_inversion_steps_beyond_the_schedule_are_refused(tmp_path, diffusion, shard):
    with pytest.raises(UserError, match="51"):
        run_inversion(diffusion, shard, tmp_path / "out", 51)


def test_neither_batches_nor_interruptions_change_an_inversion(tmp_path, diffusion, shard):
    run_inversion(diffusion, shard, tmp_path / "whole", n=2)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(diffusion, "encode", fails_at_third_call(diffusion.encode))
        run_inversion(diffusion, shard, tmp_path / "resumed", n=2)
    assert len(list((tmp_path / "state").rglob("*.safetensors"))) == 2
    run_inversion(diffusion, shard, tmp_path / "resumed", n=2)
    run_inversion(diffusion, shard, tmp_path / "other batches", n=2, batch_size=3)
    whole, resumed, other = (load_file(tmp_path / name) for name in ("whole", "resumed", "other batches"))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert all(torch.allclose(whole[key].float(), other[key].float(), atol=1e-4) for key in whole)
    assert Latents(tmp_path / "resumed").evaluations == Latents(tmp_path / "whole").evaluations


def fails_at_third_call(function):
    calls = []

    def failing(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise InterruptedError
        return function(*arguments)

    return failing


def test_a_corrupted_set_is_the_images_with_their_masks(tmp_path, diffusion, shard, inverted):
    records, table = run_corruption(diffusion, shard, inverted, tmp_path / "out.parquet")
    masks = {r.id: r.mask for r in read_records(shard[1])}
    for before, after in zip(read_records(shard[0]), records, strict=True):
        assert (after.id, after.prompt, after.source) == (before.id, before.prompt, before.source)
        assert (after.recipe, after.seed) == ("proposed-48", 5)
        assert after.image.shape == before.image.shape
        np.testing.assert_array_equal(after.mask, masks[after.id])
    assert table.id.tolist() == [r.id for r in records]
    assert table.mask_fraction[0] == 42 / 256
    assert not (tmp_path / "state-c").exists()


def test_an_image_with_an_empty_mask_is_its_reconstruction_and_costs_nothing(
    tmp_path, diffusion, shard, inverted, caplog
):
    caplog.set_level(logging.INFO)
    records, table = run_corruption(diffusion, shard, inverted, tmp_path / "out.parquet")
    reconstruction = diffusion.decode(Latents(inverted[2]).at(0, slice(2, 3)))[0]
    np.testing.assert_array_equal(records[2].image, reconstruction)
    assert table.evaluations.tolist() == [2, 2, 0, 2, 2]
    assert np.isinf(table.psnr_outside[2]) and np.isnan(table.changed[2])
    assert (table.latent_distance.drop(2) > 0).all()
    assert "1 of 5" in caplog.text


def test_the_image_latent_is_corrupted_inside_the_mask_alone(tmp_path, diffusion, shard, inverted):
    recipe = {"name": "latent", "method": "gaussian", "step": 50}
    decoded = []
    with pytest.MonkeyPatch.context() as patch:
        decode = diffusion.decode
        patch.setattr(diffusion, "decode", lambda z: decoded.append(z.clone()) or decode(z))
        _, table = run_corruption(diffusion, shard, inverted, tmp_path / "out.parquet", recipe, batch_size=5)
    z0, z = decoded
    mask = torch.stack([torch.from_numpy(r.mask) for r in reversed(list(read_records(shard[1])))])
    hit = mask.flatten(1).any(1)
    z0, inside = z0[hit], latent_mask(mask[hit], (8, 8)).expand_as(z) > 0
    assert torch.equal(z[~inside], z0[~inside])
    assert (z[inside] != z0[inside]).all()
    both = inside[0] & inside[1]
    assert both.any() and (z[0][both] != z[1][both]).all(), "every image has noise of its own"
    assert table.evaluations.tolist() == [0] * 5


@pytest.mark.parametrize("method", ["proposed", "gaussian", "rotation", "blur", "downscale"])
def test_every_method_goes_through_and_an_interruption_changes_nothing(tmp_path, diffusion, shard, inverted, method):
    recipe = {"name": method, "method": method, "step": 49, **parameters(method)}
    whole, table = run_corruption(diffusion, shard, inverted, tmp_path / "whole.parquet", recipe)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(diffusion, "embed", fails_at_third_call(diffusion.embed))
        run_corruption(diffusion, shard, inverted, tmp_path / "resumed.parquet", recipe)
    assert len(list((tmp_path / "state-c").rglob("*.parquet"))) == 2
    resumed, table_resumed = run_corruption(diffusion, shard, inverted, tmp_path / "resumed.parquet", recipe)
    pd.testing.assert_frame_equal(table, table_resumed)
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(a.image, b.image)


def test_an_empty_batch_of_one_is_passed_through(tmp_path, diffusion, shard, inverted):
    """With single images the third batch holds nothing to resample."""
    alone, _ = run_corruption(diffusion, shard, inverted, tmp_path / "alone.parquet", batch_size=1)
    together, _ = run_corruption(diffusion, shard, inverted, tmp_path / "together.parquet", batch_size=5)
    for a, b in zip(alone, together, strict=True):
        assert np.abs(a.image.astype(int) - b.image).max() <= 1


def test_the_inversion_of_other_images_is_refused(tmp_path, diffusion, shard, inverted):
    others = tmp_path / "others.parquet"
    write_records(others, [Record("another", np.zeros((16, 16, 3), np.uint8), None)])
    with pytest.raises(UserError, match="other images"):
        run_corruption(diffusion, (others, shard[1]), inverted, tmp_path / "out.parquet")


def test_a_step_that_is_not_stored_is_named(tmp_path, diffusion, shard, inverted):
    with pytest.raises(UserError, match="not after 10"):
        run_corruption(diffusion, shard, inverted[2], tmp_path / "out.parquet", {**PROPOSED, "step": 40})


def test_a_damaged_inversion_is_a_sentence(tmp_path, diffusion, shard):
    (tmp_path / "broken").write_bytes(b"no safetensors")
    with pytest.raises(UserError, match="damaged"):
        run_corruption(diffusion, shard, tmp_path / "broken", tmp_path / "out.parquet")
    with pytest.raises(UserError, match="missing"):
        run_corruption(diffusion, shard, tmp_path / "absent", tmp_path / "out.parquet")
