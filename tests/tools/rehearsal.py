"""Rehearses the paper's run: makes its sources in their real formats, serves them, and runs config/rehearsal.yaml.

    PYTHONPATH=workflow python tests/tools/rehearsal.py [--narrow] [Snakemake's options]

Full-size networks with random weights, or with --narrow small ones under the same names and formats. What was made is
kept and used again, and so are results. Afterwards, `rules.csv` beside the results has time, memory and disk of each
rule.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "workflow"), str(ROOT / "benchmarks"), str(ROOT / "tests" / "tools")]

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import torch  # noqa: E402
from legacy import make_legacy  # noqa: E402
from PIL import Image  # noqa: E402
from server import Server, serving  # noqa: E402
from simulated_richhf import example, simulate  # noqa: E402
from tars import write_tar  # noqa: E402

from blemish.config.load import load  # noqa: E402
from blemish.data.tfrecords import write_examples  # noqa: E402
from blemish.detection import models  # noqa: E402
from blemish.detection.settings import Backbone  # noqa: E402

PORT = 8753  # of the addresses in config/rehearsal.yaml
NARROW = ROOT / "tests" / "data" / "narrow.yaml"
SPLITS = {"train": 8, "dev": 2, "test": 4}  # records
TARS = 3
WORDS = ["a", "hand", "that", "holds", "a", "sign", "in", "front", "of", "a", "face", "near", "the", "sea"]


def picture(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Smooth colours with edges: something that JPEG, a VAE and a detector treat as a picture."""
    small = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    for _ in range(6):
        x, y, side = rng.integers(0, width), rng.integers(0, height), int(rng.integers(20, 120))
        image.paste(tuple(int(c) for c in rng.integers(0, 256, 3)), (x, y, x + side, y + side))
    return image


def encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return buffer.getvalue()


