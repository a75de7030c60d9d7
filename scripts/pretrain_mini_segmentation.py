"""Pre-trains a segmentation model on the objects of scenes: the mini world's ADE20K."""

from pathlib import Path

from blemish.data.files import atomic
from blemish.jobs.run import run


def main(out: Path, backbone: dict, training: dict, scenes: int, seed: int, iterations: int, lr: float) -> None:
    import tempfile

    import numpy as np
    from safetensors.torch import load_file, save_file

    from blemish.detection.dataset import ArrayDataset
    from blemish.detection.settings import Training
    from blemish.detection.train import train
    from blemish.miniworld.generator import render
    from blemish.miniworld.scenes import CLASSES

    drawn = render(seed, scenes)
    dataset = ArrayDataset(np.stack([s.image for s in drawn]), np.stack([s.labels for s in drawn]))
    settings = Training(**training | {"iterations": iterations, "lr": lr})
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        train(
            dataset,
            backbone,
            Path(folder),
            Path(folder) / "state",
            settings,
            classes=len(CLASSES),
            seed=seed,
            device="cpu",
        )
        weights = load_file(Path(folder) / "weights.safetensors")
        halved = {name: t.half() if t.is_floating_point() else t for name, t in weights.items()}
        with atomic(out) as temporary:
            save_file(halved, temporary)


if __name__ == "__main__":
    with run(snakemake):
        main(
            Path(snakemake.output[0]),
            **{name: snakemake.params[name] for name in ("backbone", "training")},
            **snakemake.params.settings,
        )
