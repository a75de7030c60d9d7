"""Trains the mini world's VAE."""

from pathlib import Path

from blemish.jobs.run import run


def main(out: Path, scenes: int, iterations: int, seed: int) -> None:
    import torch

    from blemish.miniworld import generator

    vae = generator.train_vae(generator.render(seed, scenes), iterations, seed)
    vae.to(torch.float16).save_pretrained(out)


if __name__ == "__main__":
    with run(snakemake):
        main(Path(snakemake.output[0]).parent, **snakemake.params)
