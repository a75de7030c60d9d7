import io

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from blemish.evaluation.maps import write_maps
from blemish.evaluation.measures import BINS, measure


@given(probability=arrays(np.float32, (4, 5), elements=st.floats(0, 1, width=32)), truth=arrays(bool, (4, 5)))
def test_every_number_follows_from_a_stored_map(tmp_path_factory, probability, truth):
    path = tmp_path_factory.mktemp("maps") / "maps.parquet"
    write_maps(path, [("a", probability)])
    [row] = pq.read_table(path).to_pylist()
    level = np.array(Image.open(io.BytesIO(row["image"]["bytes"])))
    assert row["id"] == "a" and level.dtype == np.uint8
    stored = measure("a", level / np.float32(BINS), truth, threshold=0.5)
    assert stored == measure("a", probability, truth, threshold=0.5)


def test_hugging_face_opens_the_maps_as_images(tmp_path):
    import datasets

    write_maps(tmp_path / "maps.parquet", [("a", np.full((3, 2), 0.25)), ("b", np.ones((3, 2)))])
    found = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "maps.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert found["id"][:] == ["a", "b"]
    assert [np.array(image).max() for image in found["image"]] == [64, 255]
