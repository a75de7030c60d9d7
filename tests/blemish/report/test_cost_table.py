import pandas as pd
import pytest
from paper import recipe, renoise

from blemish.corruption.corrupt import corrupt_shard
from blemish.corruption.invert import invert_shard
from blemish.corruption.reconstruct import reconstruct_shard
from blemish.experiments import CorruptedPool
from blemish.report.cost_table import cost_table, to_markdown

DEPTHS = {"two": 2, "three": 3}


@pytest.fixture
def made(tmp_path, engine, shard):
    """The inversion to 0, 2 and 3 steps of one shard, stored every two, and two corruptions of it."""
    inversions, reconstructed = {}, tmp_path / "reconstructed.parquet"
    for n, previous in ((0, None), (2, 0), (3, 2)):
        inversions["hps", n] = [tmp_path / f"{n}.safetensors"]
        before = previous if previous is None else inversions["hps", previous][0]
        invert_shard(shard[0], before, inversions["hps", n][0], engine, renoise(), n)
    reconstruct_shard(shard[0], inversions["hps", 0][0], reconstructed, engine)
    corruptions = {}
    for name, n in DEPTHS.items():
        out, latents = tmp_path / f"{name}.parquet", tmp_path / f"{name}.csv"
        inversion, chosen = inversions["hps", n][0], recipe(step=50 - n)
        corrupt_shard(reconstructed, shard[1], inversion, out, latents, engine, name, chosen, "any", 1.0)
        corruptions |= {CorruptedPool("hps", name, backbone): [latents] for backbone in ("swin-t", "convnext-t")}
    return inversions, corruptions


def test_the_trajectory_counts_once_and_every_corruption_for_itself(made, diffusion):
    table = cost_table(*made, DEPTHS, 2, renoise(), diffusion.schedule(50), 1.0)
    rows = table.set_index("work")
    assert table["work"].tolist() == ["inversion", "two", "three", "all"]
    assert rows["images"].tolist() == [5, 10, 10, 5]
    assert rows["evaluations"].tolist() == [5 * 9, 8 * 2, 8 * 3, 45 + 16 + 24]  # one of five masks is empty
    assert rows["forecast"].tolist() == [45, 10 * 2, 10 * 3, 45 + 50]
    assert rows["alone"].tolist() == [0, 10 * (6 + 2), 10 * (9 + 3), 200]


def test_shards_add_up(made, diffusion):
    twice = [{key: paths * 2 for key, paths in files.items()} for files in made]
    one, two = (cost_table(*files, DEPTHS, 2, renoise(), diffusion.schedule(50), 1.0) for files in (made, twice))
    numbers = ["images", "evaluations", "forecast", "alone"]
    pd.testing.assert_frame_equal(two[numbers], one[numbers] * 2)


def test_the_text_shows_each_image_s_share(made, diffusion):
    text = to_markdown(cost_table(*made, DEPTHS, 2, renoise(), diffusion.schedule(50), 1.0))
    assert "| hps | all | 5 | 85 | 17.0 | 95 | 200 |" in text
    assert "| hps | inversion | 5 | 45 | 9.0 | 45 |  |" in text
