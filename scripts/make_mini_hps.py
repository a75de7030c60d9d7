"""Makes the mini world's HPS: clean images in WebDataset tars."""

from pathlib import Path

from blemish import job


def main(out: Path, images: int, wide: float, tars: int, seed: int) -> None:
    import numpy as np

    from blemish.miniworld.counterparts import write_hps
    from blemish.miniworld.scenes import draw_scene

    rngs = [np.random.default_rng((seed, i)) for i in range(images)]
    write_hps(out, [draw_scene(rng, width=112 if rng.random() < wide else 64) for rng in rngs], tars, seed)


if __name__ == "__main__":
    with job.run(snakemake):
        main(Path(snakemake.output[0]).parent, **snakemake.params)
