"""`blemish detect`: where a detector sees artifacts in images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from blemish.cli import common

if TYPE_CHECKING:
    import numpy as np


def detect(
    images: common.Images, out: common.Out, weights: common.Weights = None, config: common.Config = None
) -> None:
    """Finds artifacts in images; by default with the results' detector of the highest IoU on the test set.

    Images become squares, as the sources' do: the shorter side is scaled, the longer one cropped. DIR gets
    probabilities/ (16-bit PNG, 65535 = 1), overlays/ (artifacts tinted red) and detections.csv: of each image the
    share of its area that is an artifact (P at least evaluation.threshold) and the highest P.
    """
    import numpy as np
    import pandas as pd

    from blemish.data.records import read_records, write_records
    from blemish.detection.predict import probabilities
    from blemish.sources import folder

    settings = common.configure(config)
    found = folder.find(images)
    weights = weights or common.best_weights(settings)
    backbone = common.backbone_of(weights)  # before any image is read
    common.say(f"Detector: {weights}.")
    threshold = settings["evaluation"]["threshold"]
    with common.new_folder(out) as target, common.gpu(settings, "detect"), common.quiet():
        clean = target / "clean.parquet"
        write_records(clean, common.read_all(found, settings["resolution"]))
        judged = probabilities(weights, backbone, read_records(clean, ["image"]), common.inference(settings))
        rows = []
        for item, record, (_, probability) in zip(found, read_records(clean, ["image"]), judged, strict=True):
            artifact = probability >= threshold
            depth = (probability * 65535).round().astype(np.uint16)
            common.save_png(depth, target / "probabilities" / f"{item.id}.png")
            common.save_png(overlay(record.image, artifact), target / "overlays" / f"{item.id}.png")
            rows.append((item.id, item.name, int(artifact.sum()), float(artifact.mean()), float(probability.max())))
        clean.unlink()
        table = pd.DataFrame(rows, columns=["id", "file", "artifact_pixels", "artifact_share", "max_probability"])
        table.to_csv(target / "detections.csv", index=False, float_format="%.6f")
    typer.echo(f"{(table['artifact_pixels'] > 0).sum()} of {len(table)} images show artifacts: {out}")


def overlay(image: np.ndarray, artifact: np.ndarray) -> np.ndarray:
    """An image (h, w, 3) uint8 with the artifact's pixels (h, w) bool half red."""
    tinted = image.copy()
    tinted[artifact] = tinted[artifact] // 2 + [127, 0, 0]
    return tinted
