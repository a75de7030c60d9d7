"""Compares two finished runs: what is equal byte for byte, and how far the rest lies apart.

`PYTHONPATH=workflow python tests/tools/compare.py results/mini OTHER/results/mini` prints a summary as JSON. Exit code
1 if one run has files that the other lacks.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from runs import results

from blemish.data.records import read_records


def images(paths: list[tuple[Path, Path]]) -> dict:
    """How far the images and masks of pairs of sets lie apart."""
    errors, masks = [], []
    for first, second in paths:
        for a, b in zip(read_records(first), read_records(second), strict=True):
            if a.id != b.id:
                raise SystemExit(f"{first} and {second} hold other images")
            if a.image is not None:
                errors.append(((a.image.astype(np.float64) - b.image) ** 2).mean())
            if a.mask is not None:
                masks.append((a.mask != b.mask).mean())
    psnr = 10 * np.log10(255**2 / np.array([error for error in errors if error]))
    return {
        "images": len(errors),
        "equal_images": errors.count(0),
        "psnr_of_the_others": {f"{q} %": round(float(np.percentile(psnr, q)), 1) for q in (0, 10, 50) if psnr.size},
        "masks": len(masks),
        "equal_masks": masks.count(0),
        "largest_share_of_pixels_that_another_mask_holds": max(masks, default=0),
    }


def scores(paths: list[tuple[Path, Path]]) -> dict:
    """How far the detectors' IoU, in percent, lie apart."""
    distances = [
        abs(json.loads(a.read_text())["iou"] - json.loads(b.read_text())["iou"])
        for a, b in paths
        if a.name == "metrics.json"
    ]
    return {
        "scores": len(distances),
        "equal_scores": distances.count(0),
        "median_iou_distance": round(float(np.median(distances)), 3) if distances else None,
        "largest_iou_distance": round(max(distances, default=0), 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs=2)
    folders = parser.parse_args().run
    first, second = map(results, folders)
    for folder, files in zip(folders, (first, second), strict=True):
        if not files:
            parser.error(f"{folder} holds no results; name the folder of a finished run")
    common = sorted(first.keys() & second.keys())
    different = [name for name in common if first[name].read_bytes() != second[name].read_bytes()]
    pairs = {name: (first[name], second[name]) for name in common}
    sets = ("pools", "regions", "corrupted")
    summary = {
        "files": len(common),
        "equal_files": len(common) - len(different),
        "only_one_has": sorted(first.keys() ^ second.keys()),
        "different": different,
        **{
            kind: images([pair for name, pair in pairs.items() if name.startswith(kind) and name.endswith(".parquet")])
            for kind in sets
        },
        **scores(list(pairs.values())),
    }
    print(json.dumps(summary, indent=1))
    return int(bool(summary["only_one_has"]))


if __name__ == "__main__":
    sys.exit(main())
