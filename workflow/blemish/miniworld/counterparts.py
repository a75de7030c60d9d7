"""The mini world's RichHF-18k and HPS, stored the way the real ones are.

RichHF: TFRecords of `tf.train.Example` with encoded maps of one to three simulated annotators, and a Parquet mirror
with the images. HPS: WebDataset tars of clean images with captions, square ones and wide ones.
"""

from __future__ import annotations

import io
import json
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import webdataset
from PIL import Image, ImageDraw
from scipy import ndimage

from blemish.data.images import encode_png
from blemish.data.tfrecords import write_examples
from blemish.miniworld.generator import reconstruct
from blemish.miniworld.scenes import Scene, draw_scene
from blemish.miniworld.settings import HPS
from blemish.miniworld.wild import Wild

MAP_SIZE = 512  # RichHF's own
ANNOTATORS = (0.1, 0.4, 0.5)  # shares of one, two, three; in RichHF about half have three


def write_richhf(folder: Path, split: str, wild: list[Wild], seed: int) -> None:
    """`{split}.tfrecord` and `data/{split}-00000-of-00001.parquet` below `folder`."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    rngs = [np.random.default_rng((seed, i)) for i in range(len(wild))]
    names = [f"{split}/{uuid.UUID(bytes=rng.bytes(16), version=4)}.png" for rng in rngs]
    examples = [_example(name, w, rng) for name, w, rng in zip(names, wild, rngs, strict=True)]
    write_examples(folder / f"{split}.tfrecord", examples)
    pngs = [{"bytes": encode_png(w.image, optimize=True), "path": None} for w in wild]
    images = pa.array(pngs, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    table = pa.table({"filename": names, "image": images, "caption": [w.caption for w in wild]})
    pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet", row_group_size=100)


def clean_scenes(settings: HPS, vae) -> list[Scene]:
    """What the mini world's HPS holds: scenes as the VAE decodes them, some of them wide."""
    rngs = [np.random.default_rng((settings.seed, i)) for i in range(settings.images)]
    scenes = [draw_scene(rng, width=112 if rng.random() < settings.wide else 64) for rng in rngs]
    return [replace(scene, image=reconstruct(vae, scene.image)) for scene in scenes]


def write_hps(folder: Path, scenes: list[Scene], tars: int, seed: int) -> None:
    """`data/data-0000NN.tar` below `folder`; the same bytes every time."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(np.array_split(np.arange(len(scenes)), tars)):
        path = folder / "data" / f"data-{number:06d}.tar"
        with webdataset.TarWriter(str(path), mtime=0.0, user="mini", group="mini") as tar:
            for i in part:
                scene, key = scenes[i], f"scene_{seed}_{i:05d}"
                height, width = scene.labels.shape
                about = {
                    "image_name": f"{key}.png",
                    "short_caption": scene.caption,
                    "resolution": f"{width}x{height}",
                    "width": width,
                    "height": height,
                    "source": "mini world",
                    "original_prompt": scene.caption,
                }
                png = encode_png(scene.image, optimize=True)
                tar.write({"__key__": key, "json": json.dumps(about).encode(), "png": png})


def _example(name: str, wild: Wild, rng: np.random.Generator) -> dict[str, bytes | list[float]]:
    annotators = 1 + rng.choice(3, p=ANNOTATORS)
    artifacts = np.mean([_annotation(wild.damage, rng) for _ in range(annotators)], axis=0)
    severity = 5 - 40 * wild.damage.mean()
    ratings = np.clip(np.round(rng.normal(severity, 0.6, (4, annotators))), 1, 5)
    scores = (ratings.mean(axis=1) - 1) / 4
    words = len(wild.caption.split())
    rated = ("aesthetics", "artifact", "misalignment", "overall")
    return {
        "filename": name.encode(),
        **{f"{what}_score": [float(score)] for what, score in zip(rated, scores, strict=True)},
        "artifact_map": _jpeg(np.round(255 * artifacts).astype(np.uint8)),
        "misalignment_map": _jpeg(np.zeros((MAP_SIZE, MAP_SIZE), np.uint8)),
        "prompt_misalignment_label": b" ".join([b"1"] * words),
    }


def _annotation(damage: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One annotator's map, (512, 512) of 0 and 1: discs clicked over the damage, some of it overlooked."""
    scale = MAP_SIZE / len(damage)
    marks = Image.new("L", (MAP_SIZE, MAP_SIZE), 0)
    pen = ImageDraw.Draw(marks)
    parts, count = ndimage.label(ndimage.binary_dilation(damage, iterations=2))
    for part in range(1, count + 1):
        ys, xs = np.nonzero((parts == part) & damage)
        if rng.random() > min(0.97, 0.5 + 0.02 * len(ys)):
            continue
        clicks = max(1, round(len(ys) / 40))
        for pick in rng.choice(len(ys), size=clicks, replace=False):
            near = np.hypot(ys - ys[pick], xs - xs[pick]) < 5
            x, y = ((at[near].mean() + rng.normal(0, 0.7)) * scale for at in (xs, ys))
            radius = np.sqrt(near.sum() / np.pi) * scale * rng.uniform(1.0, 1.5)
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
    return np.asarray(marks)


def _jpeg(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=90, optimize=True)
    return stream.getvalue()
