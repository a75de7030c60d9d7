import json
import re

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis.extra import numpy as arrays
from PIL import Image

from blemish.data.images import run_lengths
from blemish.data.records import Record, write_records


@pytest.fixture
def records(tmp_path):
    """Two shards of eight records; ids that are not file names, masks with no, one and many regions."""
    rng = np.random.default_rng(0)
    made = []
    for i, id_ in enumerate(["a", "A", "../up", "b/c", "b c", "empty", "full", "diagonal"]):
        known = {"empty": np.zeros((20, 30), bool), "full": np.ones((20, 30), bool), "diagonal": np.eye(20, 30) > 0}
        mask = known.get(id_, rng.random((20, 30)) < 0.3)
        image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        made.append(Record(id_, image, mask, f"prompt {i}", f"hps:{i}", "proposed-40", 5))
    folder = tmp_path / "set"
    write_records(folder / "0.parquet", made[:4])
    write_records(folder / "1.parquet", made[4:])
    (folder / "other.parquet").write_text("does not hold records")
    return folder, made


def test_hugging_face_loads_what_was_exported(blemish, records, tmp_path):
    import datasets

    folder, made = records
    code, _, err = blemish("export", folder, "--format", "hf", "--out", tmp_path / "out")
    assert code == 0, err
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == len(made)
    for row, record in zip(loaded, made, strict=True):
        assert (np.array(row["image"]) == record.image).all()
        assert (np.array(row["mask"]) == 255 * record.mask).all()
        assert [row[name] for name in ("id", "prompt", "source", "recipe", "seed")] == [
            getattr(record, name) for name in ("id", "prompt", "source", "recipe", "seed")
        ]
    _, front, text = (tmp_path / "out/README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front)["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*.parquet"}]
    share = 100 * np.mean([record.mask.mean() for record in made])
    assert f"{share:.2f} % of all pixels" in text and "| with a region | 7 |" in text


def test_mmseg_loads_what_was_exported(blemish, records, tmp_path):
    from blemish.detection import mmcv_lite  # noqa: F401  isort: skip
    from mmseg.datasets import BaseSegDataset

    folder, made = records
    code, _, err = blemish("export", folder, "--format", "mmseg", "--out", tmp_path / "out")
    assert code == 0, err
    dataset = BaseSegDataset(
        data_root=str(tmp_path / "out"),
        data_prefix={"img_path": "img_dir/train", "seg_map_path": "ann_dir/train"},
        img_suffix=".png",
        metainfo={"classes": ("background", "artifact")},
        pipeline=[],
    )
    items = [dataset.get_data_info(i) for i in range(len(dataset))]
    loaded = [[np.array(Image.open(item[key])) for key in ("img_path", "seg_map_path")] for item in items]
    assert len(loaded) == len(made)
    for record in made:
        assert any((image == record.image).all() and (label == record.mask).all() for image, label in loaded)


def test_coco_loads_what_was_exported(blemish, records, tmp_path):
    from pycocotools.coco import COCO

    folder, made = records
    code, _, err = blemish("export", folder, "--format", "coco", "--out", tmp_path / "out")
    assert code == 0, err
    coco = COCO(str(tmp_path / "out/annotations.json"))
    images = {image["record"]: image for image in coco.loadImgs(coco.getImgIds())}
    assert set(images) == {record.id for record in made}
    for record in made:
        image = images[record.id]
        assert (np.array(Image.open(tmp_path / "out/images" / image["file_name"])) == record.image).all()
        objects = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        assert len(objects) == 1 or record.id not in ("full", "diagonal")  # pixels that touch at corners are connected
        masks = [coco.annToMask(item).astype(bool) for item in objects]
        assert (sum(masks, np.zeros_like(record.mask, int)) == record.mask).all()  # nothing twice, nothing missing
        for item, mask in zip(objects, masks, strict=True):
            rows, columns = np.nonzero(mask)
            size = [columns.max() - columns.min() + 1, rows.max() - rows.min() + 1]
            assert item["bbox"] == [columns.min(), rows.min(), *size] and item["area"] == mask.sum()


@given(arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2)))
def test_run_lengths_are_cocos(mask):
    from pycocotools import mask as coco

    counts = run_lengths(mask, order="F")
    encoded = coco.frPyObjects({"size": list(mask.shape), "counts": counts}, *mask.shape)
    assert (coco.decode(encoded).astype(bool) == mask).all()
    assert coco.area(encoded) == mask.sum() and sum(counts) == mask.size and all(counts[1:])


def test_names_stay_inside_the_folder_and_differ(blemish, records, tmp_path):
    folder, made = records
    assert blemish("export", folder, "--format", "coco", "--out", tmp_path / "out")[0] == 0
    files = [image["file_name"] for image in json.loads((tmp_path / "out/annotations.json").read_text())["images"]]
    assert len({file.casefold() for file in files}) == len(made)
    assert sorted(path.name for path in (tmp_path / "out/images").iterdir()) == sorted(files)


def test_sets_that_cannot_be_exported_are_named(blemish, records, tmp_path):
    folder, made = records
    write_records(tmp_path / "other/corrupted/x/0.parquet", made[:1])
    write_records(tmp_path / "other/pools/0.parquet", made[:1])
    write_records(tmp_path / "clean.parquet", [Record("clean", made[0].image, None)])
    (tmp_path / "none").mkdir()
    (tmp_path / "text.parquet").write_text("text")
    for given_, sentence in (
        ([tmp_path / "other"], "2 sets: name one of them, such as .*corrupted/x"),
        ([tmp_path / "clean.parquet"], "clean lacks its image or its mask"),
        ([tmp_path / "none"], "does not hold records"),
        ([tmp_path / "text.parquet"], "damaged"),
        ([tmp_path / "missing.parquet"], "missing"),
        ([folder, tmp_path / "other/corrupted"], "the id a comes twice"),
    ):
        code, _, err = blemish("export", *given_, "--format", "coco", "--out", tmp_path / "out")
        assert code == 1 and not (tmp_path / "out").exists()
        assert re.search(sentence, err), err
