"""The strength of corruptions: read shard by shard, summed up in one table."""

import numpy as np
import pytest

from blemish.report.strength_table import captions, read_strength, strength_table, to_markdown


def test_strength_files_know_their_shard(tmp_path, strength):
    for i, ids in enumerate((["a"], ["b", "c"])):
        strength(ids).drop(columns="part").to_csv(tmp_path / f"{i}.csv", index=False)
    assert list(read_strength([tmp_path / "0.csv", tmp_path / "1.csv"])["part"]) == [0, 1, 1]


def test_captions_are_in_the_order_of_the_chosen_and_from_their_own_shard(strength):
    measured = strength(["a", "b", "a"], part=[0, 0, 1], psnr_inside=[10, 20, 30], changed=[0.1, 0.2, 0.3])
    lines = captions(measured, measured.iloc[[2, 1]])
    assert lines == ["in 30 dB, out 40 dB, 30 % changed", "in 20 dB, out 40 dB, 20 % changed"]


def test_the_strength_table_leaves_out_images_without_a_region(tmp_path, strength):
    frame = strength(
        ["a", "b", "c", "d"],
        latent_distance=[np.nan, 0.2, 0.4, 0.6],
        mask_fraction=[0, 0.1, 0.2, 0.3],
        changed=[np.nan, 0.01, 0.5, 0.9],
        psnr_inside=[np.nan, np.inf, 20, 10],
        left_out=[1.0, 0.0, 0.0, 0.0],
        label_iou=[np.nan, 0.5, 0.75, 1.0],
    )
    paths = [tmp_path / "0.csv", tmp_path / "1.csv"]
    frame.iloc[:2].drop(columns="part").to_csv(paths[0], index=False)
    frame.iloc[2:].drop(columns="part").to_csv(paths[1], index=False)
    table = strength_table({"blur_30": paths})
    (row,) = table.itertuples()
    assert (row.images, row.empty_masks, row.psnr_inside) == (4, 1, 20)
    assert row.mask_fraction == pytest.approx(0.2) and row.latent_distance == pytest.approx(0.4)
    assert row.visibly_changed == pytest.approx(2 / 3)
    assert r"| blur\_30 | 4 | 1 | 20.0% | 25.0% | 0.750 | 25.0% | 66.7% | 20.0 |" in to_markdown(table)
