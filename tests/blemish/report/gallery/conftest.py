"""A small run to show, with prompts that would break a careless page, and a browser to see it in."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from selenium import webdriver

from blemish.data.records import Record, write_records
from blemish.experiments import CorruptedPool

SIDE = 16
HOSTILE = [
    "<script>document.title = 'broken'</script>",
    "</script><script>document.title = 'broken'</script>",
    "<img src=x onerror=\"document.title = 'broken'\">",
    "\"double\" & 'single' quotes, <!-- a comment, \u2028 a separator, ü, 猫",
]
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


def mask(i: int) -> np.ndarray:
    """A square of 4x4 pixels somewhere; the first image has none."""
    found = np.zeros((SIDE, SIDE), bool)
    if i:
        found[i % 8 : i % 8 + 4, i % 5 : i % 5 + 4] = True
    return found


@pytest.fixture(scope="session")
def hostile():
    return HOSTILE


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """(clean, corrupted, strength) of ten images in two shards, corrupted in three ways."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    clean = [
        Record(f"image-{i}", rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8), None, HOSTILE[i % 4], f"hps:{i}")
        for i in range(10)
    ]
    shards = [folder / "0.parquet", folder / "1.parquet"]
    for path, part in zip(shards, (clean[:5], clean[5:]), strict=True):
        write_records(path, part)
    corrupted, strength = {}, {}
    for k, (recipe, backbone) in enumerate((("blur-30", "swin-t"), ("proposed-40", "swin-t"), ("blur-30", "other"))):
        place = folder / recipe / backbone
        results, measures = [place / "0.parquet", place / "1.parquet"], [place / "0.csv", place / "1.csv"]
        for part in (0, 1):
            numbers = range(5 * part, 5 * part + 5)
            records = [replace(clean[i], image=255 - clean[i].image, mask=mask(i), recipe=recipe) for i in numbers]
            write_records(results[part], records)
            pd.DataFrame(
                {
                    "id": [record.id for record in records],
                    "psnr_inside": [np.inf if i == 9 else 10.0 + i + k for i in numbers],
                    "psnr_outside": 40.0,
                    "ssim_inside": 0.5,
                    "ssim_outside": 0.9,
                    "changed": 0.25,
                    "mask_fraction": [record.mask.mean() for record in records],
                    "latent_distance": [0.1 * i if i else np.nan for i in numbers],
                }
            ).to_csv(measures[part], index=False)
        name = CorruptedPool("hps", recipe, backbone)
        corrupted[name], strength[name] = results, measures
    return {"hps": shards}, corrupted, strength


@pytest.fixture
def predict():
    """A detector that finds the upper half of each mask, or of every fourth image nothing; the last pool has none."""

    def found(name, records):
        if name.backbone == "other":
            return
        for record in records:
            probability = np.where(record.mask, 0.9, 0.1)
            rows = np.flatnonzero(record.mask.any(1))
            probability[rows[2] :] = 0.2
            yield record.id, probability * (int(record.id[-1]) % 4 > 0)

    return found


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Headless Chromium; what it reports is asked for by the tests."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("there is no Chromium with its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS.split(), "--window-size=1280,900", f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as found:
        yield found