def write_richhf(folder: Path, mirror: Path) -> None:
    """TFRecords with JPEG maps, and a mirror's Parquet files with JPEG and PNG images of 512 to 1024 pixels."""
    (mirror / "data").mkdir(parents=True)
    for seed, (split, count) in enumerate(SPLITS.items()):
        rng = np.random.default_rng((7, seed))
        names = [f"{split}/{uuid.UUID(bytes=rng.bytes(16), version=4)}.png" for _ in range(count)]
        samples = [simulate(rng, annotators=2 if i == 1 and split == "train" else 3) for i in range(count)]
        write_examples(
            folder / f"{split}.tfrecord", [example(s, n, quality=90) for s, n in zip(samples, names, strict=True)]
        )
        sizes = [(512, 512), (768, 512), (1024, 1024), (512, 896)]
        pictures = [picture(rng, *sizes[i % 4]) for i in range(count)]
        images = [{"bytes": encoded(image, ("JPEG", "PNG")[i % 2]), "path": None} for i, image in enumerate(pictures)]
        table = {
            "filename": names,
            "image": pa.array(images, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            "caption": [" ".join(rng.choice(WORDS, 9)) for _ in names],
            **{key: [sample.scores[key] for sample in samples] for key in samples[0].scores},
        }
        pq.write_table(pa.table(table), mirror / "data" / f"{split}-00000-of-00001.parquet", row_group_size=3)


def write_hps(folder: Path) -> None:
    """WebDataset tars of square and wide images with their JSONs, one of them without its size."""
    rng = np.random.default_rng(11)
    for tar in range(TARS):
        members = []
        for i in range(3):
            width = (1024, 1792)[i % 2]
            name, suffix = f"{tar:03}{i:05}", ("jpg", "png", "jpeg")[i]
            about = {
                "image_name": f"{name}.{suffix}",
                "short_caption": " ".join(rng.choice(WORDS, 12)),
                "long_caption": " ".join(rng.choice(WORDS, 200)),
                "resolution": f"{width}x1024",
                "source": "rehearsal",
                "original_prompt": " ".join(rng.choice(WORDS, 30)),
            } | ({"width": width, "height": 1024} if i else {})
            image = encoded(picture(rng, width, 1024), "PNG" if suffix == "png" else "JPEG")
            members += [(f"{name}.json", json.dumps(about).encode()), (f"{name}.{suffix}", image)]
        write_tar(folder / "data" / f"data-{tar:06}.tar", members)


def write_diffusion(folder: Path, narrow: bool) -> None:
    """Stable Diffusion 1.5's folder in the form in which it is published, beside copies that nobody should fetch."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from engine import MODELS
    from transformers import CLIPTextConfig, CLIPTextModel

    from blemish.miniworld.generator import build_tokenizer, pipeline

    torch.manual_seed(0)
    spec = dict(MODELS["sd15"])
    text = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
    if narrow:
        groups = {"norm_num_groups": 4}
        spec["vae"] = {**spec["vae"], "block_out_channels": (4, 8, 8, 8), "layers_per_block": 1, **groups}
        spec["unet"] = {**MODELS["tiny"]["unet"], "block_out_channels": (8, 16), "sample_size": 64, **groups}
        text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    tokenizer = build_tokenizer([" ".join(WORDS)], folder / "tokenizer")
    tokenizer.model_max_length = spec["tokens"]
    encoder = CLIPTextModel(CLIPTextConfig(vocab_size=49408, max_position_embeddings=77, bos_token_id=0,
                                           eos_token_id=1, pad_token_id=1, **text))  # fmt: skip
    vae, unet = AutoencoderKL(**spec["vae"], sample_size=512), UNet2DConditionModel(**spec["unet"])
    pipeline(vae, unet, encoder, tokenizer).save_pretrained(folder)
    make_legacy(folder)
    for copy in (
        "v1-5-pruned.ckpt",
        "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.fp16.safetensors",
    ):
        (folder / copy).write_bytes(b"a copy that is not needed")


def write_segmentation(path: Path, backbone: Backbone) -> None:
    """A checkpoint of 150 classes as OpenMMLab publishes them."""
    torch.manual_seed(0)
    meta = {"mmseg_version": "0.18.0", "CLASSES": ("wall", "building"), "PALETTE": [[120, 120, 120]], "iter": 160000}
    torch.save({"meta": meta, "state_dict": models.build(backbone, classes=150).state_dict()}, path)


def make(folder: Path, config: dict, narrow: bool) -> dict[str, Path]:
    """The files of all sources below a folder; returns the path on the server of each."""
    places = {
        "google-research-datasets/richhf-18k/raw/main": folder / "richhf",
        f"datasets/{config['sources']['richhf']['images']['repo']}": folder / "mirror",
        f"datasets/{config['sources']['hps']['repo']}": folder / "hps",
        config["sources"]["diffusion"]["repo"]: folder / "diffusion",
        "mmsegmentation": folder / "segmentation",
    }
    if not (folder / "made").exists():
        for place in (folder / "richhf", folder / "segmentation"):
            place.mkdir(parents=True, exist_ok=True)
        write_richhf(folder / "richhf", folder / "mirror")
        write_hps(folder / "hps")
        write_diffusion(folder / "diffusion", narrow)
        for name, backbone in config["backbones"].items():
            write_segmentation(folder / "segmentation" / f"{name}.pth", Backbone(**backbone))
        (folder / "made").touch()
    return {
        f"{root}/{path.relative_to(place)}": path
        for root, place in places.items()
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }


def rules(results: Path) -> pd.DataFrame:
    """Jobs, seconds and peak memory of each rule, from the records that its jobs left."""
    found = [
        pd.read_csv(path, sep="\t").assign(rule=path.relative_to(results / "benchmarks").parts[0].removesuffix(".tsv"))
        for path in (results / "benchmarks").rglob("*.tsv")
    ]
    table = pd.concat(found, ignore_index=True).groupby("rule")
    return pd.DataFrame(
        {
            "jobs": table.size(),
            "seconds_each": table["s"].median().round(1),
            "seconds_in_all": table["s"].sum().round(),
            "memory_mb": table["max_rss"].max().round(),
        }
    ).sort_values("seconds_in_all", ascending=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--narrow", action="store_true", help="small networks in the same formats: minutes")
    chosen, options = parser.parse_known_args()
    overlays = ["config/rehearsal.yaml", *([str(NARROW.relative_to(ROOT))] if chosen.narrow else [])]
    config = load([ROOT / overlay for overlay in overlays])
    results = ROOT / config["pathvars"]["results"]
    files = make(results.with_name(f"{results.name}-sources"), config, chosen.narrow)
    server = Server(PORT)
    server.files.update(files)
    server.commit = config["sources"]["diffusion"]["revision"]
    environment = os.environ | {"HF_ENDPOINT": server.url, "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "snakemake", "--cores", "all", *options, "--configfile", *overlays]
    with serving(server):
        done = subprocess.run(command, cwd=ROOT, env=environment).returncode
    unwanted = {path for _, path, *_ in server.requests if path.endswith((".ckpt", ".bin", ".fp16.safetensors"))}
    if "-n" in options:
        return done
    if done or unwanted:
        print(f"The rehearsal failed; fetched though not needed: {sorted(unwanted) or 'nothing'}.", file=sys.stderr)
        return 1
    table = rules(results)
    table.to_csv(results / "rules.csv")
    print(table.to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
