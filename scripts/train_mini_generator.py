"""Trains a latent diffusion generator of the mini world and saves it as a diffusers pipeline."""

from pathlib import Path

from blemish.jobs.run import run


def main(vae: Path, out: Path, widths: list[int], scenes: int, iterations: int, seed: int) -> None:
    import torch
    from diffusers import AutoencoderKL

    from blemish.miniworld import generator

    vae = AutoencoderKL.from_pretrained(vae)
    drawn = generator.render(seed, scenes)
    tokenizer = generator.build_tokenizer([s.caption for s in drawn], out / "tokenizer")
    text_encoder = generator.build_text_encoder(tokenizer, seed)
    unet = generator.build_unet(tuple(widths), seed)
    generator.train_unet(unet, text_encoder, tokenizer, vae, drawn, iterations, seed)
    generator.save_pipeline(out, vae, unet, text_encoder, tokenizer, torch.float16)


if __name__ == "__main__":
    with run(snakemake):
        main(
            Path(snakemake.input.vae[0]).parent,
            Path(snakemake.output[0]).parents[1],
            **snakemake.params.settings,
        )
