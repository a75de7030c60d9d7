"""Trains a latent diffusion generator of the mini world."""


def train_mini_generator(vae: str, settings: dict, unet: str) -> None:
    """Saves the pipeline whose UNet is asked for; `vae` is the file of the VAE's weights."""
    from pathlib import Path

    from diffusers import AutoencoderKL

    from blemish.miniworld.generator import train_generator
    from blemish.miniworld.settings import Generator

    train_generator(Path(unet).parents[1], AutoencoderKL.from_pretrained(Path(vae).parent), Generator(**settings))


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        train_mini_generator(
            vae=snakemake.input.vae,
            settings=snakemake.params.settings,
            unet=snakemake.output[0],
        )
