from paper import recipe, renoise

from blemish.corruption.corrupt import corrupt_shard
from blemish.corruption.sequence import corrupt_images
from blemish.corruption.strength import measure_shard


def test_one_call_makes_what_the_jobs_make_one_by_one(tmp_path, engine, shard, inverted, reconstructed):
    (tmp_path / "work").mkdir()
    together = corrupt_images(*shard, tmp_path / "work", engine, renoise(), "proposed-48", recipe(), "any", 1.0)
    out, latents, strength = (tmp_path / name for name in ("out.parquet", "latents.csv", "strength.csv"))
    corrupt_shard(reconstructed, shard[1], inverted[2], out, latents, engine, "proposed-48", recipe(), "any", 1.0)
    measure_shard(reconstructed, out, latents, strength)
    assert [file.read_bytes() for file in together] == [out.read_bytes(), strength.read_bytes()]
