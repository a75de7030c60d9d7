"""`blemish score`: how well a detector finds the artifacts that masks mark (§4.4)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blemish.cli import common
from blemish.errors import UserError


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
    from tempfile import TemporaryDirectory

    from blemish.data.records import write_records
    from blemish.evaluation.evaluate import evaluate
    from blemish.report.tables import SHARES
    from blemish.sources import folder

    settings = common.configure(config)
    backbone = common.backbone_of(weights)  # before any image is read
    if (masks is None) != all(path.suffix == ".parquet" for path in images):
        raise UserError("give images with --masks, or Parquet files of records, which hold their own masks, without.")
    with (
        common.new_folder(out) as target,
        TemporaryDirectory(dir=target) as work,
        common.gpu(settings, "score"),
        common.quiet(),
    ):
        shards: list[Path] = images
        if masks:
            found = folder.find(images)
            shards = [Path(work, "images.parquet")]
            write_records(shards[0], common.read_all(found, settings["resolution"], folder.match_masks(found, masks)))
        threshold, how = settings["evaluation"]["threshold"], common.inference(settings)
        results = target / "per_image.parquet", target / "metrics.json"
        summary = evaluate(weights, backbone, shards, threshold, how, *results)
    low, high = summary["iou_low"], summary["iou_high"]
    typer.echo(f"IoU of the artifact class: {summary['iou']:.2f} %, 95 % interval {low:.2f} to {high:.2f}")
    for name in SHARES:
        typer.echo(f"{name.replace('_', ' ')}: {summary[name]:.2f} %")
    typer.echo(f"{summary['images']} images, {summary['empty_truth']} without an artifact: {out}")
