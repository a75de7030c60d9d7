"""Makes the mini world's RichHF-18k: images with wild artifacts, and the maps of simulated annotators."""

from pathlib import Path

from blemish.jobs.run import run


def main(wild: Path, out: Path, split: str, images: int, seed: int) -> None:
    import torch
    from diffusers import StableDiffusionPipeline

    from blemish.miniworld import counterparts, generator
    from blemish.miniworld.wild import damage

    pipeline = StableDiffusionPipeline.from_pretrained(wild, safety_checker=None, torch_dtype=torch.float32)
    made = damage(
        generator.render(seed, images),
        pipeline.vae,
        pipeline.unet,
        pipeline.text_encoder,
        pipeline.tokenizer,
        seed,
    )
    counterparts.write_richhf(out, split, made, seed)


if __name__ == "__main__":
    with run(snakemake):
        main(
            Path(snakemake.input.wild).parents[1],
            Path(snakemake.output[0]).parent,
            snakemake.wildcards.split,
            **snakemake.params.settings,
        )
