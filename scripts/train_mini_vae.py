"""Trains the mini world's VAE."""


def train_mini_vae(settings: dict, out: str) -> None:
    """Saves it in half precision in the folder of `out`."""
    from pathlib import Path

    import torch

    from blemish.miniworld.generator import train_vae
    from blemish.miniworld.settings import Scenes

    train_vae(Scenes(**settings)).to(torch.float16).save_pretrained(Path(out).parent)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        train_mini_vae(settings=snakemake.params.settings, out=snakemake.output[0])
