"""What tests share: the package for the interpreters that they start, one thread, a model, a web server, a shard."""

import os
from pathlib import Path

import hypothesis
import pytest
from server import Server, serving

os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "workflow")
os.environ["OMP_NUM_THREADS"] = "1"
# A busy machine does not make the code wrong: no example fails by the clock.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_collection_modifyitems(items):
    """Marks what lies in tests/faults as long. The longest files go first: at the end, one keeps a single core busy."""
    for item in items:
        if item.path.parent.name == "faults":
            item.add_marker(pytest.mark.long)
    items.sort(key=lambda item: ("end_to_end" not in item.keywords, item.path.parent.name != "workflow"))


@pytest.fixture(scope="session")
def tiny_diffusion(tmp_path_factory):
    """A folder in Stable Diffusion's format: 16x16 images, 8x8 latents, random weights."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    from blemish.miniworld.generator import build_text_encoder, build_tokenizer, pipeline

    folder = tmp_path_factory.mktemp("diffusion")
    tokenizer = build_tokenizer(["a face and a hand", "a sign"], folder / "tokenizer")
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        mid_block_add_attention=False,
        sample_size=16,
        scaling_factor=0.5,
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=4,
        norm_num_groups=4,
    )
    pipeline(vae, unet, build_text_encoder(tokenizer, seed=0), tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def diffusion(tiny_diffusion):
    from blemish.corruption.diffusion import Diffusion

    return Diffusion.load(tiny_diffusion)


@pytest.fixture(scope="session")
def engine(diffusion):
    from blemish.corruption.engine import Engine

    return Engine(diffusion, steps=50, seed=5, batch_size=2)


@pytest.fixture
def server():
    with serving(Server()) as running:
        yield running


@pytest.fixture
def shard(tmp_path):
    """(images, masks): five images of 16x16, of which the third has an empty mask."""
    import numpy as np

    from blemish.data.records import Record, write_records

    random = np.random.default_rng(0)
    images, masks = [], []
    for i in range(5):
        mask = np.zeros((16, 16), bool)
        if i != 2:
            mask[i : i + 7, 3:9] = True
        pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        images.append(Record(f"image-{i}", pixels, None, prompt=f"a face {i}", source=f"test:{i}"))
        masks.append(Record(f"image-{i}", None, mask))
    write_records(tmp_path / "images.parquet", images)
    write_records(tmp_path / "masks.parquet", reversed(masks))
    return tmp_path / "images.parquet", tmp_path / "masks.parquet"
