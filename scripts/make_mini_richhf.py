"""Makes the mini world's RichHF-18k: images with wild artifacts, and the maps of simulated annotators."""


def make_mini_richhf(wild: str, split: str, settings: dict, tfrecord: str) -> None:
    """Writes one split; `wild` is the UNet of the weaker generator."""
    from pathlib import Path

    import torch
    from diffusers import StableDiffusionPipeline

    from blemish.miniworld import counterparts, generator
    from blemish.miniworld.settings import Split
    from blemish.miniworld.wild import damage

    pipeline = StableDiffusionPipeline.from_pretrained(
        Path(wild).parents[1], safety_checker=None, torch_dtype=torch.float32
    )
    networks = pipeline.vae, pipeline.unet, pipeline.text_encoder, pipeline.tokenizer
    chosen = Split(**settings)
    made = damage(generator.render(chosen.seed, chosen.images), *networks, chosen.seed)
    counterparts.write_richhf(Path(tfrecord).parent, split, made, chosen.seed)


if __name__ == "__main__":
    from blemish.jobs.run import run

    with run(snakemake):
        make_mini_richhf(
            wild=snakemake.input.wild,
            split=snakemake.wildcards.split,
            settings=snakemake.params.settings,
            tfrecord=snakemake.output[0],
        )
