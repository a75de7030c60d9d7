import io

import numpy as np
import pandas as pd
from PIL import Image

from blemish.data.tfrecords import write_examples
from blemish.report import audit


def encoded(value):
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_every_verdict_shows_its_first_maps(tmp_path):
    rows = [("few", 2.0, "plateaus", i) for i in range(8)]
    rows += [("all_zero", None, "none", i) for i in range(8, 10)]
    rows += [("repeated_name", None, "none", i) for i in range(2)]
    rows = pd.DataFrame(
        {"id": [f"s{i}" for *_, i in rows], "reason": [r[0] for r in rows], "annotators": [r[1] for r in rows]}
    ).assign(evidence=[r[2] for r in rows])
    verdicts = audit.examples(rows)
    assert {tuple(ids) for ids in verdicts.values()} == {
        tuple(f"s{i}" for i in range(audit.EXAMPLES)),
        ("s8", "s9"),
    }
    assert any("2 annotators by plateaus" in verdict and "few: 8" in verdict for verdict in verdicts)

    path = tmp_path / "train.tfrecord"
    maps = [(i, encoded(i)) for i in range(8)] + [(1, encoded(9))]
    maps.insert(0, (1, b"broken"))
    write_examples(path, [{"filename": f"train/s{i}.png".encode(), "artifact_map": content} for i, content in maps])
    maps = audit.read_maps([path], ["s6", "s1", "s8"])
    assert {name: pixels.max() for name, pixels in maps.items()} == {"s1": 1, "s6": 6}

    summary = {"split": "train", "samples": 8, "paper_samples": 8, "paper_kept": 4, "kept_under": {"a": 2, "b": 6}}
    figure = audit.draw(summary | {"levels": [1] * 256}, {"v": ["s6", "s1"]}, maps)
    assert len(figure.axes) == 2 + audit.EXAMPLES
