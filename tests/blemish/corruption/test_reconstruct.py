import numpy as np
import pytest

from blemish.corruption.latents import Latents
from blemish.corruption.reconstruct import reconstruct_shard
from blemish.data.records import Record, read_records, write_records
from blemish.errors import UserError
from blemish.jobs.run import state


def test_reconstructions_are_the_decoded_image_latents_of_the_same_images(engine, shard, inverted, reconstructed):
    z0 = Latents(inverted[0]).at(0)
    decoded = np.concatenate([engine.diffusion.decode(part) for part in z0.split(engine.batch_size)])
    for before, after, image in zip(read_records(shard[0]), read_records(reconstructed), decoded, strict=True):
        assert (after.id, after.prompt, after.source) == (before.id, before.prompt, before.source)
        assert (after.recipe, after.seed, after.mask) == ("", 5, None)
        np.testing.assert_array_equal(after.image, image)


def test_every_inversion_of_the_images_gives_the_same(tmp_path, engine, shard, inverted, reconstructed):
    reconstruct_shard(shard[0], inverted[2], tmp_path / "other.parquet", engine)
    assert (tmp_path / "other.parquet").read_bytes() == reconstructed.read_bytes()


def test_an_interruption_changes_nothing(tmp_path, engine, shard, inverted, reconstructed, interrupted, monkeypatch):
    out = tmp_path / "resumed.parquet"
    interrupted("decode")
    with pytest.raises(InterruptedError):
        reconstruct_shard(shard[0], inverted[0], out, engine)
    monkeypatch.undo()
    assert len(list(state(out).rglob("*.parquet"))) == 2
    reconstruct_shard(shard[0], inverted[0], out, engine)
    assert out.read_bytes() == reconstructed.read_bytes()


def test_the_inversion_of_other_images_is_refused(tmp_path, engine, inverted):
    write_records(tmp_path / "others.parquet", [Record("another", np.zeros((16, 16, 3), np.uint8), None)])
    with pytest.raises(UserError, match="other images"):
        reconstruct_shard(tmp_path / "others.parquet", inverted[0], tmp_path / "out.parquet", engine)
