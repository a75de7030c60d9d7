"""`blemish export`: a finished set in the formats of others: Hugging Face, mmsegmentation, COCO."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blemish.cli import common
from blemish.errors import UserError

if TYPE_CHECKING:
    from blemish.data.records import Record


class Format(StrEnum):
    hf = "hf"
    mmseg = "mmseg"
    coco = "coco"


def export(
    sets: Annotated[
        list[Path],
        typer.Argument(
            help="Parquet files of records, or a set's folder: results/mini/corrupted/hps/proposed-40/swin-t.",
            show_default=False,
        ),
    ],
    format: Annotated[Format, typer.Option(help="hf: Parquet and dataset card; mmseg: PNG folders; coco: JSON, RLE.")],
    out: common.Out,
) -> None:
    """Writes a finished set of images and masks as others read it.

    hf: `datasets.load_dataset("DIR")`. mmseg: img_dir/train and ann_dir/train, labels 0 and 1. coco: images/ and
    annotations.json, a region of connected pixels is an object.
    """
    from tqdm import tqdm

    shards = _shards(sets)
    names = _names(shards)
    with common.new_folder(out) as target:
        progress = tqdm(_records(shards), desc=format.value, total=len(names), unit="image")
        {"hf": _hugging_face, "mmseg": _mmseg, "coco": _coco}[format](progress, shards, names, target)
    typer.echo(f"{len(names)} images: {out}")


def _shards(sets: Sequence[Path]) -> list[Path]:
    """The Parquet files of records that the paths name.

    Raises:
        UserError: a folder is without records, or holds several sets.
    """
    shards = []
    for path in sets:
        if not path.is_dir():
            shards.append(path)
            continue
        inside = [file for file in sorted(path.rglob("*.parquet")) if _holds_records(file)]
        folders = list(dict.fromkeys(file.parent for file in inside))
        if not inside:
            raise UserError(f"{path} does not hold records: name Parquet files, or a folder of corrupted images.")
        if len(folders) > 1:
            one = next((folder for folder in folders if "corrupted" in folder.parts), folders[0])
            raise UserError(f"{path} holds {len(folders)} sets: name one of them, such as {one}.")
        shards += inside
    return shards


def _holds_records(file: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from blemish.data.records import SCHEMA

    try:
        return set(SCHEMA.names) <= set(pq.read_schema(file).names)
    except pa.ArrowInvalid:
        return False


def _names(shards: Sequence[Path]) -> dict[str, str]:
    """id -> a name that is safe as a file's.

    Raises:
        UserError: an id comes twice, or the set is empty.
    """
    from blemish.data.records import read_ids
    from blemish.sources.folder import safe_names

    ids: dict[str, str] = {}
    for shard in shards:
        for id_ in read_ids(shard):
            if id_ in ids:
                raise UserError(f"the id {id_} comes twice, the second time in {shard}: export these sets one by one.")
            ids[id_] = id_
    if not ids:
        raise UserError(f"{', '.join(map(str, shards))} is empty: name another set.")
    return dict(zip(ids, safe_names(ids), strict=True))


def _records(shards: Sequence[Path]) -> Iterator[Record]:
    """The records; each has an image and a mask of its size."""
    from blemish.data.records import read_records

    for record in read_records(shards):
        if record.image is None or record.mask is None:
            raise UserError(f"the record {record.id} lacks its image or its mask: name a set that holds both.")
        if record.mask.shape != record.image.shape[:2]:
            raise UserError(f"the mask of {record.id} is not of its image's size. Delete the set and run again.")
        yield record


def _mmseg(records: Iterator[Record], shards: Sequence[Path], names: dict[str, str], out: Path) -> None:
    import numpy as np

    for record in records:
        file = f"train/{names[record.id]}.png"
        common.save_png(record.image, out / "img_dir" / file)
        common.save_png(record.mask.astype(np.uint8), out / "ann_dir" / file)


def _coco(records: Iterator[Record], shards: Sequence[Path], names: dict[str, str], out: Path) -> None:
    import json

    import numpy as np
    from scipy import ndimage

    from blemish.data.images import run_lengths

    images: list[dict] = []
    annotations: list[dict] = []
    for number, record in enumerate(records, 1):
        name = f"{names[record.id]}.png"
        common.save_png(record.image, out / "images" / name)
        height, width = record.mask.shape
        images.append({"id": number, "file_name": name, "height": height, "width": width, "record": record.id})
        regions, count = ndimage.label(record.mask, np.ones((3, 3)))
        for i, (rows, columns) in enumerate(ndimage.find_objects(regions, count), 1):
            region = regions == i
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "iscrowd": 0,
                    "area": int(region.sum()),
                    "bbox": [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
                    "segmentation": {"size": [height, width], "counts": run_lengths(region, order="F")},
                }
            )
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "artifact"}]}
    (out / "annotations.json").write_text(json.dumps(content) + "\n")


def _hugging_face(records: Iterator[Record], shards: Sequence[Path], names: dict[str, str], out: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from blemish.data.records import ROWS_PER_GROUP, SCHEMA

    (out / "data").mkdir()
    for i, shard in enumerate(shards):
        part = out / "data" / f"train-{i:05d}-of-{len(shards):05d}.parquet"
        with pq.ParquetFile(shard) as file, pq.ParquetWriter(part, SCHEMA) as writer:
            for batch in file.iter_batches(ROWS_PER_GROUP, columns=SCHEMA.names):
                writer.write_table(pa.Table.from_batches([batch]).select(SCHEMA.names).cast(SCHEMA))
    (out / "README.md").write_text(dataset_card(records))


def dataset_card(records: Iterator[Record]) -> str:
    """The dataset card of a set: how it is read, and what was counted in it."""
    import yaml

    from blemish.data.records import SCHEMA
    from blemish.report.text import escape_markdown, markdown

    images = marked = pixels = regions = 0
    sizes, recipes, sources = Counter(), Counter(), Counter()
    for record in records:
        images += 1
        pixels += record.mask.size
        marked += int(record.mask.sum())
        regions += bool(record.mask.any())
        sizes[f"{record.image.shape[1]}x{record.image.shape[0]}"] += 1
        recipes[record.recipe or "none", record.seed] += 1
        sources[record.source.partition(":")[0] or "unknown"] += 1
    kinds = {"image": "image", "mask": "image", "seed": "int64"}
    front = {
        "pretty_name": "Synthetic artifacts with pixel-level labels",
        "task_categories": ["image-segmentation"],
        "tags": ["artifacts", "synthetic", "blemish"],
        "size_categories": [_size_category(images)],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}],
        "dataset_info": {"features": [{"name": name, "dtype": kinds.get(name, "string")} for name in SCHEMA.names]},
    }
    counted = [
        *([f"recipe {escape_markdown(recipe)}, seed {seed}", str(n)] for (recipe, seed), n in sorted(recipes.items())),
        *([f"from {escape_markdown(source)}", str(n)] for source, n in sorted(sources.items())),
        *([f"of {size} pixels", str(n)] for size, n in sorted(sizes.items())),
        ["with a region", str(regions)],
    ]
    return f"""---
{yaml.safe_dump(front, sort_keys=False).strip()}
---

# Synthetic artifacts with pixel-level labels

{images} images whose selected regions were corrupted in a diffusion model's latent space and resampled, after
[Synthesizing Artifact Dataset for Pixel-level Detection](https://arxiv.org/abs/2509.19589), made with Blemish. The
region is the label: {100 * marked / pixels:.2f} % of all pixels are artifacts.

{markdown(["images", "number"], counted)}
| column | holds |
| :-- | :-- |
| `id` | unique in this set |
| `image` | the corrupted image, RGB |
| `mask` | 255 = artifact, 0 = none |
| `prompt` | the text that conditioned the diffusion model |
| `source` | where the clean image came from |
| `recipe`, `seed` | the corruption, and what all its random numbers follow from |

The labels were not drawn by people: a region in which nothing visible happened is labelled all the same. The
images keep the licence of those that they were made from.
"""


def _size_category(images: int) -> str:
    """The hub's name for a number of rows."""
    limits = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
    return next((name for limit, name in limits.items() if images < limit), "1M<n<10M")
