"""Every example of docs/extending.md, followed to the letter: files are written, commands run."""

import shutil

import numpy as np
import pytest
import torch
import yaml
from checkout import PARTS, ROOT, jobs, said, snakemake
from examples import SECTIONS, blocks, follow, save_photos

MINI = ROOT / "resources/mini/diffusion"


@pytest.fixture
def checkout(tmp_path):
    """A copy of the workflow without results, to add files to."""
    for name in PARTS:
        if name == "resources":
            (tmp_path / name).symlink_to(ROOT / name)
        else:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def planned(checkout):
    """Follows a section as a dry run; gives the jobs that would run."""

    def plan(section):
        done = snakemake(*follow(section, checkout), "-n", folder=checkout)
        assert done.returncode == 0, said(done)
        return jobs(done)

    return plan


def overlay(section):
    return yaml.safe_load(next(body for file, _, body in blocks(section) if file.endswith(".yaml")))


def test_a_corruption_method(planned, checkout):
    counts = planned("A corruption method")
    assert counts["train_detector"] == counts["evaluate"] + 1 == 3  # the selector, which no cell shows
    assert counts["corrupt"] == 2
    ((file, _, code), _) = blocks("A corruption method")
    namespace: dict = {}
    exec(compile(code, file, "exec"), namespace)
    parameters = dict(overlay("A corruption method")["recipes"]["mirror-40"])
    assert parameters.pop("method") == (checkout / file).stem and parameters.pop("step") == 40
    z = torch.randn(2, 4, 8, 8)
    selected = namespace["select"](z, z, 1.0, 0.0, [], **parameters)
    assert torch.equal(selected, torch.flip(z, [2])) and not torch.equal(selected, z)


def test_a_backbone(planned):
    from blemish.detection import models
    from blemish.detection.settings import Backbone

    counts = planned("A backbone")
    assert counts["train_detector"] == 15 and counts["select_regions"] == 3 * 8
    assert counts["fetch_segmentation"] == 3
    backbone = overlay("A backbone")["backbones"]["swin-s"]
    metafile = yaml.safe_load((models.CONFIGS / "swin/metafile.yaml").read_text())
    published = {model["Config"]: model["Weights"] for model in metafile["Models"]}
    assert published[f"configs/{backbone['config']}"] == backbone["weights"]["url"]
    assert backbone["weights"]["sha256"] in backbone["weights"]["url"]
    assert models.configure(Backbone(**backbone), 2)["backbone"]["depths"] == [2, 2, 18, 2]


def test_a_diffusion_model(planned, checkout):
    from blemish.corruption.diffusion import Diffusion

    counts = planned("A diffusion model")
    assert counts["fetch_diffusion"] == 1 and counts["corrupt"] == 4
    config = ["--configfile", "config/mini.yaml", "weaker.yaml"]
    done = snakemake("results/weaker/sources/diffusion", "--cores", "1", *config, folder=checkout)
    assert done.returncode == 0, said(done)
    model, other = (Diffusion.load(path) for path in (checkout / "results/weaker/sources/diffusion", MINI))
    assert sum(p.numel() for p in model.unet.parameters()) < sum(p.numel() for p in other.unet.parameters())
    pixels = np.zeros((1, 64, 64, 3), np.uint8)
    z = model.encode(pixels, [torch.Generator().manual_seed(0)])
    assert model.denoiser(z, 1, model.embed(["a face"])).shape == z.shape


def test_own_images(planned, checkout):
    """The run itself is in test_end_to_end.py."""
    save_photos(checkout / "photos")
    counts = planned("Your own images")
    assert counts["frame_images"] == 1 and counts["train_detector"] == 3
    assert counts["invert"] == 3  # steps 0, 5 and 10
    assert counts["reconstruct"] == counts["corrupt"] == 1
    assert not counts.keys() & {"choose_hps", "draw_hps", "deal_hps"}


def test_own_images_that_are_not_there_are_named(checkout):
    done = snakemake(*follow("Your own images", checkout), "-n", folder=checkout)
    assert done.returncode != 0
    assert "pools.mine.images: photos is neither a file nor a folder" in said(done) and "Traceback" not in said(done)


def test_a_pool_cannot_take_the_name_of_another_train_set(checkout):
    (checkout / "bad.yaml").write_text("pools: {richhf-human: {images: photos, shards: 1}}")
    done = snakemake("-n", "--configfile", "bad.yaml", folder=checkout)
    assert done.returncode != 0 and "richhf-human" in said(done)


def test_a_row_in_a_table(planned, checkout):
    counts = planned("A row in a table")
    assert counts["train_detector"] == 12 and counts["corrupt"] == 10  # two more than without the row
    rows = yaml.safe_load((checkout / "config/paper/tables.yaml").read_text())["tables"]["table2"]["rows"]
    assert rows[0] == {"label": "Downscale", "supervision": "downscale-30"}


def test_a_table_of_ones_own(planned):
    from blemish.experiments import detectors
    from blemish.report import tables

    counts = planned("A table of your own")
    assert counts["evaluate"] == 4 and counts["train_detector"] == 4 and counts["table"] == 1
    table = overlay("A table of your own")["tables"]["labels"]
    measured = {"iou": 12.5, "iou_low": 10.0, "iou_high": 15.0} | dict.fromkeys(tables.SHARES + tables.COUNTS, 0)
    metrics = {cell: [measured] for cell in detectors({"": table})}
    frame = tables.assemble(table, None, metrics, dict.fromkeys(metrics, 50))
    assert len(frame) == 4 and frame["paper"].isna().all() and (frame["ours"] == 12.5).all()
    assert "HPS" in tables.to_markdown(frame, table)


def test_every_example_is_tried():
    assert set(SECTIONS) == {
        "A corruption method",
        "A backbone",
        "A diffusion model",
        "Your own images",
        "A row in a table",
        "A table of your own",
    }
