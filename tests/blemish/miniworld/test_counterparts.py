"""The mini world's RichHF-18k and HPS are stored as the real ones are."""

import hashlib
import io
import json
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image
from scipy import ndimage

from blemish.config.load import ROOT
from blemish.data.tfrecords import read_examples
from blemish.miniworld.counterparts import clean_scenes, write_hps, write_richhf
from blemish.miniworld.scenes import draw_scene
from blemish.miniworld.settings import HPS
from blemish.miniworld.wild import Wild


@pytest.fixture
def wild():
    images = []
    for i in range(6):
        damage = np.zeros((64, 64), bool)
        damage[10:25, 20:35] = i > 0
        images.append(Wild(np.full((64, 64, 3), i, np.uint8), damage, f"a face, number {i}"))
    return images


def test_richhf_has_the_real_format(tmp_path, wild):
    write_richhf(tmp_path, "train", wild, seed=0)
    examples = [features for _, features in read_examples(tmp_path / "train.tfrecord")]
    mirror = pq.read_table(tmp_path / "data/train-00000-of-00001.parquet").to_pylist()
    assert [e["filename"].decode() for e in examples] == [row["filename"] for row in mirror]
    for example, row, w in zip(examples, mirror, wild, strict=True):
        marks = np.asarray(Image.open(io.BytesIO(example["artifact_map"])))
        assert marks.shape == (512, 512) and marks.dtype == np.uint8
        assert (np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))) == w.image).all()
        # Annotators click where the damage is, or overlook it; they never see damage that is not there.
        near = np.kron(ndimage.binary_dilation(w.damage, iterations=12), np.ones((8, 8), bool))
        assert not (marks > 60)[~near].any()
        assert all(0 <= example[f"{name}_score"][0] <= 1 for name in ("artifact", "overall"))


def test_hps_tars_are_the_same_bytes_every_time(tmp_path):
    scenes = [draw_scene(np.random.default_rng(i), width=112 if i % 2 else 64) for i in range(4)]
    digests = []
    for name in ("one", "two"):
        write_hps(tmp_path / name, scenes, tars=2, seed=0)
        tars = sorted((tmp_path / name / "data").glob("*.tar"))
        digests.append([hashlib.sha256(tar.read_bytes()).hexdigest() for tar in tars])
    assert digests[0] == digests[1] and len(digests[0]) == 2
    with tarfile.open(tmp_path / "one/data/data-000000.tar") as tar:
        about = json.load(tar.extractfile(next(m for m in tar.getnames() if m.endswith(".json"))))
    assert about["width"] == 64 and "sky" in about["short_caption"]


def test_clean_images_are_what_the_vae_decodes_and_as_many_are_wide_as_asked(tmp_path):
    vae = AutoencoderKL.from_pretrained(ROOT / "resources/mini/diffusion/vae", torch_dtype=torch.float32)
    settings = HPS(images=8, wide=0.5, tars=1, seed=12)
    scenes = clean_scenes(settings, vae)
    widths = [scene.image.shape[1] for scene in scenes]
    assert set(widths) == {64, 112} and len(scenes) == 8
    again = clean_scenes(settings.model_copy(update={"images": 3}), vae)
    for one, other in zip(scenes[:3], again, strict=True):  # a scene follows from its own number
        assert (one.image == other.image).all()
    drawn = draw_scene(np.random.default_rng((12, 0)), width=widths[0])
    assert not (scenes[0].image == drawn.image).all()
