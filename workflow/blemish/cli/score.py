"""`blemish score`: how well a detector finds the artifacts that masks mark (§4.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from blemish.cli import common
from blemish.errors import UserError

if TYPE_CHECKING:
    from blemish.data.records import Record

SHOWN = ("mean_image_iou", "two_class_miou", "f1", "precision", "recall", "average_precision")


def score(
    images: Annotated[
        list[Path],
        typer.Argument(help="Images or folders of images with --masks, or Parquet files of records with masks."),
    ],
    out: common.Out,
    weights: Annotated[Path, typer.Option(help="A detector's weights.safetensors, beside its card.json.")],
    masks: Annotated[Path | None, typer.Option(help="Folder of masks of the same stems and sizes.")] = None,
    config: common.Config = None,
) -> None:
    """Judges a detector by images with masks; prints the numbers that the tables show.

    DIR gets metrics.json and per_image.parquet, as the graph's own evaluation leaves them.
    """
    import json
    from tempfile import TemporaryDirectory

    import pandas as pd

    from blemish.data.records import read_records, write_records
    from blemish.evaluation.measures import measure, summarise
    from blemish.sources import folder

    settings = common.configure(config)
    common.backbone_of(weights)  # before any image is read
    if (masks is None) != all(path.suffix == ".parquet" for path in images):
        raise UserError("give images with --masks, or Parquet files of records, which hold their own masks, without.")
    with (
        common.new_folder(out) as target,
        TemporaryDirectory(dir=target) as work,
        common.gpu(settings, "score"),
    ):
        shards: list[Path] = images
        if masks:
            found = folder.find(images)
            shards = [Path(work, "images.parquet")]
            write_records(shards[0], common.read_all(found, settings["resolution"], folder.match_masks(found, masks)))
        judged = common.judge(settings, weights, _usable(read_records(shards, ["image", "mask"])))
        rows = pd.DataFrame(
            measure(record.id, probability, record.mask, settings["evaluation"]["threshold"])
            for record, (_, probability) in zip(read_records(shards, ["mask"]), judged, strict=True)
        )
        summary = summarise(rows)
        rows.to_parquet(target / "per_image.parquet")
        (target / "metrics.json").write_text(json.dumps(summary, indent=2) + "\n")
    low, high = summary["iou_low"], summary["iou_high"]
    typer.echo(f"IoU of the artifact class: {summary['iou']:.2f} %, 95 % interval {low:.2f} to {high:.2f}")
    for name in SHOWN:
        typer.echo(f"{name.replace('_', ' ')}: {summary[name]:.2f} %")
    typer.echo(f"{summary['images']} images, {summary['empty_truth']} without an artifact: {out}")


def _usable(records: Iterable[Record]) -> Iterator[Record]:
    """Refuses records that can't be judged, before a batch is made of them."""
    first = None
    for record in records:
        if record.image is None or record.mask is None:
            raise UserError(f"the record {record.id} holds no image or no mask: give a set that holds both.")
        first = first or record
        if record.image.shape != first.image.shape or record.mask.shape != first.image.shape[:2]:
            raise UserError(f"{record.id} and its mask are not of the size of {first.id}: give records of one size.")
        yield record
