"""A small run of the whole chain on config/test.yaml: sources to Table 4, then what follows from deleting things."""

import json
import subprocess

import pandas as pd
import pytest
from checkout import jobs, link_checkout, said, snakemake
from examples import follow, save_photos
from PIL import Image

from blemish.data.records import read_records

pytestmark = pytest.mark.end_to_end

PARTS = ("--configfile", "config/mini.yaml", "config/test.yaml")
TEST = (*PARTS, "whole.yaml")
TABLE = "results/test/tables/table4.csv"
SHEET = "results/test/figures/corruption/gaussian-30.png"
CORRUPTED = "results/test/corrupted/hps/proposed-45/swin-t/0.parquet"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = link_checkout(tmp_path_factory.mktemp("run"))
    (folder / "whole.yaml").write_text("pools: {hps: {shards: 1}}")
    done = snakemake(TABLE, SHEET, CORRUPTED, "--cores", "all", *TEST, folder=folder)
    assert done.returncode == 0, said(done)
    return folder


def test_the_table_is_what_the_detectors_measured(folder):
    table = pd.read_csv(folder / TABLE)
    assert len(table) == 4
    for cell in table.itertuples():
        run = f"results/test/detectors/{cell.train_set}/{cell.supervision}/{cell.backbone}/seed-0"
        metrics = json.loads((folder / run / "metrics.json").read_text())
        assert cell.ours == pytest.approx(metrics["iou"])
        results = pd.read_parquet(folder / run / "per_image.parquet")
        union = (results.tp + results.fp + results.fn).sum()
        assert metrics["iou"] == pytest.approx(100 * results.tp.sum() / union if union else 100)


def test_a_second_run_has_nothing_to_do(folder):
    assert jobs(snakemake(TABLE, SHEET, CORRUPTED, "-n", *TEST, folder=folder)) == {}


def test_a_deleted_score_is_measured_again_alone(folder):
    score = "results/test/detectors/hps/gaussian-30/swin-t/seed-0/metrics.json"
    metrics = folder / score
    before = metrics.read_text()
    metrics.unlink()
    done = snakemake(score, TABLE, SHEET, "--cores", "1", *TEST, folder=folder)
    assert done.returncode == 0, said(done)
    assert jobs(done) == {"evaluate": 1, "table": 1}
    assert metrics.read_text() == before


def test_the_region_changes_and_the_rest_stays_recognisable(folder):
    strength = pd.concat(map(pd.read_csv, (folder / "results/test/corrupted/hps/gaussian-30").rglob("[0-9].csv")))
    strength = strength[strength.latent_distance.notna()]
    assert len(strength)
    assert (strength.psnr_inside < strength.psnr_outside).mean() > 0.9


@pytest.mark.long
def test_the_number_of_parts_changes_no_image(folder, tmp_path):
    subprocess.run(["cp", "-a", f"{folder}/.", tmp_path], check=True)
    done = snakemake(CORRUPTED, CORRUPTED.replace("0.parquet", "1.parquet"), "--cores", "all", *PARTS, folder=tmp_path)
    assert done.returncode == 0, said(done)
    assert jobs(done) == {"deal_hps": 1, "select_regions": 2, "invert": 4, "reconstruct": 2, "corrupt": 2}
    whole = {r.id: r for r in read_records(folder / CORRUPTED)}
    parts = list(read_records(sorted((tmp_path / CORRUPTED).parent.glob("*.parquet"))))
    assert len(parts) == len(whole) == 10
    for record in parts:
        assert (record.mask == whole[record.id].mask).all()
        # Batches differ, and with them the last bits of float32, which inversion and resampling amplify. Other
        # noise in the region would leave some 25 dB.
        difference = record.image.astype(float) - whole[record.id].image
        assert (difference**2).mean() < 255**2 * 10**-3.5


@pytest.mark.long
def test_own_images_become_a_train_set_and_nothing_else_is_made_again(folder):
    """The example of docs/extending.md, at the smallest sizes."""
    save_photos(folder / "photos")
    (target, *_, overlay) = follow("Your own images", folder)
    arguments = [target.replace("mini", "test"), *TEST, overlay]
    done = snakemake(*arguments, "--cores", "all", folder=folder)
    assert done.returncode == 0, said(done)
    counts = jobs(done)
    assert counts.pop("frame_images") == counts.pop("select_regions") == 1
    assert counts.pop("reconstruct") == counts.pop("corrupt") == 1
    assert counts == {"invert": 3, "train_detector": 2, "evaluate": 2, "table": 1}

    results = folder / "results/test"
    ledger = pd.read_csv(results / "pools/mine/0.csv")
    assert list(ledger.file) == ["broken.jpg", *(f"photo {i}.png" for i in range(4))]
    assert ledger.refused.notna().tolist() == [True, False, False, False, False]
    prompts = [record.prompt for record in read_records(results / "corrupted/mine/proposed-40/swin-t/0.parquet")]
    assert prompts == ["a face and a hand", "", "", ""]
    for cell in pd.read_csv(results / "tables/mine.csv").itertuples():
        metrics = results / f"detectors/mine/{cell.supervision}/swin-t/seed-0/metrics.json"
        assert cell.ours == pytest.approx(json.loads(metrics.read_text())["iou"])

    assert jobs(snakemake(*arguments, "-n", folder=folder)) == {}
    Image.new("RGB", (80, 80)).save(folder / "photos/new.png")
    assert jobs(snakemake(*arguments, "-n", folder=folder))["frame_images"] == 1
