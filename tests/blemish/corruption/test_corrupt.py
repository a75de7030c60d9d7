import logging
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from paper import recipe

from blemish.corruption.corrupt import corrupt_shard
from blemish.corruption.latents import Latents
from blemish.corruption.mask import latent_mask
from blemish.data.records import Record, read_encoded, read_records, write_records
from blemish.errors import UserError
from blemish.jobs.run import state


@pytest.fixture
def corrupt(shard, engine, reconstructed, inverted):
    """Corrupts the shard; returns its records and the table of its latents."""

    def run(out, chosen=None, name="proposed-48", images=reconstructed, inversion=None, guidance=1.0, **changes):
        chosen = chosen or recipe()
        inversion, latents = inversion or inverted[50 - chosen.step], out.with_suffix(".csv")
        how = replace(engine, **changes), name, chosen, "any", guidance
        corrupt_shard(images, shard[1], inversion, out, latents, *how)
        return list(read_records(out)), pd.read_csv(latents)

    return run


def test_a_corrupted_set_is_the_images_with_their_masks(tmp_path, corrupt, shard):
    records, table = corrupt(tmp_path / "out.parquet")
    masks = {r.id: r.mask for r in read_records(shard[1])}
    for before, after in zip(read_records(shard[0]), records, strict=True):
        assert (after.id, after.prompt, after.source) == (before.id, before.prompt, before.source)
        assert (after.recipe, after.seed) == ("proposed-48", 5)
        assert after.image.shape == before.image.shape
        np.testing.assert_array_equal(after.mask, masks[after.id])
    assert table.columns.tolist() == ["id", "latent_distance", "evaluations", "left_out", "label_iou"]
    assert table.id.tolist() == [r.id for r in records]
    assert not state(tmp_path / "out.parquet").exists()


def test_an_image_with_an_empty_mask_is_its_reconstruction_and_costs_nothing(tmp_path, corrupt, reconstructed, caplog):
    caplog.set_level(logging.INFO)
    _, table = corrupt(tmp_path / "out.parquet")
    before, after = (read_encoded(path, "image") for path in (reconstructed, tmp_path / "out.parquet"))
    assert [before[name] == after[name] for name in before] == [False, False, True, False, False]
    assert table.evaluations.tolist() == [2, 2, 0, 2, 2]
    assert (table.latent_distance.drop(2) > 0).all() and np.isnan(table.latent_distance[2])
    assert "1 of 5" in caplog.text


def test_only_what_was_hit_is_decoded(tmp_path, corrupt, diffusion, monkeypatch):
    decoded, decode = [], diffusion.decode
    monkeypatch.setattr(diffusion, "decode", lambda z: decoded.append(len(z)) or decode(z))
    corrupt(tmp_path / "out.parquet")
    assert decoded == [2, 1, 1]


def test_the_image_latent_is_corrupted_inside_the_mask_alone(
    tmp_path, corrupt, diffusion, shard, inverted, monkeypatch
):
    decoded, decode = [], diffusion.decode
    monkeypatch.setattr(diffusion, "decode", lambda z: decoded.append(z.clone()) or decode(z))
    _, table = corrupt(tmp_path / "out.parquet", recipe("gaussian", 50), "latent", batch_size=5)
    (z,) = decoded
    mask = torch.stack([torch.from_numpy(r.mask) for r in reversed(list(read_records(shard[1])))])
    hit = mask.flatten(1).any(1)
    z0, inside = Latents(inverted[0]).at(0)[hit], latent_mask(mask[hit], (8, 8), "any").expand_as(z) > 0
    assert torch.equal(z[~inside], z0[~inside])
    assert (z[inside] != z0[inside]).all()
    both = inside[0] & inside[1]
    assert both.any() and (z[0][both] != z[1][both]).all(), "every image has noise of its own"
    assert table.evaluations.tolist() == [0] * 5


@pytest.mark.parametrize("method", ["proposed", "gaussian", "rotation", "blur", "downscale"])
def test_every_method_goes_through_and_an_interruption_changes_nothing(
    tmp_path, corrupt, interrupted, monkeypatch, method
):
    chosen, out = recipe(method, 49), tmp_path / "resumed.parquet"
    interrupted("embed")
    with pytest.raises(InterruptedError):
        corrupt(out, chosen, method)
    monkeypatch.undo()
    assert len(list(state(out).rglob("*.parquet"))) == 2
    corrupt(out, chosen, method)
    corrupt(tmp_path / "whole.parquet", chosen, method)
    for suffix in (".parquet", ".csv"):
        assert out.with_suffix(suffix).read_bytes() == (tmp_path / "whole").with_suffix(suffix).read_bytes()


def test_guidance_changes_what_was_hit_and_is_counted(tmp_path, corrupt, diffusion, monkeypatch):
    guided, table = corrupt(tmp_path / "guided.parquet", guidance=7.5)
    monkeypatch.setattr(diffusion, "embed_nothing", None)  # at 1, nothing is evaluated without the prompt
    plain, _ = corrupt(tmp_path / "plain.parquet")
    assert table.evaluations.tolist() == [4, 4, 0, 4, 4]
    same = [np.array_equal(a.image, b.image) for a, b in zip(guided, plain, strict=True)]
    assert same == [False, False, True, False, False]


def test_the_number_of_threads_changes_no_byte(tmp_path, corrupt, monkeypatch):
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        corrupt(tmp_path / f"{threads}.parquet")
    for suffix in (".parquet", ".csv"):
        assert len({(tmp_path / threads).with_suffix(suffix).read_bytes() for threads in ("1", "3")}) == 1


def test_an_empty_batch_of_one_is_passed_through(tmp_path, corrupt):
    """With single images the third batch holds nothing to resample."""
    alone, _ = corrupt(tmp_path / "alone.parquet", batch_size=1)
    together, _ = corrupt(tmp_path / "together.parquet", batch_size=5)
    for a, b in zip(alone, together, strict=True):
        assert np.abs(a.image.astype(int) - b.image).max() <= 1


def test_the_inversion_of_other_images_is_refused(tmp_path, corrupt):
    others = tmp_path / "others.parquet"
    write_records(others, [Record("another", np.zeros((16, 16, 3), np.uint8), None)])
    with pytest.raises(UserError, match="other images"):
        corrupt(tmp_path / "out.parquet", images=others)


def test_a_step_that_is_not_stored_is_named(tmp_path, corrupt, inverted):
    with pytest.raises(UserError, match="not after 10"):
        corrupt(tmp_path / "out.parquet", recipe(step=40), inversion=inverted[2])


def test_a_damaged_inversion_is_a_sentence(tmp_path, corrupt):
    (tmp_path / "broken").write_bytes(b"no safetensors")
    with pytest.raises(UserError, match="damaged"):
        corrupt(tmp_path / "out.parquet", inversion=tmp_path / "broken")
    with pytest.raises(UserError, match="missing"):
        corrupt(tmp_path / "out.parquet", inversion=tmp_path / "absent")


def test_the_measures_of_strength_are_not_among_its_code():
    program = "import blemish.corruption.corrupt, sys; sys.exit('blemish.corruption.strength' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
