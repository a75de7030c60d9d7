"""From an image to its strength: the scripts as Snakemake runs them, in an interpreter of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from paper import renoise

from blemish.corruption.latents import Latents
from blemish.data.records import Record, read_records, write_records

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, runpy, sys
from types import SimpleNamespace
from pathlib import Path

class Named(dict):
    "Values by name and, as Snakemake has it, by position."
    def __getitem__(self, key):
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(key)
    __getattr__ = __getitem__

for script, parts in json.load(sys.stdin):
    parts = {k: Named(v) if isinstance(v, dict) else v for k, v in parts.items()}
    snakemake = SimpleNamespace(rule=script, threads=1, resources={"gpu": 0}, **parts)
    runpy.run_path(f"scripts/{script}.py", {"snakemake": snakemake}, "__main__")
"""


def job(rule, inputs, outputs, params, **wildcards):
    return rule, {"input": inputs, "output": outputs, "params": params, "wildcards": wildcards}


def test_an_image_is_inverted_and_corrupted(tmp_path, tiny_diffusion):
    mask = np.zeros((16, 16), bool)
    mask[4:12, 4:12] = True
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    write_records(tmp_path / "images.parquet", [Record("a", pixels, None, "a face")])
    write_records(tmp_path / "masks.parquet", [Record("a", None, mask)])
    names = ("images.parquet", "masks.parquet", "0", "2", "clean.parquet", "out.parquet", "latents.csv", "strength.csv")
    images, masks, start, inversion, reconstructed, out, latents, strength = (str(tmp_path / name) for name in names)
    engine = {"steps": 50, "seed": 0, "batch_size": 4, "device": "cpu", "dtype": "float32"}
    model, inverting = {"diffusion": str(tiny_diffusion)}, {"renoise": renoise().model_dump(mode="json")}
    measured = {"reconstructed": reconstructed, "corrupted": out, "latents": latents}
    jobs = [
        job("invert", {"images": images, **model}, {"inversion": start}, {"engine": engine, **inverting}, n="0"),
        job(
            "invert",
            {"images": images, "previous": start, **model},
            {"inversion": inversion},
            {"engine": engine, **inverting},
            n="2",
        ),
        job("reconstruct", {"images": images, "inversion": start, **model}, {"out": reconstructed}, {"engine": engine}),
        job(
            "corrupt",
            {"reconstructed": reconstructed, "masks": masks, "inversion": inversion, **model},
            {"images": out, "latents": latents},
            {"engine": engine, "mask_rule": "any", "guidance": 1.0, "recipe": {"method": "proposed", "step": 48}},
            recipe="proposed-48",
        ),
        job("measure_strength", measured, {"strength": strength}, {}),
    ]
    for name, parts in jobs:
        parts["log"] = [str(tmp_path / f"{name}.log")]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")},
    )
    assert done.returncode == 0, done.stderr + (tmp_path / "invert.log").read_text()
    assert Latents(Path(inversion)).steps == [0, 2]
    (record,) = read_records(out)
    assert record.recipe == "proposed-48" and not np.array_equal(record.image, pixels)
    assert "1 images" in (tmp_path / "corrupt.log").read_text()
    assert "2 UNet sample evaluations" in (tmp_path / "corrupt.log").read_text()
    header = (tmp_path / "strength.csv").read_text().splitlines()[0]
    assert {"id", "psnr_inside", "latent_distance", "changed"} <= set(header.split(","))
