"""Makes the mini world's HPS: clean generated images in WebDataset tars."""


def make_mini_hps(vae: str, settings: dict, out: str) -> None:
    """Writes the tars into the folder `out`; `vae` is the file of the VAE's weights."""
    from pathlib import Path

    import torch
    from diffusers import AutoencoderKL

    from blemish.miniworld.counterparts import clean_scenes, write_hps
    from blemish.miniworld.settings import HPS

    hps = HPS(**settings)
    autoencoder = AutoencoderKL.from_pretrained(Path(vae).parent, torch_dtype=torch.float32)
    write_hps(Path(out).parent, clean_scenes(hps, autoencoder), hps.tars, hps.seed)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        make_mini_hps(vae=snakemake.input.vae, settings=snakemake.params.settings, out=snakemake.output[0])
