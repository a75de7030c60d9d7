"""Figure 6: images drawn by seed, corrupted in the initial latent, after all steps of the schedule were inverted."""

import shutil
from dataclasses import replace
from pathlib import Path


def figure_initial(clean, corrupted, strength, engine, name, recipe, images, renoise, mask_rule, seed, state, out):
    from blemish.corruption.engine import Engine
    from blemish.corruption.sequence import corrupt_images
    from blemish.corruption.settings import RECIPES, ReNoise
    from blemish.data.records import read_records, write_records
    from blemish.report import figures

    chosen = figures.draw(figures.read_strength(strength), images, seed)
    pairs = zip(figures.fetch(clean, chosen), figures.fetch(corrupted, chosen), strict=True)
    drawn, settings = state / "drawn.parquet", (ReNoise(**renoise), name, RECIPES[recipe["method"]](**recipe))
    write_records(drawn, (replace(record, mask=other.mask) for record, other in pairs))
    result, measures = corrupt_images(drawn, drawn, state, Engine.load(**engine), *settings, mask_rule)
    measured = figures.read_strength([measures])
    figure = figures.clean_over_corrupted(
        list(read_records(drawn)),
        {name: list(read_records(result))},
        captions={name: figures.describe(measured, measured)},
    )
    figures.save(figure, out)
    shutil.rmtree(state)


if __name__ == "__main__":
    from blemish.jobs.run import run, state

    with run(snakemake):
        figure_initial(
            **{name: snakemake.input[name] for name in ("clean", "corrupted", "strength")},
            **{name: snakemake.params[name] for name in ("name", "recipe", "images", "renoise", "mask_rule", "seed")},
            engine={"diffusion": snakemake.input.diffusion, **snakemake.params.engine},
            state=Path(state(snakemake.output[0])),
            out=snakemake.output,
        )
