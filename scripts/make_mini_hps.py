"""Makes the mini world's HPS: clean generated images in WebDataset tars."""

from pathlib import Path

from blemish.jobs.run import run


def main(vae: Path, out: Path, images: int, wide: float, tars: int, seed: int) -> None:
    from dataclasses import replace

    import numpy as np
    import torch
    from diffusers import AutoencoderKL

    from blemish.miniworld.counterparts import write_hps
    from blemish.miniworld.generator import reconstruct
    from blemish.miniworld.scenes import draw_scene

    vae = AutoencoderKL.from_pretrained(vae, torch_dtype=torch.float32)
    rngs = [np.random.default_rng((seed, i)) for i in range(images)]
    scenes = [draw_scene(rng, width=112 if rng.random() < wide else 64) for rng in rngs]
    write_hps(out, [replace(scene, image=reconstruct(vae, scene.image)) for scene in scenes], tars, seed)


if __name__ == "__main__":
    with run(snakemake):
        main(Path(snakemake.input.vae[0]).parent, Path(snakemake.output[0]).parent, **snakemake.params)
