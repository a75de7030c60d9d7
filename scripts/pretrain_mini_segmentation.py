"""Pre-trains a segmentation model on the objects of scenes: the mini world's ADE20K."""


def pretrain_mini_segmentation(backbone: dict, training: dict, scenes: int, seed: int, out: str) -> None:
    """Saves the weights."""
    from pathlib import Path

    from blemish.detection.settings import Backbone, Training
    from blemish.miniworld.segmentation import pretrain

    pretrain(Path(out), Backbone(**backbone), Training(**training), scenes, seed)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        pretrain_mini_segmentation(
            backbone=snakemake.params.backbone,
            training=snakemake.params.training,
            scenes=snakemake.params.scenes,
            seed=snakemake.params.seed,
            out=snakemake.output[0],
        )
